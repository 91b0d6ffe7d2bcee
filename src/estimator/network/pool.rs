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
    /// What `fill` makes of tensors of floats of these shapes, which hold zeros or what was left in them.
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
            // Written once more than it must be, but once only: after that it is used again.
            None => Ok(Arc::new(Tensor::zero_aligned::<f32>(shape, 64)?)),
        }
    }

    fn take(&self, shape: &[usize]) -> Option<Arc<Tensor>> {
        let mut spare = lock(&self.0);
        let Spare { tensors, peak } = &mut *spare;
        // What overflows is refused where a tensor is made.
        let length = shape.iter().try_fold(1_usize, |length, &n| length.checked_mul(n))?;
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

    fn filled(pool: &Pool, shape: &[usize], value: f32) -> TValue {
        pool.fill(&[shape.into()], |outputs| outputs[0].fill(value)).unwrap().remove(0)
    }

    #[test]
    fn memory_is_used_again_when_nobody_holds_it() {
        let pool = Pool::default();
        let filled = |shape: &[usize], value: f32| filled(&pool, shape, value);
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
    fn memory_from_the_system_is_written_before_it_is_seen() {
        for length in [6, 60, 600, 6_000] {
            // The allocator gives out what was freed last.
            let garbage: Vec<TValue> = (0..8).map(|_| filled(&Pool::default(), &[length], f32::NAN)).collect();
            drop(garbage);
            let seen = Pool::default().fill(&[tvec![length]], |outputs| assert!(outputs[0].iter().all(|&v| v == 0.0)));
            assert_eq!(seen.unwrap().len(), 1);
        }
    }

    #[test]
    fn more_numbers_than_memory_are_refused() {
        let none = Pool::default().fill(&[tvec![usize::MAX / 2, 3]], |_| ());
        assert!(none.unwrap_err().to_string().contains("too large"));
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
