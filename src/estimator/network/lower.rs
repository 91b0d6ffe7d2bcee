//! From the graph that ONNX describes to the graph that runs: convolutions and what surrounds them become layers of our
//! own on channels-last tensors, everything else stays tract's.
//!
//! The source is walked in order. What may be joined by its consumer (a convolution by its activation, a depthwise
//! convolution by the pointwise ones around it) is put off until somebody needs its value: see [`Pending`].

use std::collections::HashMap;

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{StridedSlice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::math::{Add, Div, Max, Min, Mul};
use tract_onnx::tract_core::ops::nn::resize::{CoordTransformer, Interpolator};
use tract_onnx::tract_core::ops::nn::{DataFormat, Reduce, Reducer};
use tract_onnx_opl::resize::{CoordTransform, Nearest, Resize};

use super::layout::Layout;
use super::operator::Operator;
use super::pending::{Dense, Depthwise, Enlarging, Pending, Summands};
use super::pool::Pool;
use crate::kernels::Clamp;
use crate::kernels::depthwise::MOST;
use crate::layers::{Enlargement, Interleave, Layer, Pooled, Precision, Size, Window};

/// Most numbers of a value: more is no picture of people, and would take gigabytes.
const MOST_NUMBERS: usize = 1 << 30;

/// A network ready to be optimised by tract.
pub struct Lowered {
    pub model: TypedModel,
    /// Whether nothing in it minds how many items it gets at once.
    pub batches: bool,
}

/// The network with its input and outputs in these layouts, its pointwise convolutions in this precision.
///
/// # Errors
/// Where the network cannot be, or has values or windows of absurd sizes.
pub fn lower(source: &TypedModel, input: Layout, outputs: &[Layout], precision: Precision) -> TractResult<Lowered> {
    let model = TypedModel { symbols: source.symbols.clone(), ..TypedModel::default() };
    let mut lowering = Lowering {
        source,
        model,
        values: HashMap::new(),
        constants: HashMap::new(),
        pending: HashMap::new(),
        batches: true,
        pool: Arc::default(),
        precision,
    };
    for node in &source.nodes {
        check(node).map_err(|e| format_err!("\"{}\" ({}) {e}", node.name, node.op.name()))?;
    }
    for &outlet in source.input_outlets()? {
        let fact = source.outlet_fact(outlet)?;
        let shape = input.arrange(&fact.shape.to_tvec());
        let wired = lowering.model.add_source(&source.node(outlet.node).name, fact.datum_type.fact(shape))?;
        lowering.values.insert((outlet, input), wired);
    }
    for id in source.eval_order()? {
        if source.input_outlets()?.iter().all(|input| input.node != id) {
            lowering.node(source.node(id))?;
        }
    }
    let pairs = source.output_outlets()?.iter().zip(outputs);
    let outlets: Vec<_> = pairs.map(|(&outlet, &layout)| lowering.value(outlet, layout)).collect::<TractResult<_>>()?;
    lowering.model.select_output_outlets(&outlets)?;
    Ok(Lowered { model: lowering.model, batches: lowering.batches })
}

struct Lowering<'a> {
    source: &'a TypedModel,
    model: TypedModel,
    /// What stands for the source's values, in the layouts asked for so far.
    values: HashMap<(OutletId, Layout), OutletId>,
    constants: HashMap<OutletId, Arc<Tensor>>,
    pending: HashMap<OutletId, Pending>,
    batches: bool,
    pool: Arc<Pool>,
    precision: Precision,
}

impl Lowering<'_> {
    fn node(&mut self, node: &TypedNode) -> TractResult<()> {
        if self.fold(node)? {
            return Ok(());
        }
        match self.recognise(node)? {
            Some(pending) => {
                self.pending.insert(node.id.into(), pending);
                Ok(())
            }
            None => self.keep(node),
        }
    }

    /// Computes what depends on constants only.
    fn fold(&mut self, node: &TypedNode) -> TractResult<bool> {
        if let Some(constant) = node.op_as::<Const>() {
            self.constants.insert(node.id.into(), constant.val().clone());
            return Ok(true);
        }
        let inputs: Option<TVec<TValue>> =
            node.inputs.iter().map(|input| Some(self.constants.get(input)?.clone().into_tvalue())).collect();
        let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else { return Ok(false) };
        let Some(results) = node.op.eval_out_of_plan(inputs)? else { return Ok(false) };
        for (slot, result) in results.into_iter().enumerate() {
            self.constants.insert(OutletId::new(node.id, slot), result.into_arc_tensor());
        }
        Ok(true)
    }

    /// The layer that does what the node does, joined with what came before it where it can be.
    fn recognise(&mut self, node: &TypedNode) -> TractResult<Option<Pending>> {
        let Some(&input) = node.inputs.first() else { return Ok(None) };
        if let Some(conv) = node.op_as::<Conv>() {
            return self.convolution(node, conv, input);
        }
        if let Some(deconv) = node.op_as::<Deconv>() {
            return self.transposed(node, deconv, input);
        }
        if let Some(binary) = node.op_as::<TypedBinOp>() {
            return self.binary(node, binary);
        }
        if let Some(resize) = node.op_as::<Resize>() {
            return self.resize(node, resize, input);
        }
        if node.op_is::<StridedSlice>() {
            return self.every(node, input);
        }
        if node.op_is::<EinSum>() {
            return self.fully_connected(node, input);
        }
        if let (Some(AxisOp::Reshape(..)), Some(_)) = (node.op_as::<AxisOp>(), self.size(input)?) {
            // Perhaps only for a fully connected layer, which sees pictures as they are.
            return Ok(Some(Pending::Kept(node.id)));
        }
        Ok(None)
    }

    fn convolution(&mut self, node: &TypedNode, conv: &Conv, input: OutletId) -> TractResult<Option<Pending>> {
        let (Some(size), Some(output)) = (self.size(input)?, self.size(node.id.into())?) else { return Ok(None) };
        let spec = &conv.pool_spec;
        let plain = conv.q_params.is_none() && conv.kernel_fmt == KernelFormat::OIHW && node.inputs.len() == 3;
        let (Some([rows, columns]), true) = (windows(spec, size), plain) else { return Ok(None) };
        let (Some(kernel), Some(bias)) = (self.constant(node.inputs[1]), self.bias(node.inputs[2], output.channels)?)
        else {
            return Ok(None);
        };
        if conv.group == 1 {
            let dense = Dense::new(input, size, output, (rows, columns), kernel, bias);
            return Ok(Some(Pending::Dense(dense.computed_in(self.precision))));
        }
        if conv.group == size.channels && conv.group == output.channels && Depthwise::fits(rows, columns) {
            return Ok(Some(Pending::Depthwise(Depthwise {
                input,
                size,
                output,
                windows: (rows, columns),
                kernel,
                bias,
                clamp: Clamp::NONE,
            })));
        }
        Ok(None)
    }

    fn transposed(&mut self, node: &TypedNode, deconv: &Deconv, input: OutletId) -> TractResult<Option<Pending>> {
        let (Some(size), Some(output)) = (self.size(input)?, self.size(node.id.into())?) else { return Ok(None) };
        let spec = &deconv.pool_spec;
        let plain = deconv.group == 1 && deconv.kernel_format == KernelFormat::OIHW && node.inputs.len() == 3;
        if !plain || spec.data_format != DataFormat::NCHW || spec.dilations().iter().any(|&d| d != 1) {
            return Ok(None);
        }
        let (Some(kernel), Some(bias)) = (self.constant(node.inputs[1]), self.bias(node.inputs[2], output.channels)?)
        else {
            return Ok(None);
        };
        let computed = spec.padding.compute_for_deconv(
            &[size.rows, size.columns],
            &spec.kernel_shape,
            &spec.dilations(),
            &spec.strides(),
            &deconv.adjustments,
        )?;
        let along = |axis: usize| Enlargement {
            kernel: spec.kernel_shape[axis],
            stride: spec.stride(axis),
            before: computed[axis].pad_before,
        };
        if !(along(0).is_sound() && along(1).is_sound()) {
            bail!("\"{}\" moves a {:?} and a {:?}, beyond {MOST} pixels", node.name, along(0), along(1));
        }
        let enlarging = Enlarging { input, size, output, axes: (along(0), along(1)), kernel, bias, clamp: Clamp::NONE };
        Ok(Some(Pending::Enlarging(enlarging)))
    }

    fn binary(&mut self, node: &TypedNode, op: &TypedBinOp) -> TractResult<Option<Pending>> {
        let &[a, b] = &*node.inputs else { return Ok(None) };
        let (value, constant) = match (self.constants.get(&a), self.constants.get(&b)) {
            (None, Some(constant)) => (a, Some(constant.clone())),
            // Division is no matter of taste.
            (Some(constant), None) if !op.0.is::<Div>() => (b, Some(constant.clone())),
            (None, None) => (a, None),
            _ => return Ok(None),
        };
        match constant {
            Some(constant) => {
                if op.0.is::<Add>()
                    && let Some(Pending::Dense(dense)) = self.pending.get(&value)
                    && dense.flat
                    && dense.is_bare()
                    && self.uses(value) == 1
                    && constant.len() == dense.output.channels
                {
                    let Some(Pending::Dense(dense)) = self.pending.remove(&value) else { return Ok(None) };
                    return Ok(Some(Pending::Dense(dense.with_bias(constant))));
                }
                let Some(number) = number(&constant)? else { return Ok(None) };
                let Some(size) = self.size(node.id.into())? else { return Ok(None) };
                if self.size(value)? != Some(size) {
                    return Ok(None);
                }
                if op.0.is::<Max>() {
                    return Ok(Some(self.bounded(value, size, |c| c.max(number))));
                }
                if op.0.is::<Min>() {
                    return Ok(Some(self.bounded(value, size, |c| c.min(number))));
                }
                let factor = match () {
                    () if op.0.is::<Mul>() => number,
                    () if op.0.is::<Div>() => 1.0 / number,
                    () => return Ok(None),
                };
                let mut sum = self.summands(value, size);
                sum.terms.iter_mut().for_each(|(_, term)| term.weight *= factor);
                Ok(Some(Pending::Sum(sum)))
            }
            None if op.0.is::<Add>() => {
                let size = self.size(node.id.into())?;
                match (self.size(a)?, self.size(b)?, size) {
                    (Some(x), Some(y), Some(z)) if x == z && y == z => Ok(Some(self.sum(a, b, z))),
                    _ => Ok(None),
                }
            }
            None => Ok(None),
        }
    }

    /// `value` between bounds, which `change` makes out of those it has.
    fn bounded(&mut self, value: OutletId, size: Size, change: impl Fn(f32) -> f32) -> Pending {
        let mut pending = match self.take(value, |_| true) {
            Some(pending) => pending,
            None => Pending::Sum(Summands::of(value, size)),
        };
        if let Some(clamp) = pending.clamp() {
            *clamp = Clamp { low: change(clamp.low), high: change(clamp.high) };
        }
        pending
    }

    fn sum(&mut self, a: OutletId, b: OutletId, size: Size) -> Pending {
        // A convolution adds the other one on its way.
        for (conv, other) in [(a, b), (b, a)] {
            if let Some(Pending::Dense(dense)) = self.take(conv, |p| matches!(p, Pending::Dense(d) if d.can_add())) {
                return Pending::Dense(dense.adding(other));
            }
        }
        let (mut sum, other) = (self.summands(a, size), self.summands(b, size));
        sum.terms.extend(other.terms);
        Pending::Sum(sum)
    }

    /// The value as a sum.
    fn summands(&mut self, value: OutletId, size: Size) -> Summands {
        match self.take(value, |p| matches!(p, Pending::Sum(sum) if sum.clamp == Clamp::NONE)) {
            Some(Pending::Sum(sum)) => sum,
            _ => Summands::of(value, size),
        }
    }

    /// What is pending for a value that is used once, if it is what is asked for.
    fn take(&mut self, value: OutletId, fits: impl Fn(&Pending) -> bool) -> Option<Pending> {
        let joinable = self.uses(value) == 1
            && self.pending.get(&value).is_some_and(|pending| !matches!(pending, Pending::Kept(_)) && fits(pending));
        if joinable { self.pending.remove(&value) } else { None }
    }

    /// Nearest neighbour, the same whole number of times along both axes.
    fn resize(&mut self, node: &TypedNode, resize: &Resize, input: OutletId) -> TractResult<Option<Pending>> {
        let (Some(size), Some(output)) = (self.size(input)?, self.size(node.id.into())?) else { return Ok(None) };
        let nearest = resize.coord_transformer == CoordTransform::Plain(CoordTransformer::Asymmetric)
            && resize.interpolator == Interpolator::Nearest
            && resize.nearest == Nearest::Floor;
        let times = output.rows / size.rows.max(1);
        let whole = times > 0 && (output.rows, output.columns) == (size.rows * times, size.columns * times);
        if !nearest || !whole || size.channels != output.channels {
            return Ok(None);
        }
        let mut sum = self.summands(input, output);
        sum.size = output;
        sum.terms.iter_mut().for_each(|(_, term)| term.enlarged *= times);
        Ok(Some(Pending::Sum(sum)))
    }

    /// Every so many pixels of a picture, from the first one on.
    fn every(&mut self, node: &TypedNode, input: OutletId) -> TractResult<Option<Pending>> {
        let (Some(size), Some(output)) = (self.size(input)?, self.size(node.id.into())?) else { return Ok(None) };
        let numbers = |index: usize| -> TractResult<Option<Vec<i64>>> {
            let Some(tensor) = node.inputs.get(index).and_then(|input| self.constants.get(input)) else {
                return Ok(None);
            };
            Ok(Some(tensor.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec()))
        };
        let (Some(begins), Some(ends), Some(axes), Some(steps)) = (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?)
        else {
            return Ok(None);
        };
        let mut strides = [1; 2];
        for ((&axis, &step), (&begin, &end)) in axes.iter().zip(&steps).zip(begins.iter().zip(&ends)) {
            let length = [0, size.channels as i64, size.rows as i64, size.columns as i64];
            match usize::try_from(axis).ok().filter(|&axis| axis < 4) {
                Some(axis @ (2 | 3)) if begin == 0 && step > 0 && end >= length[axis] => {
                    strides[axis - 2] = step as usize
                }
                Some(axis @ (0 | 1)) if begin == 0 && step == 1 && end >= length[axis] => {}
                _ => return Ok(None),
            }
        }
        let along = |axis: usize| Window { stride: strides[axis], ..Window::POINT };
        let windows = (along(0), along(1));
        let expected = [size.rows.div_ceil(strides[0]), size.columns.div_ceil(strides[1])];
        if [output.rows, output.columns] != expected || !Depthwise::fits(windows.0, windows.1) {
            return Ok(None);
        }
        let kernel = Arc::new(Tensor::from_shape(&[size.channels, 1, 1, 1], &vec![1_f32; size.channels])?);
        let bias = Arc::new(Tensor::zero::<f32>(&[size.channels])?);
        Ok(Some(Pending::Depthwise(Depthwise { input, size, output, windows, kernel, bias, clamp: Clamp::NONE })))
    }

    /// A product of flattened pictures with constant weights: a convolution whose kernel is as large as the picture.
    fn fully_connected(&mut self, node: &TypedNode, input: OutletId) -> TractResult<Option<Pending>> {
        let flat = self.source.node(input.node);
        let picture = match self.pending.get(&input) {
            Some(Pending::Kept(_)) => flat.inputs[0],
            _ => return Ok(None),
        };
        let (Some(size), Some(weights)) = (self.size(picture)?, node.inputs.get(1).and_then(|&w| self.constant(w)))
        else {
            return Ok(None);
        };
        let (Some(input_shape), result) = (self.lengths(input)?, self.lengths(node.id.into())?) else {
            return Ok(None);
        };
        let &[outputs, depth] = weights.shape() else { return Ok(None) };
        let axes = node.op_as::<EinSum>().map(|op| op.axes.to_string());
        let fits = axes.as_deref() == Some("mk,nk->mn")
            && input_shape == [depth]
            && depth == size.len()
            && result.as_deref() == Some(&[outputs])
            && weights.datum_type() == f32::datum_type();
        if !fits {
            return Ok(None);
        }
        let kernel = weights.into_tensor().into_shape(&[outputs, size.channels, size.rows, size.columns])?;
        let whole = |kernel: usize| Window { kernel, ..Window::POINT };
        let output = Size { rows: 1, columns: 1, channels: outputs };
        let bias = Arc::new(Tensor::zero::<f32>(&[outputs])?);
        let windows = (whole(size.rows), whole(size.columns));
        let dense = Dense::new(picture, size, output, windows, Arc::new(kernel), bias);
        Ok(Some(Pending::Dense(dense.flattened().computed_in(self.precision))))
    }

    /// Takes a node over as it is, channels last if it is indifferent to the order of axes or can be told of it.
    fn keep(&mut self, node: &TypedNode) -> TractResult<()> {
        let pictures = node.inputs.iter().map(|&input| self.source.outlet_fact(input).map(|fact| fact.rank() == 4));
        let pictures = pictures.collect::<TractResult<Vec<_>>>()?.iter().all(|&picture| picture);
        let told: Option<Box<dyn TypedOp>> = match () {
            () if !pictures => None,
            () if node.op_is::<TypedBinOp>() || node.op_is::<ElementWiseOp>() => Some(node.op.clone()),
            () if node.op_as::<TypedConcat>().is_some_and(|concat| concat.axis == 1) => {
                Some(Box::new(TypedConcat::new(3)))
            }
            () => match node.op_as::<MaxPool>() {
                Some(pool) if pool.pool_spec.data_format == DataFormat::NCHW => {
                    let mut pool = pool.clone();
                    pool.pool_spec.data_format = DataFormat::NHWC;
                    Some(Box::new(pool))
                }
                _ => None,
            },
        };
        if let Some(sum) = node.op_as::<Reduce>()
            && let Some(size) = self.size(node.inputs[0])?
            && sum.reducer == Reducer::Sum
            && *sum.axes == [2, 3]
        {
            return self.wire(&[node.id.into()], Arc::new(Pooled { input: size }), &[node.inputs[0]], false);
        }
        let layout = if told.is_some() { Layout::ChannelsLast } else { Layout::ChannelsFirst };
        self.batches &= told.is_some();
        let inputs: TVec<_> = node.inputs.iter().map(|&input| self.value(input, layout)).collect::<TractResult<_>>()?;
        let op = told.unwrap_or_else(|| node.op.clone());
        let outlets = self.model.wire_node(&node.name, op, &inputs)?;
        for (slot, &wired) in outlets.iter().enumerate() {
            self.values.insert((OutletId::new(node.id, slot), layout), wired);
        }
        Ok(())
    }

    /// What stands for `outlet` of the source in this layout.
    fn value(&mut self, outlet: OutletId, layout: Layout) -> TractResult<OutletId> {
        if let Some(pending) = self.pending.remove(&outlet) {
            self.settle(outlet, pending)?;
        }
        if let Some(&wired) = self.values.get(&(outlet, layout)) {
            return Ok(wired);
        }
        let name = format!("{}.{}.{layout:?}", self.source.node(outlet.node).name, outlet.slot);
        let wired = match self.constants.get(&outlet) {
            Some(constant) if layout == Layout::ChannelsLast && constant.rank() > 2 => {
                let last = constant.rank() - 1;
                self.model.add_const(name, constant.clone().into_tensor().move_axis(1, last)?)?
            }
            Some(constant) => self.model.add_const(name, constant.clone())?,
            None => self.rearranged(outlet, layout, name)?,
        };
        self.values.insert((outlet, layout), wired);
        Ok(wired)
    }

    fn rearranged(&mut self, outlet: OutletId, layout: Layout, name: String) -> TractResult<OutletId> {
        let other = match layout {
            Layout::ChannelsFirst => Layout::ChannelsLast,
            Layout::ChannelsLast => Layout::ChannelsFirst,
        };
        let from = *self.values.get(&(outlet, other)).ok_or_else(|| format_err!("{name} comes before its source"))?;
        let (rank, size) = (self.source.outlet_fact(outlet)?.rank(), self.size(outlet)?);
        let wired = match (rank, layout, size) {
            (..=2, ..) => return Ok(from),
            (_, Layout::ChannelsLast, Some(size)) => {
                let operator = Operator { layer: Arc::new(Interleave { size }), flat: false, pool: self.pool.clone() };
                self.model.wire_node(name, operator, &[from])?
            }
            (_, Layout::ChannelsLast, None) => self.model.wire_node(name, AxisOp::Move(1, rank - 1), &[from])?,
            (_, Layout::ChannelsFirst, _) => self.model.wire_node(name, AxisOp::Move(rank - 1, 1), &[from])?,
        };
        Ok(wired[0])
    }

    /// Puts a layer into the graph for something that was pending.
    fn settle(&mut self, outlet: OutletId, pending: Pending) -> TractResult<()> {
        match pending {
            Pending::Kept(id) => self.keep(self.source.node(id)),
            Pending::Sum(sum) => {
                let inputs: Vec<_> = sum.terms.iter().map(|&(input, _)| input).collect();
                self.wire(&[outlet], sum.into_layer(), &inputs, false)
            }
            Pending::Enlarging(enlarging) => {
                let (input, mut outlets, mut all) = (enlarging.input, vec![outlet], vec![enlarging]);
                let fits = |p: &Pending| matches!(p, Pending::Enlarging(other) if other.goes_with(&all[0]));
                let mut others: Vec<_> = self.pending.iter().filter(|(_, p)| fits(p)).map(|(&o, _)| o).collect();
                others.sort();
                for other in others {
                    if let Some(Pending::Enlarging(enlarging)) = self.pending.remove(&other) {
                        outlets.push(other);
                        all.push(enlarging);
                    }
                }
                self.wire(&outlets, Enlarging::layer(&all)?, &[input], false)
            }
            Pending::Depthwise(depthwise) => self.settle_depthwise(outlet, depthwise),
            Pending::Dense(mut dense) => {
                if let Some(Pending::Depthwise(_)) = self.pending.get(&dense.input).filter(|_| dense.is_pointwise()) {
                    let input = dense.input;
                    self.pending.insert(outlet, Pending::Dense(dense));
                    if let Some(depthwise) = self.pending.remove(&input) {
                        self.settle(input, depthwise)?;
                    }
                    // Gone if it has been joined.
                    match self.pending.remove(&outlet) {
                        Some(Pending::Dense(left)) => dense = left,
                        _ => return Ok(()),
                    }
                }
                let inputs: Vec<_> = [dense.input].into_iter().chain(dense.added).collect();
                self.wire(&[outlet], dense.layer()?, &inputs, dense.flat)
            }
        }
    }

    /// Puts a depthwise convolution into the graph, with the pointwise ones before and after it if nobody else needs
    /// what lies between.
    fn settle_depthwise(&mut self, outlet: OutletId, depthwise: Depthwise) -> TractResult<()> {
        let expand = self.take_pointwise(depthwise.input);
        let mut inputs = vec![expand.as_ref().map_or(depthwise.input, |expand| expand.input)];
        let after = self.pointwise_after(outlet);
        if after.is_empty() || after.len() < self.uses(outlet) {
            return self.wire(&[outlet], depthwise.layer(expand, &[])?, &inputs, false);
        }
        let (mut project, mut outlets) = (Vec::new(), Vec::new());
        for outlet in after {
            let Some(Pending::Dense(dense)) = self.pending.remove(&outlet) else { continue };
            inputs.extend(dense.added);
            let next = self.pointwise_after(outlet);
            let adds = |next| matches!(self.pending.get(next), Some(Pending::Dense(dense)) if dense.added.is_some());
            let mut then = Vec::new();
            if next.len() == self.uses(outlet) && !next.iter().any(adds) {
                for outlet in next {
                    if let Some(Pending::Dense(dense)) = self.pending.remove(&outlet) {
                        then.push(dense);
                        outlets.push(outlet);
                    }
                }
            }
            if then.is_empty() {
                outlets.push(outlet);
            }
            project.push((dense, then));
        }
        self.wire(&outlets, depthwise.layer(expand, &project)?, &inputs, false)
    }

    /// Where the results of pending pointwise convolutions of a value will be.
    fn pointwise_after(&self, value: OutletId) -> Vec<OutletId> {
        // What one of them adds must not come from another of them, so from before.
        let before = |added: Option<OutletId>| added.is_none_or(|added| added.node < value.node);
        let fits = |p: &Pending| match p {
            Pending::Dense(d) => d.is_pointwise() && !d.flat && d.input == value && before(d.added),
            _ => false,
        };
        let mut after: Vec<_> = self.pending.iter().filter(|(_, p)| fits(p)).map(|(&outlet, _)| outlet).collect();
        after.sort();
        after
    }

    /// A pending pointwise convolution that widens for nobody else.
    fn take_pointwise(&mut self, value: OutletId) -> Option<Dense> {
        let fits = |p: &Pending| matches!(p, Pending::Dense(d) if d.is_pointwise() && d.added.is_none() && !d.flat);
        match self.take(value, fits) {
            Some(Pending::Dense(dense)) => Some(dense),
            _ => None,
        }
    }

    /// Puts a layer into the graph, whose results stand for `outlets`.
    fn wire(
        &mut self,
        outlets: &[OutletId],
        layer: Arc<dyn Layer>,
        inputs: &[OutletId],
        flat: bool,
    ) -> TractResult<()> {
        let inputs: TVec<_> =
            inputs.iter().map(|&input| self.value(input, Layout::ChannelsLast)).collect::<TractResult<_>>()?;
        let name = &self.source.node(outlets[0].node).name;
        let wired = self.model.wire_node(name, Operator { layer, flat, pool: self.pool.clone() }, &inputs)?;
        self.values.extend(outlets.iter().zip(wired).map(|(&outlet, wired)| ((outlet, Layout::ChannelsLast), wired)));
        Ok(())
    }

    /// How often a value is used.
    fn uses(&self, outlet: OutletId) -> usize {
        let successors = &self.source.node(outlet.node).outputs[outlet.slot].successors;
        successors.len() + self.source.outputs.iter().filter(|&&output| output == outlet).count()
    }

    fn constant(&self, outlet: OutletId) -> Option<Arc<Tensor>> {
        self.constants.get(&outlet).filter(|tensor| tensor.datum_type() == f32::datum_type()).cloned()
    }

    /// A number for each channel.
    fn bias(&self, outlet: OutletId, channels: usize) -> TractResult<Option<Arc<Tensor>>> {
        match self.constant(outlet) {
            Some(bias) if bias.len() == channels => Ok(Some(bias)),
            Some(bias) if bias.len() == 1 => {
                Ok(Some(Arc::new(Tensor::from_shape(&[channels], &vec![bias.cast_to_scalar::<f32>()?; channels])?)))
            }
            _ => Ok(None),
        }
    }

    /// All lengths of a value but that of the first axis, the items'; `None` if they are not known.
    fn lengths(&self, outlet: OutletId) -> TractResult<Option<Vec<usize>>> {
        let shape = &self.source.outlet_fact(outlet)?.shape;
        Ok(shape.iter().skip(1).map(|length| length.to_usize().ok()).collect())
    }

    /// The size of a picture of floats, if the value is one.
    fn size(&self, outlet: OutletId) -> TractResult<Option<Size>> {
        let float = self.source.outlet_fact(outlet)?.datum_type == f32::datum_type();
        let lengths = self.lengths(outlet)?.filter(|_| float);
        Ok(match lengths.as_deref() {
            // Whose product has been checked.
            Some(&[channels, rows, columns]) if channels * rows * columns > 0 => Some(Size { rows, columns, channels }),
            _ => None,
        })
    }
}

/// Refuses what no network has: values and windows so large that places overflow and memory ends.
fn check(node: &TypedNode) -> TractResult<()> {
    let conv = node.op_as::<Conv>().map(|op| &op.pool_spec);
    let conv = conv.or_else(|| node.op_as::<Deconv>().map(|op| &op.pool_spec));
    let pool = conv.or_else(|| node.op_as::<MaxPool>().map(|op| &op.pool_spec));
    if let Some(spec) = pool.or_else(|| node.op_as::<SumPool>().map(|op| &op.pool_spec)) {
        check_windows(spec)?;
    }
    for output in &node.outputs {
        // The first axis is the items'; lengths that are not known yet are seen when a network is made for one item.
        let mut lengths = output.fact.shape.iter().skip(1).map(|length| length.to_usize().unwrap_or(1));
        let numbers = lengths.try_fold(1_usize, |numbers, length| numbers.checked_mul(length));
        ensure!(numbers.is_some_and(|n| n <= MOST_NUMBERS), "puts out {:?}, too large a value", output.fact.shape);
    }
    Ok(())
}

fn check_windows(spec: &PoolSpec) -> TractResult<()> {
    let (before, after) = match &spec.padding {
        PaddingSpec::Explicit(before, after) | PaddingSpec::ExplicitOnnxPool(before, after, _) => (before, after),
        _ => (&tvec![], &tvec![]),
    };
    let padding = |axis: usize| before.get(axis).into_iter().chain(after.get(axis)).max().copied().unwrap_or(0);
    for (axis, &kernel) in spec.kernel_shape.iter().enumerate() {
        let (stride, dilation) = (spec.stride(axis), spec.dilation(axis));
        let window = Window { kernel, stride, dilation, before: padding(axis) };
        ensure!(window.is_sound(), "moves a {window:?}, but all of it must be within {MOST} pixels");
    }
    Ok(())
}

/// The one number that a constant repeats.
fn number(constant: &Tensor) -> TractResult<Option<f32>> {
    match constant.as_uniform() {
        Some(uniform) if constant.datum_type() == f32::datum_type() => Ok(Some(uniform.cast_to_scalar::<f32>()?)),
        _ => Ok(None),
    }
}

/// How a kernel moves along rows and columns.
fn windows(spec: &PoolSpec, size: Size) -> Option<[Window; 2]> {
    if spec.data_format != DataFormat::NCHW || spec.kernel_shape.len() != 2 {
        return None;
    }
    let computed = spec.computed_padding(&[size.rows, size.columns]);
    Some(std::array::from_fn(|axis| Window {
        kernel: spec.kernel_shape[axis],
        stride: spec.stride(axis),
        dilation: spec.dilation(axis),
        before: computed[axis].pad_before,
    }))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tract_onnx::pb::attribute_proto::AttributeType;
    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto, ValueInfoProto,
        type_proto,
    };
    use tract_onnx::prelude::*;

    use super::*;
    use crate::estimator::Model;

    fn typed(path: &Path, shape: [usize; 4]) -> TypedModel {
        let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_path(path).unwrap();
        model.with_input_fact(0, f32::fact(shape).into()).unwrap().into_typed().unwrap()
    }

    fn run(model: TypedModel, input: Tensor) -> Vec<Tensor> {
        let outputs = model.into_optimized().unwrap().into_runnable().unwrap().run(tvec![input.into_tvalue()]).unwrap();
        outputs.into_iter().map(|output| output.into_tensor()).collect()
    }

    fn noise(shape: [usize; 4]) -> Tensor {
        let length: usize = shape.iter().product();
        let number = |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        Tensor::from_shape(&shape, &(0..length).map(number).collect::<Vec<_>>()).unwrap()
    }

    fn numbers(tensor: &Tensor) -> &[f32] {
        tensor.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap()
    }

    fn lowered(source: &TypedModel, layout: Layout, precision: Precision) -> TypedModel {
        lower(source, Layout::ChannelsFirst, &vec![layout; source.outputs.len()], precision).unwrap().model
    }

    /// Of `found - expected`, relative to that of `expected`.
    fn norm(found: &[f32], expected: &[f32]) -> f64 {
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        norm(&mut expected.iter().zip(found).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
    }

    /// Compares with the same network as tract runs it, in both layouts; returns the names of the operators.
    fn compare(path: &Path, shape: [usize; 4]) -> Vec<String> {
        let source = typed(path, shape);
        let expected = run(source.clone(), noise(shape));
        let lowered = |layout| lowered(&source, layout, Precision::Float);
        let first = run(lowered(Layout::ChannelsFirst), noise(shape));
        let last = run(lowered(Layout::ChannelsLast), noise(shape));
        for (i, expected) in expected.iter().enumerate() {
            let picture = expected.rank() > 2;
            let last = if picture { last[i].clone().move_axis(3, 1).unwrap() } else { last[i].clone() };
            for found in [&first[i], &last] {
                assert_eq!(expected.shape(), found.shape(), "{} output {i}", path.display());
                let off = norm(numbers(found), numbers(expected));
                // Winograd's algorithm rounds otherwise than the plain sum.
                assert!(off <= 3e-5, "{} output {i}: off by {off}", path.display());
            }
        }
        lowered(Layout::ChannelsLast).nodes.iter().map(|node| node.op.name().to_string()).collect()
    }

    /// The operators of a model's three networks.
    fn compare_model(directory: &Path) -> [Vec<String>; 3] {
        let model = Model::open(directory).unwrap();
        let manifest = model.manifest();
        let channels = manifest.features[0].channels;
        let head = |items: usize, resolution| [items, channels, resolution, resolution];
        [
            compare(&directory.join("trunk.onnx"), [1, 3, 96, 160]),
            compare(&directory.join("box_head.onnx"), head(3, manifest.box_head.pooler.resolution)),
            compare(&directory.join("densepose_head.onnx"), head(2, manifest.densepose_head.pooler.resolution)),
        ]
    }

    /// A network of one node, with a kernel of ones where it has weights.
    fn lone(
        op: &str,
        kernel: Option<&[i64]>,
        attributes: &[(&str, &[i64])],
        input: [usize; 4],
    ) -> TractResult<Lowered> {
        let ints = |&(name, ints): &(&str, &[i64])| AttributeProto {
            name: name.into(),
            r#type: AttributeType::Ints as i32,
            ints: ints.into(),
            ..Default::default()
        };
        let mut attribute: Vec<AttributeProto> =
            attributes.iter().filter(|(name, _)| *name != "group").map(ints).collect();
        attribute.extend(attributes.iter().filter(|(name, _)| *name == "group").map(|(name, group)| AttributeProto {
            name: name.to_string(),
            r#type: AttributeType::Int as i32,
            i: group[0],
            ..Default::default()
        }));
        let weights = kernel.map(|dims| TensorProto {
            name: "w".into(),
            dims: dims.into(),
            data_type: DataType::Float as i32,
            float_data: vec![1.0; dims.iter().product::<i64>() as usize],
            ..Default::default()
        });
        let floats = type_proto::Tensor { elem_type: DataType::Float as i32, ..Default::default() };
        let floats = TypeProto { value: Some(type_proto::Value::TensorType(floats)), ..Default::default() };
        let value =
            |name: &str| ValueInfoProto { name: name.into(), r#type: Some(floats.clone()), ..Default::default() };
        let node = NodeProto {
            op_type: op.into(),
            name: "lone".into(),
            input: ["x"].into_iter().chain(weights.as_ref().map(|_| "w")).map(String::from).collect(),
            output: vec!["y".into()],
            attribute,
            ..Default::default()
        };
        let graph = GraphProto {
            node: vec![node],
            initializer: weights.into_iter().collect(),
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        };
        let opset = OperatorSetIdProto { version: 13, ..Default::default() };
        let model = ModelProto { ir_version: 7, opset_import: vec![opset], graph: Some(graph), ..Default::default() };
        let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_proto_model(&model)?;
        let typed = model.with_input_fact(0, f32::fact(input).into())?.into_typed()?;
        lower(&typed, Layout::ChannelsFirst, &[Layout::ChannelsLast], Precision::Float)
    }

    /// A depthwise convolution as DeepLab has it, and what is wrong with it.
    #[test]
    fn absurd_windows_are_refused() {
        let far = 1_i64 << 40;
        let input = [1, 2, 9, 9];
        let depthwise = |name: &str, values: &[i64]| {
            let attributes = [("group", &[2][..]), (name, values)];
            lone("Conv", Some(&[2, 1, 3, 3]), &attributes, input).map(drop).map_err(|e| format!("{e:#}"))
        };
        depthwise("strides", &[4096, 4096]).unwrap();
        for (name, values) in [
            ("strides", &[far, 1][..]),
            ("strides", &[1, 4097]),
            ("strides", &[1, i64::MAX]),
            ("pads", &[0, far, 0, 0]),
            ("pads", &[0, 0, 0, 5000]),
        ] {
            let problem = depthwise(name, values).unwrap_err();
            assert!(problem.contains("\"lone\" (Conv) moves a Window"), "{name} {values:?}: {problem}");
        }
        // The kernel would end within the padding.
        let pads = [4096; 4];
        let attributes = [("dilations", &[4097, 1][..]), ("pads", &pads)];
        let problem = lone("Conv", Some(&[2, 2, 3, 3]), &attributes, input).err().unwrap().to_string();
        assert!(problem.contains("dilation: 4097"), "{problem}");
        for (op, kernel) in [("MaxPool", None), ("AveragePool", None), ("ConvTranspose", Some(&[2, 2, 3, 3][..]))] {
            let attributes = [("kernel_shape", &[3, 3][..]), ("strides", &[1, 70_000])];
            let problem = lone(op, kernel, &attributes, input).err().unwrap().to_string();
            assert!(problem.contains("stride: 70000"), "{op}: {problem}");
        }
    }

    #[test]
    fn values_beyond_memory_are_refused() {
        let pads = [0, 0, 4096, 4096];
        let lone = |columns| lone("Conv", Some(&[8, 2, 1, 1]), &[("pads", &pads)], [1, 2, columns, columns]);
        assert!(lone(9).is_ok());
        let problem = lone(100_000).err().unwrap().to_string();
        assert!(problem.contains("too large a value"), "{problem}");
    }

    fn here(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    #[test]
    fn lowered_networks_compute_what_tract_does() {
        let kinds = std::fs::read_dir(here("tests/fixtures/kinds")).unwrap();
        let mut models: Vec<PathBuf> = kinds.map(|kind| kind.unwrap().path()).collect();
        models.push(here("tests/fixtures/tiny"));
        // Others, from elsewhere.
        models.extend(std::env::var("MODELS").iter().flat_map(|list| list.split_whitespace()).map(PathBuf::from));
        for model in models {
            let operators = compare_model(&model).concat();
            assert!(operators.iter().any(|name| name.ends_with("Convolution")), "{operators:?}");
        }
    }

    #[test]
    fn the_default_networks_run_on_layers_of_our_own() {
        for operators in compare_model(&here("models/default")) {
            let foreign: Vec<_> =
                operators.iter().filter(|n| ["Conv", "MoveAxis", "Mul", "Max"].contains(&&***n)).collect();
            assert!(foreign.is_empty(), "{foreign:?}");
        }
    }

    /// The default networks, so that errors are those of trained weights.
    #[test]
    fn networks_in_8_bits_compute_nearly_the_same() {
        let model = here("models/default");
        for (file, shape) in [("trunk", [1, 3, 96, 160]), ("densepose_head", [2, 64, 32, 32])] {
            let source = typed(&model.join(file).with_extension("onnx"), shape);
            let results = |precision| run(lowered(&source, Layout::ChannelsLast, precision), noise(shape));
            for (i, (bytes, float)) in results(Precision::Bytes).iter().zip(results(Precision::Float)).enumerate() {
                let off = norm(numbers(bytes), numbers(&float));
                let has_bytes = crate::kernels::simd8::Isa8::best().is_some();
                assert!(off < 0.1 && (off > 0.0) == has_bytes, "{file}, output {i}: off by {off}");
            }
        }
    }
}
