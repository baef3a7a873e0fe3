//! What people say, as it stands in the midst of our own words: whoever reads it must see where it begins and where it
//! ends, whatever characters it has.

/// What somebody says, in quotation marks of ours and without any of its own. A backtick in it would have a chat take the
/// words around it for code.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", in_one_line(text).replace(['"', '`'], "'"))
}

/// What stands between quotation marks of ours; a text that has none, as records of before, as it is.
pub fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The text in one line, in which words have one space between them: many of them would push what follows to where a line
/// of ours begins.
pub fn in_one_line(text: &str) -> String {
    let words = text.split(|one: char| one.is_whitespace() || is_unseen(one));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Whether nobody sees a character, or only by what it does to others: by a turned direction, or by what hides between
/// its letters, a text reads as another one. The one list of them, for whatever shows or compares what people write.
pub fn is_unseen(one: char) -> bool {
    one.is_control()
        || matches!(one,
            // Within words: soft hyphens, joiners, marks and embeddings of a direction, deprecated ones.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            // Letters that are blank: fillers of Hangul, and the pattern of Braille without a dot.
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}'
            // Tags and selectors, by which a text can say to a program what no person reads.
            | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every character that changes only how others are shown, and every blank that is no space.
    const UNSEEN: &str = "\u{ad}\u{61c}\u{115f}\u{1160}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{202e}\
                          \u{2060}\u{2061}\u{2062}\u{2063}\u{2064}\u{2065}\u{2066}\u{2069}\u{2800}\u{3164}\u{feff}\
                          \u{ffa0}\u{7f}\u{85}";

    proptest! {
        #[test]
        fn what_is_quoted_ends_at_its_second_quotation_mark_and_opens_no_code(text in any::<String>(), odd in "[ \"`\n]{0,9}") {
            let quoted = quoted(&format!("{odd}{text}{odd}"));
            prop_assert_eq!(quoted.matches('"').count(), 2);
            prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
            prop_assert!(!quoted.contains(['`', '\n']), "{}", quoted);
            prop_assert_eq!(&super::quoted(unquoted(&quoted)), &quoted);
        }

        #[test]
        fn nothing_in_a_line_is_unseen(text in any::<String>(), at in 0usize..25) {
            let unseen: String = UNSEEN.chars().skip(at).take(1).collect();
            let line = in_one_line(&format!("a{unseen}b{unseen}{text}"));
            prop_assert!(!line.contains(|one: char| is_unseen(one) || (one.is_whitespace() && one != ' ')));
            prop_assert!(line.starts_with("a b") && !line.contains("  ") && line.trim() == line, "{}", line);
        }
    }

    #[test]
    fn whatever_nobody_sees_is_in_the_list_and_letters_of_every_language_are_not() {
        assert!(UNSEEN.chars().all(is_unseen));
        for text in
            ["déjà vu – “naïve”", "私は承認します", "Да, 5 %", "موافق", "한국어", "👍🏽 ❤️", "⠁⠃"]
        {
            assert!(!text.contains(is_unseen), "{text}");
        }
    }
}
