//! The settings of Application Auto Scaling for both slots: what they must be while a deployment is under
//! way, and what each slot has when it is over (docs/capacity.md).

use super::refused::Refused;
use super::telling::notice;
use super::write::RegistryWrite;
use crate::ids::IntentId;
use crate::record::{Deployment, Event, Intent, Phase, Pins};
use crate::route::Role;
use crate::scaling::{Pin, ScalableTarget, Suspended};
use crate::time::{Span, Timestamp};
use crate::weight::Weight;
use crate::world::EcsService;

/// An alarm may go on speaking of a time in which its slot had no traffic; one of target tracking is quiet
/// again after one good minute, which is published within three.
const ALARMS_CATCH_UP: Span = Span::from_secs(300);

/// What the settings of a slot are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Nobody takes tasks away below this number.
    Held(u32),
    /// It serves, and nothing is deployed.
    Serving,
    /// Nobody is sent there.
    Idle,
    /// It is left as it was before the deployment.
    Found,
}

/// Settings that one slot was read to have, and those that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub role: Role,
    pub present: ScalableTarget,
    pub goal: Goal,
}

/// Settings that are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSetting {
    pub setting: Setting,
    /// What they are to be.
    pub to: ScalableTarget,
}

/// What a look at the settings of a slot leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalingLook {
    /// What is known of both slots from now on.
    pins: Pins,
    /// What somebody else has changed, in words.
    news: Vec<String>,
    /// What they must be; `None`: they are.
    pub to: Option<ScalableTarget>,
}

impl ScalingLook {
    /// Whether there is something to record although nothing is written.
    pub const fn has_news(&self) -> bool {
        !self.news.is_empty()
    }
}

impl Deployment {
    /// What is known of the settings of a slot; `None`: the plan has found nothing that scales it.
    fn pin(&self, role: Role) -> Option<Pin> {
        let found = self.plan.slot(role).scaling?;
        Some(self.progress.scaling.of(role).pin.clone().unwrap_or(Pin::untouched(found)))
    }

    /// What a slot has while it serves and nothing is deployed. What somebody has set on the canary
    /// meanwhile is meant for the version that it has.
    fn serving(&self, role: Role) -> Option<ScalableTarget> {
        let kept = |role| {
            let found = self.plan.slot(role).scaling?;
            Some((found, self.pin(role)?.changes))
        };
        let (own, own_changes) = kept(role)?;
        let (found, changes) = match role {
            Role::Stable => (own, own_changes),
            Role::Canary => kept(Role::Stable).unwrap_or((own, own_changes)),
        };
        let mut serving = found.with(&changes).with(&own_changes);
        if changes.maximum.is_none() && own_changes.maximum.is_none() {
            // Somebody has asked for more than the maximum by hand, which cuts that at the next write.
            serving.maximum = serving.maximum.max(self.needed());
        }
        Some(serving)
    }

    /// What the settings of a slot must be; `None`: nothing scales it.
    fn wanted(&self, role: Role, goal: Goal) -> Option<ScalableTarget> {
        let serving = self.serving(role)?;
        Some(match (goal, role) {
            (Goal::Held(tasks), Role::Stable) => serving.held(tasks),
            (Goal::Held(tasks), Role::Canary) => {
                let own = self.pin(role)?.changes;
                // Sized by its share, it needs neither the minimum of all of the traffic nor the actions
                // that set one: it takes what the serving slot has by then.
                let minimum = own.minimum.unwrap_or(0);
                let suspended =
                    Suspended { scheduled: own.scheduled.unwrap_or(true), ..serving.suspended };
                ScalableTarget { minimum, suspended, ..serving }.held(tasks)
            }
            (Goal::Serving, _) => serving,
            (Goal::Idle, _) => serving.idle(),
            (Goal::Found, _) => {
                let found = self.plan.slot(role).scaling?;
                found.with(&self.pin(role)?.changes)
            }
        })
    }

    /// What settings that were read lead to; `None`: the plan has found nothing that scales the slot, so
    /// that what scales it now is not this deployment's.
    pub fn scaling_look(&self, setting: &Setting) -> Option<ScalingLook> {
        let Setting { role, present, goal } = *setting;
        let before = self.pin(role)?;
        let (pin, news) = match role {
            // The retirement of the deployment before may come after the plan: nobody wishes a slot asleep
            // that is to serve.
            Role::Canary if present.is_idle() => {
                (Pin { read: present, ..before.clone() }, Vec::new())
            }
            Role::Canary | Role::Stable => before.seeing(present),
        };
        let mut seen = self.clone();
        let pins = &mut seen.progress.scaling;
        let other = match role {
            Role::Stable => Role::Canary,
            Role::Canary => Role::Stable,
        };
        if let Some(other) = &mut pins.of_mut(other).pin {
            other.changes = other.changes.overruled_by(&before.changes, &pin.changes);
        }
        pins.of_mut(role).pin = Some(pin);
        let to = seen.wanted(role, goal)?;
        let to = match goal {
            // A slot that is idle already need not have the same maximum.
            Goal::Idle => to.maximum_of(present),
            // A lower maximum takes away, at once, what somebody has asked for beyond it.
            Goal::Held(_) => ScalableTarget { maximum: to.maximum.max(present.maximum), ..to },
            Goal::Serving | Goal::Found => to,
        };
        let pins = seen.progress.scaling;
        Some(ScalingLook { pins, news, to: (to != present).then_some(to) })
    }

    /// What the canary is held at once it has the version: what it is asked for, and what somebody has added
    /// beyond the maximum, which would be cut by the write.
    pub fn hold_of_canary(
        &self,
        weight: Weight,
        present: Option<ScalableTarget>,
        service: &EcsService,
    ) -> Goal {
        let wanted = self.canary_tasks(weight);
        let asked = self.progress.demand.asked.unwrap_or(0).max(wanted);
        let maximum = present.map_or(0, |present| present.maximum);
        let added = service.desired_count;
        Goal::Held(if added > maximum { added.max(asked) } else { asked })
    }

    /// It once these bounds of a slot are written.
    #[must_use]
    pub fn with_bounds(&self, setting: &Setting, to: ScalableTarget) -> Self {
        let Some(look) = self.scaling_look(setting) else { return self.clone() };
        let mut written = self.clone();
        written.progress.scaling = look.pins;
        let slot = written.progress.scaling.of_mut(setting.role);
        slot.pin = slot.pin.take().map(|pin| pin.writing(setting.present, to));
        written
    }

    /// What both slots are held at: stable at what everything needs, the canary, once it is held at all, at
    /// what it was asked for.
    pub fn held(&self) -> Vec<(Role, Goal)> {
        let asked = self.progress.demand.asked.unwrap_or(0);
        let pin = self.progress.scaling.canary.pin.as_ref();
        let canary = pin.map(|pin| (Role::Canary, Goal::Held(pin.wrote.minimum.max(asked))));
        [(Role::Stable, Goal::Held(self.needed()))].into_iter().chain(canary).collect()
    }

    /// From when on the traffic has been where it is for long enough to let its slot be scaled in again;
    /// `None` if that is now. Its alarms may still speak of the time without traffic, and whatever they ask
    /// for is done as soon as it may be.
    pub fn scales_in_from(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.progress.shifts.first()?.at;
        let (moved_at, away_since) = match self.phase {
            Phase::RollingBack | Phase::Held => (self.progress.restored_at?, first),
            Phase::Open | Phase::Committed | Phase::Closed(_) => {
                (self.progress.shifted_at?, self.started_at)
            }
        };
        let from = moved_at + moved_at.since(away_since).min(ALARMS_CATCH_UP);
        (now < from).then_some(from)
    }

    /// Whether stable still has what a turn has left it with, which read it with `before` in hand and may have
    /// written it then. A turn forward that was under way when the fence closed may have held it anew since,
    /// and after the end nobody would let it go.
    pub fn leaves_stable_as(&self, before: &Self, written: bool) -> bool {
        let pin = |of: &Self| of.progress.scaling.stable.pin.clone();
        let present = pin(self);
        let serves = present.as_ref().map(|pin| pin.wrote) == self.serving(Role::Stable);
        serves || !written && present == pin(before)
    }

    /// Whether somebody must be told that these settings of a slot cannot be written: once for all that is
    /// held, and again for what the slot is left with.
    pub fn tells_of_scaling(&self, role: Role, goal: Goal, wanted: ScalableTarget) -> bool {
        let told = self.progress.scaling.of(role).told;
        match goal {
            Goal::Held(_) => told.is_none(),
            Goal::Serving | Goal::Idle | Goal::Found => told != Some(wanted),
        }
    }
}

/// Claims the write of settings: what they are to be is recorded before it. Lowering what is held waits
/// until nothing else may land; raising it does not, on the way back.
pub fn claim_scaling(
    deployment: &Deployment,
    NewSetting { setting, to }: &NewSetting,
    id: &IntentId,
    intent: Intent,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Intent, Vec<RegistryWrite>), Refused> {
    let raises = matches!(setting.goal, Goal::Held(_));
    match deployment.phase {
        // A turn forward that is late would wake the version that is on its way out.
        Phase::RollingBack | Phase::Held | Phase::Committed
            if raises && setting.role == Role::Canary =>
        {
            return Err(Refused::NotOpen(deployment.phase));
        }
        Phase::RollingBack | Phase::Held if raises => {}
        Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed => {
            deployment.require_idle(now)?;
        }
        Phase::Closed(_) => return Err(Refused::NotOpen(deployment.phase)),
    }
    let (mut claimed, told) = with_look(deployment, setting, now, next_due_at);
    claimed.progress.scaling = deployment.with_bounds(setting, *to).progress.scaling;
    claimed.intents.insert(id.clone(), intent.clone());
    Ok((intent, writes(deployment, claimed, told)))
}

/// Records what somebody else has changed where nothing is to be written.
pub fn note_scaling(
    deployment: &Deployment,
    setting: &Setting,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    if let Phase::Closed(_) = deployment.phase {
        return Err(Refused::NotOpen(deployment.phase));
    }
    let (noted, told) = with_look(deployment, setting, now, deployment.next_due_at);
    Ok((noted.clone(), writes(deployment, noted, told)))
}

/// Records that settings cannot be written, if somebody must be told: nothing waits for them.
pub fn tell_of_scaling(
    deployment: &Deployment,
    (role, goal): (Role, Goal),
    wanted: ScalableTarget,
    why: String,
    now: Timestamp,
) -> (Deployment, Vec<RegistryWrite>) {
    let mut told = deployment.revised(now, deployment.next_due_at);
    let notice = deployment.tells_of_scaling(role, goal, wanted).then(|| {
        let service = told.plan.slot(role).service.clone();
        told.progress.scaling.of_mut(role).told = Some(wanted);
        notice(&mut told, now, Event::ScalingNotSet { service, wanted, why })
    });
    (told.clone(), writes(deployment, told, notice))
}

/// The next revision, which knows what was read, and what is told of it.
fn with_look(
    deployment: &Deployment,
    setting: &Setting,
    now: Timestamp,
    next_due_at: Timestamp,
) -> (Deployment, Option<RegistryWrite>) {
    let mut seen = deployment.revised(now, next_due_at);
    let Some(ScalingLook { pins, news, .. }) = deployment.scaling_look(setting) else {
        return (seen, None);
    };
    seen.progress.scaling = pins;
    let told = (!news.is_empty()).then(|| {
        let service = seen.plan.slot(setting.role).service.clone();
        notice(&mut seen, now, Event::ScalingChanged { service, found: news })
    });
    (seen, told)
}

/// With the condition that every forward write has.
fn writes(
    before: &Deployment,
    after: Deployment,
    told: Option<RegistryWrite>,
) -> Vec<RegistryWrite> {
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(after))];
    writes.extend(told);
    match before.phase {
        Phase::Open => writes.extend(before.require_quiet()),
        Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_) => {}
    }
    writes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::plan::StageIndex;
    use crate::record::{Purpose, Shift};

    fn claim() -> Intent {
        Intent::new(Purpose::Scale, NOW, Span::from_secs(15))
    }

    fn target(minimum: u32, maximum: u32) -> ScalableTarget {
        ScalableTarget { minimum, maximum, suspended: Suspended::default() }
    }

    fn scaled(stable: ScalableTarget, canary: ScalableTarget) -> Deployment {
        let mut deployment = deployment();
        deployment.plan.stable.scaling = Some(stable);
        deployment.plan.canary.scaling = Some(canary);
        deployment
    }

    /// What the settings are after a write of what they must be, if they are not.
    fn set(
        deployment: &mut Deployment,
        role: Role,
        present: ScalableTarget,
        goal: Goal,
    ) -> ScalableTarget {
        let setting = Setting { role, present, goal };
        let look = deployment.scaling_look(&setting).unwrap();
        let Some(to) = look.to else { return present };
        let id = IntentId::new("1");
        let new = NewSetting { setting, to };
        let (_, writes) = claim_scaling(deployment, &new, &id, claim(), NOW, NOW).unwrap();
        let RegistryWrite::PutDeployment(claimed) = writes[0].clone() else { panic!() };
        *deployment = *claimed;
        deployment.intents.clear();
        to
    }

    fn settings() -> impl Strategy<Value = ScalableTarget> {
        (0u32..20, 0u32..20, any::<[bool; 3]>()).prop_map(|(minimum, more, flags)| ScalableTarget {
            suspended: Suspended { scale_in: flags[0], scale_out: flags[1], scheduled: flags[2] },
            ..target(minimum, minimum + more)
        })
    }

    proptest! {
        /// For whatever was found, however much is needed and however often it grows: stable is never held
        /// below that, growth is never hindered, and what each slot has in the end is what it had.
        #[test]
        fn the_bounds_hold_and_are_given_back(
            stable in settings(),
            canary in settings(),
            planned in 1u32..30,
            grows in prop::collection::vec(0u32..40, 0..5),
            asked in prop::collection::vec(0u32..30, 0..5),
        ) {
            let mut deployment = scaled(stable, canary);
            deployment.plan.stable.desired_count = planned;
            let (mut blue, mut green) = (stable, canary);
            for needed in grows {
                deployment.progress.demand.needed = Some(needed);
                let needed = deployment.needed();
                blue = set(&mut deployment, Role::Stable, blue, Goal::Held(needed));
                prop_assert!(blue.minimum >= needed && blue.minimum >= stable.minimum);
                prop_assert!(blue.maximum >= needed && blue.maximum >= stable.maximum);
                prop_assert!(blue.suspended.scale_in);
                prop_assert_eq!(blue.suspended.scale_out, stable.suspended.scale_out);
                prop_assert_eq!(blue.suspended.scheduled, stable.suspended.scheduled);
            }
            for asked in asked {
                green = set(&mut deployment, Role::Canary, green, Goal::Held(asked));
                prop_assert_eq!(green.minimum, asked);
                prop_assert!(green.maximum >= asked && green.maximum >= stable.maximum);
                prop_assert!(green.suspended.scale_in && green.suspended.scheduled);
                prop_assert_eq!(green.suspended.scale_out, stable.suspended.scale_out);
            }
            // Nothing cuts what somebody has asked for beyond the maximum.
            let expected = ScalableTarget { maximum: stable.maximum.max(deployment.needed()), ..stable };
            let mut back = deployment.clone();
            prop_assert_eq!(set(&mut back, Role::Stable, blue, Goal::Serving), expected);
            prop_assert_eq!(set(&mut back, Role::Canary, green, Goal::Found), canary);
            let idle = set(&mut back, Role::Canary, green, Goal::Idle);
            prop_assert_eq!(idle, green.idle());
            prop_assert_eq!(set(&mut deployment, Role::Canary, green, Goal::Serving), expected);
            prop_assert_eq!(deployment.notices, back.notices);
        }
    }

    #[test]
    fn what_somebody_sets_is_told_held_above_and_given_back() {
        let mut deployment = scaled(target(3, 15), target(3, 15).idle());
        deployment.plan.stable.desired_count = 10;
        let held = set(&mut deployment, Role::Stable, target(3, 15), Goal::Held(10));
        assert_eq!(held, target(3, 15).held(10));
        // A night begins, for both.
        let night = ScalableTarget { minimum: 1, maximum: 4, ..held };
        let setting = Setting { role: Role::Stable, present: night, goal: Goal::Held(10) };
        let look = deployment.scaling_look(&setting).unwrap();
        assert!(look.has_news());
        let notices = deployment.notices;
        let again = set(&mut deployment, Role::Stable, night, Goal::Held(10));
        assert_eq!((again.minimum, again.maximum), (10, 10));
        assert_eq!(deployment.notices, notices + 1);
        assert_eq!(set(&mut deployment, Role::Stable, again, Goal::Serving), target(1, 4));
        assert_eq!(deployment.notices, notices + 1);
    }

    #[test]
    fn a_maximum_that_somebody_raises_on_either_slot_is_that_of_the_slot_that_serves_then() {
        for role in [Role::Stable, Role::Canary] {
            let mut deployment = scaled(target(3, 15), target(3, 15).idle());
            let mut blue = set(&mut deployment, Role::Stable, target(3, 15), Goal::Held(10));
            let idle = target(3, 15).idle();
            let mut green = set(&mut deployment, Role::Canary, idle, Goal::Held(2));
            let raised = match role {
                Role::Stable => &mut blue,
                Role::Canary => &mut green,
            };
            raised.maximum = 30;
            let setting = Setting { role, present: *raised, goal: Goal::Held(2) };
            let (noted, writes) = note_scaling(&deployment, &setting, NOW).unwrap();
            assert!(writes.iter().any(|write| matches!(write, RegistryWrite::Notice(_))));
            let mut deployment = noted;
            let promoted = set(&mut deployment, Role::Canary, green, Goal::Serving);
            assert_eq!(promoted, target(3, 30));
        }
    }

    #[test]
    fn a_slot_that_the_plan_has_not_seen_scaled_is_nobodys() {
        let setting = Setting { role: Role::Stable, present: target(1, 2), goal: Goal::Held(3) };
        assert_eq!(deployment().scaling_look(&setting), None);
    }

    #[test]
    fn only_what_raises_does_not_wait_for_other_writes() {
        let mut deployment = scaled(target(3, 15), target(3, 15));
        deployment.phase = Phase::RollingBack;
        deployment.intents.insert(IntentId::new("other"), claim());
        let try_claim = |deployment: &Deployment, goal| {
            let setting = Setting { role: Role::Stable, present: target(3, 15), goal };
            let id = IntentId::new("own");
            let new = NewSetting { setting, to: target(9, 15) };
            claim_scaling(deployment, &new, &id, claim(), NOW, NOW)
        };
        assert!(try_claim(&deployment, Goal::Held(9)).is_ok());
        assert!(matches!(try_claim(&deployment, Goal::Serving), Err(Refused::Busy { .. })));
        deployment.phase = Phase::Open;
        assert!(matches!(try_claim(&deployment, Goal::Held(9)), Err(Refused::Busy { .. })));
        deployment.phase = Phase::Closed(crate::record::Outcome::RolledBack);
        assert!(matches!(try_claim(&deployment, Goal::Held(9)), Err(Refused::NotOpen(_))));
    }

    #[test]
    fn a_slot_is_scaled_in_again_once_its_alarms_have_seen_the_traffic() {
        let mut deployment = deployment();
        deployment.phase = Phase::RollingBack;
        deployment.progress.restored_at = Some(NOW);
        assert_eq!(deployment.scales_in_from(NOW), None, "nothing was ever shifted");
        let minutes = |minutes: u64| Span::from_secs(60 * minutes);
        for (away, back) in [(2, 2), (30, 5)] {
            let at = NOW - minutes(away);
            deployment.progress.shifts = vec![Shift { stage: StageIndex(0), at }];
            deployment.progress.shifted_at = Some(at);
            let from = NOW + minutes(back);
            assert_eq!(deployment.scales_in_from(NOW), Some(from));
            assert_eq!(deployment.scales_in_from(from), None);
        }
        deployment.phase = Phase::Committed;
        deployment.started_at = NOW - minutes(60);
        assert_eq!(deployment.scales_in_from(NOW), None, "half an hour ago");
        deployment.progress.shifted_at = Some(NOW);
        assert_eq!(deployment.scales_in_from(NOW), Some(NOW + minutes(5)));
    }

    #[test]
    fn that_it_cannot_be_set_is_told_once() {
        let told = |deployment: &Deployment| {
            let why = "AccessDeniedException".to_owned();
            let slot = (Role::Stable, Goal::Held(10));
            tell_of_scaling(deployment, slot, target(3, 15), why, NOW)
        };
        let (first, writes) = told(&scaled(target(3, 15), target(3, 15)));
        assert!(writes.iter().any(|write| matches!(write, RegistryWrite::Notice(_))));
        let (second, writes) = told(&first);
        assert!(!writes.iter().any(|write| matches!(write, RegistryWrite::Notice(_))));
        assert_eq!(second.notices, first.notices);
    }
}
