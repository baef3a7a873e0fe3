//! What each notice of a deployment is to a channel.

use glidepath_core::ids::ChannelName;
use glidepath_core::message::alert::{Alert, Rung};
use glidepath_core::message::routing::Audience;
use glidepath_core::record::Event;
use glidepath_core::urgency::Urgency;

use crate::ports::OutboxEntry;

/// What a notice is to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is told.
    Told,
    /// It is not told, and the message that the channel has must not show what was before it.
    Shown,
    /// The audit bucket keeps it.
    Kept,
    /// It is none of the channel's business.
    Nothing,
}

impl Part {
    /// How urgent it is that the channel takes it.
    pub(super) const fn urgency(self, event: &Event) -> Option<Urgency> {
        match self {
            Self::Told => Some(event.urgency()),
            Self::Shown => Some(Urgency::Information),
            // Nobody has to be woken: the registry has it for a year. But somebody must mend the bucket.
            Self::Kept => Some(Urgency::Attention),
            Self::Nothing => None,
        }
    }
}

/// What each entry is to a channel. An alert that it is still to be handed counts as one: its end must not be
/// forgotten.
pub(super) fn parts(
    audience: &Audience<'_>,
    channel: &ChannelName,
    outbox: &[OutboxEntry],
) -> Vec<Part> {
    let mut rung = Rung::default();
    let parts = outbox.iter().map(|entry| {
        let event = &entry.notice.event;
        let is_told = audience.includes(channel, event, &rung);
        let taken = is_told.then(|| !entry.refused.contains(channel));
        rung = after(std::mem::take(&mut rung), event, taken);
        if is_told { Part::Told } else { Part::Nothing }
    });
    let mut parts: Vec<_> = parts.collect();
    let told = |(entry, part): (&OutboxEntry, &Part)| {
        *part == Part::Told && !entry.refused.contains(channel)
    };
    let has_message = audience.edits(channel) && outbox.iter().zip(&parts).any(told);
    // One edit shows everything that has happened: it is made for the last notice, and for none before it.
    match parts.last_mut() {
        Some(last) if has_message && *last == Part::Nothing => *last = Part::Shown,
        Some(_) | None => {}
    }
    parts
}

/// What each entry is to the audit bucket: the end and whatever comes after it are kept, each for itself.
pub(super) fn kept(outbox: &[OutboxEntry]) -> Vec<Part> {
    let mut ended = false;
    let parts = outbox.iter().map(|entry| {
        ended |= entry.notice.event.terminal();
        if ended { Part::Kept } else { Part::Nothing }
    });
    parts.collect()
}

/// What a channel rings somebody for after an event. `told`: whether it has taken it; nothing where it is not
/// for it, which may all the same be the end of one cause among several.
pub(super) fn after(rung: Rung, event: &Event, told: Option<bool>) -> Rung {
    let alert = Alert::of(event);
    let counts = told.unwrap_or(!matches!(alert, Alert::Trigger(_)));
    if counts { rung.after(alert) } else { rung }
}
