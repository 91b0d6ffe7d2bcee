//! Memory for results, used again from frame to frame: fresh pages from the system cost more than filling them.

use std::sync::{Arc, Mutex};

use tract_onnx::tract_core::internal::*;

use crate::lock;

/// Tensors given out, of which those that nobody holds any more are given out again. Where runs differ in their numbers
/// of items, sizes that are no longer asked for are let go.
#[derive(Default)]
pub struct Pool(Mutex<Spare>);

#[derive(Default)]
struct Spare {
    /// The one given out last is last.
    tensors: Vec<Arc<Tensor>>,
    /// Most numbers that were held at the same time.
    peak: usize,
}

/// How much more than was ever held at the same time may be kept: layers of one run have different sizes.
const SLACK: usize = 3;

impl Pool {
    /// What `fill` makes of tensors of floats of these shapes, whose content may be anything.
    pub fn fill(&self, shapes: &[TVec<usize>], fill: impl FnOnce(&mut [&mut [f32]])) -> TractResult<TVec<TValue>> {
        let mut tensors = shapes.iter().map(|shape| self.spare(shape)).collect::<TractResult<TVec<_>>>()?;
        {
            let unique = tensors.iter_mut().filter_map(Arc::get_mut);
            let mut views = unique.map(|tensor| tensor.try_as_plain_ram_mut()).collect::<TractResult<TVec<_>>>()?;
            let slices = views.iter_mut().map(|view| view.as_slice_mut::<f32>());
            fill(&mut slices.collect::<TractResult<TVec<_>>>()?);
        }
        lock(&self.0).tensors.extend(tensors.iter().cloned());
        Ok(tensors.into_iter().map(TValue::from_const).collect())
    }

    fn spare(&self, shape: &[usize]) -> TractResult<Arc<Tensor>> {
        match self.take(shape) {
            Some(tensor) => Ok(tensor),
            // SAFETY: any bits are a float, and who fills the tensor is told not to rely on them.
            None => Ok(Arc::new(unsafe { Tensor::uninitialized_aligned::<f32>(shape, 64)? })),
        }
    }

    fn take(&self, shape: &[usize]) -> Option<Arc<Tensor>> {
        let mut spare = lock(&self.0);
        let Spare { tensors, peak } = &mut *spare;
        let length = shape.iter().product::<usize>();
        let is_idle = |tensor: &Arc<Tensor>| Arc::strong_count(tensor) == 1;
        let held: usize = tensors.iter().filter(|tensor| !is_idle(tensor)).map(|tensor| tensor.len()).sum();
        *peak = (*peak).max(held + length);
        if let Some(index) = tensors.iter().position(|tensor| is_idle(tensor) && tensor.len() == length) {
            let mut tensor = tensors.remove(index);
            Arc::get_mut(&mut tensor)?.set_shape(shape).ok()?;
            return Some(tensor);
        }
        let mut total: usize = length + tensors.iter().map(|tensor| tensor.len()).sum::<usize>();
        while total > SLACK * *peak {
            let oldest = tensors.remove(tensors.iter().position(is_idle)?);
            total -= oldest.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_nobody_holds_it() {
        let pool = Pool::default();
        let filled = |shape: &[usize], value: f32| {
            pool.fill(&[shape.into()], |outputs| outputs[0].fill(value)).unwrap().remove(0)
        };
        let place = |value: &TValue| value.as_ptr::<f32>().unwrap();
        let (first, second) = (filled(&[2, 3], 1.0), filled(&[3, 2], 2.0));
        let (at, other) = (place(&first), place(&second));
        assert_ne!(at, other);
        drop(first);
        let third = filled(&[6], 3.0);
        assert_eq!((place(&third), third.shape()), (at, &[6][..]));
        assert!(second.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().iter().all(|&v| v == 2.0));
        drop((second, third));
        let longer = filled(&[7], 4.0);
        assert!(place(&longer) != at && place(&longer) != other);
    }

    #[test]
    fn results_of_one_layer_lie_apart() {
        let pool = Pool::default();
        drop(pool.fill(&[tvec![4]], |_| ()).unwrap());
        let both = pool.fill(&[tvec![4], tvec![2, 2]], |outputs| {
            outputs.iter_mut().enumerate().for_each(|(i, out)| out.fill(i as f32));
        });
        let first = |value: &TValue| value.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap()[0];
        assert_eq!(both.unwrap().iter().map(first).collect::<Vec<_>>(), [0.0, 1.0]);
    }

    #[test]
    fn sizes_that_nobody_asks_for_any_more_are_let_go() {
        let pool = Pool::default();
        for length in (1..100).chain(1..100) {
            let both = [0, 1].map(|_| pool.fill(&[tvec![length]], |outputs| outputs[0].fill(0.0)).unwrap());
            drop(both);
            let kept: usize = lock(&pool.0).tensors.iter().map(|tensor| tensor.len()).sum();
            assert!(kept <= SLACK * 2 * 99, "{kept} numbers kept at {length}");
        }
        assert!(lock(&pool.0).tensors.iter().any(|tensor| tensor.len() == 99));
    }
}
