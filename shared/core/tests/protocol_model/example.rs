//! The service of the model: two slots with a task each, one route, one alarm of the service as a
//! whole, so that it is bound to a deployment and to its successor.

use glidepath_core::ids::{
    AlarmArn, ClusterName, DeploymentId, EcsServiceName, ExecutionArn, ServiceLabel,
    TargetGroupArn, TaskDefinition,
};
use glidepath_core::plan::{
    AlarmPlan, Approval, CanaryCapacity, HealthPlan, OnInconclusive, OnTimeout, Plan, RoutePlan,
    Slot, SlotPlan, Stage, StrategyName,
};
use glidepath_core::record::{LockKey, RecordedHealth};
use glidepath_core::rollback::{AfterHold, RollbackPlan, WeakStable};
use glidepath_core::route::{
    ActionKind, Forward, RolePair, RouteAction, RouteActions, RouteRef, WeightedGroup,
};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::{AlbWeight, Weight};

use crate::bounds::{Bounds, From};

/// How long a write may be attempted, forward or back; it is dead after as much again.
pub(crate) const LIFETIME: Span = Span::from_secs(15);

/// Time passes in steps of this length: what was claimed before the step is dead after it.
pub(crate) const COARSE: Span = Span::from_secs(30);

/// Or in steps of this length: after one, nothing is attempted any more, but what is on its way
/// may land; after two it is dead.
pub(crate) const FINE: Span = Span::from_secs(15);

/// How long a rollback waits for stable where the plan forces it afterwards: longer than until the
/// next look.
pub(crate) const HOLD_FOR: Span = COARSE.plus(FINE);

/// For how long a rollback is put off.
pub(crate) const PUT_OFF_FOR: Span = FINE;

/// When the model begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A length that no run reaches.
pub(crate) const NEVER: Span = Span::from_secs(u32::MAX as u64);

/// One of the two deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    First,
    Successor,
}

impl Who {
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Successor];

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Successor => 1,
        }
    }

    pub(crate) fn id(self) -> DeploymentId {
        DeploymentId::new(match self {
            Self::First => "d1",
            Self::Successor => "d2",
        })
    }

    pub(crate) fn of(id: &DeploymentId) -> Self {
        if id.as_str() == "d1" { Self::First } else { Self::Successor }
    }

    pub(crate) fn execution(self) -> ExecutionArn {
        ExecutionArn::new(self.id().as_str())
    }

    /// The version that it brings.
    pub(crate) const fn version(self) -> u8 {
        match self {
            Self::First => 2,
            Self::Successor => 3,
        }
    }
}

pub(crate) const SLOTS: [Slot; 2] = [Slot::Blue, Slot::Green];

pub(crate) const fn slot_index(slot: Slot) -> usize {
    match slot {
        Slot::Blue => 0,
        Slot::Green => 1,
    }
}

pub(crate) fn cluster() -> ClusterName {
    ClusterName::new("c")
}

pub(crate) fn service(slot: Slot) -> EcsServiceName {
    EcsServiceName::new(match slot {
        Slot::Blue => "blue",
        Slot::Green => "green",
    })
}

pub(crate) fn key(slot: Slot) -> LockKey {
    LockKey::service(&cluster(), &service(slot))
}

pub(crate) fn group(slot: Slot) -> TargetGroupArn {
    TargetGroupArn::new(match slot {
        Slot::Blue => "B",
        Slot::Green => "G",
    })
}

fn route() -> RouteRef {
    RouteRef::Rule("r".to_owned())
}

pub(crate) fn alarm() -> AlarmArn {
    AlarmArn::new("a")
}

pub(crate) fn task_definition(version: u8) -> TaskDefinition {
    TaskDefinition::new(version.to_string())
}

/// The route with this share on green.
pub(crate) fn actions(green: Weight) -> RouteActions {
    let (blue, green) = green.alb_weights();
    forwarding(&[(Slot::Blue, blue), (Slot::Green, green)])
}

/// The route before green's group was ever attached.
pub(crate) fn blue_only() -> RouteActions {
    forwarding(&[(Slot::Blue, AlbWeight::new(1))])
}

fn forwarding(groups: &[(Slot, AlbWeight)]) -> RouteActions {
    let entry =
        |(slot, weight): &(Slot, AlbWeight)| WeightedGroup { group: group(*slot), weight: *weight };
    let groups = groups.iter().map(entry).collect();
    let forward = Forward::new(groups, None);
    RouteActions(vec![RouteAction { order: None, kind: ActionKind::Forward(forward) }])
}

/// The share of green that these actions give.
pub(crate) fn green_share(actions: &RouteActions) -> Weight {
    let pair = RolePair { stable: group(Slot::Blue), canary: group(Slot::Green) };
    actions.canary_share(&pair).expect("the model only writes shares of the two groups")
}

/// The plan of a deployment onto the other slot of the one that serves.
pub(crate) fn plan(
    who: Who,
    stable: Slot,
    tasks: [u8; 2],
    versions: [u8; 2],
    bounds: &Bounds,
) -> Plan {
    let slot = |slot: Slot| SlotPlan {
        slot,
        service: service(slot),
        desired_count: u32::from(tasks[slot_index(slot)]),
        task_definition: task_definition(versions[slot_index(slot)]),
        scaling: None,
    };
    let whole = if stable == Slot::Blue { Weight::NONE } else { Weight::ALL };
    let stage = |permille| Stage {
        weight: Weight::from_permille(permille).expect("at most 1000"),
        bake: if bounds.gates || bounds.budget.meddles > 0 { COARSE } else { Span::ZERO },
        approval: bounds
            .asks
            .then_some(Approval { timeout: COARSE, on_timeout: OnTimeout::Rollback }),
    };
    Plan {
        service: ServiceLabel::new("s"),
        cluster: cluster(),
        stable: slot(stable),
        canary: slot(stable.other()),
        routes: vec![RoutePlan {
            route: route(),
            pair: RolePair { stable: group(stable), canary: group(stable.other()) },
            original: if stable == Slot::Blue && bounds.attaches {
                blue_only()
            } else {
                actions(whole)
            },
            load_balancer: String::new(),
            health_check_path: None,
        }],
        task_definition: task_definition(who.version()),
        strategy: StrategyName::Canary,
        stages: bounds.stages.iter().map(|permille| stage(*permille)).collect(),
        capacity: CanaryCapacity::Full,
        settle_within: NEVER,
        scale_in_delay: Span::ZERO,
        retention: COARSE,
        health: HealthPlan {
            interval: COARSE,
            alarms: AlarmPlan { service: vec![alarm()], ..AlarmPlan::default() },
            bad_requests_limit: None,
            bad_requests_are: glidepath_core::plan::BadRequestsAre::NotAnsweredWell,
            slower_than: None,
            comparison: None,
            checks: vec![],
            hooks: vec![],
            probes: vec![],
            minimum_requests: 0,
            extend_up_to: Span::ZERO,
            on_inconclusive: OnInconclusive::Rollback,
        },
        rollback: RollbackPlan {
            weak_stable: WeakStable::StepBack,
            hold_for: match bounds.then {
                AfterHold::Force => HOLD_FOR,
                AfterHold::Hold => NEVER,
            },
            then: bounds.then,
        },
        notify: Vec::new(),
        images: Vec::new(),
        started_by: None,
        reason: None,
        unlisted: Vec::new(),
    }
}

/// The sweep may look after a deployment this long after it was touched: early, which only makes
/// it harder.
pub(crate) const OVERDUE: Span = COARSE;

/// When the sweep may look after a deployment that is touched now.
pub(crate) fn overdue(now: Timestamp) -> Timestamp {
    now + OVERDUE
}

/// How stable is, as a rollback may rely on it. Where it is always healthy, it does not matter for
/// how long.
pub(crate) fn health(healthy: u32, at: Timestamp, bounds: &Bounds) -> RecordedHealth {
    let sickens = bounds.budget.sicknesses > 0 || bounds.from == From::Weak;
    let fresh_for = if sickens { COARSE } else { NEVER };
    RecordedHealth { healthy, at, fresh_for }
}
