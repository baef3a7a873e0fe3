//! A message that says nothing but that it arrives.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Message, slack};

/// What `glidepath doctor` has sent on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Unique for the run and the channel.
    pub id: String,
    /// Who has asked for it: the ARN of an identity.
    pub by: String,
}

impl Trial {
    pub fn message(&self) -> Message {
        let lines = vec![format!(
            "{} ran `glidepath doctor`, which sends a message on every channel of the stack. \
             Nothing has happened, and nobody has to do anything.",
            self.by
        )];
        Message::new("Glidepath: this channel works", lines.into())
    }

    /// The body of the request to a webhook of Slack.
    pub fn slack(&self) -> Value {
        json!({ "text": slack::text(&self.message()), "unfurl_links": false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_says_who_asked_and_that_nothing_happened() {
        let trial = Trial { id: "t".to_owned(), by: "arn:<ada>".to_owned() };
        let text = trial.message().to_string();
        assert!(text.contains("arn:<ada>") && text.contains("Nothing has happened"), "{text}");
        let slack = trial.slack()["text"].to_string();
        assert!(slack.contains("arn:&lt;ada&gt;"), "{slack}");
    }
}
