//! The health of targets.

use futures_util::future::join_all;
use glidepath_core::ids::TargetGroupArn;

use crate::ports::{LoadBalancer, PortResult, Ports, TargetHealth};

/// How the targets of each of these groups are, in their order. All are asked at the same time, and
/// a group that several routes share is asked once: a storm consists of exactly these calls.
pub(crate) async fn health(
    ports: &impl Ports<LoadBalancer: LoadBalancer>,
    groups: &[&TargetGroupArn],
) -> Vec<PortResult<TargetHealth>> {
    let mut once = groups.to_vec();
    once.sort_unstable();
    once.dedup();
    let load_balancer = ports.load_balancer();
    let answers = join_all(once.iter().map(|group| load_balancer.target_health(group))).await;
    let answer = |group| answers.get(once.binary_search(group).ok()?).cloned();
    groups.iter().filter_map(answer).collect()
}
