//! Patterns of names, as IAM's policies write them.

/// Whether a name matches a pattern of IAM: `*` is any text, `?` any character. In time that grows with the
/// product of their lengths and no faster, whoever writes the pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where the last `*` stands, and how much of the name it has taken.
    let mut star = None;
    while let Some(found) = name.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == found => {
                at += 1;
                read += 1;
            }
            Some(_) | None => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                (at, read) = (place + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
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
            ("*doctor*", "glidepath-doctor-x", true),
            ("g*-*-x", "glidepath-doctor-x", true),
            ("g*-*-y", "glidepath-doctor-x", false),
            ("shop-*", "glidepath-doctor-x", false),
            ("glidepath-doctor-?", "glidepath-doctor-x", true),
            ("glidepath-doctor-x?", "glidepath-doctor-x", false),
            ("glidepath-doctor", "glidepath-doctor-x", false),
            ("glidepath-doctor-x*", "glidepath-doctor-x", true),
            ("", "x", false),
            ("", "", true),
            ("**", "", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn nobody_writes_a_pattern_that_takes_for_ever() {
        let pattern = "*a".repeat(40) + "b";
        assert!(!matches(&pattern, &"a".repeat(2_000)));
    }
}
