//! Things that cost much, made once for all who want the same, and freed with the last of them.

use std::sync::{Arc, Mutex, TryLockError, Weak};

use crate::lock;

/// What is in use, by what determines it.
pub struct Shared<K, V>(Mutex<Vec<(K, Slot<V>)>>);

/// Locked while the value is made, so that who wants the same waits for it, and nobody else.
type Slot<V> = Arc<Mutex<Weak<V>>>;

impl<K: PartialEq + Clone, V> Shared<K, V> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The value for this key: that which is in use, else what `make` makes.
    ///
    /// # Errors
    /// Those of `make`; the next one tries again.
    pub fn get<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let slot = self.slot(key);
        let mut kept = lock(&slot);
        if let Some(value) = kept.upgrade() {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        *kept = Arc::downgrade(&value);
        Ok(value)
    }

    fn slot(&self, key: &K) -> Slot<V> {
        let mut slots = lock(&self.0);
        slots.retain(|(_, slot)| Arc::strong_count(slot) > 1 || is_used(slot));
        if let Some((_, slot)) = slots.iter().find(|(other, _)| other == key) {
            return slot.clone();
        }
        let slot = Slot::default();
        slots.push((key.clone(), slot.clone()));
        slot
    }

    /// Values in use.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        lock(&self.0).iter().filter(|(_, slot)| is_used(slot)).count()
    }
}

fn is_used<V>(slot: &Slot<V>) -> bool {
    match slot.try_lock() {
        Ok(kept) => kept.strong_count() > 0,
        Err(TryLockError::Poisoned(kept)) => kept.get_ref().strong_count() > 0,
        Err(TryLockError::WouldBlock) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn get(shared: &Shared<&'static str, usize>, key: &'static str, value: usize) -> Arc<usize> {
        shared.get(&key, || Ok::<_, ()>(value)).unwrap()
    }

    #[test]
    fn the_same_is_made_once_and_freed_with_its_last_user() {
        let shared = Shared::new();
        let (first, second) = (get(&shared, "a", 1), get(&shared, "a", 2));
        assert!(Arc::ptr_eq(&first, &second) && *second == 1);
        let other = get(&shared, "b", 3);
        assert_eq!((*other, shared.count()), (3, 2));
        drop(first);
        assert_eq!(*get(&shared, "a", 4), 1, "the second still has it");
        drop(second);
        assert_eq!(shared.count(), 1);
        assert_eq!(*get(&shared, "a", 5), 5);
        drop(other);
        let _fresh = get(&shared, "c", 6);
        assert_eq!(lock(&shared.0).len(), 1, "nothing is left of what nobody uses");
    }

    #[test]
    fn who_comes_while_it_is_made_waits() {
        let (shared, made, barrier) = (Shared::new(), AtomicUsize::new(0), Barrier::new(8));
        let values: Vec<Arc<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        shared.get(&"a", || Ok::<_, ()>(made.fetch_add(1, Ordering::SeqCst))).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.into_inner(), 1);
        assert!(values.iter().all(|value| Arc::ptr_eq(value, &values[0])));
    }

    #[test]
    fn other_things_are_made_meanwhile() {
        let shared = Shared::new();
        let outer = shared.get(&"a", || Ok::<_, ()>(*get(&shared, "b", 1) + 1)).unwrap();
        assert_eq!(*outer, 2);
    }

    #[test]
    fn what_failed_is_tried_again() {
        let shared: Shared<&str, usize> = Shared::new();
        assert_eq!(shared.get(&"a", || Err("no")).unwrap_err(), "no");
        let panicked = thread::scope(|scope| scope.spawn(|| shared.get::<()>(&"a", || panic!("no"))).join());
        assert!(panicked.is_err());
        assert_eq!(*get(&shared, "a", 7), 7);
    }
}
