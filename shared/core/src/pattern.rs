//! Patterns of names, as IAM's policies write them.

/// Whether a name matches a pattern of IAM: `*` is any text, `?` any character.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = characters.as_str();
            let ends = name.char_indices().map(|(place, _)| place).chain([name.len()]);
            ends.into_iter().any(|place| matches(rest, &name[place..]))
        }
        Some(wanted) => name
            .strip_prefix(|found| wanted == '?' || found == wanted)
            .is_some_and(|name| matches(characters.as_str(), name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_iam() {
        for (pattern, name, expected) in [
            ("*", "glidepath-doctor-x", true),
            ("glidepath-*", "glidepath-doctor-x", true),
            ("*-x", "glidepath-doctor-x", true),
            ("shop-*", "glidepath-doctor-x", false),
            ("glidepath-doctor-?", "glidepath-doctor-x", true),
            ("glidepath-doctor", "glidepath-doctor-x", false),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
