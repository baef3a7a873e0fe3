//! Delivers the outbox. It can never fail or delay a deployment: nobody waits for it.
//!
//! A channel that is down keeps its notices in their order until it is back. One that refuses a
//! notice for good loses that notice and no other: what comes after it may be the page. Either way
//! the other channels and the timeline are told, once.
//!
//! The stack's audit bucket is handed over to like one more channel, from the end of a deployment on: what it does not
//! take waits there and nowhere else, is tried again and told of. Nothing is ever lost for it.

mod part;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use glidepath_core::audit::Document;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::StoredCells;
use glidepath_core::ids::{ChannelName, DeploymentId};
use glidepath_core::message::Trial;
use glidepath_core::message::alert::Rung;
use glidepath_core::message::routing::Audience;
use glidepath_core::protocol::tell;
use glidepath_core::record::{Deployment, Event, Undelivered};
use glidepath_core::time::Span;
use glidepath_core::urgency::Urgency;
use serde::Deserialize;

use self::part::{Part, after, kept, parts};
use crate::ports::{
    Archive, Channels, Clock, Counted, Delivery, DeliveryClaim, Handover, NotTaken, OutboxEntry,
    PortError, Ports, PostedMessage, Registry,
};
use crate::transition::{ATTEMPTS, load, too_busy, transition_even_if_fired};
use crate::{StepInput, failed};

/// Where a notice goes that no channel is configured for: it is done at once.
const NOBODY: &str = "nobody";

/// How long a notice is one's own to hand over: longer than the function may run, so that nobody hands over
/// what may still be under way. An alert that is handed over late would ring after its end.
const CLAIM: Span = Span::from_secs(65);

/// How long a channel is left alone that was not there, unless it says so itself.
const BACKOFF: Span = Span::from_secs(10);

/// The longest that a channel can ask to be left alone: what it says is not ours.
const LONGEST_WAIT: Span = Span::from_secs(900);

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
    P: Ports<Registry: Registry, Channels: Channels, Archive: Archive, Ambient: Clock>,
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

/// Hands every notice that a channel is not done with yet to it, in order, all channels at once. A channel
/// that is down or slow delays only its own notices; the function fails at the end, so that it is invoked
/// again.
pub async fn run<P>(ports: &P, input: &StepInput) -> Result<Delivered, Failure>
where
    P: Ports<Registry: Registry, Channels: Channels, Archive: Archive, Ambient: Clock>,
{
    let deployment = load(ports, &input.deployment).await?;
    let plan = deployment.plan.clone();
    let audience = Audience::new(&plan, |channel| ports.channels().listening(channel));
    let archive = ports.archive().keeps().then(ChannelName::audit_bucket);
    let takers = plan.notify.iter().cloned().chain(archive).collect();
    let mut round = Round {
        ports,
        deployment,
        audience,
        takers,
        cells: Ok(None),
        delivered: Delivered::default(),
        stopped: BTreeSet::new(),
        down: Vec::new(),
    };
    // What is told of a channel is for the others, which may have had their turn; and what somebody else has
    // found being handed over here may have more behind it. Each turn hands something over, so this ends.
    while round.go().await? {}
    let Some((_, error)) = round.down.first() else { return Ok(round.delivered) };
    let code = if error.may_pass() { FailureCode::Transient } else { FailureCode::Unexpected };
    let down = round.down.iter().map(|(channel, error)| format!("{channel}: {error}"));
    let list: Vec<_> = down.collect();
    Err(Failure::new(code, format!("could not deliver to every channel: {}", list.join("; "))))
}

struct Round<'a, P> {
    ports: &'a P,
    /// As it was after everything that is told, or later.
    deployment: Deployment,
    audience: Audience<'a>,
    /// Its channels, and the audit bucket where the stack has one.
    takers: Vec<ChannelName>,
    /// What was counted of its requests, once its end is to be told; or that it could not be read.
    cells: Cells,
    delivered: Delivered,
    /// Channels that get nothing more from this invocation.
    stopped: BTreeSet<ChannelName>,
    /// Those of them that wait, and why.
    down: Vec<(ChannelName, PortError)>,
}

/// What was counted, if anything was; or that nobody knows.
type Cells = Result<Option<StoredCells>, ()>;

/// Where a channel has posted its message, if it has; or why it has not taken what it was handed.
type Handed = Result<Option<PostedMessage>, NotTaken>;

/// What one channel's turn has come to.
#[derive(Default)]
struct Turn {
    delivered: Delivered,
    stopped: bool,
    down: Option<PortError>,
    told: bool,
}

impl<P> Round<'_, P>
where
    P: Ports<Registry: Registry, Channels: Channels, Archive: Archive, Ambient: Clock>,
{
    /// Every channel's turn; whether another one may find something.
    async fn go(&mut self) -> Result<bool, Failure> {
        let outbox = self.ports.registry().notices(&self.deployment.id).await;
        let outbox = outbox.map_err(|error| failed(&error))?;
        // Whoever is asked something gets the question's link, and a message that shows what is must not show what was.
        let told = outbox.last().map_or(0, |entry| entry.notice.sequence);
        if told > self.deployment.notices {
            self.deployment = load(self.ports, &self.deployment.id).await?;
        }
        self.settle(&outbox).await?;
        self.count(&outbox).await;
        let channels = self.takers.iter().filter(|channel| !self.stopped.contains(*channel));
        let channels: Vec<_> = channels.collect();
        let turns = join_all(channels.iter().map(|channel| self.turn(channel, &outbox))).await;
        let mut again = false;
        for (channel, turn) in channels.into_iter().zip(turns) {
            let Turn { delivered, stopped, down, told } = turn?;
            again |= told || delivered != Delivered::default();
            self.delivered.deliveries += delivered.deliveries;
            self.delivered.refused += delivered.refused;
            self.down.extend(down.map(|error| (channel.clone(), error)));
            if stopped {
                self.stopped.insert(channel.clone());
            }
        }
        Ok(again)
    }

    /// Reads what was counted, where an end is still to be told. Without it that is told all the same.
    async fn count(&mut self, outbox: &[OutboxEntry]) {
        let told = outbox.iter().filter(|entry| ends(&entry.notice.event));
        let mut left = told.filter(|entry| {
            let mut wanted = self.deployment.plan.notify.iter();
            !wanted.all(|channel| entry.done_with(channel))
        });
        if matches!(self.cells, Ok(Some(_))) || left.next().is_none() {
            return;
        }
        self.cells = self.stored_cells().await;
    }

    async fn stored_cells(&self) -> Cells {
        let cells = self.ports.registry().stored_cells(&self.deployment.id).await;
        cells.map_err(|error| {
            tracing::warn!(deployment.id = %self.deployment.id, %error, "the cells could not be read");
        })
    }

    /// What is for nobody, and what every channel is done with, is nothing that the sweep has to look after:
    /// channels that take their turns at the same time do not know of each other.
    async fn settle(&self, outbox: &[OutboxEntry]) -> Result<(), Failure> {
        let wanted = &self.takers;
        let parts: Vec<_> = wanted.iter().map(|channel| self.parts(channel, outbox)).collect();
        for (at, entry) in outbox.iter().enumerate().filter(|(_, entry)| entry.due) {
            let mut left =
                wanted.iter().zip(&parts).filter(|(_, parts)| parts[at] != Part::Nothing);
            if left.any(|(channel, _)| !entry.done_with(channel)) {
                continue;
            }
            let nobody = ChannelName::new(NOBODY);
            let (channel, delivery) = match (entry.delivered.first(), entry.refused.first()) {
                (Some(channel), _) => (channel, Delivery::Taken),
                (None, Some(channel)) => (channel, Delivery::Refused),
                (None, None) => (&nobody, Delivery::Taken),
            };
            let marked =
                self.ports.registry().delivered(&entry.notice, channel, delivery, true).await;
            marked.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    fn parts(&self, channel: &ChannelName, outbox: &[OutboxEntry]) -> Vec<Part> {
        if channel.is_audit_bucket() {
            kept(outbox)
        } else {
            parts(&self.audience, channel, outbox)
        }
    }

    /// Hands one channel what is for it, until it does not take it.
    async fn turn(&self, channel: &ChannelName, outbox: &[OutboxEntry]) -> Result<Turn, Failure> {
        let mut turn = Turn::default();
        let mut outbox = outbox.to_vec();
        for at in 0..outbox.len() {
            let part = self.part(channel, &outbox, at);
            let Some(entry) = outbox.get(at).filter(|entry| !entry.done_with(channel)) else {
                continue;
            };
            if part == Part::Nothing {
                continue;
            }
            let notice = &entry.notice;
            let now = self.ports.ambient().now();
            let claim = self.ports.registry().claim_delivery(notice, channel, now, now + CLAIM);
            let delivery = match claim.await.map_err(|error| failed(&error))? {
                DeliveryClaim::Done(delivery) => {
                    mark(&mut outbox, at, channel, delivery);
                    continue;
                }
                DeliveryClaim::Elsewhere => {
                    // It was put off, for as long as the channel has asked, or is being handed over: until that is over
                    // nobody asks the channel, and a page may have come since.
                    let why = "it has asked to be left alone, or has not answered yet";
                    turn.told |= self.tell_of_waiting(channel, &outbox, at, why).await?;
                    turn.stopped = true;
                    break;
                }
                DeliveryClaim::Claimed if part == Part::Shown => {
                    self.show(channel, &outbox).await?
                }
                DeliveryClaim::Claimed if part == Part::Kept => self.keep(&outbox, at).await,
                DeliveryClaim::Claimed => {
                    let known = (&self.deployment, &self.cells);
                    self.hand_over(channel, (&outbox, at), true, known).await
                }
            };
            let delivery = match delivery {
                Ok(None) => Delivery::Taken,
                Ok(Some(posted)) => Delivery::Posted(posted),
                // A bucket that is not there, or not yet, is mended without touching what it is to keep.
                Err(NotTaken { error, retry_after }) if waits(&error) || part == Part::Kept => {
                    let why = error.to_string();
                    turn.told |= self.tell_of_waiting(channel, &outbox, at, &why).await?;
                    let now = self.ports.ambient().now();
                    let until = now + retry_after.unwrap_or(BACKOFF).min(LONGEST_WAIT);
                    let put_off = self.ports.registry().put_off_delivery(notice, channel, until);
                    put_off.await.map_err(|error| failed(&error))?;
                    // The rest of this channel waits, so that its order stays.
                    (turn.stopped, turn.down) = (true, Some(error));
                    break;
                }
                // Nobody was to hear it.
                Err(NotTaken { error, .. }) if part == Part::Shown => {
                    tracing::warn!(deployment.id = %self.deployment.id, %channel, %error, "its message was not edited");
                    Delivery::Refused
                }
                Err(NotTaken { error, .. }) => {
                    // Before it is recorded: whoever dies in between refuses and tells again.
                    let (why, lost) = (error.to_string(), entry.notice.event.urgency());
                    let event = undelivered(channel, entry, &why, Undelivered::Refused, lost);
                    turn.told |= self.tell_once(&outbox, event).await?;
                    Delivery::Refused
                }
            };
            match delivery {
                Delivery::Taken | Delivery::Posted(_) => turn.delivered.deliveries += 1,
                Delivery::Refused => turn.delivered.refused += 1,
            }
            let last = self.is_last(channel, &outbox, at);
            let recorded = self
                .ports
                .registry()
                .delivered(&entry.notice, channel, delivery.clone(), last)
                .await;
            recorded.map_err(|error| failed(&error))?;
            mark(&mut outbox, at, channel, delivery);
        }
        Ok(turn)
    }

    fn part(&self, channel: &ChannelName, outbox: &[OutboxEntry], at: usize) -> Part {
        self.parts(channel, outbox).get(at).copied().unwrap_or(Part::Nothing)
    }

    /// Whether every other channel was done with an entry when the outbox was read.
    fn is_last(&self, channel: &ChannelName, outbox: &[OutboxEntry], at: usize) -> bool {
        let Some(entry) = outbox.get(at) else { return false };
        let mut others = self.takers.iter().filter(|other| *other != channel);
        others.all(|other| self.part(other, outbox, at) == Part::Nothing || entry.done_with(other))
    }

    /// The most urgent of what a channel still has to be handed.
    fn lost(&self, channel: &ChannelName, outbox: &[OutboxEntry]) -> Urgency {
        let waiting = outbox.iter().zip(self.parts(channel, outbox));
        let waiting = waiting.filter(|(entry, _)| !entry.done_with(channel));
        let urgencies = waiting.filter_map(|(entry, part)| part.urgency(&entry.notice.event));
        urgencies.max().unwrap_or(Urgency::Information)
    }

    /// Tells the others of what a channel has not been handed for too long, from the first that waits there on.
    async fn tell_of_waiting(
        &self,
        channel: &ChannelName,
        outbox: &[OutboxEntry],
        at: usize,
        why: &str,
    ) -> Result<bool, Failure> {
        let (part, lost) = (self.part(channel, outbox, at), self.lost(channel, outbox));
        let is_missed = match part {
            Part::Told | Part::Kept => true,
            Part::Shown | Part::Nothing => false,
        };
        let Some(entry) = outbox.get(at).filter(|_| is_missed) else { return Ok(false) };
        if self.ports.ambient().now().since(entry.notice.at) < overdue(lost) {
            return Ok(false);
        }
        let event = undelivered(channel, entry, why, Undelivered::Waits, lost);
        self.tell_once(outbox, event).await
    }

    /// Unless the timeline has said the same of the same channel before. A lost page is told once more where
    /// only less has been lost.
    async fn tell_once(&self, outbox: &[OutboxEntry], event: Event) -> Result<bool, Failure> {
        let known = |told: &Event| match (told, &event) {
            (
                Event::Undelivered { channel: known, how: before, .. },
                Event::Undelivered { channel, how, .. },
            ) => known == channel && before == how && told.urgency() >= event.urgency(),
            (_, _) => false,
        };
        // It may have been told since the outbox was read, by this very turn or by another invocation that has met the
        // same; and be told while it is looked for: whatever is told meanwhile is looked at first.
        let id: &DeploymentId = &self.deployment.id;
        let mut looked_at = self.deployment.notices;
        for _ in 0..ATTEMPTS {
            let latest = self.ports.registry().notices(id).await.map_err(|error| failed(&error))?;
            let mut all = outbox.iter().chain(&latest).map(|entry| &entry.notice.event);
            if all.any(known) {
                return Ok(false);
            }
            let now = self.ports.ambient().now();
            let told = transition_even_if_fired(self.ports, id, |deployment| {
                if deployment.notices > looked_at {
                    return (Err(deployment.notices), Vec::new());
                }
                let (after, writes) = tell(deployment, event.clone(), now);
                (Ok(after), writes)
            });
            match told.await? {
                Ok(_) => return Ok(true),
                Err(notices) => looked_at = notices,
            }
        }
        Err(too_busy(id))
    }

    /// Has a channel show how it stands, of which nobody is told. What comes later does not wait for that, so a slow edit
    /// may end after a newer one and bring back the buttons of what is over: whoever finds something newer edits once more.
    async fn show(&self, channel: &ChannelName, outbox: &[OutboxEntry]) -> Result<Handed, Failure> {
        let (mut outbox, mut deployment) = (outbox.to_vec(), self.deployment.clone());
        loop {
            let Some(last) = outbox.len().checked_sub(1) else { return Ok(Ok(None)) };
            let is_end = outbox.last().is_some_and(|entry| ends(&entry.notice.event));
            let cells = if is_end { self.stored_cells().await } else { Ok(None) };
            let shown =
                self.hand_over(channel, (&outbox, last), false, (&deployment, &cells)).await;
            let latest = self.ports.registry().notices(&deployment.id).await;
            let latest = latest.map_err(|error| failed(&error))?;
            if latest.len() <= outbox.len() {
                return Ok(shown);
            }
            deployment = load(self.ports, &deployment.id).await?;
            outbox = latest;
        }
    }

    /// Has the audit bucket keep what ends with an entry.
    async fn keep(&self, outbox: &[OutboxEntry], at: usize) -> Handed {
        let notices: Vec<_> = outbox.iter().take(at + 1).map(|entry| &entry.notice).collect();
        let ends = notices.last().is_some_and(|notice| notice.event.terminal());
        if ends && notices.iter().zip(1..).any(|(notice, sequence)| notice.sequence != sequence) {
            // What is put stays as it is: it waits for the version that can read all of it.
            let detail = "an entry of the timeline cannot be read, or is not there".to_owned();
            return Err(PortError::Unanswered { operation: "keep", detail }.into());
        }
        let Some(document) = Document::of(&self.deployment, &notices) else { return Ok(None) };
        self.ports.archive().keep(&document).await?;
        Ok(None)
    }

    async fn hand_over(
        &self,
        channel: &ChannelName,
        (outbox, at): (&[OutboxEntry], usize),
        heard: bool,
        (deployment, cells): (&Deployment, &Cells),
    ) -> Handed {
        let Some(entry) = outbox.get(at) else { return Ok(None) };
        let before = self.parts(channel, outbox).into_iter().zip(outbox).take(at);
        let rung = before.fold(Rung::default(), |rung, (part, entry)| {
            let told = (part == Part::Told).then(|| entry.delivered.contains(channel));
            after(rung, &entry.notice.event, told)
        });
        let counted = match cells {
            Ok(Some(cells)) if ends(&entry.notice.event) => Counted::Cells(cells),
            Err(()) if ends(&entry.notice.event) => Counted::Unread,
            Ok(_) | Err(()) => Counted::Nothing,
        };
        let (notice, rung, waiting) = (&entry.notice, &rung, self.lost(channel, outbox));
        // The last that it has posted: it may have had to post anew.
        let posted = outbox.iter().rev().find_map(|entry| entry.posted.get(channel));
        if !heard && posted.is_none() {
            return Ok(None);
        }
        let handover = Handover { notice, deployment, heard, rung, counted, posted, waiting };
        self.ports.channels().deliver(channel, handover).await
    }
}

/// Whether an event says how a deployment has ended that has had traffic.
const fn ends(event: &Event) -> bool {
    matches!(event, Event::Succeeded | Event::RolledBack { .. })
}

/// What a channel has made of an entry, in one's own copy of the outbox.
fn mark(outbox: &mut [OutboxEntry], at: usize, channel: &ChannelName, delivery: Delivery) {
    let Some(entry) = outbox.get_mut(at) else { return };
    match delivery {
        Delivery::Taken => entry.delivered.push(channel.clone()),
        Delivery::Posted(posted) => {
            entry.delivered.push(channel.clone());
            entry.posted.insert(channel.clone(), posted);
        }
        Delivery::Refused => entry.refused.push(channel.clone()),
    }
}

/// Whether the same notice may be taken later: a permission is mended without touching the notice.
fn waits(error: &PortError) -> bool {
    error.may_pass() || error.is_denied()
}

/// After how long a channel that has not taken a notice is down, not slow: the others are told.
const fn overdue(lost: Urgency) -> Span {
    match lost {
        // Somebody is to act, and does not know it.
        Urgency::Page => Span::from_secs(60),
        Urgency::Attention | Urgency::Information => Span::from_secs(600),
    }
}

fn undelivered(
    channel: &ChannelName,
    entry: &OutboxEntry,
    why: &str,
    how: Undelivered,
    lost: Urgency,
) -> Event {
    Event::Undelivered {
        channel: channel.clone(),
        sequence: entry.notice.sequence,
        reason: why.to_owned(),
        how,
        lost,
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
