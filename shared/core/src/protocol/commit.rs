//! The end of a success. After the commit alarms change nothing, and a deployment that nobody
//! carries is completed forward, never rolled back onto a slot that is being retired.

use super::ours::reads_back;
use super::refused::Refused;
use super::release::{release_locks, unbind};
use super::telling::notice;
use super::write::RegistryWrite;
use crate::failure::{Failure, FailureCode};
use crate::ids::IntentId;
use crate::pace::tick;
use crate::record::{AlarmItem, Deployment, Event, Intent, Outcome, Phase, Purpose, Retirement};
use crate::route::RouteActions;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

/// Commits: requires what a forward write requires, and that nothing of anybody may still land.
///
/// `alarms` are the deployment's bound alarms as they were read.
pub fn commit(
    deployment: &Deployment,
    alarms: &[AlarmItem],
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    deployment.require_open()?;
    if let Some(pause) = &deployment.progress.paused {
        return Err(Refused::Paused(pause.in_words()));
    }
    deployment.require_idle(now)?;
    if let Some(alarm) = alarms.iter().find(|alarm| !alarm.quiet_since(deployment.started_at)) {
        return Err(Refused::Fired(alarm.arn.clone()));
    }
    if let Some(until) = alarms.iter().filter_map(|alarm| alarm.all_dead_at(now)).max() {
        return Err(Refused::Busy { until });
    }
    let mut committed = deployment.revised(now, next_due_at);
    committed.phase = Phase::Committed;
    committed.gate = None;
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(committed.clone()))];
    // The condition of each is the alarm's revision, which a firing would have changed.
    writes.extend(unbind(deployment, alarms, now));
    Ok((committed, writes))
}

/// Why a deployment may not commit, by what its routes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfitting {
    /// Somebody else has changed one, or a rollback has since.
    Foreign(Failure),
    /// Stable still carries weight.
    Shared(Failure),
}

impl Deployment {
    /// Whether the last read-back lets it commit: every route is its own, and sends everything to the canary.
    pub fn fits(&self, observed: &[Option<RouteActions>]) -> Result<(), Unfitting> {
        if let Some(found) = self.foreign(observed) {
            let cause = format!("somebody else changed a route before the commit: {found}");
            return Err(Unfitting::Foreign(Failure::new(FailureCode::RouteChanged, cause)));
        }
        let mut routes = self.plan.routes.iter().zip(observed);
        let shared = routes.find(|(route, observed)| {
            !reads_back(std::slice::from_ref(*observed), &[route.at(Weight::ALL)])
        });
        let Some((route, _)) = shared else { return Ok(()) };
        let cause = format!("{} does not send everything to the canary", route.route);
        Err(Unfitting::Shared(Failure::new(FailureCode::Unexpected, cause)))
    }

    /// How long it bakes on before it commits, if it must: where the new version would be scaled in by what its
    /// alarms say of the time before it had the traffic. After the commit, with the way back and the alarms
    /// gone, would be too late to wait.
    pub fn catches_up(&self, now: Timestamp) -> Option<Span> {
        let held = self.progress.scaling.canary.pin.is_some();
        let from = self.scales_in_from(now).filter(|_| held)?;
        Some(from.since(now).max(Span::from_secs(1)).min(tick(self, now)))
    }

    /// Whether a route has to be handed over once it has committed.
    pub fn detaches(&self) -> bool {
        self.plan.routes.iter().any(|route| route.original.sticky())
    }
}

/// Claims the write that removes the old slot's group from sticky routes.
pub fn claim_detach(
    deployment: &Deployment,
    id: &IntentId,
    lifetime: Span,
    now: Timestamp,
    next_due_at: Timestamp,
) -> Result<(Intent, Vec<RegistryWrite>), Refused> {
    require_committed(deployment)?;
    deployment.require_idle(now)?;
    let intent = Intent::new(Purpose::Detach, now, lifetime);
    let mut claimed = deployment.revised(now, next_due_at);
    claimed.intents.insert(id.clone(), intent.clone());
    Ok((intent, vec![RegistryWrite::PutDeployment(Box::new(claimed))]))
}

fn require_committed(deployment: &Deployment) -> Result<(), Refused> {
    match deployment.phase {
        Phase::Committed => Ok(()),
        Phase::Open | Phase::RollingBack | Phase::Held | Phase::Closed(_) => {
            Err(Refused::NotOpen(deployment.phase))
        }
    }
}

/// Unlocks a committed deployment: the old slot's retirement becomes due, the one terminal notice
/// is written.
pub fn finish(
    deployment: &Deployment,
    retirement: Retirement,
    now: Timestamp,
) -> Result<(Deployment, Vec<RegistryWrite>), Refused> {
    require_committed(deployment)?;
    deployment.require_idle(now)?;
    let mut finished = deployment.revised(now, now);
    finished.phase = Phase::Closed(Outcome::Succeeded);
    finished.begin_validation(Outcome::Succeeded, now);
    let told = notice(&mut finished, now, Event::Succeeded);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(finished.clone())), told];
    writes.push(RegistryWrite::CreateRetirement(Box::new(retirement)));
    writes.extend(release_locks(deployment, Outcome::Succeeded, now));
    Ok((finished, writes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::plan::StageIndex;
    use crate::record::Step;
    use proptest::prelude::*;

    /// At its last stage, with everything on the canary.
    fn baked() -> Deployment {
        let mut deployment = deployment();
        let route = deployment.plan.routes[0].clone();
        deployment.progress.stage = StageIndex(deployment.plan.stages.len() - 1);
        deployment.progress.step = Step::Baking { since: NOW, promoted: None };
        deployment.progress.shifted_at = Some(NOW);
        deployment.progress.verified = vec![route.at(Weight::ALL)];
        deployment
    }

    proptest! {
        #[test]
        fn only_what_is_ours_and_whole_is_committed(verified in 0u16..=1000, found in 0u16..=1000) {
            let mut deployment = baked();
            let route = deployment.plan.routes[0].clone();
            let at = |permille| route.at(Weight::from_permille(permille).unwrap());
            deployment.progress.verified = vec![at(verified)];
            let fits = deployment.fits(&[Some(at(found))]);
            prop_assert_eq!(fits.is_ok(), verified == 1000 && found == 1000);
            let foreign = matches!(fits, Err(Unfitting::Foreign(_)));
            prop_assert_eq!(foreign, verified != found);
        }
    }

    #[test]
    fn a_route_that_is_gone_is_not_committed() {
        let deployment = baked();
        let all = vec![Some(deployment.plan.routes[0].at(Weight::ALL))];
        assert_eq!(deployment.fits(&all), Ok(()));
        let Err(Unfitting::Foreign(failure)) = deployment.fits(&[None]) else {
            panic!("it was committed");
        };
        assert_eq!(failure.code, FailureCode::RouteChanged);
    }
}
