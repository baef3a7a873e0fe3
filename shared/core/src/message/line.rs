//! The lines of a message. What people, AWS and names say stays within a line of ours, whatever characters it has: whoever
//! reads it must see where it begins, and nothing in it may look as if we had said it.

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

/// The text in one line, in which words have one space between them: many of them would push what follows to where a line
/// of ours begins.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|one: char| one.is_whitespace() || is_unseen(one));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    with_whole_spans(words.join(" "))
}

/// What people say, so that its end is seen, too.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.trim().replace('"', "'"))
}

/// Whether a character only changes how others are shown: by a turned direction a text reads as another one.
fn is_unseen(one: char) -> bool {
    one.is_control() || matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

    proptest! {
        #[test]
        fn whatever_somebody_says_is_one_line_with_whole_code(text in any::<String>()) {
            let line = one_line(&text);
            prop_assert!(!line.contains(|one: char| is_unseen(one) || (one.is_whitespace() && one != ' ')));
            prop_assert!(!line.contains("  ") && !line.contains("``"));
            prop_assert_eq!(line.matches('`').count() % 2, 0);
            prop_assert_eq!(one_line(&line), line.clone(), "what fits stays as it is");
        }

        #[test]
        fn what_is_quoted_ends_at_its_second_quotation_mark(text in any::<String>()) {
            let quoted = one_line(&quoted(&text));
            prop_assert_eq!(quoted.matches('"').count(), 2);
            prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
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
