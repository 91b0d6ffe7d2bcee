//! Memory for what lives no longer than a layer runs, kept for the next one.

use std::cell::RefCell;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Does `work` with a vector of any length and content, to be grown as needed.
pub fn scratch<T>(work: impl FnOnce(&mut Vec<f32>) -> T) -> T {
    // Taken out while in use, so that one may be asked for within another.
    let mut memory = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = work(&mut memory);
    SPARE.with_borrow_mut(|spare| spare.push(memory));
    result
}

/// Does `work` with `length` numbers of any value.
pub fn numbers<T>(length: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    scratch(|memory| {
        if memory.len() < length {
            memory.resize(length, 0.0);
        }
        work(&mut memory[..length])
    })
}
