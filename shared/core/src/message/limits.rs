//! Texts within what a channel takes.

/// What stands where something was left out.
const CUT: &str = "…";

/// The text in one line, of at most so many characters.
pub(super) fn line(text: &str, longest: usize) -> String {
    let mut characters = text.chars().map(|one| if one.is_control() { ' ' } else { one });
    let mut line: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        line.pop();
        line.push_str(CUT);
    }
    line
}

/// As many of the lines as take at most so many bytes as JSON, each of at most so many characters.
pub(super) fn lines(lines: &[String], longest_line: usize, most_bytes: usize) -> Vec<String> {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for text in lines {
        let text = line(text, longest_line);
        // Quotes and a comma.
        bytes += escaped_length(&text) + 3;
        if bytes > most_bytes {
            kept.push(CUT.to_owned());
            break;
        }
        kept.push(text);
    }
    kept
}

/// Bytes of a text in JSON, without its quotes. Control characters are gone before.
fn escaped_length(text: &str) -> usize {
    let escaped = text.chars().filter(|one| matches!(one, '"' | '\\')).count();
    text.len() + escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_longer_than_is_allowed(
            texts in prop::collection::vec(any::<String>(), 0..20),
            longest in 1usize..50,
            most in 0usize..400,
        ) {
            let kept = lines(&texts, longest, most);
            for text in &kept {
                prop_assert!(text.chars().count() <= longest && !text.contains(char::is_control));
            }
            let written = serde_json::to_string(&kept).unwrap();
            // The brackets, and the sign that something is missing.
            prop_assert!(written.len() <= most + 2 + CUT.len() + 3);
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(line("shop: 5 %", 9), "shop: 5 %");
        assert_eq!(line("shop: 5 % now", 9), "shop: 5 …");
        let texts = ["one".to_owned(), "two".to_owned()];
        assert_eq!(lines(&texts, 10, 12), texts);
        assert_eq!(lines(&texts, 10, 11), ["one", CUT]);
    }
}
