//! A notice as a custom notification of Amazon Q Developer in chat applications, which an SNS topic carries to
//! Slack or Microsoft Teams (its administrator guide, custom-notifs).

use serde_json::{Value, json};

use super::{Link, Message, Trial, limits, slack};
use crate::record::{Deployment, Notice};

/// Longest title, in characters.
const LONGEST_TITLE: usize = 250;

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 8000;

/// Longest keyword, in characters.
const LONGEST_KEYWORD: usize = 75;

/// A space without width.
const INVISIBLE: char = '\u{200b}';

/// The message for the topic. What is told of one deployment is one thread, where the channel allows threads.
pub fn body(notice: &Notice, deployment: &Deployment, message: &Message) -> Value {
    let event = &notice.event;
    let keywords = [deployment.plan.service.as_str(), event.urgency().name(), event.name()];
    let mut body = custom(&notice.id(), message);
    let keyword = |text: &str| quiet(&limits::line(text, LONGEST_KEYWORD));
    let keywords = keywords.map(|text| slack::escaped(&keyword(text), LONGEST_KEYWORD));
    body["content"]["keywords"] = json!(keywords);
    body["metadata"] = json!({
        "threadId": deployment.execution,
        "summary": body["content"]["title"].clone(),
        "eventType": event.name(),
    });
    body
}

pub fn trial(trial: &Trial) -> Value {
    custom(&trial.id, &trial.message())
}

fn custom(id: &str, message: &Message) -> Value {
    let links = message.links.iter().map(|Link { title, url }| format!("{title}: {url}"));
    let links: Vec<_> = links.map(|link| quiet(&link)).collect();
    let size = |line: &str| slack::length(line) + 1;
    let taken: usize = links.iter().map(|link| size(link)).sum();
    // What to do comes first where both do not fit.
    let links = if taken > LONGEST_DESCRIPTION / 2 { Vec::new() } else { links };
    let room = LONGEST_DESCRIPTION - links.iter().map(|link| size(link)).sum::<usize>();
    let lines = limits::fitting(&message.written(), room, room, |line| size(&quiet(line)));
    let lines: Vec<_> = lines.iter().map(|line| quiet(line)).chain(links).collect();
    let headline = quiet(&limits::line(&message.headline, LONGEST_TITLE));
    json!({
        "version": "1.0",
        "source": "custom",
        "id": id,
        "content": {
            "textType": "client-markdown",
            "title": slack::escaped(&headline, LONGEST_TITLE),
            "description": slack::escaped(&lines.join("\n"), LONGEST_DESCRIPTION),
        },
    })
}

/// One line without what would mention anybody or lead somewhere: a word that begins with `@`, and what stands between the
/// name of a link and its address, have an invisible character in them. Only our own commands are as they are, because
/// whoever copies one needs it. `<!channel>` is escaped as for Slack. Emphasis stays: it ends with its line.
fn quiet(line: &str) -> String {
    let parts = line.split('`').enumerate().map(|(at, part)| {
        let is_command = ["glidepath ", "aws "].iter().any(|program| part.starts_with(program));
        if at % 2 == 1 && is_command { part.to_owned() } else { without_mentions(part) }
    });
    parts.collect::<Vec<_>>().join("`")
}

fn without_mentions(text: &str) -> String {
    let mut quiet = String::new();
    let mut before = None;
    for character in text.chars() {
        if character == '(' && before == Some(']') {
            quiet.push(INVISIBLE);
        }
        quiet.push(character);
        if character == '@' && !before.is_some_and(char::is_alphanumeric) {
            quiet.push(INVISIBLE);
        }
        before = Some(character);
    }
    quiet
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{self, deployment};
    use crate::ids::ServiceLabel;
    use crate::message::tests::{notices, told};

    #[test]
    fn every_event_is_a_notification_that_amazon_q_takes() {
        let deployment = deployment();
        let body = |notice: &Notice| body(notice, &deployment, &told(notice, &deployment));
        let bodies: Vec<_> = notices().iter().map(body).collect();
        let shown = serde_json::to_string_pretty(&bodies).unwrap();
        fixtures::same_as_file("src/message/expected/amazon-q.json", &shown);
    }

    #[test]
    fn hostile_names_mention_nobody() {
        let told = quiet("@here cc:@ada, ada@example.com `glidepath status @x` and `x @here`");
        let expected = "@\u{200b}here cc:@\u{200b}ada, ada@example.com `glidepath status @x` and \
                        `x @\u{200b}here`";
        assert_eq!(told, expected);
        assert_eq!(quiet("[x](https://evil.example)"), "[x]\u{200b}(https://evil.example)");
    }

    /// An odd backtick of somebody's must not end the guard of everything that follows.
    #[test]
    fn what_somebody_says_changes_nothing_of_what_follows() {
        let mut deployment = deployment();
        deployment.plan.reason =
            Some("odd ` here\n\n@here [x](https://evil) <!channel>".to_owned());
        let notice = notices().remove(1);
        let body = body(&notice, &deployment, &told(&notice, &deployment));
        let description = body["content"]["description"].as_str().unwrap();
        let because =
            "Because: \"odd ' here @\u{200b}here [x]\u{200b}(https://evil) &lt;!channel&gt;\"";
        assert!(description.lines().any(|line| line == because), "{description}");
        assert!(description.contains("`glidepath approve shop-42 --stage 3 --stack glidepath"));
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_the_schema_allows(name in any::<String>(), lines in prop::collection::vec(any::<String>(), 0..5)) {
            let mut deployment = deployment();
            deployment.plan.service = ServiceLabel::new(name.clone());
            let notice = notices().remove(0);
            let body = body(&notice, &deployment, &Message::new(&name.repeat(20), lines.into()));
            let length = |text: &Value| text.as_str().map(|text| text.chars().count());
            prop_assert!(length(&body["content"]["title"]) <= Some(LONGEST_TITLE));
            prop_assert!(length(&body["content"]["description"]) <= Some(LONGEST_DESCRIPTION));
            for keyword in body["content"]["keywords"].as_array().unwrap() {
                prop_assert!(length(keyword) <= Some(LONGEST_KEYWORD));
            }
        }

        #[test]
        fn nothing_that_is_not_a_command_of_ours_mentions_anybody(text in "[a`@ \\](x]{0,40}") {
            let line = crate::message::Line::new(&text).text;
            let quiet = quiet(&line);
            prop_assert!(!quiet.contains("](") && !quiet.starts_with("@x"), "{quiet}");
            for (at, _) in quiet.match_indices('@') {
                let in_word = quiet[..at].ends_with(char::is_alphanumeric);
                prop_assert!(in_word || quiet[at..].starts_with("@\u{200b}"), "{quiet}");
            }
        }
    }
}
