//! A message on every channel, sent by the function that sends notices, with its role.

use futures_util::future::join_all;
use glidepath_aws::channels::ChannelKind;
use glidepath_aws::doctor::Answered;
use glidepath_core::doctor::{About, Row};
use glidepath_core::ids::ChannelName;
use glidepath_core::message::Trial;
use glidepath_engine::ports::PortResult;
use serde_json::json;

use super::context::{Doctor, unchecked};

pub(super) async fn check(doctor: &Doctor) -> Vec<Row> {
    let by = doctor.connection.operator.identity().await;
    let by = by.unwrap_or_else(|_| "somebody".to_owned());
    let channels = match doctor.connection.stack.channels.read() {
        Ok(channels) => channels,
        Err(error) => {
            let about = About::new("channels", "the stack's channels can be read");
            let advice = "give the parameter Channels as docs/channels.md shows it; until then nothing can be started";
            return vec![about.not_ok(error.to_string(), advice)];
        }
    };
    let each = channels.iter();
    join_all(each.map(|(channel, settings)| one(doctor, channel, &settings.kind, &by))).await
}

async fn one(doctor: &Doctor, channel: &ChannelName, kind: &ChannelKind, by: &str) -> Row {
    let about =
        About::new(format!("channel.{channel}"), format!("channel `{channel}` takes messages"));
    match send(doctor, channel, by).await {
        Ok(Answered::Well(_)) => about.ok(taken(kind)),
        // An older function knows only deployments.
        Ok(Answered::Badly(reason)) if reason.contains("missing field `deployment`") => about
            .not_checked(
                "the stack's function `notify` is older than this command line",
                "deploy the stack of the same version",
            ),
        Ok(Answered::Badly(reason)) => about.not_ok(
            reason,
            "look at the channel's secret, topic or bus, and whether ChannelSecretPattern, \
             ChannelTopicPattern, ChannelBusPattern and ChannelKeyArns cover it",
        ),
        Err(error) => unchecked(&about, &error),
    }
}

/// What that says: what becomes of it afterwards, some do not tell.
const fn taken(kind: &ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Slack { .. }
        | ChannelKind::Sns { .. }
        | ChannelKind::Webhook { .. }
        | ChannelKind::EventBridge { .. } => "it took a test message",
        ChannelKind::AmazonQ { .. } => {
            "its topic took a test message; only the chat shows whether it arrives"
        }
        ChannelKind::PagerDuty { .. } => "it took a change event, which rings nobody",
        ChannelKind::Teams { .. } => {
            "its workflow was begun; only the Teams channel shows whether it posts"
        }
    }
}

async fn send(doctor: &Doctor, channel: &ChannelName, by: &str) -> PortResult<Answered> {
    let trial = Trial { id: doctor.name(channel.as_str()), by: by.to_owned() };
    let function = doctor.connection.stack.outputs.get("NotifyFunctionName");
    let function = function.map_or("", String::as_str);
    doctor.instruments.call(function, &json!({ "channel": channel, "trial": trial })).await
}
