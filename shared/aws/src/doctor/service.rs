//! What a request names, as this account answers it.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_elasticloadbalancingv2::types::Action;
use glidepath_core::doctor::Statistics;
use glidepath_core::ids::TaskDefinition;
use glidepath_core::route::RouteRef;
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::PortResult;

use super::Instruments;
use crate::error::port_error;

impl Instruments {
    /// The groups of a route's forward action with their weights, exactly as they were answered.
    pub async fn answered_groups(
        &self,
        route: &RouteRef,
    ) -> PortResult<Vec<(String, Option<i32>)>> {
        let actions = match route {
            RouteRef::Rule(arn) => {
                let described = self.load_balancers.describe_rules().rule_arns(arn).send().await;
                let described = described
                    .map_err(|error| port_error("elasticloadbalancing:DescribeRules", error))?;
                let rule = described.rules.unwrap_or_default().into_iter().next();
                rule.and_then(|rule| rule.actions)
            }
            RouteRef::Listener(arn) => {
                let described =
                    self.load_balancers.describe_listeners().listener_arns(arn).send().await;
                let described = described
                    .map_err(|error| port_error("elasticloadbalancing:DescribeListeners", error))?;
                let listener = described.listeners.unwrap_or_default().into_iter().next();
                listener.and_then(|listener| listener.default_actions)
            }
        };
        Ok(actions.unwrap_or_default().iter().flat_map(groups).collect())
    }

    /// ARNs of the roles of a task definition, and the images of its containers.
    pub async fn release(
        &self,
        definition: &TaskDefinition,
    ) -> PortResult<(Vec<String>, Vec<String>)> {
        let call = self.containers.describe_task_definition().task_definition(definition.as_str());
        let described = call.send().await;
        let described =
            described.map_err(|error| port_error("ecs:DescribeTaskDefinition", error))?;
        let Some(definition) = described.task_definition else { return Ok(Default::default()) };
        let roles = [definition.task_role_arn, definition.execution_role_arn];
        let mut roles: Vec<String> =
            roles.into_iter().flatten().filter(|role| role.starts_with("arn:")).collect();
        roles.dedup();
        let containers = definition.container_definitions.unwrap_or_default();
        Ok((roles, containers.into_iter().filter_map(|container| container.image).collect()))
    }

    /// What CloudWatch answers of the response times behind a load balancer (`app/NAME/ID`): of the
    /// newest hour with requests among the last three.
    pub async fn response_times(
        &self,
        load_balancer: &str,
        now: Timestamp,
    ) -> PortResult<Statistics> {
        const HOUR_SECONDS: i32 = 3600;
        let metric = Metric::builder()
            .namespace("AWS/ApplicationELB")
            .metric_name("TargetResponseTime")
            .dimensions(Dimension::builder().name("LoadBalancer").value(load_balancer).build())
            .build();
        let query = |id: &str, statistic: &str| {
            let stat = MetricStat::builder().metric(metric.clone()).period(HOUR_SECONDS);
            MetricDataQuery::builder().id(id).metric_stat(stat.stat(statistic).build()).build()
        };
        let at = |instant: Timestamp| DateTime::from_millis(instant.as_millis());
        let answer = self
            .cloudwatch
            .get_metric_data()
            .metric_data_queries(query("count", "SampleCount"))
            .metric_data_queries(query("slow", "TC(1:)"))
            .metric_data_queries(query("percent", "PR(1:)"))
            .start_time(at(now - Span::from_secs(3 * 3600)))
            .end_time(at(now))
            .send()
            .await
            .map_err(|error| port_error("cloudwatch:GetMetricData", error))?;
        let points = |id: &str| {
            let results = answer.metric_data_results();
            let result = results.iter().find(|result| result.id() == Some(id));
            result.map_or_else(Vec::new, |result| {
                let times = result.timestamps().iter().map(|time| time.secs());
                times.zip(result.values().iter().copied()).collect::<Vec<_>>()
            })
        };
        let newest = points("count").into_iter().max_by_key(|(time, _)| *time);
        let Some((time, count)) = newest else {
            return Ok(Statistics { count: 0.0, slow: None, percent: None });
        };
        let value = |id: &str| {
            let found = points(id).into_iter().find(|(other, _)| *other == time);
            found.map(|(_, value)| value)
        };
        Ok(Statistics { count, slow: value("slow"), percent: value("percent") })
    }
}

fn groups(action: &Action) -> Vec<(String, Option<i32>)> {
    let Some(forward) = action.forward_config() else {
        return action
            .target_group_arn()
            .map(|group| (group.to_owned(), None))
            .into_iter()
            .collect();
    };
    let groups = forward
        .target_groups()
        .iter()
        .filter_map(|group| group.target_group_arn().map(|arn| (arn.to_owned(), group.weight())));
    groups.collect()
}
