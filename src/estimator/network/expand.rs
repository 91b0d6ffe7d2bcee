//! Weights stored in 8 or 16 bits, expanded to float before the network is parsed: it then compiles and runs as one that
//! was stored in float. tract would expand them too, but each time that it compiles the network for another input size.

use std::collections::{HashMap, HashSet};

use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tensor::load_tensor;
use tract_onnx::tract_core::internal::{bail, ensure};

/// Replaces each DequantizeLinear of constants, and each Cast of half precision ones to float, by the constant that comes
/// out. Tells whether weights were in 8 bits in a network that is otherwise in float.
pub fn expand_weights(graph: &mut GraphProto) -> TractResult<bool> {
    let stored: HashMap<String, TensorProto> = graph.initializer.iter().map(|t| (t.name.clone(), t.clone())).collect();
    let mut expanded = Vec::new();
    let mut rest = Vec::new();
    let mut is_stored_in_bytes = false;
    for node in std::mem::take(&mut graph.node) {
        let inputs: Option<Vec<&TensorProto>> = node.input.iter().map(|name| stored.get(name)).collect();
        match inputs {
            Some(inputs) if node.op_type == "DequantizeLinear" => {
                is_stored_in_bytes = true;
                expanded.push(dequantized(&node, &inputs)?);
            }
            Some(inputs) if is_cast_from_half(&node, &inputs) => expanded.push(widened(&node, inputs[0])?),
            _ => rest.push(node),
        }
    }
    graph.node = rest;
    is_stored_in_bytes &= graph.node.iter().all(|node| node.op_type != "QuantizeLinear");
    graph.initializer.extend(expanded);
    let used: HashSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    graph.initializer.retain(|tensor| used.contains(&tensor.name));
    Ok(is_stored_in_bytes)
}

/// (value - zero point) * scale, with a zero point and a scale for all values or for each index of one axis.
fn dequantized(node: &NodeProto, inputs: &[&TensorProto]) -> TractResult<TensorProto> {
    let [values, scale, zero @ ..] = inputs else { bail!("{} lacks an input", node.name) };
    let (numbers, scale) = (floats(values)?, floats(scale)?);
    let zero = zero.first().map_or(Ok(vec![0.0]), |zero| floats(zero))?;
    let axis = node.attribute.iter().find(|a| a.name == "axis").map_or(1, |a| a.i);
    let rank = values.dims.len() as i64;
    // Values in a row that share a scale, and scales until they begin anew.
    let (run, count) = match scale.len() {
        1 => (1, 1),
        count => {
            let axis = if axis < 0 { axis + rank } else { axis };
            ensure!(
                (0..rank).contains(&axis) && values.dims[axis as usize] == count as i64,
                "{}: scales do not fit",
                node.name
            );
            (values.dims[axis as usize + 1..].iter().product::<i64>() as usize, count)
        }
    };
    ensure!(zero.len() == 1 || zero.len() == count, "{}: zero points do not fit", node.name);
    let float = |(i, value): (usize, f32)| {
        let channel = i / run.max(1) % count;
        (value - zero[channel % zero.len()]) * scale[channel]
    };
    Ok(constant(node, values, numbers.into_iter().enumerate().map(float).collect()))
}

fn is_cast_from_half(node: &NodeProto, inputs: &[&TensorProto]) -> bool {
    let target = node.attribute.iter().find(|a| a.name == "to").map(|a| a.i);
    node.op_type == "Cast"
        && target == Some(DataType::Float as i64)
        && inputs.iter().all(|tensor| tensor.data_type == DataType::Float16 as i32)
}

/// A half precision constant in float.
fn widened(node: &NodeProto, values: &TensorProto) -> TractResult<TensorProto> {
    Ok(constant(node, values, floats(values)?))
}

fn floats(tensor: &TensorProto) -> TractResult<Vec<f32>> {
    let tensor = load_tensor(&MmapDataResolver, tensor, None)?.cast_to::<f32>()?.into_owned();
    Ok(tensor.to_plain_array_view::<f32>()?.iter().copied().collect())
}

/// What `node` makes of `values`: the same shape, in float.
fn constant(node: &NodeProto, values: &TensorProto, numbers: Vec<f32>) -> TensorProto {
    TensorProto {
        name: node.output.first().cloned().unwrap_or_default(),
        dims: values.dims.clone(),
        data_type: DataType::Float as i32,
        float_data: numbers,
        ..TensorProto::default()
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::AttributeProto;

    use super::*;

    fn tensor(name: &str, dims: &[i64], kind: DataType, values: &[i32]) -> TensorProto {
        let mut tensor =
            TensorProto { name: name.into(), dims: dims.into(), data_type: kind as i32, ..Default::default() };
        match kind {
            DataType::Float => tensor.float_data = values.iter().map(|&v| v as f32 / 10.0).collect(),
            _ => tensor.int32_data = values.to_vec(),
        }
        tensor
    }

    /// A convolution of "x" with the weights 1..=12, shaped (2, 3, 2), in bytes.
    fn graph(axis: i64, scale: &[i32], zero: &[i32]) -> GraphProto {
        let axis = AttributeProto { name: "axis".into(), i: axis, ..Default::default() };
        let node = |op: &str, inputs: &[&str], output: &str, attribute| NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: vec![output.into()],
            attribute,
            ..Default::default()
        };
        GraphProto {
            node: vec![
                node("DequantizeLinear", &["bytes", "scale", "zero"], "weight", vec![axis]),
                node("Conv", &["x", "weight"], "y", vec![]),
            ],
            initializer: vec![
                tensor("bytes", &[2, 3, 2], DataType::Int8, &(1..=12).collect::<Vec<_>>()),
                tensor("scale", &[scale.len() as i64], DataType::Float, scale),
                tensor("zero", &[zero.len() as i64], DataType::Int8, zero),
            ],
            ..Default::default()
        }
    }

    #[test]
    fn scales_are_those_of_the_axis() {
        for (axis, scale, zero, expected) in [
            (0, &[10, 20][..], &[0, 0][..], [1, 2, 3, 4, 5, 6, 14, 16, 18, 20, 22, 24]),
            (1, &[10, 20, 30], &[0, 0, 1], [1, 2, 6, 8, 12, 15, 7, 8, 18, 20, 30, 33]),
            (-1, &[10, 20], &[0, 0], [1, 4, 3, 8, 5, 12, 7, 16, 9, 20, 11, 24]),
            (1, &[20], &[1], [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]),
        ] {
            let mut graph = graph(axis, scale, zero);
            assert!(expand_weights(&mut graph).unwrap());
            let [weight] = &graph.initializer[..] else { panic!("{:?}", graph.initializer) };
            assert_eq!((&*weight.name, &weight.dims[..]), ("weight", &[2, 3, 2][..]));
            assert_eq!(weight.float_data, expected.map(|v| v as f32), "axis {axis}");
            assert_eq!(graph.node.len(), 1);
        }
    }

    #[test]
    fn values_that_come_with_the_picture_are_left_alone() {
        let mut graph = graph(0, &[10], &[0]);
        graph.node[0].input[0] = "x".into();
        assert!(!expand_weights(&mut graph).unwrap());
        assert_eq!(graph.node.len(), 2);
    }

    #[test]
    fn activations_in_bytes_make_another_network() {
        let mut graph = graph(0, &[10], &[0]);
        graph.node.push(NodeProto { op_type: "QuantizeLinear".into(), input: vec!["y".into()], ..Default::default() });
        assert!(!expand_weights(&mut graph).unwrap());
        assert_eq!(graph.node.len(), 2);
    }

    /// A convolution of "x" with the weights 1, -0.5, 65504 and the smallest half, cast from half precision to `target`.
    fn half_graph(target: DataType) -> GraphProto {
        let halves: [u16; 4] = [0x3c00, 0xb800, 0x7bff, 0x0001];
        let weight = TensorProto {
            name: "half".into(),
            dims: vec![4, 1, 1],
            data_type: DataType::Float16 as i32,
            raw_data: halves.iter().flat_map(|bits| bits.to_le_bytes()).collect(),
            ..Default::default()
        };
        let mut graph = graph(0, &[10], &[0]);
        let to = AttributeProto { name: "to".into(), i: target as i64, ..Default::default() };
        let cast = &mut graph.node[0];
        (cast.op_type, cast.input, cast.attribute) = ("Cast".into(), vec!["half".into()], vec![to]);
        graph.initializer = vec![weight];
        graph
    }

    #[test]
    fn half_precision_becomes_float_and_stays_a_network_in_float() {
        let mut graph = half_graph(DataType::Float);
        assert!(!expand_weights(&mut graph).unwrap(), "nothing is in 8 bits");
        let [weight] = &graph.initializer[..] else { panic!("{:?}", graph.initializer) };
        assert_eq!((&*weight.name, &weight.dims[..], weight.data_type), ("weight", &[4, 1, 1][..], 1));
        assert_eq!(weight.float_data, [1.0, -0.5, 65504.0, 2f32.powi(-24)]);
        assert_eq!(graph.node.len(), 1);
    }

    #[test]
    fn other_casts_are_left_alone() {
        let mut graph = half_graph(DataType::Int32);
        assert!(!expand_weights(&mut graph).unwrap());
        assert_eq!((graph.node.len(), graph.initializer.len()), (2, 1));
        let mut graph = half_graph(DataType::Float);
        graph.node[0].input[0] = "x".into();
        assert!(!expand_weights(&mut graph).unwrap());
        assert_eq!(graph.node.len(), 2);
    }

    #[test]
    fn scales_that_do_not_fit_are_refused() {
        for (axis, scale, zero) in
            [(0, &[1, 2, 3][..], &[0][..]), (3, &[1, 2], &[0]), (0, &[1, 2], &[0, 0, 0]), (0, &[1], &[])]
        {
            assert!(expand_weights(&mut graph(axis, scale, zero)).is_err(), "{axis} {scale:?} {zero:?}");
        }
        let mut lacking = graph(0, &[1], &[0]);
        lacking.node[0].input.truncate(1);
        assert!(expand_weights(&mut lacking).is_err());
    }
}
