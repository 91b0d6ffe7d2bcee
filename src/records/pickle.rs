//! The little of Python's pickle language that tensors in lists and dictionaries need, protocol 2.

use std::collections::HashMap;

/// Writes opcodes; names that come again are written once.
#[derive(Default)]
pub struct Pickle {
    out: Vec<u8>,
    memo: HashMap<&'static str, u8>,
}

/// Slot of the memo that [`Pickle::keep`] uses.
pub const KEPT: u8 = 255;

impl Pickle {
    pub fn start(&mut self) {
        self.out.extend(b"\x80\x02]");
    }

    /// What was written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub fn op(&mut self, opcodes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(opcodes);
        self
    }

    /// A text that differs each time.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    /// A text that comes again.
    pub fn key(&mut self, key: &'static str) -> &mut Self {
        self.once(key, |p| p.text(key))
    }

    /// A class or function: `module name`.
    pub fn global(&mut self, path: &'static str) -> &mut Self {
        self.once(path, |p| p.op(b"c").op(path.replace(' ', "\n").as_bytes()).op(b"\n"))
    }

    fn once(&mut self, name: &'static str, write: impl FnOnce(&mut Self) -> &mut Self) -> &mut Self {
        if let Some(&slot) = self.memo.get(name) {
            return self.op(&[b'h', slot]);
        }
        let slot = self.memo.len() as u8;
        self.memo.insert(name, slot);
        write(self).op(&[b'q', slot])
    }

    /// Remembers the last value until the next call, for [`Pickle::kept`].
    pub fn keep(&mut self) -> &mut Self {
        self.op(&[b'q', KEPT])
    }

    pub fn kept(&mut self) -> &mut Self {
        self.op(&[b'h', KEPT])
    }

    pub fn int(&mut self, n: i128) -> &mut Self {
        match i32::try_from(n) {
            Ok(n) => self.op(b"J").op(&n.to_le_bytes()),
            Err(_) => self.op(&[0x8a, 16]).op(&n.to_le_bytes()),
        }
    }

    pub fn optional(&mut self, n: Option<u64>) -> &mut Self {
        match n {
            Some(n) => self.int(n.into()),
            None => self.op(b"N"),
        }
    }

    /// A tuple of numbers.
    pub fn tuple(&mut self, numbers: &[usize]) -> &mut Self {
        self.op(b"(");
        for &n in numbers {
            self.int(n as i128);
        }
        self.op(b"t")
    }
}
