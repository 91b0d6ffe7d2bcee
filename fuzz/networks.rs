//! Small networks of `tests/fixtures`, one of whose three files is changed as some bytes say: for fuzzing, and for
//! `tests/networks.rs`.

use std::path::Path;
use std::sync::LazyLock;

use gstdensepose::estimator::boxes::Rect;
use gstdensepose::estimator::{Estimator, Model, Options, Result};
use gstdensepose::image::Image;
use prost::Message;
use sha2::{Digest, Sha256};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};

use super::FIXTURES;

const MODELS_OF: [&str; 2] = ["tiny", "tiny-int8"];
const STAGES: [&str; 3] = ["trunk", "box_head", "densepose_head"];
/// Bytes of a change.
const CHANGE: usize = 6;

/// Numbers at which arithmetic goes wrong.
const NUMBERS: [i64; 12] = [255, 256, 4096, 4097, 65536, 1 << 31, 1 << 32, 1 << 61, i64::MAX, -1, -1 << 32, i64::MIN];
const OPERATORS: [&str; 20] = [
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Relu",
    "Sigmoid",
    "Clip",
    "Add",
    "Mul",
    "Div",
    "Max",
    "Resize",
    "Concat",
    "Slice",
    "Reshape",
    "Flatten",
    "Gemm",
    "Pad",
    "DequantizeLinear",
];
const LISTS: [&str; 5] = ["strides", "pads", "dilations", "kernel_shape", "output_padding"];
const WHOLE: [&str; 4] = ["group", "axis", "ceil_mode", "transB"];

/// Name and content of a model's files, the manifest first.
type Files = Vec<(String, Vec<u8>)>;

static MODELS: LazyLock<Vec<Files>> = LazyLock::new(|| MODELS_OF.map(read).to_vec());

fn read(fixture: &str) -> Files {
    let folder = Path::new(FIXTURES).join(fixture);
    let names = ["model.json".to_string()].into_iter().chain(STAGES.map(|stage| format!("{stage}.onnx")));
    names.map(|name| (name.clone(), std::fs::read(folder.join(name)).expect("a fixture"))).collect()
}

/// The model that `data` stands for. The first byte says which file of which fixture is changed and how: the rest is the
/// file, or a list of changes to its graph.
pub fn changed(data: &[u8]) -> Result<Model> {
    let (&choice, rest) = data.split_first().unwrap_or((&0, &[]));
    let choice = usize::from(choice);
    let (stage, fixture, raw) = (choice % 3, choice / 3 % 2, choice / 6 % 2 == 1);
    let mut files = MODELS[fixture].clone();
    let file = &mut files[stage + 1].1;
    *file = if raw { rest.to_vec() } else { edited(file, rest) };
    let hash: String = Sha256::digest(&file[..]).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut manifest: serde_json::Value = serde_json::from_slice(&files[0].1).expect("a manifest");
    manifest["stages"][STAGES[stage]]["sha256"] = hash.into();
    files[0].1 = manifest.to_string().into_bytes();
    Model::from_files(files)
}

const WIDTH: usize = 48;
const HEIGHT: usize = 40;

/// Loads the model that `data` stands for and looks at a small picture: the number of people, or why there is none.
///
/// # Panics
/// Where people show parts that there are not.
pub fn looked_at(data: &[u8]) -> Result<usize> {
    let options = Options { short_side: 32, threads: 1, ..Options::default() };
    let mut estimator = Estimator::new(&changed(data)?, options)?;
    let pixels: Vec<u8> = (0..WIDTH * HEIGHT * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let image = Image::rgb(WIDTH, HEIGHT, &pixels)?;
    // The body is mapped in a box, whatever is detected.
    let people = estimator.estimate_boxes(&image, &[Rect::new(8.0, 4.0, 30.0, 39.0)])?;
    assert!(people.iter().all(|person| person.iuv.data().chunks_exact(3).all(|pixel| pixel[0] <= 24)));
    Ok(people.len())
}

/// Something to begin with: every file as it is, as bytes and without changes, and each kind of change.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (fixture, name) in MODELS_OF.iter().enumerate() {
        for (stage, (_, bytes)) in MODELS[fixture][1..].iter().enumerate() {
            let choice = (stage + 3 * fixture) as u8;
            seeds.push((format!("{name}-{}-raw", STAGES[stage]), [&[choice + 6], &bytes[..]].concat()));
            for kind in 0..KINDS {
                let changes: Vec<u8> = (0..5 * CHANGE as u8).map(|i| i.wrapping_mul(37)).collect();
                let mut seed = vec![choice];
                for change in changes.chunks_exact(CHANGE).take(usize::from(kind % 3)) {
                    seed.extend_from_slice(&[&[kind], &change[1..]].concat());
                }
                seeds.push((format!("{name}-{}-{kind}", STAGES[stage]), seed));
            }
        }
    }
    seeds
}

fn edited(file: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut model = ModelProto::decode(file).expect("a fixture");
    let graph = model.graph.as_mut().expect("a graph");
    // Few are enough for any fault, and are understood.
    for change in changes.as_chunks::<CHANGE>().0.iter().take(8) {
        edit(graph, *change);
    }
    model.encode_to_vec()
}

fn pick<T>(list: &mut [T], index: u8) -> Option<&mut T> {
    let count = list.len().max(1);
    list.get_mut(usize::from(index) % count)
}

fn number(byte: u8) -> i64 {
    match byte {
        128.. => i64::from(byte) - 128,
        _ => NUMBERS[usize::from(byte) % NUMBERS.len()],
    }
}

const KINDS: u8 = 11;

fn edit(graph: &mut GraphProto, [kind, at, which, item, value, more]: [u8; CHANGE]) {
    match kind % KINDS {
        // Numbers of an attribute.
        0 | 1 => {
            let Some(attribute) = pick(&mut graph.node, at).and_then(|node| pick(&mut node.attribute, which)) else {
                return;
            };
            attribute.i = number(value);
            attribute.f = f32::from_bits(u32::from_le_bytes([item, value, more, which]));
            if let Some(int) = pick(&mut attribute.ints, item) {
                *int = number(value);
            }
        }
        // An attribute more.
        2 => {
            let Some(node) = pick(&mut graph.node, at) else { return };
            let mut attribute = AttributeProto::default();
            if which < 200 {
                attribute.name = LISTS[usize::from(which) % LISTS.len()].into();
                attribute.r#type = AttributeType::Ints as i32;
                let count = if attribute.name == "pads" { 4 } else { 2 };
                attribute.ints = [number(item), number(value), number(more), number(value)][..count].to_vec();
            } else {
                attribute.name = WHOLE[usize::from(which) % WHOLE.len()].into();
                attribute.r#type = AttributeType::Int as i32;
                attribute.i = number(value);
            }
            node.attribute.retain(|other| other.name != attribute.name);
            node.attribute.push(attribute);
        }
        3 => {
            if let Some(node) = pick(&mut graph.node, at) {
                node.op_type = OPERATORS[usize::from(which) % OPERATORS.len()].into();
            }
        }
        // Another input.
        4 => {
            let outputs: Vec<String> = graph.node.iter().flat_map(|node| node.output.clone()).collect();
            let stored = graph.initializer.iter().map(|tensor| tensor.name.clone());
            let mut names: Vec<String> = if more < 128 { outputs } else { stored.collect() };
            let name = pick(&mut names, value).cloned();
            if let (Some(node), Some(name)) = (pick(&mut graph.node, at), name)
                && let Some(input) = pick(&mut node.input, item)
            {
                *input = name;
            }
        }
        // Weights of another shape, with as many numbers.
        5 | 6 => {
            let Some(tensor) = pick(&mut graph.initializer, at) else { return };
            if let Some(length) = pick(&mut tensor.dims, item) {
                *length = number(value);
            }
            let count = tensor.dims.iter().try_fold(1_i64, |count, &n| count.checked_mul(n)).unwrap_or(i64::MAX);
            if tensor.data_type == DataType::Float as i32 && (0..1 << 18).contains(&count) {
                let numbers = (0..count).flat_map(|i| ((i * 37 % 64) as f32 / 32.0 - 1.0).to_le_bytes());
                (tensor.raw_data, tensor.float_data) = (numbers.collect(), Vec::new());
            }
        }
        // A stored whole number, of a shape or a slice.
        7 => {
            let is_whole = |kind: i32| kind == DataType::Int64 as i32;
            let mut whole: Vec<_> = graph.initializer.iter_mut().filter(|t| is_whole(t.data_type)).collect();
            let Some(tensor) = pick(&mut whole, at) else { return };
            let count = tensor.raw_data.len() / 8;
            match count {
                0 => drop(pick(&mut tensor.int64_data, item).map(|n| *n = number(value))),
                _ => {
                    tensor.raw_data[usize::from(item) % count * 8..][..8].copy_from_slice(&number(value).to_le_bytes())
                }
            }
        }
        8 => {
            if !graph.node.is_empty() {
                let index = usize::from(at) % graph.node.len();
                graph.node.remove(index);
            }
        }
        // A node more, between two.
        9 => {
            if graph.node.is_empty() {
                return;
            }
            let index = usize::from(at) % graph.node.len();
            let node = &mut graph.node[index];
            let Some(output) = node.output.first_mut() else { return };
            let (name, inner) = (output.clone(), format!("{output}.inner"));
            *output = inner.clone();
            let new = NodeProto {
                name: format!("{name}.new"),
                op_type: OPERATORS[usize::from(which) % OPERATORS.len()].into(),
                input: vec![inner.clone(); usize::from(item % 3) + 1],
                output: vec![name],
                ..NodeProto::default()
            };
            graph.node.insert(index + 1, new);
        }
        // Results that change places.
        _ => {
            let count = graph.node.len();
            if count > 0 {
                let (a, b) = (usize::from(at) % count, usize::from(which) % count);
                let (first, second) = (graph.node[a].output.clone(), graph.node[b].output.clone());
                graph.node[a].output = second;
                graph.node[b].output = first;
            }
        }
    }
}
