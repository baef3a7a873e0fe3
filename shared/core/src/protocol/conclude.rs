//! The rest of a rollback once everything is written back: what it still waits for before the canary's
//! tasks may go and the deployment ends.

use crate::record::{AlarmItem, Deployment, all_dead_at};
use crate::route::RouteActions;
use crate::time::Timestamp;

impl Deployment {
    /// From this instant on nobody's claimed write can land any more, through this deployment or one of its
    /// alarms; `None` if that is now. Before, the last read-back means nothing.
    pub fn may_land_until(&self, alarms: &[AlarmItem], now: Timestamp) -> Option<Timestamp> {
        let own = all_dead_at(self.intents.values(), now);
        own.into_iter().chain(alarms.iter().filter_map(|alarm| alarm.all_dead_at(now))).max()
    }

    /// Whether a route is not as the rollback wrote it. One that is gone carries nothing to the canary.
    pub fn is_astray(&self, observed: &[Option<RouteActions>]) -> bool {
        self.plan.routes.iter().zip(observed).any(|(route, observed)| {
            observed.as_ref().is_some_and(|observed| !route.is_back(observed))
        })
    }

    /// Until when the canary's tasks answer the requests that had reached them; `None` if that is over, or
    /// none ever did.
    pub fn drains_until(&self, now: Timestamp) -> Option<Timestamp> {
        let restored_at = self.progress.restored_at.unwrap_or(now);
        let drained_at = restored_at + self.plan.scale_in_delay;
        (self.progress.shifted_at.is_some() && now < drained_at).then_some(drained_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::ids::{AlarmArn, IntentId};
    use crate::record::{Intent, Purpose};
    use crate::time::Span;
    use crate::weight::Weight;

    #[test]
    fn the_last_write_that_may_land_counts_whoever_claimed_it() {
        let mut deployment = deployment();
        deployment.intents.clear();
        assert_eq!(deployment.may_land_until(&[], NOW), None);
        let claim = |seconds| Intent::new(Purpose::Restore, NOW, Span::from_secs(seconds));
        deployment.intents.insert(IntentId::new("own"), claim(10));
        let mut alarm = AlarmItem::unknown(AlarmArn::new("arn:alarm"));
        alarm.intents.insert(IntentId::new("other"), claim(60));
        let last = alarm.intents[&IntentId::new("other")].dead_at();
        assert_eq!(deployment.may_land_until(&[alarm.clone()], NOW), Some(last));
        assert_eq!(deployment.may_land_until(&[alarm], last), None);
    }

    #[test]
    fn what_has_reached_the_canary_is_answered_before_its_tasks_go() {
        let mut deployment = deployment();
        deployment.progress.restored_at = Some(NOW);
        assert_eq!(deployment.drains_until(NOW), None);
        deployment.progress.shifted_at = Some(NOW);
        let drained = NOW + deployment.plan.scale_in_delay;
        assert_eq!(deployment.drains_until(NOW), Some(drained));
        assert_eq!(deployment.drains_until(drained), None);
    }

    #[test]
    fn a_route_with_any_weight_on_the_canary_is_astray_and_one_that_is_gone_is_not() {
        let deployment = deployment();
        let route = &deployment.plan.routes[0];
        let routes = deployment.plan.routes.len();
        let all = |actions: &RouteActions| vec![Some(actions.clone()); routes];
        assert!(!deployment.is_astray(&vec![None; routes]));
        assert!(!deployment.is_astray(&all(&route.stable_only())[..1]));
        assert!(deployment.is_astray(&all(&route.at(Weight::from_permille(1).unwrap()))[..1]));
    }
}
