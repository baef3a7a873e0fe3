//! Which states of a route are this deployment's own. Everything else is somebody else's: forward it
//! holds, a rollback overwrites it and says so.

use super::deployment::Deployment;
use crate::notice::Event;
use crate::plan::RoutePlan;
use crate::route::RouteActions;
use crate::weight::Weight;

/// What a rollback knows of what it has overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Overwritten {
    /// Nobody has seen the routes right before the write.
    #[default]
    Unknown,
    /// They were in a state of this deployment's own.
    Nothing,
    /// Somebody else's change, in words.
    Change(String),
}

impl Deployment {
    /// Whether this deployment may have written this state of its route: the first, the last
    /// verified one, the way back, any weight of a stage, and any step back. A hand that sets exactly
    /// a stage's weight cannot be told from it.
    pub fn may_have_written(&self, route: &RoutePlan, observed: &RouteActions) -> bool {
        let verified = || {
            let routes = self.plan.routes.iter().zip(&self.progress.verified);
            routes.into_iter().any(|(own, verified)| own == route && verified == observed)
        };
        let steps = self.progress.weak.iter().flat_map(|weak| weak.steps.iter().copied());
        let stages = self.plan.stages.iter().map(|stage| stage.weight);
        *observed == route.original
            || *observed == route.stable_only()
            || verified()
            || [Weight::NONE]
                .into_iter()
                .chain(stages)
                .chain(steps)
                .any(|weight| *observed == route.at(weight))
    }

    /// What a rollback has overwritten and nobody was told yet.
    pub(super) fn overwritten(&self, seen: &Overwritten) -> Option<String> {
        match seen {
            Overwritten::Change(found) => Some(found.clone()),
            Overwritten::Nothing => self.progress.overwritten.clone(),
            Overwritten::Unknown => self.progress.overwritten.clone().or_else(|| self.held_for()),
        }
    }

    /// Somebody else's change for which the deployment holds.
    pub(super) fn held_for(&self) -> Option<String> {
        match &self.progress.told {
            Some(Event::ForeignChange { found }) => Some(found.clone()),
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::deployment;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_planned_weights_are_ours(permille in 0u16..=1000) {
            let deployment = deployment();
            let route = &deployment.plan.routes[0];
            let weight = Weight::from_permille(permille).unwrap();
            let observed = route.original.with_canary(&route.pair, weight);
            let planned = [0, 50, 125, 500, 1000].contains(&permille);
            prop_assert_eq!(deployment.may_have_written(route, &observed), planned);
        }
    }

    #[test]
    fn a_step_back_is_ours_and_another_setting_is_not() {
        let mut deployment = deployment();
        let route = deployment.plan.routes[0].clone();
        let step = Weight::from_permille(334).unwrap();
        let stepped = route.original.with_canary(&route.pair, step);
        assert!(!deployment.may_have_written(&route, &stepped));
        deployment.progress.weak = Some(crate::protocol::Weakness {
            since: crate::fixtures::NOW,
            steps: vec![step],
            told_of_none: false,
            told_of_few: true,
            reminders: 0,
        });
        assert!(deployment.may_have_written(&route, &stepped));
        let mut reordered = route.original.clone();
        reordered.0[0].order = Some(7);
        assert!(!deployment.may_have_written(&route, &reordered));
    }
}
