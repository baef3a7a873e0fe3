//! Channels by name. The stack configures them, and a new kind is one file and one line here.

mod slack;
mod sns;

use std::collections::BTreeMap;

use glidepath_core::ids::ChannelName;
use glidepath_core::message::{Trial, message};
use glidepath_core::record::{Deployment, Notice};
use glidepath_engine::ports::{Channels, PortError, PortResult};
use serde::Deserialize;

use crate::clients::Clients;

/// One channel, as the stack configures it. It names where a secret is, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ChannelSettings {
    /// An incoming webhook of Slack.
    Slack {
        /// ARN of the secret that holds the webhook's URL.
        secret: String,
    },
    /// A topic of SNS.
    Sns {
        /// ARN of the topic.
        topic: String,
    },
}

/// Channels by name, as JSON: `{"team": {"slack": {"secret": ARN}}}`.
pub type ChannelsSettings = BTreeMap<ChannelName, ChannelSettings>;

/// [`Channels`] of the stack.
#[derive(Debug)]
pub struct StackChannels {
    settings: ChannelsSettings,
    stack: String,
    slack: slack::Slack,
    sns: sns::Sns,
}

impl StackChannels {
    pub fn new(clients: &Clients, settings: ChannelsSettings, stack: String) -> Self {
        Self { settings, stack, slack: slack::Slack::new(clients), sns: sns::Sns::new(clients) }
    }
}

impl Channels for StackChannels {
    async fn deliver(
        &self,
        channel: &ChannelName,
        notice: &Notice,
        deployment: &Deployment,
    ) -> PortResult<()> {
        let message = message(notice, deployment).from_stack(&self.stack, &deployment.execution);
        match self.settings.get(channel) {
            Some(ChannelSettings::Slack { secret }) => {
                self.slack.deliver(secret, notice, message).await
            }
            Some(ChannelSettings::Sns { topic }) => self.sns.deliver(topic, notice, message).await,
            None => Err(unknown(channel)),
        }
    }

    async fn try_out(&self, channel: &ChannelName, trial: &Trial) -> PortResult<()> {
        match self.settings.get(channel) {
            Some(ChannelSettings::Slack { secret }) => self.slack.try_out(secret, trial).await,
            Some(ChannelSettings::Sns { topic }) => self.sns.try_out(topic, trial).await,
            None => Err(unknown(channel)),
        }
    }
}

fn unknown(channel: &ChannelName) -> PortError {
    PortError::Refused {
        operation: "deliver",
        detail: format!("the stack has no channel `{channel}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_secrets_and_topics() {
        let settings: ChannelsSettings = serde_json::from_str(
            r#"{"team": {"slack": {"secret": "arn:s"}}, "operations": {"sns": {"topic": "arn:t"}}}"#,
        )
        .unwrap();
        assert_eq!(
            settings[&ChannelName::new("team")],
            ChannelSettings::Slack { secret: "arn:s".to_owned() }
        );
        let url = r#"{"team": {"slack": {"url": "https://hooks.slack.com/services/..."}}}"#;
        assert!(serde_json::from_str::<ChannelsSettings>(url).is_err());
    }
}
