//! Layers of our own as operators of tract.

use std::fmt;
use std::sync::Arc;

use tract_onnx::tract_core::internal::*;

use super::pool::Pool;
use crate::layers::{Layer, Size};
use crate::threads::Threads;

/// A [`Layer`] in a graph, on channels-last tensors and on the threads that the graph runs on.
#[derive(Clone)]
pub struct Operator {
    pub layer: Arc<dyn Layer>,
    /// Whether the result, of one pixel, has just the axes (items, channels).
    pub flat: bool,
    /// Where results get their memory.
    pub pool: Arc<Pool>,
}

impl Operator {
    /// Of the results.
    fn shapes<T: From<usize> + Clone>(&self, items: &T) -> TVec<TVec<T>> {
        let shape = |Size { rows, columns, channels }| match self.flat {
            true => tvec![items.clone(), channels.into()],
            false => tvec![items.clone(), rows.into(), columns.into(), channels.into()],
        };
        self.layer.outputs().into_iter().map(shape).collect()
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {:?}", self.layer.name(), self.layer.outputs())
    }
}

impl PartialEq for Operator {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer)
    }
}

impl Eq for Operator {}

impl Op for Operator {
    fn name(&self) -> StaticName {
        self.layer.name().into()
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Operator {
    op_out_of_plan!();

    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let items = inputs.first().and_then(|input| input.shape().first().copied()).unwrap_or(0);
        let views = inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<TVec<_>>>()?;
        let slices = views.iter().map(|view| view.as_slice::<f32>()).collect::<TractResult<TVec<_>>>()?;
        let threads = context.shared.and_then(|shared| shared.get::<Threads>()).cloned();
        let threads = threads.unwrap_or_else(Threads::one);
        // Layers write every number of their result and read none.
        self.pool.fill(&self.shapes(&items), |outputs| self.layer.run(&slices, outputs, items, &threads))
    }
}

impl TypedOp for Operator {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let items = inputs.first().map_or(1.into(), |input| input.shape[0].clone());
        Ok(self.shapes::<TDim>(&items).into_iter().map(f32::fact).collect())
    }

    as_op!();
}
