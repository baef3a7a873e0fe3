//! A deployment as it will be carried out: the request with every default filled in and every name
//! resolved against the real resources. Written once by `plan`, never changed afterwards.

mod checks;
mod health;
mod hooks;
mod images;
mod probes;
mod validation;
mod windows;

pub use checks::{Bounds, Check, CheckMode, Measure, MetricStatistic, Number};
pub(crate) use checks::{is_insights, words};
pub use health::{
    AlarmPlan, BadRequestsAre, ComparisonPlan, HealthPlan, OnInconclusive, Permille, Thousandths,
};
pub use hooks::{Hook, HookDetails, LifecycleStage};
pub use images::{ImageDigest, build_of, named, repository, short_digest, strayed};
pub use probes::Probe;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
pub use validation::{SlotValidation, Validation};
pub use windows::{Opening, Openings, outside_windows};

use crate::ids::{
    ChannelName, ClusterName, DeploymentId, EcsServiceName, ServiceLabel, TargetGroupArn,
    TaskDefinition,
};
use crate::people::{Approvers, Naming, SAID};
use crate::rollback::RollbackPlan;
use crate::route::{Role, RolePair, RouteActions, RouteRef};
use crate::scaling::ScalableTarget;
use crate::time::Span;
use crate::urgency::{ByUrgency, Urgency};
use crate::weight::Weight;

/// Everything that the functions need to know about a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub service: ServiceLabel,
    /// Where both ECS services live.
    pub cluster: ClusterName,
    pub stable: SlotPlan,
    pub canary: SlotPlan,
    /// Every route that is shifted, all by the same weight.
    pub routes: Vec<RoutePlan>,
    pub task_definition: TaskDefinition,
    /// The images of its containers, for people: a tag often says which commit it is. Plans from before
    /// they were kept have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Those of the version that it replaces, if they could be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stable_images: Vec<String>,
    /// Who has started it, as the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// Who has, as AWS has recognised them; `None` where it was started past the function `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starter: Option<String>,
    /// Why, as the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Set where it brings back what has served before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// What the stack says of the names of whoever starts and approves.
    #[serde(default, skip_serializing_if = "Naming::is_empty")]
    pub naming: Naming,
    /// What took a version back that is tried again, as the request names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<DeploymentId>,
    /// What its containers ran when it served before, as the registry knows it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ran: BTreeSet<ImageDigest>,
    /// Versions that were rolled back and are tried again with this one: it is one of them, or of the same
    /// build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<TaskDefinition>,
    pub strategy: StrategyName,
    /// The stages in order; weights increase strictly and end at 1000.
    pub stages: Vec<Stage>,
    pub capacity: CanaryCapacity,
    /// How long a stage may take to bring its tasks up and shift before it fails.
    pub settle_within: Span,
    /// How long canary tasks stay after their traffic has gone: the load balancer takes some time
    /// to spread a weight, and a stopped task answers nobody.
    pub scale_in_delay: Span,
    /// How long the old slot keeps its tasks after commit.
    pub retention: Span,
    pub health: HealthPlan,
    #[serde(default)]
    pub rollback: RollbackPlan,
    /// What is asked once everything is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// When weights may move forward; `None`: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Openings>,
    /// Every channel that hears anything.
    pub notify: Vec<ChannelName>,
    /// Which of them hear what. `None`: each hears everything, as where an older function has written the
    /// record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_by: Option<ByUrgency>,
    /// Rules and listeners that led to the canary's slot before the deployment although they are no
    /// routes of it, while it had tasks: a rollback leaves it tasks, or they would meet an empty
    /// group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<RouteRef>,
}

impl Plan {
    /// Who has started it, and who says so. Step Functions tells nobody: AWS has recognised whoever came by
    /// the stack's own URL, and everything else is what the start said.
    pub fn started_by_whom(&self) -> Option<String> {
        match (&self.starter, &self.started_by) {
            (Some(starter), Some(said)) if said != starter => {
                Some(format!("{starter}, as AWS says, for {said}"))
            }
            (Some(starter), _) => Some(format!("{starter}, as AWS says")),
            (None, Some(said)) => Some(format!("{said}{SAID}")),
            (None, None) => None,
        }
    }

    /// Whether the plan has a channel hear what is so urgent.
    pub fn tells(&self, channel: &ChannelName, urgency: Urgency) -> bool {
        let all = self.notify_by.as_ref().map_or(&self.notify, |by| by.of(urgency));
        all.contains(channel)
    }

    /// The stage, or `None` past the last one.
    pub fn stage(&self, stage: StageIndex) -> Option<&Stage> {
        self.stages.get(stage.0)
    }

    pub fn is_last(&self, stage: StageIndex) -> bool {
        stage.0 + 1 >= self.stages.len()
    }

    /// Whether everything moves at once and is not watched afterwards.
    pub fn only_switches(&self) -> bool {
        matches!(self.stages.as_slice(), [only] if only.bake == Span::ZERO)
    }

    pub fn slot(&self, role: Role) -> &SlotPlan {
        match role {
            Role::Stable => &self.stable,
            Role::Canary => &self.canary,
        }
    }

    /// Whether Application Auto Scaling scales either slot. Where it does not, nobody asks it anything.
    pub const fn is_scaled(&self) -> bool {
        self.stable.scaling.is_some() || self.canary.scaling.is_some()
    }
}

/// A deployment that brings back what has served before, because of something in the version that it
/// leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WayBack {
    /// The deployment whose version it leaves, as the registry knows it.
    pub from: DeploymentId,
    /// That version: another one may serve by now, if somebody has changed the service by hand.
    pub version: TaskDefinition,
    /// Whether somebody wants it whatever it runs, and nothing asked afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skips_validation: bool,
}

/// The two interchangeable halves of a service.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Slot {
    /// One of them.
    Blue,
    /// The other.
    Green,
}

impl Slot {
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// One slot as it was found before the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotPlan {
    pub slot: Slot,
    pub service: EcsServiceName,
    /// Tasks it was asked to run before the deployment.
    pub desired_count: u32,
    /// What it ran before the deployment.
    pub task_definition: TaskDefinition,
    /// Within which bounds Application Auto Scaling might change that; `None`: it did not scale it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalableTarget>,
}

/// One route as it was found before the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutePlan {
    pub route: RouteRef,
    pub pair: RolePair,
    /// All its actions, as found.
    pub original: RouteActions,
    /// The value of the CloudWatch dimension `LoadBalancer`: `app/NAME/ID`.
    pub load_balancer: String,
    /// The path that the canary's health checks ask for; only named, where a target is sick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_path: Option<String>,
}

impl RoutePlan {
    /// The load balancer's reason why a canary target is sick, with what it was asked for.
    pub fn sick(&self, reason: &str) -> String {
        match &self.health_check_path {
            Some(path) => format!("{reason} (health check of `{path}`)"),
            None => reason.to_owned(),
        }
    }

    /// What is missing, in words, where these many targets of the canary are healthy and the load balancer says
    /// this of one that is not; `None` if as many are as are wanted.
    pub fn lacks(&self, healthy: u32, wanted: u32, sick: Option<&str>) -> Option<String> {
        let group = self.group(Role::Canary).short();
        let text = || format!("{healthy} of {wanted} targets of `{group}` are healthy");
        let why = || sick.map_or_else(String::new, |reason| format!(": {}", self.sick(reason)));
        (healthy < wanted).then(|| text() + &why())
    }

    /// Whether the canary's group is among those of the route, so that its targets are health-checked.
    pub fn is_attached(&self, observed: &RouteActions) -> bool {
        observed.forward().is_ok_and(|forward| forward.contains(&self.pair.canary))
    }

    /// The complete actions that send everything to stable: what a rollback writes.
    pub fn stable_only(&self) -> RouteActions {
        self.original.only(&self.pair, Role::Stable)
    }

    /// Whether nothing leads to the canary: as a rollback writes it, or as it was found, where weights
    /// alone decide.
    pub fn is_back(&self, observed: &RouteActions) -> bool {
        let found = &self.original;
        let as_found = || !found.sticky() && found.canary_share(&self.pair) == Ok(Weight::NONE);
        *observed == self.stable_only() || (observed == found && as_found())
    }

    /// The complete actions that give the canary this share: what a shift writes.
    ///
    /// Without a share and on a sticky route that has lost the canary's group, the group is attached
    /// with stickiness switched off: the load balancer checks the health of attached groups only,
    /// and cookies from earlier would send people to tasks that are not ready. Nobody loses by it,
    /// since everything goes to stable; the first shift switches it on again.
    pub fn at(&self, canary: Weight) -> RouteActions {
        let written = self.original.with_canary(&self.pair, canary);
        let known = self.is_attached(&self.original);
        if canary == Weight::NONE && !known { written.without_stickiness() } else { written }
    }

    /// What a route that has these actions is after the commit. Cookies outrank weights: the old slot's group
    /// leaves every sticky route before its tasks go.
    pub fn handed_over(&self, present: &RouteActions) -> RouteActions {
        if present.sticky() { present.only(&self.pair, Role::Canary) } else { present.clone() }
    }

    pub fn group(&self, role: Role) -> &TargetGroupArn {
        match role {
            Role::Stable => &self.pair.stable,
            Role::Canary => &self.pair.canary,
        }
    }
}

/// The four ways to expand a request into stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StrategyName {
    /// Any list of stages.
    Canary,
    Linear,
    /// Everything at once after an idle check, with a bake.
    BlueGreen,
    AllAtOnce,
}

impl std::fmt::Display for StrategyName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Canary => "canary",
            Self::Linear => "linear",
            Self::BlueGreen => "blueGreen",
            Self::AllAtOnce => "allAtOnce",
        })
    }
}

/// Position of a stage in its plan, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StageIndex(pub usize);

impl StageIndex {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for StageIndex {
    /// From 1, as people count.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0 + 1)
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    pub weight: Weight,
    /// How long it must stay healthy there, from the verified shift.
    pub bake: Span,
    /// Whether a person approves before the shift.
    pub approval: Option<Approval>,
}

/// A person's approval before a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    pub timeout: Span,
    pub on_timeout: OnTimeout,
    /// How many people must approve; at least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// Who may approve: whom each of these lists names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Approvers>,
    /// Whether whoever has started the deployment may not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_by_starter: bool,
    /// So long after the question the weight stays where it is, whoever approves before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Span>,
    /// So long after the question it is asked once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_after: Option<Span>,
    /// Whether whoever has the link to the question may answer it, and nobody knows who that is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anyone_with_link: bool,
}

impl Approval {
    /// Whether it asks for more than anybody's answer, so that whoever gives it must have a name.
    pub const fn asks_for_somebody(&self) -> bool {
        self.count > 1 || self.not_by_starter || !self.approvers.is_empty()
    }

    /// One person, whoever may decide at all.
    pub const fn anybody(timeout: Span, on_timeout: OnTimeout) -> Self {
        Self {
            timeout,
            on_timeout,
            count: one(),
            approvers: Vec::new(),
            not_by_starter: false,
            not_before: None,
            remind_after: None,
            anyone_with_link: false,
        }
    }
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_one(count: &u32) -> bool {
    *count == 1
}

/// What happens when nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnTimeout {
    /// Everything returns to stable.
    Rollback,
    /// The stage goes on as if approved.
    Continue,
}

/// How many tasks the canary gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CanaryCapacity {
    /// As many of stable's tasks as its share of traffic, rounded up, at least 1.
    Proportional,
    /// As many as stable from the first stage on.
    Full,
}

impl CanaryCapacity {
    /// Tasks for a share, where stable has `stable` tasks.
    pub fn tasks(self, stable: u32, weight: Weight) -> u32 {
        match self {
            Self::Full => stable.max(1),
            Self::Proportional => {
                let tasks = (u64::from(stable) * u64::from(weight.permille())).div_ceil(1000);
                // At most `stable`, so it fits.
                u32::try_from(tasks).unwrap_or(stable).max(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_canary_has_its_share_of_tasks_and_never_none(stable in 0u32..=5000, permille in 1u16..=1000) {
            let weight = Weight::from_permille(permille).unwrap();
            let tasks = CanaryCapacity::Proportional.tasks(stable, weight);
            prop_assert!(tasks >= 1 && tasks <= stable.max(1));
            prop_assert!(u64::from(tasks) * 1000 >= u64::from(stable) * u64::from(permille));
            prop_assert_eq!(CanaryCapacity::Proportional.tasks(stable, Weight::ALL), stable.max(1));
        }
    }

    #[test]
    fn five_percent_of_three_tasks_is_one() {
        let weight = Weight::from_permille(50).unwrap();
        assert_eq!(CanaryCapacity::Proportional.tasks(3, weight), 1);
        assert_eq!(CanaryCapacity::Full.tasks(3, weight), 3);
    }
}
