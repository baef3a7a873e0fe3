//! Which channels a notice is for.

use std::collections::BTreeMap;

use crate::failure::FailureCode;
use crate::ids::ChannelName;
use crate::plan::Plan;
use crate::record::Event;
use crate::rollback::Forced;
use crate::urgency::Urgency;

/// How a channel listens, as the stack has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Nothing that is less urgent reaches it.
    pub from: Urgency,
    /// Whether it rings somebody until something ends it. Whoever it has rung for a deployment hears who takes
    /// it up and that it is over, however urgent that is.
    pub rings: bool,
}

impl Listening {
    /// To everything, ringing nobody.
    pub const EVERYTHING: Self = Self { from: Urgency::Information, rings: false };
}

/// What an event is to a channel that rings somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// It rings.
    Trigger,
    /// A person has acted, so nobody else has to be rung.
    Acknowledge,
    /// It is over.
    Resolve,
    /// It goes on by itself, or nobody has to get up for it.
    Silent,
}

impl Alert {
    pub const fn of(event: &Event) -> Self {
        match event {
            // Whoever has decided it is on it.
            Event::TrafficRestored { forced: Some(Forced::Operator(_)), .. }
            | Event::Decided { .. }
            | Event::Promoted { .. } => Self::Acknowledge,
            Event::TrafficRestored { failure, .. } => match failure.code {
                FailureCode::Aborted | FailureCode::ApprovalRejected => Self::Acknowledge,
                FailureCode::InvalidRequest
                | FailureCode::NameUsed
                | FailureCode::DeploymentRunning
                | FailureCode::AlarmAlreadyFiring
                | FailureCode::RouteChanged
                | FailureCode::AlarmFired
                | FailureCode::VerdictFailed
                | FailureCode::Inconclusive
                | FailureCode::CanaryFailedToStart
                | FailureCode::CanaryNotHealthy
                | FailureCode::ApprovalTimedOut
                | FailureCode::NotAllowed
                | FailureCode::OrchestrationLost
                | FailureCode::FenceClosed
                | FailureCode::UnknownDeployment
                | FailureCode::RollbackHeld
                | FailureCode::Transient
                | FailureCode::Unexpected => Self::Trigger,
            },
            Event::RollbackHeld
            | Event::SteppingBack { .. }
            | Event::RollbackOverdue { .. }
            | Event::StageHeld { .. }
            | Event::ForeignChange { .. }
            | Event::Undelivered { .. } => Self::Trigger,
            Event::Validated { bad, .. } if !bad.is_empty() => Self::Trigger,
            Event::Succeeded | Event::RolledBack { .. } | Event::Abandoned { .. } => Self::Resolve,
            Event::Started
            | Event::ApprovalNeeded { .. }
            | Event::Shifted { .. }
            | Event::Waiting { .. }
            | Event::NotPromoted { .. }
            | Event::RouteInOrder { .. }
            | Event::ScalingChanged { .. }
            | Event::ScalingNotSet { .. }
            | Event::Validated { .. }
            | Event::Retired
            | Event::RetirementPostponed
            | Event::StillReached { .. } => Self::Silent,
        }
    }

    /// Whether somebody is rung afterwards who was or was not before.
    pub const fn rings_after(self, before: bool) -> bool {
        match self {
            Self::Trigger => true,
            Self::Resolve => false,
            Self::Acknowledge | Self::Silent => before,
        }
    }
}

/// Who hears what of a deployment.
#[derive(Clone, Debug)]
pub struct Audience<'a> {
    plan: &'a Plan,
    listening: BTreeMap<ChannelName, Listening>,
}

impl<'a> Audience<'a> {
    pub fn new(plan: &'a Plan, listening: impl Fn(&ChannelName) -> Listening) -> Self {
        let listening = plan.notify.iter().map(|name| (name.clone(), listening(name))).collect();
        Self { plan, listening }
    }

    /// Whether a channel rings somebody.
    pub fn rings(&self, channel: &ChannelName) -> bool {
        self.listening.get(channel).is_some_and(|listening| listening.rings)
    }

    /// Whether a notice is for a channel. `rung`: whether it rings somebody for the deployment already.
    pub fn includes(&self, channel: &ChannelName, event: &Event, rung: bool) -> bool {
        let hears = self.hears(channel, event) || self.stands_in(channel, event);
        if !self.rings(channel) {
            return hears;
        }
        match Alert::of(event) {
            Alert::Trigger => hears,
            // What was released helps whoever looks at the next alert, and rings nobody.
            Alert::Resolve => rung || matches!(event, Event::Succeeded),
            Alert::Acknowledge => rung,
            Alert::Silent => false,
        }
    }

    fn hears(&self, channel: &ChannelName, event: &Event) -> bool {
        let (urgency, listening) = (event.urgency(), self.listening.get(channel));
        listening.is_some_and(|listening| urgency >= listening.from)
            && self.plan.tells(channel, urgency)
    }

    /// Whether nobody else would hear that a channel does not get what it is told.
    fn stands_in(&self, channel: &ChannelName, event: &Event) -> bool {
        let Event::Undelivered { channel: about, .. } = event else { return false };
        let mut others = self.listening.keys().filter(|name| *name != about);
        channel != about && !others.any(|other| self.hears(other, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::message::tests::events;
    use crate::record::Undelivered;
    use crate::urgency::ByUrgency;

    fn name(name: &str) -> ChannelName {
        ChannelName::new(name)
    }

    /// A pager and a team, as the plan tells them.
    fn plan(by: Option<ByUrgency>) -> Plan {
        Plan { notify: vec![name("pager"), name("team")], notify_by: by, ..fixtures::plan() }
    }

    fn critical_and_the_rest() -> Plan {
        plan(Some(ByUrgency {
            page: vec![name("pager")],
            attention: vec![name("team")],
            information: vec![name("team")],
        }))
    }

    fn listening(channel: &ChannelName) -> Listening {
        Listening { rings: channel.as_str() == "pager", ..Listening::EVERYTHING }
    }

    /// Every event with its urgency and what it is to a pager: a change of either is seen.
    #[test]
    fn every_event_has_an_urgency_and_rings_or_does_not() {
        let lines = events().into_iter().map(|event| {
            let (urgency, alert) = (event.urgency().name(), Alert::of(&event));
            let words = serde_json::to_string(&event).unwrap();
            format!(
                "{:20} {urgency:11} {alert:11?} {}",
                event.name(),
                &words[..words.len().min(90)]
            )
        });
        let lines: Vec<_> = lines.collect();
        fixtures::same_as_file("src/message/expected/urgency.txt", &lines.join("\n"));
    }

    #[test]
    fn a_list_hears_everything_and_its_pager_what_rings() {
        let plan = plan(None);
        let audience = Audience::new(&plan, listening);
        for event in events() {
            assert!(audience.includes(&name("team"), &event, false), "{}", event.name());
            let rings = Alert::of(&event) == Alert::Trigger || event == Event::Succeeded;
            assert_eq!(audience.includes(&name("pager"), &event, false), rings, "{}", event.name());
        }
    }

    #[test]
    fn what_is_critical_goes_to_the_pager_and_the_rest_to_the_team() {
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        for event in events() {
            let page = event.urgency() == Urgency::Page;
            let pager = page || event == Event::Succeeded;
            assert_eq!(audience.includes(&name("pager"), &event, false), pager, "{}", event.name());
            assert_eq!(audience.includes(&name("team"), &event, false), !page, "{}", event.name());
        }
    }

    #[test]
    fn whoever_was_rung_hears_who_takes_it_up_and_the_end() {
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        for event in events() {
            let follows = match Alert::of(&event) {
                Alert::Acknowledge | Alert::Resolve => true,
                Alert::Trigger => event.urgency() == Urgency::Page,
                Alert::Silent => false,
            };
            assert_eq!(
                audience.includes(&name("pager"), &event, true),
                follows,
                "{}",
                event.name()
            );
        }
    }

    #[test]
    fn a_channel_of_the_stack_may_listen_from_an_urgency_on() {
        let plan = plan(None);
        let audience =
            Audience::new(&plan, |_| Listening { from: Urgency::Attention, rings: false });
        assert!(!audience.includes(&name("team"), &Event::Started, false));
        assert!(audience.includes(&name("team"), &Event::RetirementPostponed, false));
        assert!(audience.includes(&name("team"), &Event::RollbackHeld, false));
    }

    #[test]
    fn that_a_channel_refuses_is_told_on_another_one_whatever_that_listens_to() {
        let undelivered = |about: &str| Event::Undelivered {
            channel: name(about),
            sequence: 3,
            reason: "status 404".to_owned(),
            how: Undelivered::Refused,
            lost: Urgency::Attention,
        };
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        assert!(audience.includes(&name("pager"), &undelivered("team"), false));
        assert!(!audience.includes(&name("pager"), &undelivered("pager"), false));
        assert!(audience.includes(&name("team"), &undelivered("pager"), false));
        // The page that nobody got is one for the others.
        let Event::Undelivered { channel, sequence, reason, how, .. } = undelivered("pager") else {
            unreachable!()
        };
        let page = Event::Undelivered { channel, sequence, reason, how, lost: Urgency::Page };
        assert_eq!(page.urgency(), Urgency::Page);
        assert!(audience.includes(&name("team"), &page, false));
    }
}
