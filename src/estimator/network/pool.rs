//! Memory for results, used again from frame to frame: fresh pages from the system cost more than filling them.

use std::sync::{Arc, Mutex};

use tract_onnx::tract_core::internal::*;

use crate::lock;

/// Tensors given out, of which those that nobody holds any more are given out again.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Arc<Tensor>>>);

impl Pool {
    /// What `fill` makes of a tensor of floats of this shape, whose content may be anything.
    pub fn fill(&self, shape: &[usize], fill: impl FnOnce(&mut [f32])) -> TractResult<TValue> {
        let mut tensor = match self.take(shape) {
            Some(tensor) => tensor,
            // SAFETY: any bits are a float, and `fill` is told not to rely on them.
            None => Arc::new(unsafe { Tensor::uninitialized_aligned::<f32>(shape, 64)? }),
        };
        let unique = Arc::get_mut(&mut tensor).ok_or_else(|| format_err!("a spare tensor is in use"))?;
        fill(unique.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        lock(&self.0).push(tensor.clone());
        Ok(TValue::from_const(tensor))
    }

    fn take(&self, shape: &[usize]) -> Option<Arc<Tensor>> {
        let mut tensors = lock(&self.0);
        let index =
            tensors.iter().position(|t| Arc::strong_count(t) == 1 && t.len() == shape.iter().product::<usize>())?;
        let mut tensor = tensors.swap_remove(index);
        Arc::get_mut(&mut tensor)?.set_shape(shape).ok()?;
        Some(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_nobody_holds_it() {
        let pool = Pool::default();
        let place = |value: &TValue| value.as_ptr::<f32>().unwrap();
        let first = pool.fill(&[2, 3], |numbers| numbers.fill(1.0)).unwrap();
        let second = pool.fill(&[3, 2], |numbers| numbers.fill(2.0)).unwrap();
        let (at, other) = (place(&first), place(&second));
        assert_ne!(at, other);
        drop(first);
        let third = pool.fill(&[6], |numbers| numbers.fill(3.0)).unwrap();
        assert_eq!((place(&third), third.shape()), (at, &[6][..]));
        assert!(second.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().iter().all(|&v| v == 2.0));
        drop((second, third));
        let longer = pool.fill(&[7], |numbers| numbers.fill(4.0)).unwrap();
        assert!(place(&longer) != at && place(&longer) != other);
    }
}
