//! An example service: blue serves with three tasks, green is idle, one route, one alarm each.

use std::collections::BTreeSet;

use glidepath_core::health::{AlarmSignal, SlotRequests};
use glidepath_core::ids::{
    AlarmArn, ChannelName, ClusterName, DeploymentId, EcsServiceName, ExecutionArn, ServiceLabel,
    TargetGroupArn, TaskDefinition,
};
use glidepath_core::people::{ApprovalPolicy, Naming};
use glidepath_core::plan::{
    AlarmPlan, BadRequestsAre, CanaryCapacity, ComparisonPlan, HealthPlan, OnInconclusive,
    Permille, Plan, RoutePlan, Slot, SlotPlan, Stage, StrategyName, Thousandths,
};
use glidepath_core::preflight::StackSettings;
use glidepath_core::protocol::begin;
use glidepath_core::record::{
    Deployment, Digests, Lock, LockKey, Phase, Progress, RecordedHealth, Revision,
};
use glidepath_core::rollback::RollbackPlan;
use glidepath_core::route::{
    ActionKind, Forward, RolePair, RouteAction, RouteActions, RouteRef, WeightedGroup,
};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::urgency::Listening;
use glidepath_core::weight::{AlbWeight, Weight};

use super::{MemoryRegistry, World};
use crate::ports::{Alarm, AlarmDimension, EcsService, Registration, Registry};

/// When the examples begin.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// When ECS brought the slots to the versions that they begin with.
pub const DEPLOYED: Timestamp = Timestamp::from_millis(1_799_990_000_000);

/// The group of a slot.
pub fn group(slot: Slot) -> TargetGroupArn {
    TargetGroupArn::new(format!("arn:aws:elasticloadbalancing:x:1:targetgroup/{slot}/1"))
}

/// The ECS service of a slot.
pub fn service(slot: Slot) -> EcsServiceName {
    EcsServiceName::new(format!("shop-{slot}"))
}

/// The alarm of a slot.
pub fn alarm(slot: Slot) -> AlarmArn {
    AlarmArn::new(format!("arn:aws:cloudwatch:x:1:alarm:{slot}-errors"))
}

/// The only route.
pub fn route() -> RouteRef {
    RouteRef::Rule("arn:aws:elasticloadbalancing:x:1:listener-rule/app/example/1/2/3".to_owned())
}

/// The route's pair while blue is stable.
pub fn pair() -> RolePair {
    RolePair { stable: group(Slot::Blue), canary: group(Slot::Green) }
}

/// The route with this share on green.
pub fn actions(green: Weight) -> RouteActions {
    let (blue, green) = green.alb_weights();
    let entry = |slot, weight: AlbWeight| WeightedGroup { group: group(slot), weight };
    let forward = Forward::new(vec![entry(Slot::Blue, blue), entry(Slot::Green, green)], None);
    RouteActions(vec![RouteAction { order: Some(1), kind: ActionKind::Forward(forward) }])
}

/// A version of the example.
pub fn version(number: u32) -> TaskDefinition {
    TaskDefinition::new(format!("shop:{number}"))
}

/// A stack with one channel that may pass the roles of the example.
pub fn stack() -> StackSettings {
    StackSettings {
        channels: [(ChannelName::new("team"), Listening::EVERYTHING)].into(),
        task_roles: Some("shop-*".to_owned()),
        approvals: ApprovalPolicy::default(),
    }
}

/// The example service with healthy traffic on both slots.
pub fn world() -> World {
    let world = World::at(START);
    {
        let mut state = world.state();
        state.routes.insert(route(), actions(Weight::NONE));
        for (slot, tasks) in [(Slot::Blue, 3), (Slot::Green, 0)] {
            let found = EcsService {
                deployed_at: Some(DEPLOYED),
                target_groups: vec![Registration {
                    group: group(slot),
                    answers: Some(("web".to_owned(), 8080)),
                }],
                ..EcsService::rolled_out(version(1), tasks)
            };
            state.services.insert(service(slot), found);
            let arn = alarm(slot);
            let watches = vec![AlarmDimension::TargetGroup(group(slot).dimension().to_owned())];
            let found = Alarm {
                arn: arn.clone(),
                signal: AlarmSignal::Ok,
                reason: "no bad requests".to_owned(),
                since: Some(DEPLOYED),
                watches,
            };
            state.alarms.insert(arn.name().to_owned(), found);
        }
        state.requests = Some(requests(1_000, 0));
    }
    world
}

/// The canary's and stable's: as many on either slot, of which the canary fails some.
pub fn requests(all: u64, canary_bad: u64) -> (SlotRequests, SlotRequests) {
    let slot = |bad| SlotRequests { all, bad, slow: None };
    (slot(canary_bad), slot(0))
}

/// A stage without approval.
pub fn stage(permille: u16, bake: Span) -> Stage {
    let weight = Weight::from_permille(permille).unwrap_or(Weight::ALL);
    Stage { weight, bake, approval: None }
}

/// A plan with these stages, blue being stable.
pub fn plan(stages: Vec<Stage>) -> Plan {
    let slot = |slot, desired_count| SlotPlan {
        slot,
        service: service(slot),
        desired_count,
        task_definition: version(1),
        scaling: None,
    };
    Plan {
        service: ServiceLabel::new("shop"),
        cluster: ClusterName::new("production"),
        stable: slot(Slot::Blue, 3),
        canary: slot(Slot::Green, 0),
        routes: vec![RoutePlan {
            route: route(),
            pair: pair(),
            original: actions(Weight::NONE),
            load_balancer: "app/example/1".to_owned(),
            health_check_path: Some("/health".to_owned()),
        }],
        task_definition: version(2),
        strategy: StrategyName::Canary,
        stages,
        capacity: CanaryCapacity::Proportional,
        settle_within: Span::from_secs(900),
        scale_in_delay: Span::from_secs(60),
        retention: Span::from_secs(300),
        health: HealthPlan {
            interval: Span::from_secs(60),
            alarms: AlarmPlan {
                stable: vec![alarm(Slot::Blue)],
                canary: vec![alarm(Slot::Green)],
                service: Vec::new(),
                forced: Vec::new(),
                idle: Vec::new(),
            },
            bad_requests_limit: Some(Permille(50)),
            bad_requests_are: BadRequestsAre::NotAnsweredWell,
            slower_than: None,
            comparison: Some(ComparisonPlan {
                witnesses: 3,
                ratio: Thousandths(1250),
                floor: Permille(2),
                false_rollbacks: Permille(10),
            }),
            checks: vec![],
            hooks: vec![],
            probes: vec![],
            minimum_requests: 200,
            extend_up_to: Span::from_secs(600),
            on_inconclusive: OnInconclusive::Rollback,
        },
        rollback: RollbackPlan::default(),
        validation: None,
        notify: vec![ChannelName::new("team")],
        notify_by: None,
        windows: None,
        images: Vec::new(),
        stable_images: Vec::new(),
        started_by: None,
        starter: None,
        naming: Naming::default(),
        reason: None,
        way_back: None,
        retry: None,
        ran: BTreeSet::new(),
        retries: Vec::new(),
        unlisted: Vec::new(),
    }
}

/// A deployment of a plan, begun now, with all its locks.
pub async fn begun(
    registry: &MemoryRegistry,
    plan: Plan,
    name: &str,
    now: Timestamp,
) -> Deployment {
    let deployment = Deployment {
        id: DeploymentId::new(name),
        execution: ExecutionArn::new(format!("arn:aws:states:x:1:execution:glidepath:{name}")),
        execution_start: None,
        revision: Revision::default(),
        phase: Phase::Open,
        fence: None,
        intents: std::collections::BTreeMap::new(),
        started_at: now,
        // Looked at already: whoever tests that begins with a plan of its own.
        progress: Progress { digests: Some(Digests::default()), ..Progress::at_start(&plan, now) },
        traffic: None,
        health: RecordedHealth { healthy: 3, at: now, fresh_for: plan.health.interval.times(2) },
        gate: None,
        alarms: plan.health.alarms.binding().cloned().collect(),
        warnings: Vec::new(),
        notices: 0,
        next_due_at: now + Span::from_secs(600),
        epochs: None,
        validating: None,
        freeze: None,
        drift: Vec::new(),
        plan,
    };
    let keys = LockKey::of(&deployment.plan);
    let locks: Vec<Lock> = registry.locks(&keys).await.unwrap_or_default();
    let begun = registry.commit(begin(&deployment, &locks)).await;
    assert_eq!(begun, Ok(crate::ports::Committed::Yes), "the example could not begin");
    registry.items().deployments[&deployment.id].clone()
}
