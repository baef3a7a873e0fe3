//! What a channel that rings somebody makes of a notice.

use std::collections::BTreeSet;

use crate::failure::FailureCode;
use crate::record::{Decision, Event};
use crate::rollback::Forced;
use crate::urgency::Urgency;

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
            (
                _,
                Event::StageHeld { .. }
                | Event::OutsideWindows { .. }
                | Event::NotPromoted { .. }
                | Event::CheckAlert { .. },
            ) => Self::Stage,
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
            // Who acts on a deployment is on what it holds for, and not on a page that comes later.
            Event::Paused { .. } => Self::Acknowledge(&[Key::Attention]),
            Event::Decided { decision: Decision { approved: true, .. }, lacking: 1.., .. } => {
                Self::Acknowledge(&[Key::Attention])
            }
            // What was said does not count any more, and with it the alert of the hold had ended.
            Event::NotPromoted { .. }
            | Event::RollbackHeld
            | Event::SteppingBack { .. }
            | Event::RollbackOverdue { .. }
            | Event::CheckAlert { .. }
            | Event::StageHeld { .. }
            | Event::OutsideWindows { opens_at: None, .. }
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
            | Event::Resumed { .. }
            | Event::Waiting { .. }
            | Event::OutsideWindows { opens_at: Some(_), .. }
            // Somebody wants it so.
            | Event::Frozen { .. }
            | Event::ScalingChanged { .. }
            | Event::ScalingNotSet { .. }
            | Event::Validated { .. }
            | Event::RetirementHastened { .. }
            | Event::Retired
            | Event::RetirementPostponed
            | Event::StillReached { .. }
            | Event::Drifted { .. } => Self::Silent,
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

#[cfg(test)]
pub(super) fn rung(causes: &[Cause]) -> Rung {
    Rung(causes.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::message::tests::events;
    use crate::plan::StageIndex;
    use crate::record::Pause;
    use crate::time::Span;

    /// Whoever takes up an alert is not rung for it again: what a person does on the way forward may silence no page to
    /// come.
    #[test]
    fn going_on_ends_what_held_and_acknowledges_no_page() {
        let held = rung(&[Cause::Page, Cause::Stage]);
        for event in events() {
            let alert = Alert::of(&event);
            let page = matches!(alert, Alert::Acknowledge(keys) if keys.contains(&Key::Page));
            assert!(!page || event.name() == "trafficRestored", "{}", event.name());
            if matches!(event, Event::Promoted { .. } | Event::Shifted { .. }) {
                assert_eq!(held.actions(alert), [(Action::Resolve, Key::Attention)]);
            }
        }
        let order = Alert::of(&Event::RouteInOrder { lasted: Span::from_secs(1) });
        assert_eq!(held.actions(order), []);
    }

    #[test]
    fn whoever_pauses_or_is_one_of_those_who_must_approve_is_on_what_it_holds_for() {
        let (page, attention) = (rung(&[Cause::Page]), rung(&[Cause::Page, Cause::Stage]));
        let by = || "arn:ada".to_owned();
        let decided = |approved, lacking| {
            let groups = Vec::new();
            let decision = Decision { approved, by: by(), at: fixtures::NOW, reason: None, groups };
            Event::Decided { stage: StageIndex(1), decision, lacking }
        };
        let pause = Pause { by: by(), at: fixtures::NOW, reason: None };
        for event in [Event::Paused { stage: StageIndex(1), pause }, decided(true, 1)] {
            let alert = Alert::of(&event);
            assert_eq!(attention.actions(alert), [(Action::Acknowledge, Key::Attention)]);
            assert_eq!(page.actions(alert), []);
            assert_eq!(attention.clone().after(alert), attention, "it is not over");
        }
        for event in [decided(true, 0), decided(false, 0)] {
            let over = [(Action::Resolve, Key::Attention)];
            assert_eq!(attention.actions(Alert::of(&event)), over);
        }
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
}
