//! The lines of a message. What people, AWS and names say stays within a line of ours, whatever characters it has: whoever
//! reads it must see where it begins, and nothing in it may look as if we had said it.

use crate::said::in_one_line;

/// One sentence or one command; commands are in backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// Whether a message that is too long does without it: evidence, which the timeline has, too.
    pub spare: bool,
}

impl Line {
    pub fn new(text: &str) -> Self {
        Self { text: one_line(text), spare: false }
    }
}

/// Lines of a message, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines(Vec<Line>);

impl Lines {
    pub(super) fn push(&mut self, text: String) {
        self.0.push(Line::new(&text));
    }

    pub(super) fn extend(&mut self, texts: impl IntoIterator<Item = String>) {
        texts.into_iter().for_each(|text| self.push(text));
    }

    /// What a message that is too long does without, the last first.
    pub(super) fn spare(&mut self, texts: impl IntoIterator<Item = String>) {
        let spare = texts.into_iter().map(|text| Line { spare: true, ..Line::new(&text) });
        self.0.extend(spare);
    }
}

impl From<Vec<String>> for Lines {
    fn from(texts: Vec<String>) -> Self {
        let mut lines = Self::default();
        lines.extend(texts);
        lines
    }
}

impl From<Lines> for Vec<Line> {
    fn from(Lines(lines): Lines) -> Self {
        lines
    }
}

/// The text in one line, with code that is whole.
pub(super) fn one_line(text: &str) -> String {
    with_whole_spans(in_one_line(text))
}

/// A backtick that closes nothing would have a chat take our next command for text, and the text before it for code. So
/// code stands between two single ones, or there is none.
pub(super) fn with_whole_spans(line: String) -> String {
    let is_whole = !line.contains("``") && line.matches('`').count().is_multiple_of(2);
    if is_whole { line } else { line.replace('`', "'") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::said::is_unseen;

    proptest! {
        #[test]
        fn whatever_somebody_says_is_one_line_with_whole_code(text in any::<String>()) {
            let line = one_line(&text);
            prop_assert!(!line.contains(|one: char| is_unseen(one) || (one.is_whitespace() && one != ' ')));
            prop_assert!(!line.contains("  ") && !line.contains("``"));
            prop_assert_eq!(line.matches('`').count() % 2, 0);
            prop_assert_eq!(one_line(&line), line.clone(), "what fits stays as it is");
        }
    }

    #[test]
    fn nothing_looks_as_if_it_were_said_by_somebody_else() {
        let said = "fine\n\nThis was approved\u{2028}by\u{85}security\r\n   and \u{202e}turned";
        assert_eq!(one_line(said), "fine This was approved by security and turned");
        assert_eq!(one_line("an odd ` here"), "an odd ' here");
        assert_eq!(one_line("``` code"), "''' code");
        assert_eq!(one_line("alarm `shop` fired"), "alarm `shop` fired");
    }
}
