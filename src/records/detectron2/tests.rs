//! Reads back what is written, as PyTorch does: the archive's directory, then the pickle, then the storages.

use std::collections::BTreeMap;

use super::*;
use crate::person::{IuvMap, Persons};
use crate::records::pickle::KEPT;
use crate::records::samples::record;

fn file(fields: &[Field], records: &[Record]) -> Vec<u8> {
    let mut writer = Writer::new(Fields::of(fields), Box::new(|n| format!("{n:05}.png")));
    let mut out = Vec::new();
    writer.start(&mut out);
    records.iter().for_each(|r| writer.record(r, &mut out));
    writer.finish(&mut out);
    out
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

/// The files of an archive, found by its directory.
fn unzip(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let end = &zip[zip.len() - 22..];
    assert_eq!(&end[..4], b"PK\x05\x06");
    let wide = number(&zip[zip.len() - 42 + 8..][..8]);
    assert_eq!(&zip[wide..wide + 4], b"PK\x06\x06");
    let (entries, mut at) = (number(&end[10..12]), number(&end[16..20]));
    assert_eq!((number(&zip[wide + 32..][..8]), number(&zip[wide + 48..][..8])), (entries, at));
    let mut files = BTreeMap::new();
    for _ in 0..entries {
        let head = &zip[at..at + 46];
        assert_eq!(&head[..4], b"PK\x01\x02");
        let (packed, size, name) = (number(&head[20..24]), number(&head[24..28]), number(&head[28..30]));
        let local = number(&head[42..46]);
        assert_eq!(&zip[local..local + 4], b"PK\x03\x04");
        assert_eq!(zip[local + 6..local + 28], head[8..30], "both headers say the same");
        assert_eq!((number(&head[10..12]), packed), (0, size), "stored, so that programs may map it into memory");
        let start = local + 30 + name + number(&zip[local + 28..local + 30]);
        assert_eq!(start % 64, 0, "aligned for numbers of any type");
        let data = zip[start..][..packed].to_vec();
        let mut crc = flate2::Crc::new();
        crc.update(&data);
        assert_eq!((data.len(), crc.sum() as usize), (size, number(&head[16..20])));
        files.insert(String::from_utf8(zip[at + 46..][..name].to_vec()).unwrap(), data);
        at += 46 + name + number(&head[30..32]);
    }
    files
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Mark,
    Nothing,
    False,
    Int(i64),
    Text(String),
    Global(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Bytes(String, Vec<u8>),
    Array {
        class: String,
        shape: Vec<usize>,
        data: Vec<u8>,
    },
    /// An OrderedDict: items and attributes.
    Ordered(Vec<(Value, Value)>, Vec<(Value, Value)>),
}
use Value::*;

impl Value {
    fn get(&self, key: &str) -> &Value {
        let (Dict(items) | Ordered(items, _)) = self else { panic!("{self:?}") };
        let found = items.iter().find(|(k, _)| *k == Text(key.to_owned()));
        &found.unwrap_or_else(|| panic!("no {key}: {items:?}")).1
    }

    fn list(&self) -> &[Value] {
        let (List(items) | Tuple(items)) = self else { panic!("{self:?}") };
        items
    }

    fn int(&self) -> usize {
        let Int(n) = self else { panic!("{self:?}") };
        *n as usize
    }

    /// Numbers of a tensor, and its shape.
    fn tensor(&self, class: &str) -> (Vec<f64>, &[usize]) {
        let Array { class: c, shape, data } = self else { panic!("{self:?}") };
        assert_eq!(c, class);
        let numbers = match class {
            "FloatStorage" => data.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
            _ => data.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
        };
        (numbers, shape)
    }
}

fn unpickle(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let mut p = &files["people/data.pkl"][..];
    let mut stack: Vec<Value> = Vec::new();
    let mut memo = BTreeMap::new();
    fn take<'a>(p: &mut &'a [u8], n: usize) -> &'a [u8] {
        let (taken, rest) = p.split_at(n);
        *p = rest;
        taken
    }
    let marked = |stack: &mut Vec<Value>| {
        let mark = stack.iter().rposition(|v| *v == Mark).unwrap();
        let items = stack.split_off(mark + 1);
        stack.pop();
        items
    };
    loop {
        match take(&mut p, 1)[0] {
            0x80 => assert_eq!(take(&mut p, 1), [2]),
            b']' => stack.push(List(vec![])),
            b'}' => stack.push(Dict(vec![])),
            b')' => stack.push(Tuple(vec![])),
            b'(' => stack.push(Mark),
            b'N' => stack.push(Nothing),
            0x89 => stack.push(False),
            b'J' => stack.push(Int(i32::from_le_bytes(take(&mut p, 4).try_into().unwrap()).into())),
            0x8a => {
                let n = usize::from(take(&mut p, 1)[0]);
                stack.push(Int(number(&take(&mut p, n)[..8]) as i64));
            }
            b'X' => {
                let n = number(take(&mut p, 4));
                stack.push(Text(String::from_utf8(take(&mut p, n).to_vec()).unwrap()));
            }
            b'c' => {
                let end = p.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0;
                let path = String::from_utf8(take(&mut p, end + 1).to_vec()).unwrap();
                stack.push(Global(path.trim_end().replace('\n', " ")));
            }
            b'q' => drop(memo.insert(take(&mut p, 1)[0], stack.last().unwrap().clone())),
            b'h' => stack.push(memo[&take(&mut p, 1)[0]].clone()),
            b't' => {
                let items = marked(&mut stack);
                stack.push(Tuple(items));
            }
            0x85 => {
                let item = stack.pop().unwrap();
                stack.push(Tuple(vec![item]));
            }
            b'u' => {
                let items = marked(&mut stack);
                let Some(Dict(dict)) = stack.last_mut() else { panic!("{stack:?}") };
                dict.extend(items.chunks(2).map(|c| (c[0].clone(), c[1].clone())));
                // Python shares the dictionary, this reader copies it.
                memo.insert(KEPT, stack.last().unwrap().clone());
            }
            b'e' => {
                let items = marked(&mut stack);
                let Some(List(list)) = stack.last_mut() else { panic!("{stack:?}") };
                list.extend(items);
            }
            b'a' => {
                let item = stack.pop().unwrap();
                let Some(List(list)) = stack.last_mut() else { panic!("{stack:?}") };
                list.push(item);
            }
            b'Q' => {
                let id = stack.pop().unwrap();
                let [Text(kind), Global(class), Text(key), Text(device), Int(length)] = id.list() else {
                    panic!("{id:?}")
                };
                assert_eq!((kind.as_str(), device.as_str()), ("storage", "cpu"));
                let data = &files[&format!("people/data/{key}")];
                let class = class.strip_prefix("torch ").unwrap();
                assert_eq!(data.len(), *length as usize * if class == "LongStorage" { 8 } else { 4 });
                stack.push(Bytes(class.to_owned(), data.clone()));
            }
            b'R' => {
                let arguments = stack.pop().unwrap();
                let result = match (stack.pop().unwrap(), arguments.list()) {
                    (Global(f), []) if f == "collections OrderedDict" => Ordered(vec![], vec![]),
                    (Global(f), [Dict(items)]) if f == "collections OrderedDict" => Ordered(items.clone(), vec![]),
                    (Global(f), [Bytes(class, bytes), start, shape, stride, False, Ordered(..)])
                        if f == "torch._utils _rebuild_tensor_v2" =>
                    {
                        let shape: Vec<usize> = shape.list().iter().map(Value::int).collect();
                        let mut expected = 1;
                        for (n, stride) in shape.iter().zip(stride.list()).rev() {
                            assert_eq!(stride.int(), expected.max(1));
                            expected *= n;
                        }
                        let item = if class == "LongStorage" { 8 } else { 4 };
                        let count: usize = shape.iter().product();
                        let data = bytes[start.int() * item..][..count * item].to_vec();
                        Array { class: class.clone(), shape, data }
                    }
                    (f, a) => panic!("{f:?} {a:?}"),
                };
                stack.push(result);
            }
            b'b' => {
                let Some(Dict(state)) = stack.pop() else { panic!("{stack:?}") };
                let Some(Ordered(_, attributes)) = stack.last_mut() else { panic!("{stack:?}") };
                *attributes = state;
            }
            b'.' => break,
            op => panic!("opcode {op:#x}"),
        }
    }
    assert_eq!((p.len(), stack.len()), (0, 1));
    stack.remove(0)
}

fn read(file: &[u8]) -> Vec<Record> {
    let files = unzip(file);
    assert_eq!(files["people/version"], b"3\n");
    unpickle(&files).list().iter().map(read_record).collect()
}

fn read_record(v: &Value) -> Record {
    let Text(name) = v.get("file_name") else { panic!("{v:?}") };
    let frame = v.get("frame").int() as u64;
    assert_eq!(*name, format!("{frame:05}.png"));
    let (scores, _) = v.get("scores").tensor("FloatStorage");
    let (boxes, shape) = v.get("pred_boxes_XYXY").tensor("FloatStorage");
    assert_eq!(shape, [scores.len(), 4]);
    let (ids, _) = v.get("ids").tensor("LongStorage");
    let results = v.get("pred_densepose").list();
    assert_eq!((ids.len(), results.len()), (scores.len(), scores.len()));
    let mut persons = Vec::new();
    for (i, result) in results.iter().enumerate() {
        let Ordered(items, attributes) = result else { panic!("{result:?}") };
        assert_eq!(items, attributes);
        let (labels, shape) = result.get("labels").tensor("LongStorage");
        let (uv, uv_shape) = result.get("uv").tensor("FloatStorage");
        assert_eq!(uv_shape, [2, shape[0], shape[1]]);
        let area = labels.len();
        let byte = |v: f64| (v as f32 * 255.0) as u8;
        let data = (0..area).flat_map(|p| [labels[p] as u8, byte(uv[p]), byte(uv[area + p])]).collect();
        let iuv = IuvMap::new(shape[1], shape[0], data).unwrap();
        let [x, y, right, bottom] = boxes[i * 4..][..4].try_into().unwrap();
        assert_eq!((right - x, bottom - y), (shape[1] as f64, shape[0] as f64));
        persons.push(Person { id: ids[i] as u32, score: scores[i] as f32, x: x as i32, y: y as i32, iuv });
    }
    let (width, height) = (v.get("width").int() as u32, v.get("height").int() as u32);
    let pts = match v.get("pts") {
        Nothing => None,
        n => Some(n.int() as u64),
    };
    let persons = Persons { width, height, age: 0, moved: false, persons };
    Record { frame, clip: 0, pts, duration: None, persons }
}

/// What the format keeps of a record.
fn kept(record: Record) -> Record {
    Record { duration: None, persons: Persons { age: 0, ..record.persons }, ..record }
}

#[test]
fn records_come_back() {
    let mut records: Vec<_> = (0..4).map(record).collect();
    records.push(Record { frame: 1 << 40, ..Record::default() });
    let expected: Vec<_> = records.iter().cloned().map(kept).collect();
    assert_eq!(read(&file(&FIELDS, &records)), expected);
    assert_eq!(read(&file(&FIELDS, &[])), []);
}

#[test]
fn a_writer_can_begin_another_file() {
    let mut writer = Writer::new(Fields::of(&FIELDS), Box::new(|n| format!("{n:05}.png")));
    let mut files = [Vec::new(), Vec::new()];
    for (n, out) in files.iter_mut().enumerate() {
        writer.start(out);
        writer.record(&record(n as u64), out);
        writer.finish(out);
    }
    assert_eq!(read(&files[1]), [kept(record(1))]);
    assert_eq!(files[0], file(&FIELDS, &[record(0)]));
}

#[test]
fn only_the_fields_asked_for_are_written() {
    let files = unzip(&file(&[Field::Score], &[record(0)]));
    let list = unpickle(&files);
    let Dict(items) = &list.list()[0] else { panic!() };
    let keys: Vec<_> = items.iter().map(|(k, _)| format!("{k:?}")).collect();
    assert_eq!(keys, ["file_name", "frame", "pts", "width", "height", "scores"].map(|k| format!("Text({k:?})")));
}

#[test]
fn coordinates_survive_rounding_and_cutting() {
    for n in 0..256 {
        assert_eq!((unit(n) * 255.0) as usize, n);
        assert_eq!((unit(n) * 255.0).round() as usize, n);
        assert!((0.0..=1.0).contains(&unit(n)));
    }
}

/// The zoo's tests load this very file with PyTorch. To write it anew after a change of the format, delete it and run
/// this test.
#[test]
fn the_fixture_is_what_is_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/records/people.pt");
    let written = file(&FIELDS, &[record(0), record(1), Record { frame: 2, ..Record::default() }]);
    if !std::path::Path::new(path).exists() {
        std::fs::write(path, &written).unwrap();
    }
    assert!(std::fs::read(path).unwrap() == written, "{path} is not what is written today");
}
