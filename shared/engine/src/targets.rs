//! The health of targets.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use glidepath_core::ids::TargetGroupArn;

use crate::ports::{LoadBalancer, PortResult, TargetHealth};

/// How the targets of each of these groups are, in their order. All are asked at the same time, and
/// a group that several routes share is asked once: a storm consists of exactly these calls.
pub(crate) async fn health(
    load_balancer: &impl LoadBalancer,
    groups: &[&TargetGroupArn],
) -> Vec<PortResult<TargetHealth>> {
    let once: BTreeSet<_> = groups.iter().copied().collect();
    let asked = join_all(once.iter().map(|group| load_balancer.target_health(group))).await;
    let answers: BTreeMap<_, _> = once.into_iter().zip(asked).collect();
    groups.iter().filter_map(|group| answers.get(group).cloned()).collect()
}
