//! What detectron2's `apply_net.py dump` writes: a list with one dictionary per frame, for `torch.load`.
//!
//! | key | value |
//! |---|---|
//! | `file_name` | text: the name that the frame has if it is written as a picture |
//! | `scores` | float32 tensor `[N]` |
//! | `pred_boxes_XYXY` | float32 tensor `[N, 4]`, pixels |
//! | `pred_densepose` | list of N results, each with `labels`: int64 tensor `[H, W]`, and `uv`: float32 tensor `[2, H, W]`, 0 to 1, of the box |
//! | `ids` | int64 tensor `[N]`; not in detectron2's |
//! | `frame`, `pts`, `width`, `height` | numbers, `pts` in nanoseconds or `None`; not in detectron2's |
//!
//! In detectron2's own files a result is a `DensePoseChartResultWithConfidences`, which only a Python with detectron2
//! can load. Here it is an `OrderedDict` that has `labels` and `uv` as attributes and as keys: code that says
//! `result.labels` works as before, and the file is loaded by any PyTorch (1.6 or newer), without detectron2 and with
//! `weights_only=True`.
//!
//! The file is PyTorch's ZIP archive. Its entries are stored as they are, so that `torch.load(..., mmap=True)` maps them;
//! the tensors of a frame are written as they come, the list that names them at the end.

use super::pickle::Pickle;
use super::zip::Zip;
use super::{Encoder, Field, Fields, Record, finite};
use crate::person::Person;

/// The fields that a frame can have beside its name.
pub const FIELDS: [Field; 4] = [Field::Id, Field::Score, Field::Box, Field::Iuv];

/// Names a frame by its number.
pub type FileName = Box<dyn Fn(u64) -> String + Send>;

/// Writes the archive.
pub struct Writer {
    fields: Fields,
    file_name: FileName,
    pickle: Pickle,
    /// The pickle so far.
    list: Vec<u8>,
    zip: Zip,
    storages: usize,
    /// The value of a coordinate of 0 to 255.
    units: [f32; 256],
}

impl Writer {
    pub fn new(fields: Fields, file_name: FileName) -> Self {
        Self {
            fields,
            file_name,
            pickle: Pickle::default(),
            list: Vec::new(),
            zip: Zip::default(),
            storages: 0,
            units: std::array::from_fn(unit),
        }
    }
}

/// `n / 255`, such that detectron2's `(uv * 255).byte()`, which cuts off, gives `n` again.
fn unit(n: usize) -> f32 {
    let value = n as f32 / 255.0;
    if (value * 255.0) as usize == n { value } else { f32::from_bits(value.to_bits() + 1) }
}

/// A type of PyTorch's storages: its name, and the numbers of one that is being filled.
struct Storage {
    class: &'static str,
    key: String,
    bytes: Vec<u8>,
    length: usize,
}

/// Where a tensor lies in its storage, and its shape.
struct Tensor {
    start: usize,
    shape: Vec<usize>,
}

impl Storage {
    fn tensor<const N: usize>(&mut self, shape: &[usize], values: impl Iterator<Item = [u8; N]>) -> Tensor {
        let start = self.length;
        values.for_each(|v| self.bytes.extend(v));
        self.length += shape.iter().product::<usize>();
        Tensor { start, shape: shape.to_vec() }
    }
}

impl Encoder for Writer {
    fn start(&mut self, _out: &mut Vec<u8>) {
        (self.pickle, self.list, self.zip, self.storages) = Default::default();
        self.pickle.start();
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        let persons = &record.persons.persons;
        let n = persons.len();
        let mut floats = self.storage("torch FloatStorage");
        let mut longs = self.storage("torch LongStorage");
        let has = |field| self.fields.has(field);

        let scores =
            has(Field::Score).then(|| floats.tensor(&[n], persons.iter().map(|p| finite(p.score).to_le_bytes())));
        let corners = |p: &Person| {
            let (x, y) = (p.x as f32, p.y as f32);
            [x, y, x + p.width() as f32, y + p.height() as f32].map(f32::to_le_bytes)
        };
        let boxes = has(Field::Box).then(|| floats.tensor(&[n, 4], persons.iter().flat_map(corners)));
        let ids = has(Field::Id).then(|| longs.tensor(&[n], persons.iter().map(|p| i64::from(p.id).to_le_bytes())));
        let units = self.units;
        let maps = has(Field::Iuv).then(|| {
            let map = |p: &Person| {
                let data = p.iuv.data();
                let labels = data.chunks_exact(3).map(|p| i64::from(p[0]).to_le_bytes());
                let coordinate = |channel: usize| {
                    // Where there is no body there are no coordinates.
                    let value = move |p: &[u8]| if p[0] == 0 { 0.0 } else { units[usize::from(p[channel])] };
                    data.chunks_exact(3).map(move |p| value(p).to_le_bytes())
                };
                let (h, w) = (p.height(), p.width());
                (longs.tensor(&[h, w], labels), floats.tensor(&[2, h, w], coordinate(1).chain(coordinate(2))))
            };
            persons.iter().map(map).collect::<Vec<_>>()
        });

        let p = &mut self.pickle;
        p.op(b"}(").key("file_name").text(&(self.file_name)(record.frame));
        p.key("frame").int(record.frame.into()).key("pts").optional(record.pts);
        p.key("width").int(record.persons.width.into()).key("height").int(record.persons.height.into());
        for (key, tensor, storage) in
            [("scores", scores, &floats), ("pred_boxes_XYXY", boxes, &floats), ("ids", ids, &longs)]
        {
            if let Some(tensor) = tensor {
                write_tensor(p.key(key), storage, &tensor);
            }
        }
        if let Some(maps) = maps {
            p.key("pred_densepose").op(b"](");
            for (labels, uv) in &maps {
                p.global("collections OrderedDict").op(b"}").keep().op(b"(");
                write_tensor(p.key("labels"), &longs, labels);
                write_tensor(p.key("uv"), &floats, uv);
                // OrderedDict(kept), then its attributes: a pickle's `BUILD` updates `__dict__`.
                p.op(b"u\x85R").kept().op(b"b");
            }
            p.op(b"e");
        }
        p.op(b"ua");
        self.list.extend(self.pickle.take());
        for storage in [floats, longs] {
            self.zip.store(&format!("people/data/{}", storage.key), &storage.bytes, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.pickle.op(b".");
        self.list.extend(self.pickle.take());
        let mut zip = std::mem::take(&mut self.zip);
        zip.store("people/data.pkl", &std::mem::take(&mut self.list), out);
        for (name, text) in [("people/byteorder", "little"), ("people/version", "3\n")] {
            zip.store(name, text.as_bytes(), out);
        }
        zip.finish(out);
    }
}

impl Writer {
    fn storage(&mut self, class: &'static str) -> Storage {
        self.storages += 1;
        Storage { class, key: (self.storages - 1).to_string(), bytes: Vec::new(), length: 0 }
    }
}

/// As PyTorch pickles tensors: a view of a storage, which a persistent id names.
fn write_tensor(p: &mut Pickle, storage: &Storage, tensor: &Tensor) {
    p.global("torch._utils _rebuild_tensor_v2").op(b"((").key("storage").global(storage.class);
    p.text(&storage.key).key("cpu").int(storage.length as i128).op(b"tQ").int(tensor.start as i128);
    let stride: Vec<usize> =
        (0..tensor.shape.len()).map(|i| tensor.shape[i + 1..].iter().product::<usize>().max(1)).collect();
    p.tuple(&tensor.shape).tuple(&stride);
    p.op(b"\x89").global("collections OrderedDict").op(b")RtR");
}

#[cfg(test)]
mod tests;
