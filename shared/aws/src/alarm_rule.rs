//! The names in the rule of a composite alarm, such as
//! `ALARM("cpu") AND NOT (OK(latency) OR INSUFFICIENT_DATA(arn:aws:cloudwatch:...:alarm:errors))`.

/// Functions of a rule that take an alarm; the rest are operators and constants.
const FUNCTIONS: [&str; 3] = ["ALARM", "OK", "INSUFFICIENT_DATA"];

/// Names of the alarms that a rule looks at, each once, in order.
pub(crate) fn children(rule: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = rule;
    while let Some((before, after)) = rest.split_once('(') {
        let word = before.trim_end();
        let function = FUNCTIONS.iter().any(|function| {
            let start = word.len().saturating_sub(function.len());
            word.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(function))
        });
        if !function {
            rest = after;
            continue;
        }
        let (argument, further) = argument(after);
        let name = argument.split_once(":alarm:").map_or(argument, |(_, name)| name);
        if !name.is_empty() && names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
        rest = further;
    }
    names
}

/// The argument after an opening parenthesis, and what follows it. Only a quoted name may contain
/// parentheses.
fn argument(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    for quote in ['"', '\''] {
        if let Some((name, further)) =
            text.strip_prefix(quote).and_then(|quoted| quoted.split_once(quote))
        {
            return (name, further);
        }
    }
    text.split_once(')').map_or((text.trim(), ""), |(name, further)| (name.trim(), further))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_name_is_found_once() {
        let rule = r#"(ALARM("a (canary)") OR ok(b)) AND NOT INSUFFICIENT_DATA( 'c' )
            AND ALARM(arn:aws:cloudwatch:eu-west-1:1:alarm:d) AND ALARM(b) AND TRUE"#;
        assert_eq!(children(rule), ["a (canary)", "b", "c", "d"]);
    }

    #[test]
    fn a_rule_without_alarms_has_no_children() {
        assert!(children("NOT (TRUE AND FALSE)").is_empty());
    }
}
