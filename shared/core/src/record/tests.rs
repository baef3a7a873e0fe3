//! Records as they are stored: every form that may be in somebody's table is read, and what an older
//! function asks for is still written (docs/upgrades.md).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::failure::{Failure, FailureCode};
use crate::fixtures::{
    NOW, alarm_arn, deployment, drifted, freeze, same_as_file, scaling_changed, scaling_not_set,
};
use crate::harm::RequestsPerMinute;
use crate::health::{Cell, CountedCells, SlotRequests, StoredCells};
use crate::ids::{ChannelName, DeploymentId, ExecutionStart, IntentId};
use crate::plan::{
    Bounds, Check, CheckMode, Hook, ImageDigest, LifecycleStage, Measure, MetricStatistic, Opening,
    Openings, Probe, SlotValidation, StageIndex, Validation, WayBack,
};
use crate::rollback::Forced;
use crate::scaling::{Pin, ScalableTarget, Suspended};
use crate::time::Span;
use crate::urgency::{ByUrgency, Urgency};
use crate::weight::Weight;

/// The form that today's code writes; every other directory beside it has an earlier one.
const CURRENT: &str = "current";

/// What an earlier form has and today's code does not write any more, and why an older function that asks
/// for it may be left without.
const NOT_WRITTEN: [(&str, &str); 1] =
    [("deployment-approving.progress.step.approving.gate", "that form was never released")];

fn golden() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/record/golden"))
}

fn earlier() -> Vec<String> {
    let forms = std::fs::read_dir(golden()).unwrap();
    let forms = forms.map(|form| form.unwrap().file_name().to_string_lossy().into_owned());
    forms.filter(|form| form != CURRENT).collect()
}

fn failure() -> Failure {
    Failure::new(FailureCode::AlarmFired, "alarm `shop-green-errors` fired: 5 of 5 datapoints")
}

fn person() -> String {
    "arn:aws:sts::123456789012:assumed-role/operators/ada".to_owned()
}

fn share(permille: u16) -> Weight {
    Weight::from_permille(permille).unwrap()
}

fn claim(purpose: Purpose) -> Intent {
    Intent::new(purpose, NOW, Span::from_secs(60))
}

fn scaling() -> ScalableTarget {
    ScalableTarget { minimum: 3, maximum: 15, suspended: Suspended::default() }
}

/// Held, and then changed by somebody in every field.
fn pin() -> Pin {
    let theirs = ScalableTarget { minimum: 6, maximum: 20, ..scaling().idle() };
    let (seen, _) = Pin::untouched(ScalableTarget { minimum: 4, ..scaling() }).seeing(theirs);
    let awake = ScalableTarget { minimum: 6, maximum: 20, ..scaling() };
    seen.seeing(awake).0.writing(awake, awake.held(10))
}

fn reasons() -> Vec<String> {
    vec!["12 of 200 canary requests".to_owned()]
}

fn approving() -> Deployment {
    let mut deployment = deployment();
    let decision = Decision {
        approved: true,
        by: person(),
        at: NOW,
        reason: Some("looks good".to_owned()),
        groups: Vec::new(),
    };
    deployment.progress.decisions = vec![(StageIndex(0), decision.clone())];
    let (since, until) = (NOW, NOW + Span::from_secs(60));
    deployment.progress.step =
        Step::Approving { since, until, decision: Some(decision), reminded: true };
    deployment
}

/// Everything that a record of the way forward may have.
fn baking() -> Deployment {
    let mut deployment = deployment();
    deployment.plan.stable.scaling = Some(scaling());
    deployment.plan.stable_images = vec!["repository/app:9z8y7x6".to_owned()];
    let left = deployment.plan.stable.task_definition.clone();
    let from = DeploymentId::new("shop-41");
    deployment.plan.way_back =
        Some(WayBack { from, version: left.clone(), skips_validation: false });
    deployment.plan.retries = vec![left];
    deployment.plan.notify_by = Some(ByUrgency {
        page: deployment.plan.notify.clone(),
        attention: deployment.plan.notify.clone(),
        information: Vec::new(),
    });
    deployment.plan.retry = Some(DeploymentId::new("shop-40"));
    let opening = Opening { from: NOW, until: NOW + Span::from_secs(3_600) };
    deployment.plan.windows = Some(Openings { open: vec![opening], known_until: opening.until });
    deployment.plan.canary.scaling = Some(scaling().idle());
    let weight = deployment.plan.stages[0].weight;
    let routes = deployment.plan.routes.iter();
    deployment.progress.verified = routes.map(|route| route.at(weight)).collect();
    deployment.epochs = Some((7, 8));
    deployment.execution_start = Some(ExecutionStart::new("2026-11-21T07:00:00.123Z"));
    deployment.warnings = vec!["slot `green` has 3 tasks".to_owned()];
    deployment.traffic = Some(RequestsPerMinute(1200));
    let promotion = Promotion {
        by: person(),
        at: NOW,
        reason: "the night is quiet".to_owned(),
        skips_bake: true,
    };
    let progress = &mut deployment.progress;
    progress.step = Step::Baking { since: NOW, promoted: Some(promotion) };
    progress.paused = Some(pause());
    progress.shifted_at = Some(NOW);
    progress.shifts = vec![Shift { stage: StageIndex(0), at: NOW }];
    progress.gaps = vec![Gap { from: NOW, until: None }];
    progress.in_order_at = Some(NOW);
    progress.judged = reasons();
    let seen = |container: &str, digest: &str| {
        let (container, digest) = (container.to_owned(), Some(digest.to_owned()));
        ImageDigest { container, image: "repository/app:latest".to_owned(), digest }
    };
    progress.digests = Some(Digests {
        canary: [seen("web", "sha256:0a1b")].into(),
        stable: [seen("web", "sha256:9f8e")].into(),
        retries: deployment.plan.retries.clone(),
    });
    progress.against = vec!["1 of 3 canary targets are healthy".to_owned()];
    progress.hooks = vec![HookRun {
        hook: 0,
        at: LifecycleStage::ProductionTrafficShift,
        status: HookStatus::InProgress,
        details: serde_json::Map::from_iter([("sprint".to_owned(), json!(7))]),
        since: NOW,
        again_at: NOW,
    }];
    progress.scaling = Pins {
        stable: SlotPin { pin: Some(pin()), told: None },
        canary: SlotPin { pin: None, told: Some(pin().wrote) },
    };
    let (stage, reasons, against) = (StageIndex(0), reasons(), Vec::new());
    progress.told = Some(Event::Waiting { stage, reasons, against });
    deployment
}

fn quarantined() -> Quarantined {
    let plan = deployment().plan;
    Quarantined {
        version: plan.task_definition,
        images: plan.images,
        digests: vec!["sha256:0a1b".to_owned()],
        deployment: DeploymentId::new("shop-42"),
        at: NOW,
        because: failure().to_string(),
    }
}

/// Everything that a record of the way back may have.
fn rolling_back() -> Deployment {
    let mut deployment = baking();
    deployment.phase = Phase::RollingBack;
    let trigger = FenceTrigger::Alarm(alarm_arn("shop-green-errors"));
    deployment.fence = Some(Fence { trigger, failure: failure(), at: NOW });
    let restore = claim(Purpose::Restore).forced_by(Some(person()));
    deployment.intents.insert(IntentId::new("0000000000000001"), restore);
    let step = claim(Purpose::StepBack(share(334)));
    deployment.intents.insert(IntentId::new("0000000000000002"), step);
    let left = deployment.plan.routes.iter().map(|route| route.route.clone()).collect();
    let progress = &mut deployment.progress;
    progress.weak = Some(Weakness {
        since: NOW,
        steps: vec![share(334)],
        told_of_none: false,
        told_of_few: true,
        reminders: 1,
    });
    progress.forced = Some(Forced::Plan);
    progress.overwritten = Some("rule: canary at 7 %".to_owned());
    progress.throttled = Some(Throttled { since: NOW, again_at: NOW, looked_at: None, left });
    progress.ended_by = Some(failure());
    let forced = Some(Forced::Operator(person()));
    progress.told = Some(Event::TrafficRestored { failure: failure(), overwritten: None, forced });
    deployment
}

/// Everything that a plan may ask after the end, and what has been answered.
fn validating() -> Deployment {
    let mut deployment = in_phase(rolling_back(), Phase::Closed(Outcome::RolledBack));
    let metric = MetricStatistic {
        namespace: "Shop".to_owned(),
        name: "Orders".to_owned(),
        dimensions: BTreeMap::new(),
        statistic: "Sum".to_owned(),
    };
    let bound = crate::plan::Number::new(10.0);
    let slot = SlotValidation {
        probes: vec![Probe {
            url: "https://blue.example.com/".to_owned(),
            status: 200,
            contains: Some("ready".to_owned()),
            attempts: 3,
            timeout: Span::from_secs(5),
        }],
        checks: vec![Check {
            name: "orders".to_owned(),
            canary: Measure::Metric(metric.clone()),
            stable: Measure::Metric(metric),
            limit: Bounds { above: None, below: bound },
            against_stable: Bounds::default(),
            points: 3,
            period: None,
            mode: CheckMode::Critical,
            alerts: false,
        }],
    };
    let details = serde_json::Map::from_iter([("suite".to_owned(), json!("smoke"))]);
    deployment.plan.validation = Some(Validation {
        stable: slot.clone(),
        canary: slot,
        hooks: vec![Hook {
            function: "smoke".to_owned(),
            stages: vec![LifecycleStage::Rollback],
            details: details.clone(),
        }],
        within: Span::from_secs(600),
    });
    let run = HookRun {
        hook: 0,
        at: LifecycleStage::Rollback,
        status: HookStatus::InProgress,
        details,
        since: NOW,
        again_at: NOW,
    };
    let until = NOW + Span::from_secs(600);
    deployment.validating = Some(Validating { ended_at: NOW, until, hooks: vec![run] });
    deployment
}

fn in_phase(mut deployment: Deployment, phase: Phase) -> Deployment {
    deployment.phase = phase;
    deployment
}

fn pause() -> Pause {
    Pause { by: person(), at: NOW, reason: Some("a reason".to_owned()) }
}

/// The events that a form had before, in its order, and then those that came later.
fn notices() -> Vec<Notice> {
    let stage = StageIndex(1);
    let (at, reasons, against) = (NOW, reasons(), vec!["2 minutes against it".to_owned()]);
    let decision = Decision { approved: false, by: person(), at, reason: None, groups: Vec::new() };
    let promotion = Promotion { by: person(), at, reason: "a reason".to_owned(), skips_bake: true };
    let (waited, lasted) = (Span::from_secs(60), Span::from_secs(90));
    let routes: Vec<_> = deployment().plan.routes.iter().map(|route| route.route.clone()).collect();
    let events = [
        Event::Started,
        Event::ApprovalNeeded { stage, judged: reasons.clone(), asked_at: Some(at) },
        Event::Decided { stage, decision, lacking: 1 },
        Event::Shifted { stage },
        Event::Waiting { stage, reasons: reasons.clone(), against: against.clone() },
        Event::ForeignChange { found: "rule: canary at 7 %".to_owned() },
        Event::TrafficRestored {
            failure: failure(),
            overwritten: Some("rule: canary at 7 %".to_owned()),
            forced: Some(Forced::Plan),
        },
        Event::RollbackHeld,
        Event::SteppingBack { healthy: 1, needed: 3, keeps: share(667) },
        Event::RollbackOverdue { healthy: 1, needed: 3, waited },
        Event::Succeeded,
        Event::RolledBack { failure: failure() },
        Event::Abandoned { failure: failure() },
        Event::Retired,
        Event::RetirementPostponed,
        Event::StageHeld { stage, reasons: reasons.clone(), against },
        Event::OutsideWindows { stage, opens_at: Some(NOW) },
        Event::Frozen { stage, freeze: freeze("*"), goes_on_at: Some(NOW) },
        Event::Promoted { stage, promotion },
        Event::NotPromoted { stage, reasons: reasons.clone() },
        Event::RouteInOrder { lasted },
        Event::StillReached { by: routes },
        Event::Undelivered {
            channel: ChannelName::new("team-shop"),
            sequence: 3,
            reason: "no_service".to_owned(),
            how: Undelivered::Refused,
            lost: Urgency::Attention,
        },
        scaling_changed(),
        scaling_not_set(),
        Event::Validated {
            good: vec!["probe https://blue.example.com/ answers as it must".to_owned()],
            bad: vec!["hook `smoke` at ROLLBACK failed".to_owned()],
            unknown: vec!["check `orders` has no data yet".to_owned()],
        },
        Event::Paused { stage, pause: pause() },
        Event::Resumed { stage, by: person(), reason: Some("a reason".to_owned()), lasted },
        Event::CheckAlert { stage, reasons: reasons.clone() },
        Event::RetirementHastened { by: person(), was_due_at: NOW },
        drifted(),
    ];
    let deployment = DeploymentId::new("shop-42");
    let numbered = events.into_iter().zip(1..);
    numbered
        .map(|(event, sequence)| Notice { deployment: deployment.clone(), sequence, at, event })
        .collect()
}

fn cells() -> StoredCells {
    let deployment = baking();
    let slot = |all, bad| SlotRequests { all, bad, slow: Some(1) };
    let cell = Cell { from: NOW, stage: StageIndex(0), canary: slot(100, 2), stable: slot(900, 9) };
    let shifts = &deployment.progress.shifts;
    let (period, cells) = (Span::from_secs(60), [cell]);
    let counted = CountedCells { period, cells: &cells };
    StoredCells::of(&deployment.id, &deployment.plan, shifts, counted, NOW)
}

/// Every kind of record as today's code writes it.
fn written() -> BTreeMap<&'static str, Value> {
    let baking = baking();
    let binding = Binding {
        started_at: NOW,
        routes: baking.plan.routes.clone(),
        needed: 3,
        health: baking.health,
        harm: baking.harm(),
    };
    let purposes = [
        Purpose::Shift(share(50)),
        Purpose::Scale,
        Purpose::Restore,
        Purpose::StepBack(share(334)),
        Purpose::ScaleIn,
        Purpose::Detach,
        Purpose::Retire,
    ];
    let triggers = [
        FenceTrigger::Alarm(alarm_arn("shop-green-errors")),
        FenceTrigger::StateMachine,
        FenceTrigger::Operator(person()),
        FenceTrigger::ExecutionEnd,
        FenceTrigger::Sweep,
    ];
    let fence = |trigger| Fence { trigger, failure: failure(), at: NOW };
    let mut committed = in_phase(baking.clone(), Phase::Committed);
    committed.gate = None;
    committed.intents.insert(IntentId::new("0000000000000004"), claim(Purpose::Detach));
    let mut rolled_back = in_phase(rolling_back(), Phase::Closed(Outcome::RolledBack));
    rolled_back.progress.restored_at = Some(NOW);
    let mut succeeded = in_phase(baking.clone(), Phase::Closed(Outcome::Succeeded));
    succeeded.drift = vec!["shop-green: it runs shop:7, and was left with shop:42".to_owned()];
    BTreeMap::from([
        ("deployment-settling", json!(deployment())),
        ("deployment-approving", json!(approving())),
        ("deployment-baking", json!(baking)),
        ("deployment-rolling-back", json!(rolling_back())),
        ("deployment-held", json!(in_phase(rolling_back(), Phase::Held))),
        ("deployment-committed", json!(committed)),
        ("deployment-succeeded", json!(succeeded)),
        ("deployment-rolled-back", json!(rolled_back)),
        ("deployment-validating", json!(validating())),
        ("binding", json!(binding)),
        ("retirement", json!(Retirement::after(&baking, NOW))),
        ("quarantined", json!(quarantined())),
        ("intents", json!(purposes.map(claim))),
        ("fences", json!(triggers.map(fence))),
        (
            "failures",
            json!(
                FailureCode::ALL.iter().map(|code| Failure::new(*code, "why")).collect::<Vec<_>>()
            ),
        ),
        ("notices", json!(notices())),
        ("cells", json!(cells())),
    ])
}

fn stored(form: &str) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(golden().join(form)).unwrap();
    let records = files.map(|file| {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    });
    records.collect()
}

/// Reads it as what its name says it is; what is wrong with it.
fn read(name: &str, record: &Value) -> Result<(), serde_json::Error> {
    fn as_type<Type: DeserializeOwned>(record: &Value) -> Result<(), serde_json::Error> {
        serde_json::from_value::<Type>(record.clone()).map(|_| ())
    }
    match name {
        "binding" => as_type::<Binding>(record),
        "retirement" => as_type::<Retirement>(record),
        "intents" => as_type::<Vec<Intent>>(record),
        "quarantined" => as_type::<Quarantined>(record),
        "fences" => as_type::<Vec<Fence>>(record),
        "failures" => as_type::<Vec<Failure>>(record),
        "notices" => as_type::<Vec<Notice>>(record),
        "cells" => as_type::<StoredCells>(record),
        name if name.starts_with("deployment-") => as_type::<Deployment>(record),
        name => panic!("what is {name}?"),
    }
}

/// Every place in a record that has a value, by the names that lead there.
fn places(at: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                places(&format!("{at}.{name}"), member, into);
            }
        }
        Value::Array(members) => {
            for (number, member) in members.iter().enumerate() {
                places(&format!("{at}[{number}]"), member, into);
            }
        }
        // Absent, for whoever reads it.
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(at.to_owned());
        }
    }
}

#[test]
fn what_is_written_today_is_seen_in_a_review() {
    for (name, record) in written() {
        let text = serde_json::to_string_pretty(&record).unwrap();
        same_as_file(&format!("src/record/golden/{CURRENT}/{name}.json"), &text);
    }
    let kept: BTreeSet<_> = stored(CURRENT).into_keys().collect();
    let names: BTreeSet<_> = written().into_keys().map(str::to_owned).collect();
    assert_eq!(kept, names);
}

#[test]
fn every_form_that_may_be_in_a_table_is_read() {
    for form in earlier().into_iter().chain([CURRENT.to_owned()]) {
        let records = stored(&form);
        assert!(records.len() > 10, "{form}");
        for (name, record) in records {
            read(&name, &record).unwrap_or_else(|error| panic!("{form}/{name}: {error}"));
        }
    }
}

#[test]
fn what_an_older_function_asks_for_is_still_written() {
    let today = written();
    assert!(!earlier().is_empty());
    for form in earlier() {
        for (name, record) in stored(&form) {
            let (mut asked, mut found) = (BTreeSet::new(), BTreeSet::new());
            places(&name, &record, &mut asked);
            places(&name, &today[name.as_str()], &mut found);
            let missing: Vec<_> = asked
                .difference(&found)
                .filter(|place| !NOT_WRITTEN.iter().any(|(known, _)| place == known))
                .collect();
            assert!(missing.is_empty(), "{form} has what is not written any more: {missing:#?}");
        }
    }
}

#[test]
fn a_field_that_is_not_known_yet_keeps_no_record_from_being_read() {
    for (name, mut record) in written() {
        let mut one = [record.clone()];
        let several = record.as_array_mut().map(|members| members.as_mut_slice());
        for object in several.unwrap_or(&mut one) {
            object["unheardOf"] = json!({ "sinceVersion": 9 });
            if let Some(progress) = object.get_mut("progress") {
                progress["unheardOf"] = json!(true);
            }
            if let Some(plan) = object.get_mut("plan") {
                plan["unheardOf"] = json!(true);
                plan["health"]["unheardOf"] = json!(true);
            }
        }
        let record = if record.is_array() { record } else { one[0].clone() };
        read(name, &record).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_is_told_once_and_lasts_is_read_as_it_was_told() {
    let lasts = |event: &Event| {
        let waits = matches!(event.concern(), Concern::Wait | Concern::Hold | Concern::WeakStable);
        let ends = matches!(
            event,
            Event::TrafficRestored { .. } | Event::RetirementPostponed | Event::StillReached { .. }
        );
        // A pause has a field of its own.
        (waits || ends) && !matches!(event, Event::Paused { .. })
    };
    let events = notices().into_iter().map(|notice| notice.event).filter(lasts);
    let mut seen = BTreeSet::new();
    for event in events {
        seen.insert(event.name());
        let mut progress = deployment().progress;
        progress.told = Some(event);
        let stored = serde_json::to_value(&progress).unwrap();
        assert_eq!(serde_json::from_value::<Progress>(stored).unwrap().told, progress.told);
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}
