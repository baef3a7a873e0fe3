//! A notice as an Adaptive Card, for a workflow of Microsoft Teams that begins with "When a Teams webhook
//! request is received". In the schema of version 1.2.

use serde_json::{Value, json};

use super::{Message, Trial, limits};
use crate::record::Notice;
use crate::urgency::Urgency;

/// Longest headline, in characters: more is not read on a telephone.
const LONGEST_HEADLINE: usize = 250;

/// Longest line, in characters.
const LONGEST_LINE: usize = 2000;

/// Room for the lines, in bytes: Teams takes 28 KB as a whole, and what stands around a line is more than the
/// line often is.
const ROOM: usize = 6 * 1024;

/// Most lines, and most commands within one that are set apart: each is an element of its own.
const MOST_LINES: usize = 40;
const MOST_COMMANDS: usize = 4;

/// Most buttons of a card: Teams shows no more.
const MOST_ACTIONS: usize = 6;

/// The body of the request to the workflow.
pub fn body(notice: &Notice, message: &Message) -> Value {
    let colour = match notice.event.urgency() {
        Urgency::Page => "Attention",
        Urgency::Attention => "Warning",
        Urgency::Information => "Default",
    };
    let footer = format!("{} · {}", notice.id(), notice.at);
    card(message, colour, &footer)
}

pub fn trial(trial: &Trial) -> Value {
    card(&trial.message(), "Default", &trial.id)
}

fn card(message: &Message, colour: &str, footer: &str) -> Value {
    let headline = limits::line(&message.headline, LONGEST_HEADLINE);
    // Each takes at least as much room as there is for one of the most that there can be.
    let size = |line: &str| limits::in_json(line).max(ROOM / MOST_LINES);
    let lines = limits::fitting(&message.written(), LONGEST_LINE, ROOM, size);
    let title = json!({ "type": "TextRun", "text": headline, "weight": "Bolder", "size": "Medium", "color": colour });
    let mut body = vec![paragraph(vec![title])];
    body.extend(lines.iter().map(|line| paragraph(runs(line))));
    let footer = limits::line(footer, LONGEST_HEADLINE);
    let footer = json!({ "type": "TextRun", "text": footer, "size": "Small", "isSubtle": true });
    body.push(paragraph(vec![footer]));
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "fallbackText": headline,
        "msteams": { "width": "Full" },
        "body": body,
    });
    let actions = message.places().take(MOST_ACTIONS);
    let actions =
        actions.map(|(title, url)| json!({ "type": "Action.OpenUrl", "title": title, "url": url }));
    let actions: Vec<_> = actions.collect();
    if !actions.is_empty() {
        content["actions"] = json!(actions);
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": content,
        }],
    })
}

/// Runs show every character as it is. A `TextBlock` would take a name for Markdown, and a link in it for
/// one of ours.
fn paragraph(inlines: Vec<Value>) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines })
}

/// Commands, which stand in backticks, as what is typed.
fn runs(line: &str) -> Vec<Value> {
    let parts: Vec<_> = line.split('`').collect();
    if parts.len() % 2 == 0 || parts.len() > 2 * MOST_COMMANDS + 1 {
        return vec![json!({ "type": "TextRun", "text": line })];
    }
    let parts = parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
    let runs = parts.map(|(at, part)| {
        if at % 2 == 0 {
            json!({ "type": "TextRun", "text": part })
        } else {
            json!({ "type": "TextRun", "text": part, "fontType": "Monospace" })
        }
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, same_as_file};
    use crate::message::tests::{notices, told};
    use crate::message::{Line, Link};

    /// What Teams takes of a request, in bytes.
    const LARGEST: usize = 28 * 1024;

    #[test]
    fn every_event_is_a_card_that_teams_takes() {
        let deployment = deployment();
        let bodies = notices().into_iter();
        let bodies = bodies.map(|notice| body(&notice, &told(&notice, &deployment)));
        let shown = serde_json::to_string_pretty(&bodies.collect::<Vec<_>>()).unwrap();
        same_as_file("src/message/expected/teams.json", &shown);
    }

    #[test]
    fn the_longest_message_is_not_too_large() {
        let link = |name: &str| Link { title: "The service".to_owned(), url: name.repeat(700) };
        let (links, page) = (vec![link("x"); 5], Some("x".repeat(300)));
        let notice = notices().remove(0);
        for text in ["\"\\", "a`b`c`d`e", "`", "é", "x", ""] {
            for (times, count) in [(1, 9_000), (3_000, 900)] {
                let line = text.repeat(times);
                let message = Message {
                    page: page.clone(),
                    links: links.clone(),
                    lines: vec![Line::new(&line); count],
                    ..Message::new(&line, Vec::new().into())
                };
                let length = body(&notice, &message).to_string().len();
                assert!(length < LARGEST, "{text} {times}: {length}");
            }
        }
    }

    #[test]
    fn names_are_shown_and_not_taken_for_markdown_or_mentions() {
        let hostile = "<at>everyone</at> [shop](https://evil.example) **now**";
        let message = Message::new(hostile, vec![format!("Why: {hostile}")].into());
        let card = body(&notices().remove(0), &message);
        let content = &card["attachments"][0]["content"];
        assert_eq!(content["body"][0]["inlines"][0]["text"], hostile);
        assert!(content["msteams"].get("entities").is_none());
        assert!(!card.to_string().contains("\"TextBlock\""));
    }

    #[test]
    fn commands_are_set_apart() {
        let runs = runs("To end it: `glidepath rollback d`");
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[1]["text"], "glidepath rollback d");
        assert_eq!(runs[1]["fontType"], "Monospace");
    }
}
