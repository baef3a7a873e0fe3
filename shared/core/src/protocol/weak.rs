//! Transitions of a rollback that finds stable too weak to take everything. With nothing healthy it
//! holds; with too little it steps back. Steps are claimed one after the other, and only by a
//! rollback that has read the routes after the one before was written: so stable only ever gains.

use super::fence::require_rollback;
use super::refused::Refused;
use super::telling::notice;
use super::write::RegistryWrite;
use crate::ids::IntentId;
use crate::record::{Deployment, Event, Intent, Phase, Purpose, RecordedHealth, Weakness};
use crate::rollback::{WayBack, WeakStable};
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

/// What a rollback saw after its own fence.
#[derive(Clone, Copy, Debug)]
pub struct WeakLook<'a> {
    /// The deployment as the fence left it, before the routes were read.
    pub fenced: &'a Deployment,
    /// The rollback's own intent.
    pub own: &'a IntentId,
    pub health: RecordedHealth,
    /// Somebody else's change that is about to be overwritten, in words.
    pub found: Option<&'a str>,
}

/// How a step back was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepBack {
    /// It may be written, under this intent.
    Claimed(Intent),
    /// The canary has no more than its share already.
    Kept,
    /// Another rollback writes or has written since the routes were read: look again.
    Overtaken,
}

impl Deployment {
    /// What a rollback may write, where stable has this many healthy targets.
    pub fn way_back(&self, healthy: u32, now: Timestamp) -> WayBack {
        let needed = self.needed();
        let forced = self.forced();
        self.plan.rollback.way_back(healthy, needed, forced.as_ref(), self.waited(now))
    }

    /// Whether everything may have been sent to a stable that is too small for it: somebody wanted that.
    pub fn is_on_too_few(&self) -> bool {
        self.forced().is_some()
            || self.progress.weak.is_some()
            || self.plan.rollback.weak_stable == WeakStable::AtOnce
    }
}

/// Stable has no healthy target: weights and canary stay as they are, and somebody is paged, once.
/// Another rollback may have found the same a moment earlier; this one's intent ends all the same.
pub fn hold(
    deployment: &Deployment,
    look: &WeakLook<'_>,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    require_rollback(deployment)?;
    let mut held = deployment.revised(now, next_due_at);
    held.intents.remove(look.own);
    if held.progress.restored_at != look.fenced.progress.restored_at {
        // Meanwhile another rollback has written everything: what is written is written.
        return Ok((held.clone(), vec![RegistryWrite::PutDeployment(Box::new(held))]));
    }
    held.phase = Phase::Held;
    held.health = look.health;
    let told = tell(&mut held, Event::RollbackHeld, now);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(held.clone()))];
    writes.extend(told);
    Ok((held, writes))
}

/// Stable can take a part: claims the write that leaves the canary with `keeps`, or, without a
/// `lifetime`, records that the canary has no more than that already.
pub fn step_back(
    deployment: &Deployment,
    look: &WeakLook<'_>,
    keeps: Weight,
    lifetime: Option<Span>,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<((Deployment, StepBack), Vec<RegistryWrite>), Refused> {
    require_rollback(deployment)?;
    let mut stepped = deployment.revised(now, next_due_at);
    if overtaken(deployment, look, now) {
        stepped.intents.remove(look.own);
        let writes = vec![RegistryWrite::PutDeployment(Box::new(stepped.clone()))];
        return Ok(((stepped, StepBack::Overtaken), writes));
    }
    stepped.phase = Phase::RollingBack;
    stepped.health = look.health;
    let needed = stepped.needed();
    let few = Event::SteppingBack { healthy: look.health.healthy, needed, keeps };
    let told = tell(&mut stepped, few, now);
    let step = match lifetime {
        Some(lifetime) => {
            let intent = Intent::new(Purpose::StepBack(keeps), now, lifetime);
            stepped.intents.insert(look.own.clone(), intent.clone());
            if let Some(found) = look.found {
                stepped.progress.overwritten = Some(found.to_owned());
            }
            if let Some(weak) = &mut stepped.progress.weak {
                weak.steps.push(keeps);
            }
            StepBack::Claimed(intent)
        }
        None => {
            stepped.intents.remove(look.own);
            // What was throttled is written.
            stepped.progress.throttled = None;
            StepBack::Kept
        }
    };
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(stepped.clone()))];
    writes.extend(told);
    Ok(((stepped, step), writes))
}

/// Claims that ECS is asked for what stable lacks. It stands beside steps, which wait for no tasks; of two
/// that ask, both ask for the same.
pub fn claim_reinforcement(
    deployment: &Deployment,
    id: &IntentId,
    lifetime: Span,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Intent, Vec<RegistryWrite>), Refused> {
    require_rollback(deployment)?;
    let intent = Intent::new(Purpose::Scale, now, lifetime);
    let mut claimed = deployment.revised(now, next_due_at);
    claimed.intents.insert(id.clone(), intent.clone());
    Ok((intent, vec![RegistryWrite::PutDeployment(Box::new(claimed))]))
}

/// Whether what was read of the routes may be old: somebody has claimed a step since the fence, or
/// one that was claimed before it may have been on its way.
fn overtaken(deployment: &Deployment, look: &WeakLook<'_>, now: Timestamp) -> bool {
    let steps = |deployment: &Deployment| {
        deployment.progress.weak.as_ref().map_or(0, |weak| weak.steps.len())
    };
    // One that was on its way at the fence may have landed since, so its death does not matter. A
    // dead one is gone from the next fence, as whoever is overtaken removes it.
    let others = |deployment: &'_ Deployment, from: Option<Timestamp>| {
        deployment.intents.iter().any(|(id, intent)| {
            id != look.own
                && matches!(intent.purpose, Purpose::StepBack(_))
                && from.is_none_or(|now| intent.lives(now))
        })
    };
    deployment.progress.restored_at != look.fenced.progress.restored_at
        || steps(deployment) != steps(look.fenced)
        || others(look.fenced, None)
        || others(deployment, Some(now))
}

/// Tells of either kind of weakness once, however often stable goes up and down; then reminds
/// whenever the plan's time is over once more.
fn tell(deployment: &mut Deployment, event: Event, now: Timestamp) -> Vec<RegistryWrite> {
    let none = event == Event::RollbackHeld;
    let hold_for = deployment.plan.rollback.hold_for;
    let weak = deployment.progress.weak.get_or_insert(Weakness {
        since: now,
        steps: Vec::new(),
        told_of_none: false,
        told_of_few: false,
        reminders: 0,
    });
    let told = if none { &mut weak.told_of_none } else { &mut weak.told_of_few };
    let first = !std::mem::replace(told, true);
    let waited = now.since(weak.since);
    let due = hold_for.times(u64::from(weak.reminders) + 1);
    let reminds = hold_for > Span::ZERO && waited >= due;
    weak.reminders += u32::from(reminds);
    let mut writes = Vec::new();
    if first {
        // Told with the restored traffic, when it has been overwritten.
        let held_for = deployment.held_for();
        if deployment.progress.overwritten.is_none() {
            deployment.progress.overwritten = held_for;
        }
        deployment.progress.told = Some(event.clone());
        writes.push(notice(deployment, now, event));
    }
    if reminds {
        let healthy = deployment.health.healthy;
        let needed = deployment.needed();
        writes.push(notice(deployment, now, Event::RollbackOverdue { healthy, needed, waited }));
    }
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::protocol::fence;
    use crate::record::{Fence, FenceTrigger};
    use crate::rollback::Forced;
    use crate::time::Span;

    const LIFETIME: Span = Span::from_secs(15);

    /// A deployment whose fence this rollback has closed.
    fn fenced(own: &IntentId, forced_by: Option<String>) -> Deployment {
        let failure = crate::failure::Failure::new(crate::failure::FailureCode::Aborted, "");
        let closing = Fence { trigger: FenceTrigger::Sweep, failure, at: NOW };
        let intent = Intent::new(Purpose::Restore, NOW, LIFETIME).forced_by(forced_by);
        fence(&deployment(), &closing, own, &intent).unwrap()
    }

    fn health() -> RecordedHealth {
        RecordedHealth { healthy: 1, at: NOW, fresh_for: Span::ZERO }
    }

    fn step(current: &Deployment, fenced: &Deployment, own: &IntentId, at: Timestamp) -> StepBack {
        let look = WeakLook { fenced, own, health: health(), found: None };
        let keeps = Weight::from_permille(667).unwrap();
        let stepped = step_back(current, &look, keeps, Some(LIFETIME), at, at);
        stepped.unwrap().0.1
    }

    #[test]
    fn a_step_is_claimed_only_by_whoever_has_read_after_the_one_before() {
        let (first, second) = (IntentId::new("1"), IntentId::new("2"));
        let begun = fenced(&first, None);
        assert!(matches!(step(&begun, &begun, &first, NOW), StepBack::Claimed(_)));

        let look = WeakLook { fenced: &begun, own: &first, health: health(), found: None };
        let keeps = Weight::from_permille(334).unwrap();
        let claimed = step_back(&begun, &look, keeps, Some(LIFETIME), NOW, NOW);
        let ((claimed, _), _) = claimed.unwrap();
        assert_eq!(claimed.intents[&first].purpose, Purpose::StepBack(keeps));
        // One that had fenced before the claim, and one whose fence has seen it on its way.
        assert_eq!(step(&claimed, &begun, &second, NOW), StepBack::Overtaken);
        assert_eq!(step(&claimed, &claimed, &second, NOW), StepBack::Overtaken);
        let later = claimed.intents[&first].dead_at();
        // It may have landed after the routes were read; the next fence knows it no more.
        assert_eq!(step(&claimed, &claimed, &second, later), StepBack::Overtaken);
        let next = claimed.revised(later, later);
        assert!(matches!(step(&next, &next, &second, later), StepBack::Claimed(_)));
    }

    #[test]
    fn what_is_written_is_neither_held_nor_stepped_back() {
        let own = IntentId::new("1");
        let begun = fenced(&own, None);
        let mut restored = begun.clone();
        restored.progress.restored_at = Some(NOW);
        assert_eq!(step(&restored, &begun, &own, NOW), StepBack::Overtaken);
        let look = WeakLook { fenced: &begun, own: &own, health: health(), found: None };
        let (held, _) = hold(&restored, &look, NOW, NOW).unwrap();
        assert_eq!((held.phase, held.notices), (Phase::RollingBack, restored.notices));
        assert!(held.intents.is_empty());
    }

    #[test]
    fn who_forced_it_outlives_the_claim() {
        let own = IntentId::new("1");
        let begun = fenced(&own, Some("ada".to_owned()));
        let look = WeakLook { fenced: &begun, own: &own, health: health(), found: None };
        let (later, _) = hold(&begun, &look, NOW + Span::from_secs(3600), NOW).unwrap();
        assert!(later.intents.is_empty());
        assert_eq!(later.forced(), Some(Forced::Operator("ada".to_owned())));
        assert!(later.is_on_too_few());
    }

    #[test]
    fn stable_is_whole_where_nobody_wanted_less() {
        let begun = fenced(&IntentId::new("1"), None);
        assert!(!begun.is_on_too_few());
        let mut at_once = begun;
        at_once.plan.rollback.weak_stable = WeakStable::AtOnce;
        assert!(at_once.is_on_too_few());
    }
}
