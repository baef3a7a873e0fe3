//! Transitions of a rollback. The fence itself is one update, so that the route can follow in the
//! second round trip; the registry's adapter writes it as such, with the condition of [`fence`].

use super::ours::Overwritten;
use super::refused::Refused;
use super::release::{release_locks, unbind};
use super::telling::notice;
use super::write::RegistryWrite;
use crate::failure::Failure;
use crate::ids::IntentId;
use crate::record::{
    AlarmItem, Deployment, Event, Fence, Intent, Outcome, Phase, Purpose, RecordedHealth, Throttled,
};
use crate::rollback::Forced;
use crate::route::RouteRef;
use crate::storm::look_back;
use crate::time::{Span, Timestamp};

/// Closes the fence of a deployment and registers the rollback's intent. The first reason stays.
/// `None` if the deployment has committed or ended: then nothing is written.
#[must_use]
pub fn fence(
    deployment: &Deployment,
    fence: &Fence,
    id: &IntentId,
    intent: &Intent,
) -> Option<Deployment> {
    match deployment.phase {
        Phase::Open | Phase::RollingBack | Phase::Held => {}
        Phase::Committed | Phase::Closed(_) => return None,
    }
    let mut fenced = deployment.clone();
    fenced.revision = fenced.revision.next();
    fenced.phase = Phase::RollingBack;
    fenced.fence.get_or_insert_with(|| fence.clone());
    fenced.intents.insert(id.clone(), intent.clone());
    Some(fenced)
}

/// Whether a write towards stable is still this deployment's to make. Held: traffic must stay.
pub fn may_restore(deployment: &Deployment) -> bool {
    match deployment.phase {
        Phase::RollingBack => true,
        Phase::Open | Phase::Held | Phase::Committed | Phase::Closed(_) => false,
    }
}

/// How everything was written back.
#[derive(Clone, Debug, Default)]
pub struct Restored<'a> {
    /// An intent of the deployment that is done: its every attempt was answered.
    pub own: Option<&'a IntentId>,
    /// What is known of somebody else's changes.
    pub overwritten: Overwritten,
    /// Whose decision it was, if nobody waited for stable.
    pub forced: Option<Forced>,
}

/// Records that everything was written back to stable, also where another rollback has found that
/// stable is sick and holds: what is written is written.
pub fn restored(
    deployment: &Deployment,
    written: &Restored<'_>,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    require_rollback(deployment)?;
    let mut restored = deployment.revised(now, next_due_at);
    restored.phase = Phase::RollingBack;
    restored.progress.throttled = None;
    if let Some(own) = written.own {
        restored.intents.remove(own);
    }
    if restored.progress.forced.is_none() {
        restored.progress.forced.clone_from(&written.forced);
    }
    let overwritten = deployment.overwritten(&written.overwritten);
    restored.progress.overwritten = None;
    // Once, and again for every change of somebody else's that comes later.
    let told_before = match &deployment.progress.told {
        Some(Event::TrafficRestored { overwritten: told, .. }) => *told == overwritten,
        Some(_) | None => overwritten.is_none(),
    };
    let tells = restored.progress.restored_at.is_none() || overwritten.is_some() && !told_before;
    restored.progress.restored_at.get_or_insert(now);
    let mut told = None;
    if let Some(fence) = deployment.fence.as_ref().filter(|_| tells) {
        let failure = fence.failure.clone();
        let forced = restored.progress.forced.clone();
        let event = Event::TrafficRestored { failure, overwritten, forced };
        restored.progress.told = Some(event.clone());
        told = Some(notice(&mut restored, now, event));
    }
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(restored.clone()))];
    writes.extend(told);
    Ok((restored, writes))
}

/// A look at stable while a rollback waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// An earlier one still vouches for it.
    NotNeeded,
    /// It could not be read.
    NoAnswer,
    Seen(RecordedHealth),
}

/// What a rollback leaves because the load balancer's API refuses it for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    pub routes: Vec<RouteRef>,
    /// When the state machine tries again.
    pub again_at: Timestamp,
    /// At stable, made now because the next attempt must not wait for one.
    pub look: Look,
}

/// Records what is left of a rollback, and until when: until then nothing of it runs, so that a storm
/// holds neither functions nor claims. `own` is an intent whose every attempt was answered.
pub fn put_off(
    deployment: &Deployment,
    own: Option<&IntentId>,
    unwritten: Unwritten,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    require_rollback(deployment)?;
    let Unwritten { routes: left, again_at, look } = unwritten;
    let mut put_off = deployment.revised(now, next_due_at);
    if let Some(own) = own {
        put_off.intents.remove(own);
    }
    let earlier = put_off.progress.throttled.take();
    let since = earlier.as_ref().map_or(now, |earlier| earlier.since);
    let looked_before = earlier.and_then(|earlier| earlier.looked_at);
    let looked_at = match look {
        Look::NotNeeded => looked_before,
        Look::NoAnswer => Some(now),
        Look::Seen(health) => {
            put_off.health = health;
            Some(now)
        }
    };
    put_off.progress.throttled = Some(Throttled { since, again_at, looked_at, left });
    let writes = vec![RegistryWrite::PutDeployment(Box::new(put_off.clone()))];
    Ok((put_off, writes))
}

/// Throttled for less than this, a rollback leaves the load balancer no pause.
const SHORT: Span = Span::from_secs(15);

impl Deployment {
    /// How long the state machine has to stay away still, if a rollback was put off for longer.
    pub fn still_off(&self, now: Timestamp) -> Option<Span> {
        let throttled = self.progress.throttled.as_ref()?;
        (now < throttled.again_at).then(|| throttled.again_at.since(now))
    }

    /// How long a rollback whose write was taken leaves the load balancer alone; not at all if it did
    /// not have to wait long, or if somebody else's write may still land on its routes. `random` is any number.
    pub fn rests(&self, own: &IntentId, now: Timestamp, random: impl FnOnce() -> u64) -> Span {
        let Some(throttled) = &self.progress.throttled else { return Span::ZERO };
        let waited = now.since(throttled.since);
        let mut others = self.intents.iter().filter(|(id, _)| *id != own);
        if waited < SHORT || others.any(|(_, intent)| intent.lives(now)) {
            return Span::ZERO;
        }
        look_back(waited, random())
    }
}

/// Nobody is left to carry this rollback on: the sweep comes for it as soon as it can go on, not only
/// when it is overdue.
pub fn leave_to_sweep(
    deployment: &Deployment,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<((), Vec<RegistryWrite>), Refused> {
    require_rollback(deployment)?;
    let left = deployment.revised(now, next_due_at);
    Ok(((), vec![RegistryWrite::PutDeployment(Box::new(left))]))
}

/// Claims the write that takes the canary's tasks away; only after everything was written back
/// and nothing that could send requests there may still land.
pub fn claim_scale_in(
    deployment: &Deployment,
    id: &IntentId,
    lifetime: Span,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Intent, Vec<RegistryWrite>), Refused> {
    require_rolling_back(deployment)?;
    deployment.require_idle(now)?;
    let intent = Intent::new(Purpose::ScaleIn, now, lifetime);
    let mut claimed = deployment.revised(now, next_due_at);
    claimed.intents.insert(id.clone(), intent.clone());
    Ok((intent, vec![RegistryWrite::PutDeployment(Box::new(claimed))]))
}

pub(super) fn require_rollback(deployment: &Deployment) -> Result<(), Refused> {
    match deployment.phase {
        Phase::RollingBack | Phase::Held => Ok(()),
        Phase::Open | Phase::Committed | Phase::Closed(_) => {
            Err(Refused::NotOpen(deployment.phase))
        }
    }
}

fn require_rolling_back(deployment: &Deployment) -> Result<(), Refused> {
    if may_restore(deployment) { Ok(()) } else { Err(Refused::NotOpen(deployment.phase)) }
}

/// The end of a rollback: bindings gone, locks free, the one terminal notice written. Refused
/// while any write of the deployment, or of a rollback through one of its alarms, may still land.
///
/// `alarms` are the deployment's bound alarms as read after the routes were last read back.
pub fn close(
    deployment: &Deployment,
    alarms: &[AlarmItem],
    failure: Failure,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    let terminal = match (deployment.phase, outcome) {
        (Phase::RollingBack, Outcome::RolledBack) => Event::RolledBack { failure },
        // Nothing was written to the world, so nothing has to be restored.
        (Phase::Open, Outcome::Abandoned) => Event::Abandoned { failure },
        (
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_),
            Outcome::Succeeded | Outcome::RolledBack | Outcome::Abandoned,
        ) => return Err(Refused::NotOpen(deployment.phase)),
    };
    deployment.require_idle(now)?;
    if let Some(until) = alarms.iter().filter_map(|alarm| alarm.all_dead_at(now)).max() {
        return Err(Refused::Busy { until });
    }
    let mut closed = deployment.revised(now, now);
    closed.phase = Phase::Closed(outcome);
    closed.gate = None;
    closed.begin_validation(outcome, now);
    let told = notice(&mut closed, now, terminal);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(closed.clone())), told];
    writes.extend(unbind(deployment, alarms, now));
    writes.extend(release_locks(deployment, outcome, now));
    Ok((closed, writes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::harm::{Harm, RequestsPerMinute};
    use crate::record::{FenceTrigger, Revision};
    use crate::storm::VOUCHED_FOR;
    use crate::weight::Weight;

    const MINUTE: Span = Span::from_secs(60);

    /// A rollback with a claim of its own.
    fn rolling_back() -> (Deployment, IntentId) {
        let own = IntentId::new("own");
        let closing = Fence {
            trigger: FenceTrigger::StateMachine,
            failure: Failure::new(crate::failure::FailureCode::AlarmFired, "crossed"),
            at: NOW,
        };
        let intent = Intent::new(Purpose::Restore, NOW, MINUTE);
        (fence(&deployment(), &closing, &own, &intent).unwrap(), own)
    }

    fn put_off_at(deployment: &Deployment, own: Option<&IntentId>, now: Timestamp) -> Deployment {
        let routes = vec![deployment.plan.routes[0].route.clone()];
        let unwritten = Unwritten { routes, again_at: now + MINUTE, look: Look::NotNeeded };
        let (put_off, writes) = put_off(deployment, own, unwritten, now, now).unwrap();
        let put = RegistryWrite::PutDeployment(Box::new(put_off.clone()));
        assert_eq!(writes, [put]);
        put_off
    }

    #[test]
    fn a_rollback_that_is_put_off_leaves_no_claim_and_remembers_since_when() {
        let (fenced, own) = rolling_back();
        let first = put_off_at(&fenced, Some(&own), NOW);
        assert!(first.intents.is_empty());
        assert_eq!(first.revision, Revision(fenced.revision.0 + 1));
        let second = put_off_at(&first, None, NOW + MINUTE);
        let throttled = second.progress.throttled.clone().unwrap();
        assert_eq!((throttled.since, throttled.again_at), (NOW, NOW + MINUTE.times(2)));
        assert_eq!(second.left(), second.plan.routes);

        let overwritten = Overwritten::Unknown;
        let written = Restored { own: None, overwritten, forced: None };
        let (restored, _) = restored(&second, &written, NOW, NOW).unwrap();
        assert_eq!(restored.progress.throttled, None);
    }

    #[test]
    fn a_rollback_stays_away_until_its_time_and_rests_after_a_storm() {
        let (fenced, own) = rolling_back();
        assert_eq!(fenced.still_off(NOW), None);
        assert_eq!(fenced.rests(&own, NOW, || 0), Span::ZERO);
        let put_off = put_off_at(&fenced, None, NOW);
        assert_eq!(put_off.still_off(NOW), Some(MINUTE));
        assert_eq!(put_off.still_off(NOW + MINUTE), None);
        let short = NOW + SHORT.minus(Span::from_millis(1));
        assert_eq!(put_off.rests(&own, short, || 0), Span::ZERO);
        assert_eq!(put_off.rests(&own, NOW + SHORT, || 0), SHORT);
        // The write of somebody else must land first.
        let other = IntentId::new("other");
        assert_eq!(put_off.rests(&other, NOW + SHORT, || 0), Span::ZERO);
    }

    #[test]
    fn a_claim_with_an_unanswered_attempt_lives_on() {
        let (fenced, own) = rolling_back();
        let put_off = put_off_at(&fenced, None, NOW);
        assert!(put_off.intents.contains_key(&own));
    }

    #[test]
    fn only_a_rollback_can_be_put_off() {
        let unwritten = Unwritten { routes: Vec::new(), again_at: NOW, look: Look::NotNeeded };
        let refused = put_off(&deployment(), None, unwritten, NOW, NOW).unwrap_err();
        assert_eq!(refused, Refused::NotOpen(Phase::Open));
    }

    #[test]
    fn a_look_vouches_longer_while_it_is_throttled_and_not_for_ever() {
        let (fenced, own) = rolling_back();
        let later = NOW + VOUCHED_FOR;
        assert!(!fenced.vouching().vouches(3, later));
        let throttled = put_off_at(&fenced, Some(&own), NOW);
        assert!(throttled.vouching().vouches(3, later));
        assert!(!throttled.vouching().vouches(3, later.just_after()));
        assert!(!throttled.vouching().vouches(4, NOW), "too few are too few");
        let none = RecordedHealth { healthy: 0, ..throttled.vouching() };
        assert!(none.is_fresh(NOW) && !none.vouches(0, NOW), "nothing takes nothing");
        let unwritten = Unwritten { routes: Vec::new(), again_at: later, look: Look::NoAnswer };
        let (unanswered, _) = put_off(&throttled, None, unwritten, later, later).unwrap();
        assert!(unanswered.vouching().vouches(3, later + MINUTE));
    }

    #[test]
    fn the_harm_counts_a_shift_that_is_being_written() {
        let mut shifting = deployment();
        shifting.traffic = Some(RequestsPerMinute(1_000));
        assert_eq!(shifting.harm(), Harm::NONE);
        let quarter = Weight::from_permille(250).unwrap();
        let intent = Intent::new(Purpose::Shift(quarter), NOW, MINUTE);
        shifting.intents.insert(IntentId::new("shift"), intent);
        assert_eq!(shifting.harm().requests_per_minute(), 250);
    }

    #[test]
    fn what_was_written_before_storms_were_known_is_still_read() {
        let mut old = serde_json::to_value(deployment()).unwrap();
        old.as_object_mut().unwrap().remove("traffic");
        old["progress"].as_object_mut().unwrap().remove("throttled");
        assert_eq!(serde_json::from_value::<Deployment>(old).unwrap(), deployment());
    }
}
