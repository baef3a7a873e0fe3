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

/// The message for the topic. What is told of one deployment is one thread, where the channel allows threads.
pub fn body(notice: &Notice, deployment: &Deployment, message: &Message) -> Value {
    let event = &notice.event;
    let keywords = [deployment.plan.service.as_str(), event.urgency().name(), event.name()];
    let mut body = custom(&notice.id(), message);
    let keywords =
        keywords.map(|keyword| escaped(&limits::line(keyword, LONGEST_KEYWORD), LONGEST_KEYWORD));
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

fn custom(id: &str, Message { headline, lines, links, .. }: &Message) -> Value {
    let links = links.iter().map(|Link { title, url }| format!("{title}: {url}"));
    let lines: Vec<_> = lines.iter().cloned().chain(links).collect();
    json!({
        "version": "1.0",
        "source": "custom",
        "id": id,
        "content": {
            "textType": "client-markdown",
            "title": escaped(&limits::line(headline, LONGEST_TITLE), LONGEST_TITLE),
            "description": escaped(&lines.join("\n"), LONGEST_DESCRIPTION),
        },
    })
}

/// Without what would mention anybody: `<!channel>` is escaped as for Slack, and a word that begins with `@` has an
/// invisible character in it, unless it is in a command, where nothing is a mention and whoever copies it needs it.
fn escaped(text: &str, longest: usize) -> String {
    let mut quiet = String::new();
    let (mut in_code, mut in_word) = (false, false);
    for character in text.chars() {
        quiet.push(character);
        in_code ^= character == '`';
        if character == '@' && !in_code && !in_word {
            quiet.push('\u{200b}');
        }
        in_word = character.is_alphanumeric();
    }
    slack::escaped(&quiet, longest)
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
        let told = escaped("@here <!channel> cc:@ada, ada@example.com `glidepath status @x`", 200);
        let expected =
            "@\u{200b}here &lt;!channel&gt; cc:@\u{200b}ada, ada@example.com `glidepath status @x`";
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_the_schema_allows(name in any::<String>(), lines in prop::collection::vec(any::<String>(), 0..5)) {
            let mut deployment = deployment();
            deployment.plan.service = ServiceLabel::new(name.clone());
            let notice = notices().remove(0);
            let body = body(&notice, &deployment, &Message { headline: name.repeat(20), lines, page: None, links: Vec::new() });
            let length = |text: &Value| text.as_str().map(|text| text.chars().count());
            prop_assert!(length(&body["content"]["title"]) <= Some(LONGEST_TITLE));
            prop_assert!(length(&body["content"]["description"]) <= Some(LONGEST_DESCRIPTION));
            for keyword in body["content"]["keywords"].as_array().unwrap() {
                prop_assert!(length(keyword) <= Some(LONGEST_KEYWORD));
            }
        }
    }
}
