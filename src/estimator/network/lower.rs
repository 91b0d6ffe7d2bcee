//! From the graph that ONNX describes to the graph that runs.

use std::collections::HashMap;

use tract_onnx::tract_core::internal::*;

use super::layout::Layout;

/// The network with its input and outputs in these layouts.
pub fn lower(source: &TypedModel, input: Layout, outputs: &[Layout]) -> TractResult<TypedModel> {
    let model = TypedModel { symbols: source.symbols.clone(), ..TypedModel::default() };
    let mut lowering = Lowering { source, model, values: HashMap::new() };
    for &outlet in source.input_outlets()? {
        let fact = source.outlet_fact(outlet)?;
        let shape = input.arrange(&fact.shape.to_tvec());
        let wired = lowering.model.add_source(&source.node(outlet.node).name, fact.datum_type.fact(shape))?;
        lowering.values.insert((outlet, input), wired);
    }
    for id in source.eval_order()? {
        if source.input_outlets()?.iter().all(|input| input.node != id) {
            lowering.copy(source.node(id))?;
        }
    }
    let pairs = source.output_outlets()?.iter().zip(outputs);
    let outlets: Vec<_> = pairs.map(|(&outlet, &layout)| lowering.value(outlet, layout)).collect::<TractResult<_>>()?;
    lowering.model.select_output_outlets(&outlets)?;
    Ok(lowering.model)
}

struct Lowering<'a> {
    source: &'a TypedModel,
    model: TypedModel,
    /// What stands for the source's values, in the layouts asked for so far.
    values: HashMap<(OutletId, Layout), OutletId>,
}

impl Lowering<'_> {
    /// What stands for `outlet` of the source in this layout.
    fn value(&mut self, outlet: OutletId, layout: Layout) -> TractResult<OutletId> {
        if let Some(&wired) = self.values.get(&(outlet, layout)) {
            return Ok(wired);
        }
        let (other, suffix) = match layout {
            Layout::ChannelsFirst => (Layout::ChannelsLast, "channels-first"),
            Layout::ChannelsLast => (Layout::ChannelsFirst, "channels-last"),
        };
        let name = format!("{}.{}.{suffix}", self.source.node(outlet.node).name, outlet.slot);
        let from = *self.values.get(&(outlet, other)).ok_or_else(|| format_err!("{name} comes before its source"))?;
        let wired = match (self.source.outlet_fact(outlet)?.rank(), layout) {
            (..=2, _) => from,
            (rank, Layout::ChannelsFirst) => self.model.wire_node(name, AxisOp::Move(rank - 1, 1), &[from])?[0],
            (rank, Layout::ChannelsLast) => self.model.wire_node(name, AxisOp::Move(1, rank - 1), &[from])?[0],
        };
        self.values.insert((outlet, layout), wired);
        Ok(wired)
    }

    /// Takes a node over as it is.
    fn copy(&mut self, node: &TypedNode) -> TractResult<()> {
        let inputs: TVec<_> =
            node.inputs.iter().map(|&input| self.value(input, Layout::ChannelsFirst)).collect::<TractResult<_>>()?;
        let outlets = self.model.wire_node(&node.name, node.op.clone(), &inputs)?;
        for (slot, &wired) in outlets.iter().enumerate() {
            self.values.insert((OutletId::new(node.id, slot), Layout::ChannelsFirst), wired);
        }
        Ok(())
    }
}
