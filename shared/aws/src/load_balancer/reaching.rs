//! Every rule that leads to some target groups, whether or not anybody has named it.

use aws_sdk_elasticloadbalancingv2::types::{Action, Rule};
use futures_util::future::join_all;
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::route::RouteRef;
use glidepath_engine::ports::{PortResult, Reaching};

use super::ElasticLoadBalancing;
use crate::error::port_error;

const LISTENERS: &str = "elasticloadbalancing:DescribeListeners";
const RULES: &str = "elasticloadbalancing:DescribeRules";

impl ElasticLoadBalancing {
    /// A group belongs to one load balancer, so those of the routes are all. One call for the
    /// listeners of each, and one for the rules of each listener, of as many pages as it takes.
    pub(super) async fn rules_reaching(
        &self,
        routes: &[RouteRef],
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Reaching>> {
        let mut balancers: Vec<String> = routes.iter().filter_map(load_balancer_arn).collect();
        balancers.sort_unstable();
        balancers.dedup();
        let mut listeners = Vec::new();
        for balancer in balancers {
            listeners.extend(self.listeners_of(&balancer).await?);
        }
        let rules = join_all(listeners.iter().map(|listener| self.rules_of(listener))).await;
        let mut found = Vec::new();
        for (listener, rules) in listeners.iter().zip(rules) {
            found.extend(rules?.iter().filter_map(|rule| reaching(listener, rule, groups)));
        }
        Ok(found)
    }

    async fn listeners_of(&self, balancer: &str) -> PortResult<Vec<String>> {
        let mut arns = Vec::new();
        let mut page = None;
        loop {
            let call = self.reading.describe_listeners().load_balancer_arn(balancer);
            let answer = call.set_marker(page).send().await;
            let answer = answer.map_err(|error| port_error(LISTENERS, error))?;
            let listeners = answer.listeners.unwrap_or_default();
            arns.extend(listeners.into_iter().filter_map(|listener| listener.listener_arn));
            page = answer.next_marker.filter(|marker| !marker.is_empty());
            if page.is_none() {
                return Ok(arns);
            }
        }
    }

    async fn rules_of(&self, listener: &str) -> PortResult<Vec<Rule>> {
        let mut rules = Vec::new();
        let mut page = None;
        loop {
            let call = self.reading.describe_rules().listener_arn(listener);
            let answer = call.set_marker(page).send().await;
            let answer = answer.map_err(|error| port_error(RULES, error))?;
            rules.extend(answer.rules.unwrap_or_default());
            page = answer.next_marker.filter(|marker| !marker.is_empty());
            if page.is_none() {
                return Ok(rules);
            }
        }
    }
}

/// `arn:...:loadbalancer/app/NAME/ID` of a listener's or a rule's ARN.
fn load_balancer_arn(route: &RouteRef) -> Option<String> {
    let (account, resource) = route.arn().rsplit_once(':')?;
    let path =
        resource.strip_prefix("listener-rule/").or_else(|| resource.strip_prefix("listener/"))?;
    let mut parts = path.split('/');
    let (kind, name, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{account}:loadbalancer/{kind}/{name}/{id}"))
}

/// The rule with those of the groups that get requests by it; `None` if none does.
fn reaching(listener: &str, rule: &Rule, groups: &[TargetGroupArn]) -> Option<Reaching> {
    let carrying: Vec<_> = rule.actions().iter().flat_map(weighted).collect();
    let all: i64 = carrying.iter().map(|(_, weight)| i64::from(*weight)).sum();
    let shares: Vec<_> = groups
        .iter()
        .filter_map(|group| {
            let own = carrying.iter().filter(|(arn, _)| arn == group.as_str());
            let weight: i64 = own.map(|(_, weight)| i64::from(*weight)).sum();
            let permille = u16::try_from((weight * 1000).checked_div(all)?).ok()?;
            (weight > 0).then(|| (group.clone(), permille.max(1)))
        })
        .collect();
    if shares.is_empty() {
        return None;
    }
    let route = if rule.is_default() == Some(true) {
        RouteRef::Listener(listener.to_owned())
    } else {
        RouteRef::Rule(rule.rule_arn()?.to_owned())
    };
    Some(Reaching { route, shares })
}

/// Groups of a forward action with their weights; one that stands alone gets everything.
fn weighted(action: &Action) -> Vec<(String, i32)> {
    let config = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
    match config {
        [] => action.target_group_arn().map(|arn| (arn.to_owned(), 1)).into_iter().collect(),
        [alone] => alone.target_group_arn().map(|arn| (arn.to_owned(), 1)).into_iter().collect(),
        several => several
            .iter()
            .filter_map(|group| {
                Some((group.target_group_arn()?.to_owned(), group.weight().unwrap_or(1)))
            })
            .collect(),
    }
}
