//! The names in the rule of a composite alarm, such as
//! `ALARM("cpu") AND NOT (OK(latency) OR INSUFFICIENT_DATA(arn:aws:cloudwatch:...:alarm:errors))` or
//! `AT_LEAST(2, NOT OK, (one, two, "and three"))`.

/// Functions of a rule that take an alarm; the rest are operators and constants.
const FUNCTIONS: [&str; 3] = ["ALARM", "OK", "INSUFFICIENT_DATA"];

/// The function that takes a number or a share, a state, and alarms in parentheses of their own.
const AT_LEAST: &str = "AT_LEAST";

/// What a rule consists of. Only a quoted name may contain spaces, parentheses and commas.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    /// An operator, a function, a number or a name.
    Word(String),
    Quoted(String),
}

/// What a pair of parentheses is around.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// A part of the rule.
    Conditions,
    /// What `AT_LEAST` takes.
    AtLeast,
    /// Alarms.
    Names,
}

/// Names of the alarms that a rule looks at, each once, in order.
pub(crate) fn children(rule: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut open: Vec<Around> = Vec::new();
    let mut before = None;
    for token in tokens(rule) {
        let around = open.last().copied();
        match &token {
            Token::Open => open.push(opened(around, before.as_ref())),
            Token::Close => {
                open.pop();
            }
            Token::Word(name) | Token::Quoted(name) if around == Some(Around::Names) => {
                let name = name.split_once(":alarm:").map_or(name.as_str(), |(_, name)| name);
                if !name.is_empty() && names.iter().all(|known| known != name) {
                    names.push(name.to_owned());
                }
            }
            Token::Comma | Token::Word(_) | Token::Quoted(_) => {}
        }
        before = Some(token);
    }
    names
}

/// What a parenthesis opens: that depends on what it is in and on the word before it.
fn opened(around: Option<Around>, before: Option<&Token>) -> Around {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    match (around, before) {
        (Some(Around::AtLeast), _) => Around::Names,
        (_, Some(Token::Word(word))) if is(word, AT_LEAST) => Around::AtLeast,
        (_, Some(Token::Word(word))) if FUNCTIONS.iter().any(|name| is(word, name)) => {
            Around::Names
        }
        (_, _) => Around::Conditions,
    }
}

fn tokens(rule: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = rule.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            ',' => tokens.push(Token::Comma),
            '"' | '\'' => {
                let mut name = String::new();
                while let Some(next) = rest.next().filter(|next| *next != character) {
                    // A quote within the name, or another backslash; any other stands for itself.
                    let escapes = |after: &char| next == '\\' && [character, '\\'].contains(after);
                    name.push(rest.next_if(escapes).unwrap_or(next));
                }
                tokens.push(Token::Quoted(name));
            }
            space if space.is_whitespace() => {}
            first => {
                let mut word = String::from(first);
                let within = |next: &char| !next.is_whitespace() && !['(', ')', ','].contains(next);
                while let Some(next) = rest.next_if(within) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_name_is_found_once() {
        let rule = r#"(ALARM("a (canary)") OR ok(b)) AND NOT INSUFFICIENT_DATA( 'c' )
            AND ALARM (arn:aws:cloudwatch:eu-west-1:1:alarm:d) AND ALARM(b) AND TRUE"#;
        assert_eq!(children(rule), ["a (canary)", "b", "c", "d"]);
    }

    #[test]
    fn alarms_of_at_least_are_found() {
        let rule = r#"AT_LEAST(50%, NOT OK, (one, "two, (2)", arn:aws:cloudwatch:x:1:alarm:OK))
            AND NOT ALARM(maintenance) AND at_least(2, ALARM, (one, ALARM))"#;
        assert_eq!(children(rule), ["one", "two, (2)", "OK", "maintenance", "ALARM"]);
    }

    #[test]
    fn a_rule_without_alarms_has_no_children() {
        assert!(children("NOT (TRUE AND FALSE)").is_empty());
    }

    proptest! {
        /// By the rules of AWS: quoted, with every quote within the name escaped.
        #[test]
        fn every_quoted_name_is_found(names in proptest::collection::hash_set("[ -~]{1,20}", 1..4)) {
            prop_assume!(names.iter().all(|name| !name.contains(":alarm:")));
            let names: Vec<_> = names.into_iter().collect();
            let quoted = names.iter().map(|name| {
                format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
            });
            let quoted: Vec<_> = quoted.collect();
            prop_assert_eq!(&children(&format!("AT_LEAST(1, OK, ({}))", quoted.join(", "))), &names);
            let each: Vec<_> = quoted.iter().map(|name| format!("ALARM({name})")).collect();
            prop_assert_eq!(&children(&each.join(" OR ")), &names);
        }

        #[test]
        fn any_text_is_read_without_panic(rule in ".*") {
            children(&rule);
        }
    }
}
