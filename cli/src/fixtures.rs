//! Deployments in every state, for tests, and files with what is to be shown.

use std::collections::BTreeMap;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::SlotRequests;
use glidepath_core::ids::{ChannelName, DeploymentId, EcsServiceName, ExecutionArn, TaskToken};
use glidepath_core::plan::{Approval, OnTimeout, Opening, Openings, StageIndex};
use glidepath_core::record::{
    Decision, Deployment, Event, Fence, FenceTrigger, Freeze, Gate, Notice, Outcome, Pause, Phase,
    Progress, Promotion, RecordedHealth, Revision, Step, Tick, Undelivered,
};
use glidepath_core::route::RouteRef;
use glidepath_core::scaling::{ScalableTarget, Suspended};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::urgency::Urgency;
use glidepath_core::weight::Weight;
use glidepath_engine::testing::example;

use crate::live::{Counted, Evidence, StageCounted};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What nobody may ever see.
pub(crate) const TOKEN: &str = "AQCEAAAAKgAAAAMAAAAA-secret";

pub(crate) const fn minutes(minutes: u64) -> Span {
    Span::from_secs(minutes * 60)
}

/// Compares with a file beside the tests, without colours; with `UPDATE=1` in the environment the
/// file is written.
#[track_caller]
pub(crate) fn same_as_file(name: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shown").join(name);
    let actual = anstream::adapter::strip_str(actual).to_string();
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} is not up to date; look at the difference and run the tests with UPDATE=1\n\
         expected:\n{expected}\nactual:\n{actual}",
        path.display()
    );
}

fn weight(permille: u16) -> Weight {
    Weight::from_permille(permille).unwrap()
}

/// What looks have counted: of each stage requests and bad ones of the canary, then of stable.
pub(crate) fn counted(stages: &[(u64, u64, u64, u64)]) -> Counted {
    let slot = |all, bad| SlotRequests { all, bad, slow: None };
    let stages =
        stages.iter().enumerate().map(|(position, (all, bad, of_stable, bad_of_stable))| {
            let (canary, stable) = (slot(*all, *bad), slot(*of_stable, *bad_of_stable));
            StageCounted { stage: StageIndex(position), canary, stable }
        });
    let evidence = Evidence { ln_e: 1.5, bound: 20_f64.ln(), witnesses: 1, needed: 3 };
    Counted { until: NOW - minutes(1), stages: stages.collect(), evidence: Some(evidence) }
}

/// Waits at a gate in its first stage, for two more minutes.
pub(crate) fn baking() -> Deployment {
    let approval = Approval::anybody(minutes(240), OnTimeout::Rollback);
    let mut stages = vec![
        example::stage(50, minutes(5)),
        example::stage(250, minutes(5)),
        example::stage(1000, minutes(30)),
    ];
    stages[1].approval = Some(approval);
    let plan = example::plan(stages);
    let since = NOW - minutes(3);
    let mut progress = Progress::at_start(&plan, since);
    progress.step = Step::Baking { since, promoted: None };
    progress.shifted_at = Some(since);
    progress.verified = vec![example::actions(weight(50))];
    Deployment {
        id: DeploymentId::new("shop-42"),
        execution: ExecutionArn::new("arn:aws:states:x:1:execution:glidepath:shop-42"),
        execution_start: None,
        revision: Revision(7),
        phase: Phase::Open,
        fence: None,
        intents: BTreeMap::new(),
        started_at: NOW - minutes(5),
        traffic: None,
        health: RecordedHealth { healthy: 3, at: NOW, fresh_for: Span::from_secs(120) },
        gate: Some(Gate {
            tick: Tick { redrive_count: 0, entered_at: NOW, retry_count: 0 },
            token: TaskToken::new(TOKEN),
        }),
        alarms: plan.health.alarms.binding().cloned().collect(),
        warnings: vec![
            "`orders` had no data during the last hour at $.health.checks[0]: fill it".to_owned(),
        ],
        notices: 2,
        next_due_at: NOW + minutes(10),
        epochs: None,
        validating: None,
        freeze: None,
        drift: Vec::new(),
        progress,
        plan,
    }
}

/// Brings up the tasks of its second stage.
pub(crate) fn settling() -> Deployment {
    let mut deployment = baking();
    deployment.progress.stage = StageIndex(1);
    deployment.progress.step = Step::Settling { since: NOW - Span::from_secs(20), approved: false };
    deployment
}

/// Waits for a person before its second stage.
pub(crate) fn approving() -> Deployment {
    let mut deployment = settling();
    let since = NOW - minutes(3);
    deployment.progress.step =
        Step::Approving { since, until: since + minutes(240), decision: None, reminded: false };
    deployment
}

/// Its evidence is not enough.
pub(crate) fn waiting() -> Deployment {
    let mut deployment = baking();
    let reasons = vec![
        "12 of 200 requests that a verdict needs".to_owned(),
        "alarm `shop-blue` of stable fires".to_owned(),
    ];
    let against = Vec::new();
    deployment.progress.told = Some(Event::Waiting { stage: StageIndex(0), reasons, against });
    deployment
}

/// Its next stage waits for Monday morning.
pub(crate) fn outside_windows() -> Deployment {
    let mut deployment = baking();
    let opening = Opening { from: NOW + minutes(900), until: NOW + minutes(1320) };
    let known_until = opening.until;
    deployment.plan.windows = Some(Openings { open: vec![opening], known_until });
    let opens_at = Some(opening.from);
    deployment.progress.told = Some(Event::OutsideWindows { stage: StageIndex(1), opens_at });
    deployment
}

/// A stage waits until somebody thaws what they have frozen.
pub(crate) fn frozen() -> Deployment {
    let mut deployment = baking();
    let freeze = freeze();
    let told = Event::Frozen { stage: StageIndex(1), freeze: freeze.clone(), goes_on_at: None };
    deployment.freeze = Some(freeze);
    deployment.progress.told = Some(told);
    deployment
}

pub(crate) fn freeze() -> Freeze {
    Freeze {
        services: "production/*".to_owned(),
        by: "arn:aws:sts::1:assumed-role/operator/ada".to_owned(),
        at: NOW,
        since: NOW,
        reason: "the sale".to_owned(),
        until: None,
    }
}

/// Somebody has paused a bake.
pub(crate) fn paused() -> Deployment {
    let mut deployment = baking();
    deployment.progress.paused = Some(pause());
    deployment
}

fn pause() -> Pause {
    Pause {
        by: "arn:aws:sts::1:assumed-role/deployer/ada".to_owned(),
        at: NOW,
        reason: Some("the support desk is on fire".to_owned()),
    }
}

pub(crate) fn held_by_others() -> Deployment {
    let mut deployment = baking();
    let found = "the canary has 40 %, not 5 %".to_owned();
    deployment.progress.told = Some(Event::ForeignChange { found });
    deployment
}

fn alarm_fired() -> Failure {
    Failure::new(FailureCode::AlarmFired, "`green-errors` fired: 31 errors in 1 minute")
}

/// An alarm has just fired.
pub(crate) fn rolling_back() -> Deployment {
    let mut deployment = baking();
    deployment.phase = Phase::RollingBack;
    deployment.fence = Some(Fence {
        trigger: FenceTrigger::Alarm(example::alarm(glidepath_core::plan::Slot::Green)),
        failure: alarm_fired(),
        at: NOW - Span::from_secs(1),
    });
    deployment
}

/// Its rollback finds no healthy target.
pub(crate) fn held() -> Deployment {
    Deployment { phase: Phase::Held, ..rolling_back() }
}

/// Its rollback is over.
pub(crate) fn rolled_back() -> Deployment {
    let mut deployment = rolling_back();
    deployment.phase = Phase::Closed(Outcome::RolledBack);
    deployment.progress.restored_at = Some(NOW - Span::from_secs(1));
    deployment.gate = None;
    deployment.next_due_at = NOW;
    deployment
}

/// Hands over.
pub(crate) fn committed() -> Deployment {
    let mut deployment = baking();
    let since = NOW - minutes(31);
    deployment.phase = Phase::Committed;
    deployment.progress.stage = StageIndex(2);
    deployment.progress.step = Step::Baking { since, promoted: None };
    deployment.progress.shifted_at = Some(since);
    deployment.progress.verified = vec![example::actions(Weight::ALL)];
    deployment.gate = None;
    deployment
}

/// Its version is stable now.
pub(crate) fn succeeded() -> Deployment {
    let phase = Phase::Closed(Outcome::Succeeded);
    Deployment { phase, next_due_at: NOW - minutes(1), ..committed() }
}

/// Ended before it changed anything.
pub(crate) fn abandoned() -> Deployment {
    let mut deployment = baking();
    deployment.phase = Phase::Closed(Outcome::Abandoned);
    deployment.progress = Progress::at_start(&deployment.plan, deployment.started_at);
    deployment.next_due_at = deployment.started_at + Span::from_secs(2);
    deployment
}

/// One of each, under names of their own.
pub(crate) fn all() -> Vec<Deployment> {
    let mut all = vec![
        baking(),
        settling(),
        approving(),
        waiting(),
        paused(),
        outside_windows(),
        frozen(),
        held_by_others(),
        rolling_back(),
        held(),
        rolled_back(),
        committed(),
        succeeded(),
        abandoned(),
    ];
    for (number, deployment) in all.iter_mut().enumerate() {
        deployment.id = DeploymentId::new(format!("shop-{number}"));
    }
    all
}

fn notices(events: Vec<Event>) -> Vec<Notice> {
    let notices = events.into_iter().zip(1u32..).map(|(event, sequence)| Notice {
        deployment: DeploymentId::new("shop-42"),
        sequence,
        at: NOW - minutes(5) + Span::from_secs(20).times(u64::from(sequence - 1)),
        event,
    });
    notices.collect()
}

/// A timeline that leads to this state.
pub(crate) fn notices_of(deployment: &Deployment) -> Vec<Notice> {
    let mut events = vec![Event::Started];
    events.push(match deployment.phase {
        Phase::Closed(Outcome::Abandoned) => Event::Abandoned {
            failure: Failure::new(FailureCode::RouteChanged, "the canary has 40 %, not 0 %"),
        },
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Committed
        | Phase::Closed(Outcome::Succeeded | Outcome::RolledBack) => {
            Event::Shifted { stage: StageIndex(0) }
        }
    });
    match (deployment.phase, &deployment.progress.step) {
        (Phase::Closed(Outcome::RolledBack), _) => {
            let failure = alarm_fired();
            let (overwritten, forced) = (None, None);
            events.push(Event::TrafficRestored { failure: failure.clone(), overwritten, forced });
            events.push(Event::RolledBack { failure });
        }
        (Phase::Closed(Outcome::Succeeded), _) => events.push(Event::Succeeded),
        (
            Phase::Open
            | Phase::RollingBack
            | Phase::Held
            | Phase::Committed
            | Phase::Closed(Outcome::Abandoned),
            Step::Approving { .. },
        ) => events.push(Event::ApprovalNeeded {
            stage: StageIndex(1),
            judged: Vec::new(),
            asked_at: None,
        }),
        (
            Phase::Open
            | Phase::RollingBack
            | Phase::Held
            | Phase::Committed
            | Phase::Closed(Outcome::Abandoned),
            Step::Settling { .. } | Step::Baking { .. },
        ) => {}
    }
    match deployment.phase {
        Phase::Held => events.push(Event::RollbackHeld),
        Phase::Open | Phase::RollingBack | Phase::Committed | Phase::Closed(_) => {
            events.extend(deployment.progress.told.clone());
            let pause = deployment.progress.paused.clone();
            events.extend(pause.map(|pause| Event::Paused { stage: StageIndex(0), pause }));
        }
    }
    notices(events)
}

/// One notice of every event.
pub(crate) fn every_notice() -> Vec<Notice> {
    let stage = StageIndex(1);
    let failure = alarm_fired();
    let decision = Decision {
        approved: true,
        by: "arn:aws:sts::1:assumed-role/deployer/ada".to_owned(),
        at: NOW,
        reason: Some("the graphs look good".to_owned()),
        groups: Vec::new(),
    };
    notices(vec![
        Event::Started,
        Event::ApprovalNeeded {
            stage,
            judged: vec!["no canary task stopped".to_owned()],
            asked_at: None,
        },
        Event::Decided { stage, decision, lacking: 0 },
        Event::Shifted { stage },
        Event::Waiting {
            stage,
            reasons: vec!["12 of 200 requests".to_owned()],
            against: Vec::new(),
        },
        Event::OutsideWindows { stage, opens_at: Some(NOW + minutes(900)) },
        Event::Frozen { stage, freeze: freeze(), goes_on_at: None },
        Event::StageHeld {
            stage,
            reasons: vec!["12 of 200 requests".to_owned()],
            against: vec!["2 of 3 canary targets are healthy".to_owned()],
        },
        Event::Promoted {
            stage,
            promotion: Promotion {
                by: "arn:aws:sts::1:assumed-role/deployer/ada".to_owned(),
                at: NOW,
                reason: "a night's traffic never gets there".to_owned(),
                skips_bake: false,
            },
        },
        Event::NotPromoted { stage, reasons: vec!["2 of 3 canary targets are healthy".to_owned()] },
        Event::Paused { stage, pause: pause() },
        Event::Resumed {
            stage,
            by: "arn:aws:sts::1:assumed-role/deployer/grace".to_owned(),
            reason: None,
            lasted: minutes(12),
        },
        Event::ForeignChange { found: "the canary has 40 %, not 25 %".to_owned() },
        Event::RouteInOrder { lasted: minutes(12) },
        Event::TrafficRestored {
            failure: failure.clone(),
            overwritten: Some("the canary had 40 %".to_owned()),
            forced: None,
        },
        Event::RollbackHeld,
        Event::SteppingBack { healthy: 2, needed: 3, keeps: weight(334) },
        Event::RollbackOverdue { healthy: 0, needed: 3, waited: minutes(30) },
        Event::ScalingChanged {
            service: EcsServiceName::new("shop-blue"),
            found: vec!["its minimum is 6 instead of 10".to_owned()],
        },
        Event::ScalingNotSet {
            service: EcsServiceName::new("shop-blue"),
            wanted: ScalableTarget { minimum: 3, maximum: 15, suspended: Suspended::default() },
            why: "AccessDeniedException: not authorized".to_owned(),
        },
        Event::Succeeded,
        Event::RolledBack { failure: failure.clone() },
        Event::Abandoned { failure },
        Event::Validated {
            good: vec!["probe https://blue.example.com/ answers as it must".to_owned()],
            bad: vec!["hook `smoke` at ROLLBACK failed".to_owned()],
            unknown: vec!["check `orders` has no data yet".to_owned()],
        },
        Event::RetirementHastened { by: "arn:aws:iam::1:user/ada".to_owned(), was_due_at: NOW },
        Event::Retired,
        Event::RetirementPostponed,
        Event::StillReached {
            by: vec![RouteRef::Listener(
                "arn:aws:elasticloadbalancing:x:1:listener/app/s/1/2".to_owned(),
            )],
        },
        Event::Drifted {
            differences: vec!["shop-green: it runs shop:7, and was left with shop:42".to_owned()],
        },
        Event::Undelivered {
            channel: ChannelName::new("team"),
            sequence: 2,
            reason: "slack webhook: status 404".to_owned(),
            how: Undelivered::Refused,
            lost: Urgency::Attention,
        },
    ])
}
