//! Who is told, and how they take it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::length::Length;

/// Who is told over HTTP. Each is a channel of that name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Receiver {
    /// A webhook of Slack.
    Slack,
    /// An app of Slack's, which edits its message.
    App,
    /// PagerDuty.
    Pager,
    /// A workflow of Microsoft Teams.
    Teams,
    /// Somebody's own webhook.
    Webhook,
}

impl Receiver {
    pub const ALL: [Self; 5] = [Self::Slack, Self::App, Self::Pager, Self::Teams, Self::Webhook];

    /// The channel's name in requests.
    pub const fn channel(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::App => "app",
            Self::Pager => "pager",
            Self::Teams => "teams",
            Self::Webhook => "webhook",
        }
    }
}

/// In which way a receiver does not take what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Manner {
    /// It breaks off the connection without an answer.
    Down {
        /// So often; then it is there.
        times: u32,
    },
    /// It answers 429 and says when to come again.
    Limiting {
        /// So often; then it takes what comes.
        times: u32,
        /// What it says.
        retry_after: Length,
    },
    /// It answers late.
    Slow {
        /// So late.
        by: Length,
    },
    /// It answers 404: its URL leads nowhere.
    Wrong {},
}
