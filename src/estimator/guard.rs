//! Panics of the runtimes, which know some for graphs that make no sense, as errors.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of `f`, or why it failed, be it by a panic.
pub fn guarded<T, E: Display>(f: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_messages() {
        assert_eq!(guarded::<(), String>(|| panic!("no {}", "graph")), Err("no graph".into()));
        assert_eq!(guarded::<(), String>(|| panic!("no graph")), Err("no graph".into()));
        assert_eq!(guarded(|| Err::<(), _>("no graph")), Err("no graph".into()));
        assert_eq!(guarded(|| Ok::<_, String>(3)), Ok(3));
    }
}
