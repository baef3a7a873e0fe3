//! Which states of a route are this deployment's own. Everything else is somebody else's: forward it
//! holds, a rollback overwrites it and says so.

use crate::plan::RoutePlan;
use crate::record::{Deployment, Event, Phase, Step};
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

/// What a rollback has seen of the routes, in the plan's order. Nothing may stand between the fence and the
/// write, so they are read beside it, and what was seen is judged afterwards.
#[derive(Clone, Debug)]
pub enum SeenRoutes {
    /// Before the write began.
    Before(Vec<Option<RouteActions>>),
    /// Beside the write: before or after it, nobody knows.
    Beside(Vec<Option<RouteActions>>),
    /// Nothing was seen in time.
    Nothing,
}

/// What can be said of what a rollback has overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overwrites {
    /// This.
    Known(Overwritten),
    /// This change, in words, if everything reads as written now: one that was seen beside the write may have
    /// come after it.
    IfWritten(String),
}

/// Whose state of a route is found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Ours,
    Theirs,
}

impl Deployment {
    /// Whose this state of a route is: the one rule, forward, back and at the commit. Ours is what was
    /// verified last; what this deployment may have written since without having recorded it, because
    /// an answer or the record was lost; and, once it rolls back, every state on the way back. A hand
    /// that sets exactly such a state cannot be told from it.
    pub fn whose(&self, route: &RoutePlan, observed: &RouteActions) -> Whose {
        let verified = || {
            let routes = self.plan.routes.iter().zip(&self.progress.verified);
            routes.into_iter().any(|(own, verified)| own == route && verified == observed)
        };
        let share = |weight| *observed == route.at(weight);
        let ours = verified() || self.unrecorded().any(share) || self.back(route, observed);
        if ours { Whose::Ours } else { Whose::Theirs }
    }

    /// What somebody else has changed, in words; `None` if every route is in a state of ours. A route that
    /// is gone cannot be shifted any more, and there is nothing for a rollback to overwrite.
    pub fn foreign(&self, observed: &[Option<RouteActions>]) -> Option<String> {
        let gone = |route: &RoutePlan| match self.phase {
            Phase::Open | Phase::Committed | Phase::Closed(_) => {
                Some(format!("{} is gone or cannot be shifted any more", route.route))
            }
            Phase::RollingBack | Phase::Held => None,
        };
        let routes = self.plan.routes.iter().zip(&self.progress.verified).zip(observed);
        let changed: Vec<_> = routes
            .filter_map(|((route, verified), observed)| {
                let Some(observed) = observed else { return gone(route) };
                match self.whose(route, observed) {
                    Whose::Ours => None,
                    Whose::Theirs => Some(describe(route, verified, observed)),
                }
            })
            .collect();
        (!changed.is_empty()).then(|| changed.join("; "))
    }

    /// What was overwritten by a rollback that has seen this, as far as it can be said truly.
    pub fn overwrites(&self, seen: &SeenRoutes) -> Overwrites {
        let (observed, before) = match seen {
            SeenRoutes::Before(observed) => (observed, true),
            SeenRoutes::Beside(observed) => (observed, false),
            SeenRoutes::Nothing => return Overwrites::Known(Overwritten::Unknown),
        };
        match self.foreign(observed) {
            Some(found) if before => Overwrites::Known(Overwritten::Change(found)),
            Some(found) => Overwrites::IfWritten(found),
            None => {
                // What reads as written may have been read after the write, and says nothing.
                let old = |(route, seen): (&RoutePlan, &Option<RouteActions>)| {
                    seen.as_ref().is_some_and(|seen| *seen != route.stable_only())
                };
                let seen_before = before || self.plan.routes.iter().zip(observed).all(old);
                Overwrites::Known(if seen_before {
                    Overwritten::Nothing
                } else {
                    Overwritten::Unknown
                })
            }
        }
    }

    /// Whether every route reads back as a rollback writes it.
    pub fn is_written_back(&self, observed: &[Option<RouteActions>]) -> bool {
        let stable: Vec<_> = self.plan.routes.iter().map(RoutePlan::stable_only).collect();
        reads_back(observed, &stable)
    }

    /// Routes that give the canary more than this, or have been made into something else, each with
    /// the actions that give it this. A route that is gone gives it nothing.
    pub fn above(
        &self,
        observed: &[Option<RouteActions>],
        keeps: Weight,
    ) -> Vec<(&RoutePlan, RouteActions)> {
        let routes = self.plan.routes.iter().zip(observed);
        let above = routes.filter_map(|(route, observed)| {
            let share = observed.as_ref()?.canary_share(&route.pair);
            let more = share.map_or(true, |share| share > keeps);
            more.then(|| (route, route.at(keeps)))
        });
        above.collect()
    }

    /// Shares that may have been written and are not recorded yet.
    fn unrecorded(&self) -> impl Iterator<Item = Weight> {
        let stage = self.plan.stage(self.progress.stage).map(|stage| stage.weight);
        let shifts = match self.progress.step {
            Step::Settling { approved, .. } => stage.filter(|_| approved),
            Step::Approving { .. } | Step::Baking { .. } => None,
        };
        // Until the first shift the canary's group may have been attached, so that its targets are
        // health-checked.
        let attached = self.progress.shifted_at.is_none().then_some(Weight::NONE);
        shifts.into_iter().chain(attached)
    }

    /// Whether a shift to this weight has been written on some route and is not recorded.
    pub(super) fn is_begun(&self, observed: &[Option<RouteActions>], weight: Weight) -> bool {
        let routes = self.plan.routes.iter().zip(&self.progress.verified).zip(observed);
        let mut routes = routes.filter_map(|((route, verified), observed)| {
            Some((route, verified, observed.as_ref()?))
        });
        routes.any(|(route, verified, observed)| {
            observed != verified && *observed == route.at(weight)
        })
    }

    /// Whether it is a state that a rollback writes.
    fn back(&self, route: &RoutePlan, observed: &RouteActions) -> bool {
        let steps = || self.progress.weak.iter().flat_map(|weak| weak.steps.iter().copied());
        match self.phase {
            Phase::RollingBack | Phase::Held => {
                *observed == route.original
                    || *observed == route.stable_only()
                    || [Weight::NONE]
                        .into_iter()
                        .chain(steps())
                        .any(|weight| *observed == route.at(weight))
            }
            Phase::Open | Phase::Committed | Phase::Closed(_) => false,
        }
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

/// Whether every route reads back as it was written.
pub fn reads_back(observed: &[Option<RouteActions>], written: &[RouteActions]) -> bool {
    observed.iter().map(Option::as_ref).eq(written.iter().map(Some))
}

fn describe(route: &RoutePlan, verified: &RouteActions, observed: &RouteActions) -> String {
    let share = |actions: &RouteActions| {
        actions
            .canary_share(&route.pair)
            .map_or_else(|error| error.to_string(), |share| format!("canary at {share}"))
    };
    let (before, now) = (share(verified), share(observed));
    if before == now {
        format!("{} has other settings than before (weights unchanged: {now})", route.route)
    } else {
        format!("{}: {now}, where this deployment had left {before}", route.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::plan::StageIndex;
    use proptest::prelude::*;

    /// At the first stage (5 %) of 5, 12.5, 50 and 100 %, under watch.
    fn baking() -> Deployment {
        let mut deployment = deployment();
        let route = deployment.plan.routes[0].clone();
        let weight = deployment.plan.stages[0].weight;
        deployment.progress.verified = vec![route.original.with_canary(&route.pair, weight)];
        deployment.progress.step = Step::Baking { since: NOW, promoted: None };
        deployment.progress.shifted_at = Some(NOW);
        deployment
    }

    fn settling(approved: bool) -> Deployment {
        let mut deployment = baking();
        deployment.progress.stage = StageIndex(1);
        deployment.progress.step = Step::Settling { since: NOW, approved };
        deployment
    }

    fn rolling_back(mut deployment: Deployment) -> Deployment {
        deployment.phase = Phase::RollingBack;
        deployment
    }

    fn is_ours(deployment: &Deployment, permille: u16) -> bool {
        let route = &deployment.plan.routes[0];
        let weight = Weight::from_permille(permille).unwrap();
        let observed = route.original.with_canary(&route.pair, weight);
        deployment.whose(route, &observed) == Whose::Ours
    }

    proptest! {
        #[test]
        fn only_what_may_have_been_written_is_ours(permille in 0u16..=1000) {
            let check = |deployment: &Deployment, ours: &[u16]| {
                (is_ours(deployment, permille), ours.contains(&permille))
            };
            for (deployment, forward, back) in [
                // The first shift may be under way, or the attach before it.
                (deployment(), &[0, 50][..], &[0, 50][..]),
                (baking(), &[50], &[0, 50]),
                // Nobody has allowed the next weight yet.
                (settling(false), &[50], &[0, 50]),
                (settling(true), &[50, 125], &[0, 50, 125]),
            ] {
                let (found, expected) = check(&deployment, forward);
                prop_assert_eq!(found, expected, "forward from {:?}", deployment.progress.step);
                let (found, expected) = check(&rolling_back(deployment.clone()), back);
                prop_assert_eq!(found, expected, "back from {:?}", deployment.progress.step);
            }
        }
    }

    #[test]
    fn a_route_that_is_gone_or_has_other_actions_does_not_read_back() {
        let deployment = baking();
        let written = vec![deployment.plan.routes[0].stable_only()];
        assert!(reads_back(&[Some(written[0].clone())], &written));
        assert!(!reads_back(&[None], &written));
        assert!(!reads_back(&[], &written));
        assert!(!reads_back(&[Some(deployment.progress.verified[0].clone())], &written));
    }

    proptest! {
        #[test]
        fn a_step_is_written_where_the_canary_has_more(permille in 0u16..=1000, keeps in 0u16..=1000) {
            let deployment = rolling_back(baking());
            let route = &deployment.plan.routes[0];
            let weight = |permille| Weight::from_permille(permille).unwrap();
            let observed = route.original.with_canary(&route.pair, weight(permille));
            let above = deployment.above(&[Some(observed)], weight(keeps));
            let expected = (permille > keeps).then(|| (route, route.at(weight(keeps))));
            prop_assert_eq!(above, Vec::from_iter(expected));
            prop_assert_eq!(deployment.above(&[None], weight(keeps)), vec![]);
        }

        #[test]
        fn only_what_was_seen_before_the_write_is_said_to_be_overwritten(permille in 0u16..=1000) {
            let deployment = rolling_back(baking());
            let route = &deployment.plan.routes[0];
            let share = Weight::from_permille(permille).unwrap();
            let observed = vec![Some(route.original.with_canary(&route.pair, share))];
            let found = deployment.foreign(&observed);
            let back = deployment.is_written_back(&observed);
            let known = |before| match (&found, before) {
                (Some(found), true) => {
                    Overwrites::Known(Overwritten::Change(found.clone()))
                }
                (Some(found), false) => Overwrites::IfWritten(found.clone()),
                // It may have been read after the write.
                (None, false) if back => Overwrites::Known(Overwritten::Unknown),
                (None, _) => Overwrites::Known(Overwritten::Nothing),
            };
            let before = SeenRoutes::Before(observed.clone());
            prop_assert_eq!(deployment.overwrites(&before), known(true));
            let beside = SeenRoutes::Beside(observed);
            prop_assert_eq!(deployment.overwrites(&beside), known(false));
            let nothing = deployment.overwrites(&SeenRoutes::Nothing);
            prop_assert_eq!(nothing, Overwrites::Known(Overwritten::Unknown));
        }
    }

    #[test]
    fn a_step_back_is_ours_and_another_setting_is_not() {
        let mut deployment = rolling_back(baking());
        assert!(!is_ours(&deployment, 334));
        deployment.progress.weak = Some(crate::record::Weakness {
            since: NOW,
            steps: vec![Weight::from_permille(334).unwrap()],
            told_of_none: false,
            told_of_few: true,
            reminders: 0,
        });
        assert!(is_ours(&deployment, 334));
        let route = &deployment.plan.routes[0];
        let mut reordered = route.original.clone();
        reordered.0[0].order = Some(7);
        assert_eq!(deployment.whose(route, &reordered), Whose::Theirs);
    }
}
