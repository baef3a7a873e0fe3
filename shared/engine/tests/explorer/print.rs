//! What tells one thing from another: its text, as a number.

use std::fmt::{Debug, Write};
use std::hash::Hasher;

/// A fast hash of bytes; collisions of 64 bits among some hundred thousand states do not happen.
pub(crate) struct Printer(u64);

impl Printer {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn debug(&mut self, item: impl Debug) {
        // Writing into a number cannot fail.
        let _always = write!(self, "{item:?};");
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    pub(crate) const fn finish(&self) -> u64 {
        self.0
    }
}

impl Write for Printer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let mut hasher = Words(self.0);
        hasher.write(text.as_bytes());
        self.0 = hasher.finish();
        Ok(())
    }
}

struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        let mut mix = |word: u64| {
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 ^= self.0 >> 29;
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The print of one thing.
pub(crate) fn print(item: impl Debug) -> u64 {
    let mut printer = Printer::new();
    printer.debug(item);
    printer.finish()
}
