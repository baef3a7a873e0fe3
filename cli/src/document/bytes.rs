//! The text of a file. Editors on Windows write UTF-16 where nobody asked them to.

use glidepath_core::document::Place;

use super::mistake::Mistake;

/// The text, without the mark that some editors begin a file with.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Mistake> {
    let start = Place { line: 1, column: 1 };
    let zeros = bytes.iter().take(64).filter(|byte| **byte == 0).count();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || zeros > 0 {
        return Err(Mistake::new(start, "the text is not UTF-8 (UTF-16, it seems)", AS_UTF_8));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Err(Mistake::new(Place { line, column }, "the text is not UTF-8 from here", AS_UTF_8))
        }
    }
}

const AS_UTF_8: &str = "save the file as UTF-8";
