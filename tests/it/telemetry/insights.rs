//! As much of the language of CloudWatch Logs Insights as the runbook uses, so that its queries can be asked of lines.

use serde_json::Value;

/// What one comparison asks of a line.
#[derive(Debug, PartialEq, Eq)]
enum Test {
    Present,
    OneOf(Vec<String>),
    Contains(String),
}

/// Of the lists at least one has to hold whole.
type Conditions = Vec<Vec<(String, Test)>>;

/// The conditions of a query: those of each `filter` have to hold.
#[derive(Debug)]
pub(super) struct Query(Vec<Conditions>);

impl Query {
    /// Whether the query finds this line.
    pub(super) fn finds(&self, line: &Value) -> bool {
        let holds = |(field, test): &(String, Test)| {
            let found = field.split('.').try_fold(line, |at, name| at.get(name));
            let Some(found) = found.filter(|found| !found.is_null()) else { return false };
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            match test {
                Test::Present => true,
                Test::OneOf(values) => values.contains(&text),
                Test::Contains(part) => text.contains(part.as_str()),
            }
        };
        self.0.iter().all(|any| any.iter().any(|all| all.iter().all(holds)))
    }

    pub(super) fn read(text: &str) -> Self {
        let commands = text.split('|').map(str::trim).filter(|command| !command.is_empty());
        Self(commands.filter_map(command).collect())
    }
}

/// The conditions of a `filter`. The others find nothing, and a mistake in them would be refused as well.
fn command(text: &str) -> Option<Conditions> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    match name {
        "filter" => return Some(conditions(rest)),
        "fields" => {
            assert!(rest.split(',').map(str::trim).all(is_field), "no fields: {text}");
        }
        "sort" => {
            let words: Vec<_> = rest.split_whitespace().collect();
            let ([field] | [field, "asc" | "desc"]) = words[..] else {
                panic!("no order: {text}");
            };
            assert!(is_field(field), "no order: {text}");
        }
        "limit" => assert!(rest.parse::<u16>().is_ok(), "no number: {text}"),
        other => panic!("no command: {other}"),
    }
    None
}

fn is_field(name: &str) -> bool {
    let plain = |character: char| character.is_alphanumeric() || "@._".contains(character);
    !name.is_empty() && name.chars().all(plain)
}

fn conditions(filter: &str) -> Conditions {
    let any = filter.split(" or ");
    any.map(|all| all.split(" and ").map(|one| condition(one.trim())).collect()).collect()
}

fn condition(text: &str) -> (String, Test) {
    let quoted = |text: &str| {
        let inner = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or_else(|| panic!("no text: {text}")).to_owned()
    };
    if let Some(field) = text.strip_prefix("ispresent(").and_then(|text| text.strip_suffix(')')) {
        return (field.to_owned(), Test::Present);
    }
    let mut words = text.splitn(3, ' ');
    let (Some(field), Some(operator), Some(value)) = (words.next(), words.next(), words.next())
    else {
        panic!("no condition: {text}");
    };
    let test = match operator {
        "=" => Test::OneOf(vec![quoted(value)]),
        "like" => Test::Contains(quoted(value)),
        "in" => {
            let list = value.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']'));
            Test::OneOf(list.expect("a list").split(',').map(quoted).collect())
        }
        other => panic!("no operator: {other}"),
    };
    (field.to_owned(), test)
}

#[test]
fn a_query_finds_what_it_asks_for() {
    use serde_json::json;
    let query = Query::read(
        "fields @timestamp\n| filter span.deployment = \"d1\" or answer like \"d1\"\n| filter level in [\"WARN\", \"ERROR\"]",
    );
    for (line, found) in [
        (json!({ "level": "WARN", "span": { "deployment": "d1" } }), true),
        (json!({ "level": "ERROR", "answer": "brought back d1" }), true),
        (json!({ "level": "INFO", "span": { "deployment": "d1" } }), false),
        (json!({ "level": "WARN", "span": { "deployment": "d10" } }), false),
        (json!({ "level": "WARN" }), false),
    ] {
        assert_eq!(query.finds(&line), found, "{line}");
    }
    let both = Query::read("| filter deployment = \"d1\" and ispresent(Verdict)");
    assert!(both.finds(&json!({ "deployment": "d1", "Verdict": 1 })));
    assert!(!both.finds(&json!({ "deployment": "d1", "Verdict": null })));
}

#[test]
fn a_query_with_a_mistake_is_refused_whichever_command_has_it() {
    for (mistaken, why) in [
        ("fields answer | fliter answer like \"d1\"", "no command: fliter"),
        ("fields answer\nsort answer", "no fields"),
        ("fields", "no fields"),
        ("fields answer,", "no fields"),
        ("fields answer | sort answer down", "no order"),
        ("fields answer | sort", "no order"),
        ("fields answer | limit few", "no number"),
    ] {
        let refused = std::panic::catch_unwind(|| Query::read(mistaken)).unwrap_err();
        let said = refused.downcast_ref::<String>().unwrap();
        assert!(said.contains(why), "{mistaken}: {said}");
    }
    Query::read("fields @timestamp, span.stage\n| sort @timestamp desc | sort answer | limit 50");
}
