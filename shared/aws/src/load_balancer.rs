//! Routes and targets of Application Load Balancers.

mod groups;
mod reaching;
mod targets;

use std::collections::HashMap;
use std::future::Future;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{Action, Listener, Rule};
use futures_util::future::{join, join_all};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_engine::ports::{FoundRoute, LoadBalancer, PortResult, TargetHealth};

use self::targets::count;
use crate::actions;
use crate::clients::Clients;
use crate::error::{code, port_error};

/// [`LoadBalancer`] by Elastic Load Balancing.
#[derive(Clone, Debug)]
pub struct ElasticLoadBalancing {
    reading: Client,
    writing: Client,
}

impl ElasticLoadBalancing {
    pub fn new(clients: &Clients) -> Self {
        Self { reading: Client::new(clients.reading()), writing: Client::new(clients.writing()) }
    }

    /// Opens the connection over which the first write will go; whoever needs it will tell if there is
    /// none. It asks for something that everybody has: the load balancing API closes a connection on
    /// which it has refused a call.
    pub async fn warm_up(&self) {
        let _ = self.writing.describe_account_limits().page_size(1).send().await;
    }

    async fn rules(&self, arns: &[String]) -> PortResult<HashMap<String, FoundRoute>> {
        let described = self.reading.describe_rules().set_rule_arns(Some(arns.to_vec())).send();
        match described.await {
            Ok(described) => {
                let rules = described.rules.unwrap_or_default();
                Ok(rules.into_iter().filter_map(found_rule).collect())
            }
            Err(error) if is_not_found(code(&error)) => Ok(HashMap::new()),
            Err(error) => Err(port_error("elasticloadbalancing:DescribeRules", error)),
        }
    }

    async fn listeners(&self, arns: &[String]) -> PortResult<HashMap<String, FoundRoute>> {
        let described =
            self.reading.describe_listeners().set_listener_arns(Some(arns.to_vec())).send();
        match described.await {
            Ok(described) => {
                let listeners = described.listeners.unwrap_or_default();
                Ok(listeners.into_iter().filter_map(found_listener).collect())
            }
            Err(error) if is_not_found(code(&error)) => Ok(HashMap::new()),
            Err(error) => Err(port_error("elasticloadbalancing:DescribeListeners", error)),
        }
    }

    /// All in one call; if that finds nothing because one of them does not exist, one by one.
    async fn look<Look, Answer>(
        arns: Vec<String>,
        look: Look,
    ) -> PortResult<HashMap<String, FoundRoute>>
    where
        Look: Fn(Vec<String>) -> Answer,
        Answer: Future<Output = PortResult<HashMap<String, FoundRoute>>>,
    {
        if arns.is_empty() {
            return Ok(HashMap::new());
        }
        let found = look(arns.clone()).await?;
        if !found.is_empty() || arns.len() == 1 {
            return Ok(found);
        }
        let each = join_all(arns.into_iter().map(|arn| look(vec![arn]))).await;
        let each = each.into_iter().collect::<PortResult<Vec<_>>>()?;
        Ok(each.into_iter().flatten().collect())
    }
}

impl LoadBalancer for ElasticLoadBalancing {
    async fn routes(&self, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        let mut rules = Vec::new();
        let mut listeners = Vec::new();
        for route in routes {
            match route {
                RouteRef::Rule(arn) => rules.push(arn.clone()),
                RouteRef::Listener(arn) => listeners.push(arn.clone()),
            }
        }
        let (rules, listeners) = join(
            Self::look(rules, async |arns: Vec<String>| self.rules(&arns).await),
            Self::look(listeners, async |arns: Vec<String>| self.listeners(&arns).await),
        )
        .await;
        let (rules, listeners) = (rules?, listeners?);
        let found = routes.iter().map(|route| match route {
            RouteRef::Rule(arn) => rules.get(arn),
            RouteRef::Listener(arn) => listeners.get(arn),
        });
        Ok(found.map(|route| route.cloned().unwrap_or(FoundRoute::Missing)).collect())
    }

    async fn write_route(&self, route: &RouteRef, actions: &RouteActions) -> PortResult<()> {
        let actions = Some(actions::write(actions));
        match route {
            RouteRef::Rule(arn) => {
                let call = self.writing.modify_rule().rule_arn(arn).set_actions(actions);
                let written = call.send().await.map(|_| ());
                written.map_err(|error| port_error("elasticloadbalancing:ModifyRule", error))
            }
            RouteRef::Listener(arn) => {
                let call = self.writing.modify_listener().listener_arn(arn);
                let written = call.set_default_actions(actions).send().await.map(|_| ());
                written.map_err(|error| port_error("elasticloadbalancing:ModifyListener", error))
            }
        }
    }

    async fn target_health(&self, group: &TargetGroupArn) -> PortResult<TargetHealth> {
        let described =
            self.reading.describe_target_health().target_group_arn(group.as_str()).send().await;
        let described = described
            .map_err(|error| port_error("elasticloadbalancing:DescribeTargetHealth", error))?;
        Ok(count(described.target_health_descriptions()))
    }
}

/// The whole call fails if one of its ARNs does not exist, or is none.
fn is_not_found(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("RuleNotFound" | "ListenerNotFound" | "LoadBalancerNotFound" | "ValidationError")
    )
}

fn found_rule(rule: Rule) -> Option<(String, FoundRoute)> {
    let arn = rule.rule_arn.clone()?;
    let found = if rule.is_default() == Some(true) {
        FoundRoute::DefaultRule
    } else {
        found(&arn, rule.actions())
    };
    Some((arn, found))
}

fn found_listener(listener: Listener) -> Option<(String, FoundRoute)> {
    let arn = listener.listener_arn.clone()?;
    let found = found(&arn, listener.default_actions());
    Some((arn, found))
}

fn found(arn: &str, described: &[Action]) -> FoundRoute {
    let Some(load_balancer) = load_balancer_of(arn) else {
        return FoundRoute::Unsupported(
            "a load balancer that is no Application Load Balancer".to_owned(),
        );
    };
    match actions::read(described) {
        Ok(actions) => FoundRoute::Found { actions, load_balancer },
        Err(unsupported) => FoundRoute::Unsupported(unsupported),
    }
}

/// `app/NAME/ID` from the ARN of a listener or rule of an Application Load Balancer.
fn load_balancer_of(arn: &str) -> Option<String> {
    let resource = arn.rsplit_once(':')?.1;
    let path =
        resource.strip_prefix("listener-rule/").or_else(|| resource.strip_prefix("listener/"))?;
    let mut parts = path.split('/');
    let (kind, name, id) = (parts.next()?, parts.next()?, parts.next()?);
    (kind == "app").then(|| format!("app/{name}/{id}"))
}

#[cfg(test)]
mod tests;
