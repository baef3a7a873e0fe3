//! Which channels a notice is for.

use std::collections::{BTreeMap, BTreeSet};

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

/// An alert of a deployment at a channel that rings somebody. Whoever takes up an alert is not rung again for
/// it, however often it is triggered: so what somebody must act on now has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// What somebody must act on now.
    Page,
    /// What somebody should look at.
    Attention,
}

impl Key {
    pub const ALL: [Self; 2] = [Self::Page, Self::Attention];
}

/// Why an alert was triggered. It is over once nothing is left of what it was triggered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Whatever is a page.
    Page,
    /// A stage holds until somebody decides.
    Stage,
    /// Somebody else's weights hold the deployment.
    Route,
    /// What only the end of the deployment ends.
    Rest,
}

impl Cause {
    const fn of(event: &Event) -> Self {
        match (event.urgency(), event) {
            (Urgency::Page, _) => Self::Page,
            (_, Event::StageHeld { .. } | Event::NotPromoted { .. } | Event::CheckAlert { .. }) => {
                Self::Stage
            }
            (_, Event::ForeignChange { .. }) => Self::Route,
            (Urgency::Attention | Urgency::Information, _) => Self::Rest,
        }
    }

    /// Which alert is triggered for it.
    pub const fn key(self) -> Key {
        match self {
            Self::Page => Key::Page,
            Self::Stage | Self::Route | Self::Rest => Key::Attention,
        }
    }
}

/// What an event is to a channel that rings somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// It rings.
    Trigger(Cause),
    /// A person has acted, so nobody else has to be rung by these.
    Acknowledge(&'static [Key]),
    /// It goes on, so nobody has to get up for this any more. It is not acknowledged: what comes after it would
    /// ring nobody.
    Over(Cause),
    /// All of it is over.
    End,
    /// It goes on by itself, or nobody has to get up for it.
    Silent,
}

impl Alert {
    pub const fn of(event: &Event) -> Self {
        match event {
            // Whoever has ordered it is on it, whatever it is waiting for.
            Event::TrafficRestored { forced: Some(Forced::Operator(_)), .. } => {
                Self::Acknowledge(&Key::ALL)
            }
            Event::TrafficRestored { failure, .. } => match failure.code {
                FailureCode::Aborted => Self::Acknowledge(&Key::ALL),
                // Whoever said no to a version need not know that its rollback waits.
                FailureCode::ApprovalRejected => Self::Acknowledge(&[Key::Attention]),
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
                | FailureCode::Unexpected => Self::Trigger(Cause::of(event)),
            },
            // What was said does not count any more, and with it the alert of the hold had ended.
            Event::NotPromoted { .. }
            | Event::RollbackHeld
            | Event::SteppingBack { .. }
            | Event::RollbackOverdue { .. }
            | Event::CheckAlert { .. }
            | Event::StageHeld { .. }
            | Event::ForeignChange { .. }
            | Event::Undelivered { .. } => Self::Trigger(Cause::of(event)),
            Event::Validated { bad, .. } if !bad.is_empty() => Self::Trigger(Cause::of(event)),
            Event::Decided { lacking: 0, .. } | Event::Promoted { .. } | Event::Shifted { .. } => {
                Self::Over(Cause::Stage)
            }
            Event::RouteInOrder { .. } => Self::Over(Cause::Route),
            Event::Succeeded | Event::RolledBack { .. } | Event::Abandoned { .. } => Self::End,
            Event::Started
            | Event::ApprovalNeeded { .. }
            | Event::Decided { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Waiting { .. }
            | Event::ScalingChanged { .. }
            | Event::ScalingNotSet { .. }
            | Event::Validated { .. }
            | Event::RetirementHastened { .. }
            | Event::Retired
            | Event::RetirementPostponed
            | Event::StillReached { .. } => Self::Silent,
        }
    }
}

/// What is done with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

/// What a channel rings somebody for, of one deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rung(BTreeSet<Cause>);

impl Rung {
    /// After an event that the channel was told, or that is none of its business: a cause that is over is no
    /// reason any more, also where another one keeps the alert. What it was not told of has rung nobody.
    pub fn after(mut self, alert: Alert) -> Self {
        match alert {
            Alert::Trigger(cause) => {
                self.0.insert(cause);
            }
            Alert::Over(cause) => {
                self.0.remove(&cause);
            }
            Alert::End => self.0.clear(),
            Alert::Acknowledge(_) | Alert::Silent => {}
        }
        self
    }

    /// What is done with which alert, in this order. One that nobody has triggered is neither taken up nor
    /// ended.
    pub fn actions(&self, alert: Alert) -> Vec<(Action, Key)> {
        match alert {
            Alert::Trigger(cause) => vec![(Action::Trigger, cause.key())],
            Alert::Acknowledge(keys) => {
                let open = keys.iter().filter(|key| self.rings(**key));
                open.map(|key| (Action::Acknowledge, *key)).collect()
            }
            Alert::Over(_) | Alert::End => {
                let after = self.clone().after(alert);
                let over =
                    Key::ALL.into_iter().filter(|key| self.rings(*key) && !after.rings(*key));
                over.map(|key| (Action::Resolve, key)).collect()
            }
            Alert::Silent => Vec::new(),
        }
    }

    fn rings(&self, key: Key) -> bool {
        self.0.iter().any(|cause| cause.key() == key)
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

    /// Whether a notice is for a channel. `rung`: what it rings somebody for already.
    pub fn includes(&self, channel: &ChannelName, event: &Event, rung: &Rung) -> bool {
        let hears = self.hears(channel, event) || self.stands_in(channel, event);
        if !self.rings(channel) {
            return hears;
        }
        let alert = Alert::of(event);
        match alert {
            Alert::Trigger(_) => hears,
            // What was released helps whoever looks at the next alert, and rings nobody.
            Alert::Acknowledge(_) | Alert::Over(_) | Alert::End | Alert::Silent => {
                matches!(event, Event::Succeeded) || !rung.actions(alert).is_empty()
            }
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
    use crate::time::Span;
    use crate::urgency::ByUrgency;

    fn name(name: &str) -> ChannelName {
        ChannelName::new(name)
    }

    fn rung(causes: &[Cause]) -> Rung {
        Rung(causes.iter().copied().collect())
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
            let (urgency, alert) = (event.urgency().name(), format!("{:?}", Alert::of(&event)));
            let words = serde_json::to_string(&event).unwrap();
            format!("{:20} {urgency:11} {alert:32} {}", event.name(), &words[..words.len().min(90)])
        });
        let lines: Vec<_> = lines.collect();
        fixtures::same_as_file("src/message/expected/urgency.txt", &lines.join("\n"));
    }

    #[test]
    fn a_list_hears_everything_and_its_pager_what_rings() {
        let plan = plan(None);
        let audience = Audience::new(&plan, listening);
        for event in events() {
            assert!(audience.includes(&name("team"), &event, &Rung::default()), "{}", event.name());
            let rings = matches!(Alert::of(&event), Alert::Trigger(_)) || event == Event::Succeeded;
            assert_eq!(
                audience.includes(&name("pager"), &event, &Rung::default()),
                rings,
                "{}",
                event.name()
            );
        }
    }

    #[test]
    fn what_is_critical_goes_to_the_pager_and_the_rest_to_the_team() {
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        for event in events() {
            let page = event.urgency() == Urgency::Page;
            let pager = page || event == Event::Succeeded;
            assert_eq!(
                audience.includes(&name("pager"), &event, &Rung::default()),
                pager,
                "{}",
                event.name()
            );
            assert_eq!(
                audience.includes(&name("team"), &event, &Rung::default()),
                !page,
                "{}",
                event.name()
            );
        }
    }

    #[test]
    fn whoever_was_rung_hears_who_takes_it_up_and_the_end() {
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        for event in events() {
            let follows = match Alert::of(&event) {
                Alert::Acknowledge(keys) => keys.contains(&Key::Page),
                Alert::End => true,
                Alert::Trigger(_) => event.urgency() == Urgency::Page,
                Alert::Over(_) | Alert::Silent => false,
            };
            assert_eq!(
                audience.includes(&name("pager"), &event, &rung(&[Cause::Page])),
                follows,
                "{}",
                event.name()
            );
        }
    }

    /// Whoever takes up an alert is not rung for it again: no person's action may silence a page to come.
    #[test]
    fn going_on_ends_what_held_and_acknowledges_nothing() {
        let held = rung(&[Cause::Page, Cause::Stage]);
        for event in events() {
            let alert = Alert::of(&event);
            let acknowledges = matches!(alert, Alert::Acknowledge(_));
            assert!(!acknowledges || event.name() == "trafficRestored", "{}", event.name());
            if matches!(event, Event::Promoted { .. } | Event::Shifted { .. }) {
                assert_eq!(held.actions(alert), [(Action::Resolve, Key::Attention)]);
            }
        }
        let order = Alert::of(&Event::RouteInOrder { lasted: Span::from_secs(1) });
        assert_eq!(held.actions(order), []);
    }

    #[test]
    fn an_alert_is_over_once_nothing_is_left_of_what_it_was_triggered_for() {
        let both = rung(&[Cause::Stage, Cause::Route]);
        assert_eq!(both.actions(Alert::Over(Cause::Stage)), []);
        let one = both.after(Alert::Over(Cause::Stage));
        assert_eq!(one.actions(Alert::Over(Cause::Route)), [(Action::Resolve, Key::Attention)]);
        let all = rung(&[Cause::Page, Cause::Rest]);
        let ends = [(Action::Resolve, Key::Page), (Action::Resolve, Key::Attention)];
        assert_eq!(all.actions(Alert::End), ends);
        assert_eq!(rung(&[Cause::Page]).actions(Alert::End), ends[..1]);
        assert_eq!(Rung::default().actions(Alert::End), []);
        // Only who has ordered the rollback is known to be on its pages.
        assert_eq!(all.actions(Alert::Acknowledge(&[Key::Attention])).len(), 1);
        assert_eq!(all.actions(Alert::Acknowledge(&Key::ALL)).len(), 2);
    }

    #[test]
    fn a_channel_of_the_stack_may_listen_from_an_urgency_on() {
        let plan = plan(None);
        let audience =
            Audience::new(&plan, |_| Listening { from: Urgency::Attention, rings: false });
        assert!(!audience.includes(&name("team"), &Event::Started, &Rung::default()));
        assert!(audience.includes(&name("team"), &Event::RetirementPostponed, &Rung::default()));
        assert!(audience.includes(&name("team"), &Event::RollbackHeld, &Rung::default()));
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
        assert!(audience.includes(&name("pager"), &undelivered("team"), &Rung::default()));
        assert!(!audience.includes(&name("pager"), &undelivered("pager"), &Rung::default()));
        assert!(audience.includes(&name("team"), &undelivered("pager"), &Rung::default()));
        // The page that nobody got is one for the others.
        let Event::Undelivered { channel, sequence, reason, how, .. } = undelivered("pager") else {
            unreachable!()
        };
        let page = Event::Undelivered { channel, sequence, reason, how, lost: Urgency::Page };
        assert_eq!(page.urgency(), Urgency::Page);
        assert!(audience.includes(&name("team"), &page, &Rung::default()));
    }
}
