//! Delivers the outbox. It can never fail or delay a deployment: nobody waits for it.
//!
//! A channel that is down keeps its notices in their order until it is back. One that refuses a
//! notice for good loses that notice and no other: what comes after it may be the page. Either way
//! the other channels and the timeline are told, once.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{ChannelName, DeploymentId};
use glidepath_core::message::Trial;
use glidepath_core::protocol::tell;
use glidepath_core::record::{Deployment, Event, Undelivered};
use glidepath_core::time::Span;
use serde::Deserialize;

use crate::ports::{Channels, Clock, Delivery, OutboxEntry, PortError, Ports, Registry};
use crate::transition::{load, transition};
use crate::{StepInput, failed};

/// Where a notice goes that no channel is configured for: it is done at once.
const NOBODY: &str = "nobody";

/// A channel that has not taken a notice after this long is down, not slow: the others are told.
const OVERDUE: Span = Span::from_secs(600);

/// What the function is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Asked {
    /// A message that says nothing, on one channel: `glidepath doctor`.
    TryOut { channel: ChannelName, trial: Trial },
    /// The outbox of a deployment.
    Deliver(StepInput),
}

pub async fn answer<P>(ports: &P, asked: &Asked) -> Result<Delivered, Failure>
where
    P: Ports<Registry: Registry, Channels: Channels, Ambient: Clock>,
{
    match asked {
        Asked::TryOut { channel, trial } => {
            let tried = ports.channels().try_out(channel, trial).await;
            tried.map_err(|error| failed(&error))?;
            Ok(Delivered { deliveries: 1, refused: 0 })
        }
        Asked::Deliver(input) => run(ports, input).await,
    }
}

/// How many deliveries were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Notices handed to a channel, counted per channel.
    pub deliveries: u32,
    /// Notices that a channel has refused for good, counted per channel.
    pub refused: u32,
}

/// Hands every notice that a channel is not done with yet to it, in order. A channel that is down
/// delays only its own notices; the function fails at the end, so that it is invoked again.
pub async fn run<P>(ports: &P, input: &StepInput) -> Result<Delivered, Failure>
where
    P: Ports<Registry: Registry, Channels: Channels, Ambient: Clock>,
{
    let deployment = load(ports, &input.deployment).await?;
    let wanted = if deployment.plan.notify.is_empty() {
        vec![ChannelName::new(NOBODY)]
    } else {
        deployment.plan.notify.clone()
    };
    let mut round = Round {
        ports,
        deployment: &deployment,
        wanted: &wanted,
        delivered: Delivered::default(),
        down: Vec::new(),
        told: Vec::new(),
    };
    // What is told of a channel is for the others, which may have had their turn. Each channel is
    // told of at most once for each way to fail, so this ends.
    while round.go().await? {}
    let Some((_, error)) = round.down.first() else { return Ok(round.delivered) };
    let code = if error.may_pass() { FailureCode::Transient } else { FailureCode::Unexpected };
    let down = round.down.iter().map(|(channel, error)| format!("{channel}: {error}"));
    let list: Vec<_> = down.collect();
    Err(Failure::new(code, format!("could not deliver to every channel: {}", list.join("; "))))
}

struct Round<'a, P> {
    ports: &'a P,
    deployment: &'a Deployment,
    wanted: &'a [ChannelName],
    delivered: Delivered,
    /// Channels that wait, and why.
    down: Vec<(ChannelName, PortError)>,
    /// What was told by this invocation: the outbox was read before.
    told: Vec<Event>,
}

impl<P> Round<'_, P>
where
    P: Ports<Registry: Registry, Channels: Channels, Ambient: Clock>,
{
    /// Every channel's turn; whether something was told meanwhile.
    async fn go(&mut self) -> Result<bool, Failure> {
        let outbox = self.ports.registry().notices(&self.deployment.id).await;
        let mut outbox = outbox.map_err(|error| failed(&error))?;
        let mut told = false;
        for channel in self.wanted {
            if self.down.iter().any(|(down, _)| down == channel) {
                continue;
            }
            for at in 0..outbox.len() {
                let Some(entry) = outbox.get(at).filter(|entry| !entry.done_with(channel)) else {
                    continue;
                };
                let delivery = match self.hand_over(channel, entry).await {
                    Ok(()) => Delivery::Taken,
                    Err(error) if waits(&error) => {
                        if self.ports.ambient().now().since(entry.notice.at) >= OVERDUE {
                            let event = undelivered(channel, entry, &error, Undelivered::Waits);
                            told |= self.tell_once(&outbox, event).await?;
                        }
                        self.down.push((channel.clone(), error));
                        // The rest of this channel waits, so that its order stays.
                        break;
                    }
                    Err(error) => {
                        // Before it is recorded: whoever dies in between refuses and tells again.
                        let event = undelivered(channel, entry, &error, Undelivered::Refused);
                        told |= self.tell_once(&outbox, event).await?;
                        Delivery::Refused
                    }
                };
                let Some(entry) = outbox.get_mut(at) else { continue };
                self.record(channel, entry, delivery).await?;
            }
        }
        Ok(told)
    }

    async fn record(
        &mut self,
        channel: &ChannelName,
        entry: &mut OutboxEntry,
        delivery: Delivery,
    ) -> Result<(), Failure> {
        match delivery {
            Delivery::Taken => {
                self.delivered.deliveries += 1;
                entry.delivered.push(channel.clone());
            }
            Delivery::Refused => {
                self.delivered.refused += 1;
                entry.refused.push(channel.clone());
            }
        }
        let last = self.wanted.iter().all(|channel| entry.done_with(channel));
        let recorded =
            self.ports.registry().delivered(&entry.notice, channel, delivery, last).await;
        recorded.map_err(|error| failed(&error))
    }

    /// Unless the timeline has said the same of the same channel before.
    async fn tell_once(&mut self, outbox: &[OutboxEntry], event: Event) -> Result<bool, Failure> {
        let known = |told: &Event| match (told, &event) {
            (
                Event::Undelivered { channel: known, how: before, .. },
                Event::Undelivered { channel, how, .. },
            ) => known == channel && before == how,
            (_, _) => false,
        };
        if outbox.iter().map(|entry| &entry.notice.event).chain(&self.told).any(known) {
            return Ok(false);
        }
        let id: &DeploymentId = &self.deployment.id;
        let now = self.ports.ambient().now();
        transition(self.ports, id, |deployment| Ok(tell(deployment, event.clone(), now))).await?;
        self.told.push(event);
        Ok(true)
    }

    async fn hand_over(&self, channel: &ChannelName, entry: &OutboxEntry) -> Result<(), PortError> {
        if channel.as_str() == NOBODY {
            return Ok(());
        }
        self.ports.channels().deliver(channel, &entry.notice, self.deployment).await
    }
}

/// Whether the same notice may be taken later: a permission is mended without touching the notice.
fn waits(error: &PortError) -> bool {
    error.may_pass() || error.is_denied()
}

fn undelivered(
    channel: &ChannelName,
    entry: &OutboxEntry,
    error: &PortError,
    how: Undelivered,
) -> Event {
    Event::Undelivered {
        channel: channel.clone(),
        sequence: entry.notice.sequence,
        reason: error.to_string(),
        how,
    }
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
