//! Delivers the outbox. It can never fail or delay a deployment: nobody waits for it.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::ChannelName;
use glidepath_core::notice::Trial;
use glidepath_core::protocol::Deployment;
use serde::Deserialize;

use crate::ports::{Channels, OutboxEntry, PortError, Registry};
use crate::transition::load;
use crate::{StepInput, failed};

/// Where a notice goes that no channel is configured for: it is done at once.
const NOBODY: &str = "nobody";

/// What the function is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Asked {
    /// A message that says nothing, on one channel: `glidepath doctor`.
    TryOut {
        /// Which channel.
        channel: ChannelName,
        /// What.
        trial: Trial,
    },
    /// The outbox of a deployment.
    Deliver(StepInput),
}

/// Does what it is asked for.
pub async fn answer<R: Registry, C: Channels>(
    registry: &R,
    channels: &C,
    asked: &Asked,
) -> Result<Delivered, Failure> {
    match asked {
        Asked::TryOut { channel, trial } => {
            channels.try_out(channel, trial).await.map_err(|error| failed(&error))?;
            Ok(Delivered { deliveries: 1 })
        }
        Asked::Deliver(input) => run(registry, channels, input).await,
    }
}

/// How many deliveries were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Notices handed to a channel, counted per channel.
    pub deliveries: u32,
}

/// Hands every notice that a channel has not taken yet to it, in order. A channel that is down
/// delays only its own notices; the function fails at the end, so that it is invoked again.
pub async fn run<R: Registry, C: Channels>(
    registry: &R,
    channels: &C,
    input: &StepInput,
) -> Result<Delivered, Failure> {
    let deployment = load(registry, &input.deployment).await?;
    let mut outbox = registry.notices(&deployment.id).await.map_err(|error| failed(&error))?;
    let wanted = if deployment.plan.notify.is_empty() {
        vec![ChannelName::new(NOBODY)]
    } else {
        deployment.plan.notify.clone()
    };
    let mut delivered = Delivered::default();
    let mut down = Vec::new();
    for channel in &wanted {
        for entry in &mut outbox {
            if entry.delivered.contains(channel) {
                continue;
            }
            if let Err(error) = hand_over(channels, channel, entry, &deployment).await {
                down.push((channel.clone(), error));
                // The rest of this channel waits, so that its order stays.
                break;
            }
            delivered.deliveries += 1;
            entry.delivered.push(channel.clone());
            let last = wanted.iter().all(|channel| entry.delivered.contains(channel));
            let marked = registry.delivered(&entry.notice, channel, last).await;
            marked.map_err(|error| failed(&error))?;
        }
    }
    let Some((_, error)) = down.first() else {
        return Ok(delivered);
    };
    let code = if error.may_pass() { FailureCode::Transient } else { FailureCode::Unexpected };
    let list: Vec<_> = down.iter().map(|(channel, error)| format!("{channel}: {error}")).collect();
    Err(Failure::new(code, format!("could not deliver to every channel: {}", list.join("; "))))
}

async fn hand_over<C: Channels>(
    channels: &C,
    channel: &ChannelName,
    entry: &OutboxEntry,
    deployment: &Deployment,
) -> Result<(), PortError> {
    if channel.as_str() == NOBODY {
        return Ok(());
    }
    channels.deliver(channel, &entry.notice, deployment).await
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trial_and_an_outbox_are_told_apart() {
        let trial = json!({ "channel": "team", "trial": { "id": "t", "by": "arn:ada" } });
        let asked: Asked = serde_json::from_value(trial).unwrap();
        let trial = Trial { id: "t".to_owned(), by: "arn:ada".to_owned() };
        assert_eq!(asked, Asked::TryOut { channel: ChannelName::new("team"), trial });
        let asked: Asked = serde_json::from_value(json!({ "deployment": "shop-1" })).unwrap();
        let deployment = DeploymentId::new("shop-1");
        assert_eq!(asked, Asked::Deliver(StepInput { deployment }));
    }
}
