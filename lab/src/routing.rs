//! Everything of a load balancer that a deployment must leave as it was.

use aws_sdk_elasticloadbalancingv2::types::{Action, Listener, Rule};

use crate::clients::Clients;
use crate::error::{Doing, LabResult};
use crate::stack::ServiceResources;

/// Listeners and rules without the groups and weights of the routes.
#[derive(Debug, PartialEq)]
pub(crate) struct Routing {
    listeners: Vec<Listener>,
    rules: Vec<Rule>,
}

pub(crate) async fn read(clients: &Clients, resources: &ServiceResources) -> LabResult<Routing> {
    let doing = "reading listeners and rules";
    let elb = &clients.elb;
    let found = elb.describe_listeners().load_balancer_arn(&resources.load_balancer).send();
    let mut listeners = found.await.doing(doing)?.listeners.unwrap_or_default();
    let mut rules = Vec::new();
    for listener in &mut listeners {
        let arn = listener.listener_arn().unwrap_or_default().to_owned();
        let mut marker = None;
        loop {
            let page = elb.describe_rules().listener_arn(&arn).set_marker(marker).page_size(50);
            let page = page.send().await.doing(doing)?;
            rules.extend(page.rules.unwrap_or_default());
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        if is_route(resources, &arn)
            && let Some(actions) = &mut listener.default_actions
        {
            actions.iter_mut().for_each(forget_groups);
        }
    }
    // The default rule of a listener repeats the listener's own actions.
    rules.retain(|rule| rule.is_default() != Some(true));
    for rule in &mut rules {
        if is_route(resources, rule.rule_arn.as_deref().unwrap_or_default())
            && let Some(actions) = &mut rule.actions
        {
            actions.iter_mut().for_each(forget_groups);
        }
    }
    listeners.sort_by_key(|listener| listener.port());
    rules.sort_by(|one, other| one.rule_arn.cmp(&other.rule_arn));
    Ok(Routing { listeners, rules })
}

fn is_route(resources: &ServiceResources, arn: &str) -> bool {
    resources.routes.iter().any(|route| route.arn == arn)
}

fn forget_groups(action: &mut Action) {
    if let Some(forward) = &mut action.forward_config {
        action.target_group_arn = None;
        forward.target_groups = None;
    }
}
