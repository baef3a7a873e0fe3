//! Whether the channels are there, and whether somebody hears what happens.

use super::Found;
use crate::document::{Findings, nearest};
use crate::ids::ChannelName;
use crate::plan::Plan;
use crate::request::Request;
use crate::urgency::{Listening, Manner, Urgency};

pub(super) fn known(request: &Request, found: &Found, findings: &mut Findings) {
    let channels = &found.stack.channels;
    let configured = || channels.keys().map(ChannelName::as_str);
    for (path, name) in request.notify.written() {
        if name.is_audit_bucket() {
            findings.error(
                path,
                format!("`{name}` is the stack's audit bucket, and no channel"),
                "leave it out: the bucket keeps what happens in every deployment; a channel needs another name",
            );
            continue;
        }
        if channels.contains_key(name) {
            continue;
        }
        let hint = match nearest(name.as_str(), configured()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if channels.is_empty() => {
                "the stack has no channels; add one to its parameters, or leave it out".to_owned()
            }
            None => {
                let names: Vec<_> = configured().map(|name| format!("`{name}`")).collect();
                format!("the stack has {}", names.join(", "))
            }
        };
        findings.error(path, format!("the stack has no channel `{name}`"), hint);
    }
}

/// Warns of what reaches nobody although somebody is told of the deployment: the stack's own bounds and a channel that
/// takes alerts only are not to be seen in a request.
pub(super) fn unheard(plan: &Plan, found: &Found, findings: &mut Findings) {
    let listening = |name: &ChannelName| found.stack.channels.get(name);
    let asks = plan.stages.iter().any(|stage| stage.approval.is_some());
    let by_urgency = plan.notify_by.is_some();
    let of = |urgency| plan.notify_by.as_ref().map_or(&plan.notify, |by| by.of(urgency));
    // Only where the question has posted the message is there one that shows the answer.
    let shows = |one: &Listening| one.manner == Manner::Edits && one.hears_all(Urgency::Attention);
    let shows = of(Urgency::Attention).iter().filter_map(listening).any(shows);
    let is_unheard = |urgency: &Urgency| {
        let list = of(*urgency);
        let wanted = match urgency {
            Urgency::Page => true,
            Urgency::Attention => asks || !list.is_empty(),
            // Who sees the question sees the answer there. And a channel may well be kept free of it.
            Urgency::Information => !shows && (asks || (by_urgency && !list.is_empty())),
        };
        let hears = |name: &ChannelName| {
            listening(name).is_none_or(|listening| listening.hears_all(*urgency))
        };
        wanted && !list.iter().any(hears)
    };
    let unheard = Urgency::ALL.into_iter().filter(is_unheard);
    // What a list of everything lacks is said once.
    let most = if by_urgency { Urgency::ALL.len() } else { 1 };
    for urgency in unheard.filter(|_| !plan.notify.is_empty()).take(most) {
        let what = match urgency {
            Urgency::Page => "what somebody must act on now, such as a rollback that cannot go on",
            Urgency::Attention => "what somebody should look at, such as a question or a pause",
            Urgency::Information => "what is good to know, such as what a question was answered",
        };
        let path = match plan.notify_by {
            Some(_) => format!("$.notify.{}", urgency.name()),
            None => "$.notify".to_owned(),
        };
        let hint = match urgency {
            Urgency::Page => {
                "name a channel that rings somebody, or the one that hears what is for attention"
            }
            Urgency::Attention | Urgency::Information => {
                "name a channel that takes it: PagerDuty takes alerts only, and `from` in the stack's `Channels` \
                 keeps back what is less urgent"
            }
        };
        findings.warning(path, format!("nobody hears {what}"), hint);
    }
}
