//! The rest of a rollback once everything is written back: what it still waits for before the canary's
//! tasks may go and the deployment ends.

use super::scaling::Goal;
use crate::plan::RoutePlan;
use crate::record::{AlarmItem, Deployment, all_dead_at};
use crate::route::RouteActions;
use crate::time::Timestamp;
use crate::world::{EcsService, FoundRoute};

impl RoutePlan {
    /// Whether what is found there leads to the canary. One that is gone leads nowhere; of what Glidepath cannot
    /// write back it is not known.
    pub fn leads_to_canary(&self, found: &FoundRoute) -> Option<bool> {
        match found {
            FoundRoute::Found { actions, .. } => Some(!self.is_back(actions)),
            FoundRoute::Missing => Some(false),
            FoundRoute::DefaultRule | FoundRoute::Unsupported(_) => None,
        }
    }
}

impl Deployment {
    /// From this instant on nobody's claimed write can land any more, through this deployment or one of its
    /// alarms; `None` if that is now. Before, the last read-back means nothing.
    pub fn may_land_until(&self, alarms: &[AlarmItem], now: Timestamp) -> Option<Timestamp> {
        let own = all_dead_at(self.intents.values(), now);
        own.into_iter().chain(alarms.iter().filter_map(|alarm| alarm.all_dead_at(now))).max()
    }

    /// Whether a route is not as the rollback wrote it, and has to be written again. One that is gone carries
    /// nothing to the canary, and what cannot be written back is somebody else's for good.
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

    /// What becomes of the canary's settings. What leads there besides the routes led there before, and found it
    /// as it was; and where nothing scales stable, nobody would give it back what it was found with.
    pub const fn leaves_canary(&self) -> Goal {
        let plan = &self.plan;
        if plan.unlisted.is_empty() && plan.stable.scaling.is_some() {
            Goal::Idle
        } else {
            Goal::Found
        }
    }

    /// Whether the canary's tasks are taken away. What leads there besides the routes led there before, and
    /// found tasks.
    pub const fn scales_in(&self, canary: &EcsService) -> bool {
        canary.desired_count > 0 && self.plan.unlisted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::ids::{AlarmArn, IntentId};
    use crate::record::{Intent, Purpose};
    use crate::scaling::{ScalableTarget, Suspended};
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

    #[test]
    fn what_cannot_be_read_as_ours_is_not_said_to_lead_anywhere() {
        let deployment = deployment();
        let route = &deployment.plan.routes[0];
        let found = |actions| FoundRoute::Found { actions, load_balancer: "app/shop/1".to_owned() };
        assert_eq!(route.leads_to_canary(&found(route.stable_only())), Some(false));
        assert_eq!(route.leads_to_canary(&found(route.at(Weight::ALL))), Some(true));
        assert_eq!(route.leads_to_canary(&FoundRoute::Missing), Some(false));
        assert_eq!(route.leads_to_canary(&FoundRoute::DefaultRule), None);
    }

    #[test]
    fn tasks_that_somebody_else_is_led_to_stay() {
        let mut deployment = deployment();
        let version = deployment.plan.task_definition.clone();
        let running = |tasks| EcsService::rolled_out(version.clone(), tasks);
        assert!(deployment.scales_in(&running(1)));
        assert!(!deployment.scales_in(&running(0)));
        assert_eq!(deployment.leaves_canary(), Goal::Found, "nothing scales stable");
        let suspended = Suspended::default();
        deployment.plan.stable.scaling = Some(ScalableTarget { minimum: 1, maximum: 9, suspended });
        assert_eq!(deployment.leaves_canary(), Goal::Idle);
        deployment.plan.unlisted = vec![deployment.plan.routes[0].route.clone()];
        assert!(!deployment.scales_in(&running(1)));
        assert_eq!(deployment.leaves_canary(), Goal::Found);
    }
}
