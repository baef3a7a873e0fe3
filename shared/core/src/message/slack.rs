//! A notice as Block Kit, for an incoming webhook of Slack.

use serde_json::{Value, json};

use super::{Link, Message};
use crate::record::Notice;

/// Longest text of a `header` block, in characters.
const LONGEST_HEADER: usize = 150;

/// Longest text of a `section` block, in characters.
const LONGEST_SECTION: usize = 3000;

/// Longest title and longest address of a link, in characters: five of them fit in one block.
const LONGEST_TITLE: usize = 50;
const LONGEST_URL: usize = 500;

/// The body of the request to the webhook.
pub fn body(notice: &Notice, message: Message) -> Value {
    let Message { headline, lines, links, .. } = message;
    let section = escaped(&lines.join("\n"), LONGEST_SECTION);
    let context = format!("{} · {}", notice.id(), notice.at);
    let mut body = json!({
        // What a notification shows, and what a screen reader reads.
        "text": escaped(&headline, LONGEST_SECTION),
        "unfurl_links": false,
        "blocks": [
            {
                "type": "header",
                "text": { "type": "plain_text", "text": escaped(&headline, LONGEST_HEADER) }
            },
            {
                "type": "section",
                // Verbatim: names of channels and people in a reason must not become mentions.
                "text": { "type": "mrkdwn", "verbatim": true, "text": section }
            },
            {
                "type": "context",
                "elements": [{ "type": "plain_text", "text": escaped(&context, LONGEST_SECTION) }]
            }
        ]
    });
    if let (Some(blocks), Some(places)) = (body["blocks"].as_array_mut(), places(&links)) {
        blocks.push(places);
    }
    body
}

/// Where else to look, as links in small type; nothing where the console is not known.
fn places(links: &[Link]) -> Option<Value> {
    let links = links.iter().map(|Link { title, url }| {
        let title = escaped(title, LONGEST_TITLE).replace('|', "/");
        format!("<{}|{title}>", escaped(url, LONGEST_URL))
    });
    let text = links.collect::<Vec<_>>().join(" · ");
    let fits = !text.is_empty() && text.chars().count() <= LONGEST_SECTION;
    fits.then(|| json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }))
}

pub(super) fn text(message: &Message) -> String {
    escaped(&message.to_string(), LONGEST_SECTION)
}

/// The text with Slack's three control characters replaced, cut to a length without cutting through
/// a replacement.
pub(super) fn escaped(text: &str, longest: usize) -> String {
    let mut escaped = String::new();
    let mut length = 0;
    for (position, character) in text.char_indices() {
        let mut buffer = [0; 4];
        let replacement = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            other => &*other.encode_utf8(&mut buffer),
        };
        let replaced = replacement.chars().count();
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

    proptest! {
        #[test]
        fn no_text_is_longer_than_slack_allows(text in any::<String>(), longest in 5usize..200) {
            let escaped = escaped(&text, longest);
            prop_assert!(escaped.chars().count() <= longest);
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
