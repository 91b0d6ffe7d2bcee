//! Arrays of a NumPy `.npz` file, as floats.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::{NpyFile, TypeChar};

/// An array in C order.
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Array {
    /// The elements along the first axis.
    pub fn items(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.shape[1..].iter().product())
    }

    /// The values as bytes.
    #[allow(dead_code, reason = "not every user has pictures")]
    pub fn bytes(&self) -> Vec<u8> {
        self.data.iter().map(|v| *v as u8).collect()
    }
}

/// All arrays of a file, by name.
pub struct Arrays {
    arrays: HashMap<String, Array>,
    channels_last: HashMap<String, Array>,
}

impl Arrays {
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut archive = NpzArchive::open(path)?;
        let names: Vec<String> = archive.array_names().map(String::from).collect();
        let mut arrays = HashMap::new();
        for name in names {
            if let Some(file) = archive.by_name(&name)? {
                arrays.insert(name, read(file)?);
            }
        }
        let pictures = arrays.iter().filter(|(_, array)| array.shape.len() == 4);
        let channels_last = pictures.map(|(name, array)| (name.clone(), channels_last(array))).collect();
        Ok(Self { arrays, channels_last })
    }

    /// # Panics
    /// Where there is none of that name.
    pub fn get(&self, name: &str) -> &Array {
        self.arrays.get(name).unwrap_or_else(|| panic!("the file holds no array \"{name}\""))
    }

    /// The array of (items, channels, rows, columns) of this name as (items, rows, columns, channels).
    ///
    /// # Panics
    /// Where there is none of that name and four axes.
    pub fn channels_last(&self, name: &str) -> &Array {
        self.channels_last.get(name).unwrap_or_else(|| panic!("the file holds no array \"{name}\" of four axes"))
    }
}

fn channels_last(array: &Array) -> Array {
    let [items, channels, rows, columns] = array.shape[..] else { panic!("four axes expected") };
    let mut data = Vec::with_capacity(array.data.len());
    for item in array.data.chunks_exact((channels * rows * columns).max(1)) {
        for cell in 0..rows * columns {
            data.extend(item.iter().skip(cell).step_by(rows * columns));
        }
    }
    Array { shape: vec![items, rows, columns, channels], data }
}

fn read<R: io::Read>(file: NpyFile<R>) -> io::Result<Array> {
    let shape = file.shape().iter().map(|&n| n as usize).collect();
    let kind = match file.dtype() {
        npyz::DType::Plain(kind) => kind,
        other => return Err(io::Error::other(format!("unexpected type {other:?}"))),
    };
    let data = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => file.into_vec::<f32>()?,
        (TypeChar::Uint, 1) => file.into_vec::<u8>()?.into_iter().map(f32::from).collect(),
        (TypeChar::Int, 8) => file.into_vec::<i64>()?.into_iter().map(|v| v as f32).collect(),
        _ => return Err(io::Error::other(format!("unexpected type {kind}"))),
    };
    Ok(Array { shape, data })
}
