//! Delivers the outbox. It can never fail or delay a deployment: nobody waits for it.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::ChannelName;
use glidepath_core::protocol::Deployment;

use crate::ports::{Channels, OutboxEntry, PortError, Registry};
use crate::transition::load;
use crate::{StepInput, failed};

/// Where a notice goes that no channel is configured for: it is done at once.
const NOBODY: &str = "nobody";

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
