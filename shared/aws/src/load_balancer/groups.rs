//! Target groups with the attribute on which a plan depends.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetGroup as Described};
use futures_util::future::join_all;
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::route::RouteRef;
use glidepath_engine::ports::{PortResult, Reaching, TargetGroup, TargetGroups};

use super::ElasticLoadBalancing;
use crate::error::{code, incomplete, port_error};

const GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";
const ATTRIBUTES: &str = "elasticloadbalancing:DescribeTargetGroupAttributes";

/// What both calls answer about a group that does not exist.
const NOT_FOUND: &str = "TargetGroupNotFound";

impl TargetGroups for ElasticLoadBalancing {
    /// One by one: a call for several fails if one of them does not exist.
    async fn target_groups(
        &self,
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Option<TargetGroup>>> {
        let each = groups.iter().map(|group| self.target_group(group));
        join_all(each).await.into_iter().collect()
    }

    async fn reaching(
        &self,
        routes: &[RouteRef],
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Reaching>> {
        self.rules_reaching(routes, groups).await
    }
}

impl ElasticLoadBalancing {
    async fn target_group(&self, group: &TargetGroupArn) -> PortResult<Option<TargetGroup>> {
        let described = self.reading.describe_target_groups().target_group_arns(group.as_str());
        let described = match described.send().await {
            Ok(described) => described.target_groups.unwrap_or_default().into_iter().next(),
            Err(error) if code(&error) == Some(NOT_FOUND) => None,
            Err(error) => return Err(port_error(GROUPS, error)),
        };
        let Some(described) = described else { return Ok(None) };
        let attributes =
            self.reading.describe_target_group_attributes().target_group_arn(group.as_str());
        let attributes = match attributes.send().await {
            Ok(attributes) => attributes.attributes.unwrap_or_default(),
            Err(error) if code(&error) == Some(NOT_FOUND) => return Ok(None),
            Err(error) => return Err(port_error(ATTRIBUTES, error)),
        };
        let sticky = attributes.iter().any(|attribute| {
            attribute.key() == Some("stickiness.enabled") && attribute.value() == Some("true")
        });
        found(&described, sticky).map(Some)
    }
}

fn found(described: &Described, sticky: bool) -> PortResult<TargetGroup> {
    let protocol = described.protocol().ok_or_else(|| incomplete(GROUPS, "Protocol"))?;
    Ok(TargetGroup {
        protocol: ProtocolEnum::as_str(protocol).to_owned(),
        sticky,
        health_check_path: described.health_check_path().map(str::to_owned),
    })
}
