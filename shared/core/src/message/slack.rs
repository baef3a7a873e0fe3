//! A notice as Block Kit: for an incoming webhook of Slack, and for an app, which has one message for each deployment and
//! its details in a thread. Slack says "characters" and nowhere of which kind, so they are counted as JavaScript does: a
//! message that is refused for its length reaches nobody.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::line::{Line, one_line};
use super::{Message, limits};
use crate::plan::StageIndex;
use crate::record::{Deployment, Notice, Outcome, Phase};

/// Longest text of a `header` block, in characters.
const LONGEST_HEADER: usize = 150;

/// Longest text of a `section` block, in characters.
const LONGEST_SECTION: usize = 3000;

/// Longest title and longest address of a link, in characters: five of them fit in one block.
const LONGEST_TITLE: usize = 50;
const LONGEST_URL: usize = 500;

/// Longest value of a button, in characters.
const LONGEST_VALUE: usize = 2000;

/// The body of the request to the webhook.
pub fn body(notice: &Notice, message: &Message) -> Value {
    let Message { headline, lines, from, .. } = message;
    let context = [Some(notice.id()), Some(notice.at.to_string()), from.clone()];
    let context = context.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let mut body = json!({
        // What a notification shows, and what a screen reader reads.
        "text": escaped(headline, LONGEST_SECTION),
        "unfurl_links": false,
        "blocks": [
            {
                "type": "header",
                "text": { "type": "plain_text", "text": escaped(headline, LONGEST_HEADER) }
            },
            section(lines),
            {
                "type": "context",
                "elements": [{ "type": "plain_text", "text": escaped(&context, LONGEST_SECTION) }]
            }
        ]
    });
    if let (Some(blocks), Some(places)) = (body["blocks"].as_array_mut(), places(message)) {
        blocks.push(places);
    }
    body
}

fn section(lines: &[Line]) -> Value {
    // Emphasis stays as it is written: it ends with its line, and names are copied. Code is whole already.
    let size = |line: &str| length(line) + 1;
    let lines = limits::fitting(lines, LONGEST_SECTION, LONGEST_SECTION, size);
    let text = escaped(&lines.join("\n"), LONGEST_SECTION);
    // Verbatim: names of channels and people in a reason must not become mentions.
    json!({ "type": "section", "text": { "type": "mrkdwn", "verbatim": true, "text": text } })
}

/// Where to answer and where else to look, as links in small type: in the section, where nothing that anybody says becomes
/// a link, an address would be none either.
fn places(message: &Message) -> Option<Value> {
    // One that is cut leads nowhere.
    let places = message.places().filter(|(_, url)| units(url) <= LONGEST_URL);
    let mut text = String::new();
    for (title, url) in places {
        let title = escaped(title, LONGEST_TITLE).replace('|', "/");
        let between = if text.is_empty() { "" } else { " · " };
        let longer = format!("{text}{between}<{}|{title}>", escaped(url, LONGEST_SECTION));
        if units(&longer) > LONGEST_SECTION {
            break;
        }
        text = longer;
    }
    let some = !text.is_empty();
    some.then(|| json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }))
}

/// What is asked, for buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Its path on the page.
    pub path: &'a str,
    /// Whether an approval is still taken, and not only a rejection.
    pub takes_approval: bool,
}

/// The message of a deployment, as it is after a notice: with what it asks, where the notice is about something else, and
/// with buttons for it. Whoever has buttons and does not read for what and until when decides something else.
pub fn state(
    notice: &Notice,
    deployment: &Deployment,
    message: &Message,
    asked: Option<&Message>,
    question: Option<Question<'_>>,
) -> Value {
    let mut body = body(notice, message);
    let stages = stages(deployment);
    let stages = json!({
        "type": "section",
        "text": { "type": "plain_text", "text": escaped(&stages, LONGEST_SECTION) }
    });
    let question = question.filter(|asked| units(asked.path) <= LONGEST_VALUE);
    let buttons = question.map(|asked| buttons(asked, deployment.progress.stage));
    if let Some(blocks) = body["blocks"].as_array_mut() {
        // Behind the headline, and in front of what is in small type.
        blocks.insert(1, stages);
        let asked = asked.map(|Message { headline, lines, .. }| {
            section(&[&[Line::new(headline)], lines.as_slice()].concat())
        });
        blocks.splice(3..3, asked.into_iter().chain(buttons));
    }
    body
}

/// All stages with how far it has come.
fn stages(deployment: &Deployment) -> String {
    let reached = deployment.progress.shifts.last().map(|shift| shift.stage);
    let taken_back = matches!(
        deployment.phase,
        Phase::RollingBack | Phase::Held | Phase::Closed(Outcome::RolledBack | Outcome::Abandoned)
    );
    let over = matches!(deployment.phase, Phase::Committed | Phase::Closed(Outcome::Succeeded));
    let stages = deployment.plan.stages.iter().enumerate().map(|(index, stage)| {
        let sign = match reached.map(|reached| StageIndex(index).cmp(&reached)) {
            Some(Ordering::Less) => "✓",
            Some(Ordering::Equal) if taken_back => "✗",
            Some(Ordering::Equal) if over => "✓",
            Some(Ordering::Equal) => "▶",
            Some(Ordering::Greater) | None => "·",
        };
        format!("{sign} {}", stage.weight)
    });
    stages.collect::<Vec<_>>().join("   ")
}

/// What answers a question with one click, and asks once more before it does.
fn buttons(question: Question<'_>, stage: StageIndex) -> Value {
    let button = |action: &str, label: &str, style: &str, what: &str| {
        let plain = |text: &str| json!({ "type": "plain_text", "text": text });
        json!({
            "type": "button",
            "action_id": action,
            "text": plain(label),
            "style": style,
            "value": question.path,
            "confirm": {
                "title": plain(&format!("{label} stage {stage}?")),
                "text": plain(what),
                "confirm": plain(label),
                "deny": plain("Not now"),
            },
        })
    };
    let approve =
        || button("approve", "Approve", "primary", "More requests go to the new version.");
    let mut elements: Vec<_> = question.takes_approval.then(approve).into_iter().collect();
    elements.push(button("reject", "Reject", "danger", "Everything returns to stable."));
    json!({ "type": "actions", "elements": elements })
}

/// What is told to whoever has clicked, and to nobody else.
pub fn answer(text: &str) -> Value {
    let text = escaped(&one_line(text), LONGEST_SECTION);
    json!({ "response_type": "ephemeral", "replace_original": false, "text": text })
}

pub(super) fn text(message: &Message) -> String {
    escaped(&message.to_string(), LONGEST_SECTION)
}

/// What stands for Slack's control characters.
const fn replacement(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Characters of the text once it is escaped.
pub(super) fn length(text: &str) -> usize {
    text.chars().map(|one| replacement(one).map_or(one.len_utf16(), str::len)).sum()
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text with Slack's three control characters replaced, cut to a length without cutting through
/// a replacement.
pub(super) fn escaped(text: &str, longest: usize) -> String {
    let mut escaped = String::new();
    let mut length = 0;
    for (position, character) in text.char_indices() {
        let mut buffer = [0; 4];
        let replacement =
            replacement(character).unwrap_or_else(|| &*character.encode_utf8(&mut buffer));
        let replaced = units(replacement);
        let is_last = position + character.len_utf8() == text.len();
        // The ellipsis needs a place of its own unless nothing follows.
        let room = if is_last { longest } else { longest - 1 };
        if length + replaced > room {
            escaped.push('…');
            break;
        }
        escaped.push_str(replacement);
        length += replaced;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_told_of_a_click_mentions_nobody_and_changes_no_message() {
        let told = answer("<!channel> &\n oidc:a<b> may not\u{200b} approve");
        assert_eq!(told["text"], "&lt;!channel&gt; &amp; oidc:a&lt;b&gt; may not approve");
        assert_eq!(
            (&told["response_type"], &told["replace_original"]),
            (&json!("ephemeral"), &json!(false))
        );
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_slack_allows(text in prop_oneof![any::<String>(), "[😀🚀<a]{0,200}"], longest in 5usize..200) {
            let escaped = escaped(&text, longest);
            prop_assert!(units(&escaped) <= longest);
            prop_assert!(!escaped.contains(['<', '>']));
        }

        #[test]
        fn a_text_that_fits_is_not_cut(text in "[a-z ]{0,150}") {
            prop_assert_eq!(escaped(&text, 150), text);
        }
    }

    #[test]
    fn a_replacement_is_never_cut_in_half() {
        assert_eq!(escaped("a<b", 6), "a&lt;b");
        assert_eq!(escaped("ab<cd", 6), "ab…");
        assert_eq!(escaped("<!channel> & co", 150), "&lt;!channel&gt; &amp; co");
    }
}
