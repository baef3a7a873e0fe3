//! Channels as the stack's parameter has them. They name where a secret is, never the secret.

use std::collections::BTreeMap;

use glidepath_core::ids::ChannelName;
use glidepath_core::urgency::{Listening, Manner, Urgency};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Channels by name, as JSON: `{"team": {"slack": {"secret": ARN}}}`.
pub type ChannelsSettings = BTreeMap<ChannelName, ChannelSettings>;

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    pub kind: ChannelKind,
    /// Nothing that is less urgent reaches it, whatever a request says.
    pub from: Urgency,
}

/// Where and how it is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ChannelKind {
    /// An incoming webhook of Slack; with a channel of Slack's, an app that posts there.
    Slack {
        /// ARN of the secret that holds the webhook's URL, or the app's token.
        secret: String,
        /// Id of the channel to which the app posts.
        #[serde(default)]
        channel: Option<String>,
        /// Where Slack takes calls of the app, if not at `https://slack.com/api`.
        #[serde(default)]
        endpoint: Option<String>,
    },
    /// A topic of SNS.
    Sns {
        /// ARN of the topic.
        topic: String,
    },
    /// A topic of SNS that Amazon Q Developer carries to a chat.
    AmazonQ {
        /// ARN of the topic.
        topic: String,
    },
    /// An integration of PagerDuty.
    PagerDuty {
        /// ARN of the secret that holds the integration's key.
        secret: String,
        /// Where PagerDuty takes events for the account, if not at `https://events.pagerduty.com`.
        #[serde(default)]
        endpoint: Option<String>,
    },
    /// A workflow of Microsoft Teams.
    Teams {
        /// ARN of the secret that holds the workflow's URL.
        secret: String,
    },
    /// A webhook of the user's own.
    Webhook {
        /// ARN of the secret that holds its URL and the keys that sign.
        secret: String,
    },
    /// A bus of EventBridge.
    EventBridge {
        /// Name of the bus.
        bus: String,
    },
}

/// The channel of the stack's parameter `AlertEmail`.
pub const EMAIL: &str = "email";

/// With the channel `email` on the topic of `AlertEmail`, if there is one. Another one of that name is meant.
#[must_use]
pub fn with_email(mut channels: ChannelsSettings, topic: Option<String>) -> ChannelsSettings {
    if let Some(topic) = topic {
        let kind = ChannelKind::Sns { topic };
        let settings = ChannelSettings { kind, from: Urgency::Information };
        channels.entry(ChannelName::new(EMAIL)).or_insert(settings);
    }
    channels
}

impl ChannelSettings {
    pub const fn listening(&self) -> Listening {
        let manner = match self.kind {
            ChannelKind::PagerDuty { .. } => Manner::Rings,
            ChannelKind::Slack { channel: Some(_), .. } => Manner::Edits,
            ChannelKind::Slack { channel: None, .. }
            | ChannelKind::Sns { .. }
            | ChannelKind::AmazonQ { .. }
            | ChannelKind::Teams { .. }
            | ChannelKind::Webhook { .. }
            | ChannelKind::EventBridge { .. } => Manner::Tells,
        };
        Listening { from: self.from, manner }
    }

    /// ARN of its secret, if it has one.
    pub const fn secret(&self) -> Option<&String> {
        match &self.kind {
            ChannelKind::Slack { secret, .. }
            | ChannelKind::PagerDuty { secret, .. }
            | ChannelKind::Teams { secret }
            | ChannelKind::Webhook { secret } => Some(secret),
            ChannelKind::Sns { .. }
            | ChannelKind::AmazonQ { .. }
            | ChannelKind::EventBridge { .. } => None,
        }
    }
}

impl<'de> Deserialize<'de> for ChannelSettings {
    /// An object with the kind, and perhaps `from` beside it. Not by `flatten`, which takes whatever it does
    /// not know.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let from = fields.remove("from").map(Urgency::deserialize).transpose();
        let from = from.map_err(D::Error::custom)?.unwrap_or(Urgency::Information);
        let kind = ChannelKind::deserialize(Value::Object(fields)).map_err(D::Error::custom)?;
        Ok(Self { kind, from })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(json: &Value) -> Result<ChannelsSettings, serde_json::Error> {
        serde_json::from_str(&json.to_string())
    }

    #[test]
    fn settings_name_secrets_topics_and_buses() {
        let written = json!({
            "team": { "slack": { "secret": "arn:s" } },
            "app": { "slack": { "secret": "arn:s", "channel": "C0" } },
            "operations": { "sns": { "topic": "arn:t" } },
            "chat": { "amazonQ": { "topic": "arn:q" } },
            "pager": { "pagerDuty": { "secret": "arn:p" }, "from": "page" },
            "europe": { "pagerDuty": { "secret": "arn:p", "endpoint": "https://events.eu.pagerduty.com" } },
            "office": { "teams": { "secret": "arn:m" } },
            "own": { "webhook": { "secret": "arn:w" }, "from": "attention" },
            "bus": { "eventBridge": { "bus": "default" } },
        });
        let settings = settings(&written).unwrap();
        let of = |name: &str| &settings[&ChannelName::new(name)];
        let kind = ChannelKind::Slack { secret: "arn:s".to_owned(), channel: None, endpoint: None };
        assert_eq!(of("team"), &ChannelSettings { kind, from: Urgency::Information });
        for (name, from, manner) in [
            ("team", Urgency::Information, Manner::Tells),
            ("app", Urgency::Information, Manner::Edits),
            ("pager", Urgency::Page, Manner::Rings),
            ("own", Urgency::Attention, Manner::Tells),
        ] {
            assert_eq!(of(name).listening(), Listening { from, manner }, "{name}");
        }
        assert_eq!(of("chat").kind, ChannelKind::AmazonQ { topic: "arn:q".to_owned() });
        assert_eq!(of("bus").secret(), None);
    }

    #[test]
    fn whoever_is_told_by_email_is_a_channel_unless_there_is_one_of_that_name() {
        let topic = || Some("arn:alerts".to_owned());
        let sns = |topic: &str| ChannelKind::Sns { topic: topic.to_owned() };
        let email = |channels: ChannelsSettings| channels[&ChannelName::new(EMAIL)].kind.clone();
        assert_eq!(email(with_email(ChannelsSettings::new(), topic())), sns("arn:alerts"));
        let own = settings(&json!({ "email": { "sns": { "topic": "arn:own" } } })).unwrap();
        assert_eq!(email(with_email(own, topic())), sns("arn:own"));
        assert_eq!(with_email(ChannelsSettings::new(), None), ChannelsSettings::new());
    }

    #[test]
    fn what_is_not_a_setting_is_refused() {
        for wrong in [
            json!({ "slack": { "url": "https://hooks.slack.com/services/..." } }),
            json!({ "slack": { "secret": "arn:s" }, "from": "sometimes" }),
            json!({ "slack": { "secret": "arn:s" }, "teams": { "secret": "arn:s" } }),
            json!({ "slack": { "secret": "arn:s" }, "urgency": "page" }),
            json!({ "pagerDuty": { "secret": "arn:s", "key": "0123" } }),
            json!({}),
        ] {
            assert!(settings(&json!({ "team": wrong })).is_err(), "{wrong}");
        }
    }
}
