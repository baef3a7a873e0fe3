//! What is written is read again as it was, in every phase.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::harm::{Harm, RequestsPerMinute};
use glidepath_core::health::{Cell, CountedCells, SlotRequests};
use glidepath_core::ids::{
    ClusterName, EcsServiceName, ExecutionArn, IntentId, ServiceLabel, TargetGroupArn,
    TaskDefinition,
};
use glidepath_core::people::Naming;
use glidepath_core::plan::{
    AlarmPlan, CanaryCapacity, HealthPlan, OnInconclusive, Plan, RoutePlan, Slot, SlotPlan, Stage,
    StageIndex, StrategyName,
};
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{
    Binding, Event, Fence, FenceTrigger, Intent, Outcome, Progress, Purpose, QuarantineChange,
    Quarantined, RecordedHealth, Validating,
};
use glidepath_core::rollback::RollbackPlan;
use glidepath_core::route::{RolePair, RouteActions, RouteRef};
use glidepath_core::weight::Weight;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_244_400_123);

fn plan() -> Plan {
    let slot = |slot, name: &str| SlotPlan {
        slot,
        service: EcsServiceName::new(name),
        desired_count: 3,
        task_definition: TaskDefinition::new("shop:41"),
        scaling: None,
    };
    Plan {
        service: ServiceLabel::new("shop"),
        cluster: ClusterName::new("production"),
        stable: slot(Slot::Blue, "shop-blue"),
        canary: slot(Slot::Green, "shop-green"),
        routes: vec![RoutePlan {
            route: RouteRef::Rule("rule".to_owned()),
            pair: RolePair {
                stable: TargetGroupArn::new("blue"),
                canary: TargetGroupArn::new("green"),
            },
            original: RouteActions(Vec::new()),
            load_balancer: "app/shop/1".to_owned(),
            health_check_path: None,
        }],
        task_definition: TaskDefinition::new("shop:42"),
        strategy: StrategyName::AllAtOnce,
        stages: vec![Stage { weight: Weight::ALL, bake: Span::from_secs(60), approval: None }],
        capacity: CanaryCapacity::Full,
        settle_within: Span::from_secs(900),
        scale_in_delay: Span::from_secs(120),
        retention: Span::from_secs(300),
        health: HealthPlan {
            interval: Span::from_millis(1500),
            alarms: AlarmPlan::default(),
            bad_requests_limit: None,
            bad_requests_are: glidepath_core::plan::BadRequestsAre::NotAnsweredWell,
            slower_than: None,
            comparison: None,
            checks: vec![],
            hooks: vec![],
            probes: vec![],
            minimum_requests: 200,
            extend_up_to: Span::ZERO,
            on_inconclusive: OnInconclusive::Hold,
        },
        rollback: RollbackPlan::default(),
        validation: None,
        notify: Vec::new(),
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
        ran: std::collections::BTreeSet::new(),
        retries: Vec::new(),
        unlisted: Vec::new(),
    }
}

pub(crate) fn deployment(phase: Phase) -> Deployment {
    let plan = plan();
    let intent = Intent::new(Purpose::Shift(Weight::ALL), NOW, Span::from_secs(15));
    Deployment {
        id: DeploymentId::new("d-1"),
        execution: ExecutionArn::new("arn:execution"),
        execution_start: None,
        revision: Revision(7),
        phase,
        fence: None,
        intents: [(IntentId::new("i1"), intent)].into(),
        started_at: NOW,
        progress: Progress::at_start(&plan, NOW),
        plan,
        traffic: Some(RequestsPerMinute(600)),
        health: RecordedHealth { healthy: 3, at: NOW, fresh_for: Span::from_secs(120) },
        gate: None,
        alarms: vec![AlarmArn::new("arn:alarm")],
        warnings: vec!["`orders` had no data".to_owned()],
        notices: 2,
        next_due_at: NOW + Span::from_secs(90),
        epochs: None,
        validating: None,
        freeze: None,
        drift: Vec::new(),
    }
}

fn fence() -> Fence {
    Fence {
        trigger: FenceTrigger::Alarm(AlarmArn::new("arn:alarm")),
        failure: Failure::new(FailureCode::AlarmFired, "it fired"),
        at: NOW,
    }
}

#[test]
fn deployments_come_back_as_they_went_and_are_due_until_they_end() {
    let closed = [Outcome::Succeeded, Outcome::RolledBack, Outcome::Abandoned].map(Phase::Closed);
    let open = [Phase::Open, Phase::RollingBack, Phase::Held, Phase::Committed];
    for phase in open.into_iter().chain(closed) {
        for fence in [None, Some(fence())] {
            let written = Deployment { fence, ..deployment(phase) };
            let item = write_deployment(&written).unwrap();
            assert_eq!(read_deployment(&item), Ok(written));
            assert_eq!(item.contains_key("due"), !closed.contains(&phase), "{phase:?}");
            assert_eq!(item.contains_key("expiresAt"), closed.contains(&phase), "{phase:?}");
        }
    }
}

#[test]
fn an_ended_deployment_is_due_while_what_serves_is_asked() {
    let (ended_at, until) = (NOW - Span::from_secs(30), NOW + Span::from_secs(600));
    let validating = Some(Validating { ended_at, until, hooks: Vec::new() });
    let asked = Deployment { validating, ..deployment(Phase::Closed(Outcome::RolledBack)) };
    let item = write_deployment(&asked).unwrap();
    assert_eq!(read_deployment(&item), Ok(asked.clone()));
    assert_eq!(item["due"], text(DUE));
    assert_eq!(item["nextDueAt"], number(asked.next_due_at.as_millis()));
    // It is kept as long as if nothing had been asked.
    assert_eq!(item["expiresAt"], expiry(ended_at));
}

#[test]
fn what_several_writers_touch_is_an_attribute_of_its_own() {
    let mut item =
        write_deployment(&Deployment { fence: Some(fence()), ..deployment(Phase::Open) }).unwrap();
    let Some(AttributeValue::S(document)) = item.get("document") else { panic!("{item:?}") };
    for name in OWN {
        assert!(!document.contains(&format!("\"{name}\"")), "{name} is in {document}");
    }
    // As a fence writes them.
    item.insert("phase".to_owned(), text("rollingBack"));
    item.insert("revision".to_owned(), number(8));
    let fenced = read_deployment(&item).unwrap();
    assert_eq!((fenced.phase, fenced.revision), (Phase::RollingBack, Revision(8)));
}

#[test]
fn alarms_come_back_with_bindings_and_intents() {
    let arn = AlarmArn::new("arn:aws:cloudwatch:eu-west-1:1:alarm:a#b");
    let binding = Binding {
        started_at: NOW,
        routes: plan().routes,
        needed: 3,
        health: deployment(Phase::Open).health,
        harm: Harm::of(Weight::ALL, Some(RequestsPerMinute(600))),
    };
    let intent = Intent::new(Purpose::Restore, NOW, Span::from_secs(60));
    let key = Key::alarm(&arn);
    let mut item = key.attributes();
    item.insert("revision".to_owned(), number(3));
    item.insert("binding:d-1".to_owned(), json(&key, &binding).unwrap());
    item.insert("intent:i1".to_owned(), json(&key, &intent).unwrap());
    let mut alarm = AlarmItem {
        revision: Revision(3),
        bindings: [(DeploymentId::new("d-1"), binding)].into(),
        intents: [(IntentId::new("i1"), intent)].into(),
        ..AlarmItem::unknown(arn.clone())
    };
    assert_eq!(read_alarm(&arn, &item), Ok(alarm.clone()));
    item.insert("firedAt".to_owned(), number(NOW.as_millis()));
    alarm.fired_at = Some(NOW);
    assert_eq!(read_alarm(&arn, &item), Ok(alarm));
    item.remove("revision");
    assert!(read_alarm(&arn, &item).unwrap_err().to_string().contains("a#b"));
}

/// Something of a newer version on an alarm's item keeps nothing else of it from anybody.
#[test]
fn what_cannot_be_read_on_an_alarm_hides_nothing_beside_it() {
    let arn = AlarmArn::new("arn:aws:cloudwatch:eu-west-1:1:alarm:a");
    let binding = Binding {
        started_at: NOW,
        routes: plan().routes,
        needed: 3,
        health: deployment(Phase::Open).health,
        harm: Harm::of(Weight::ALL, None),
    };
    let intent = Intent::new(Purpose::Restore, NOW, Span::from_secs(60));
    let key = Key::alarm(&arn);
    let mut item = key.attributes();
    item.insert("revision".to_owned(), number(3));
    item.insert("binding:read".to_owned(), json(&key, &binding).unwrap());
    item.insert("binding:newer".to_owned(), text(r#"{"startedAt":1,"lanes":[]}"#));
    item.insert("binding:damaged".to_owned(), number(1));
    item.insert("intent:read".to_owned(), json(&key, &intent).unwrap());
    item.insert("intent:newer".to_owned(), text(r#"{"purpose":"unheardOf","deadline":7}"#));
    item.insert("intent:damaged".to_owned(), text(r#"{"purpo"#));
    let read = read_alarm(&arn, &item).unwrap();
    assert_eq!(read.bindings, [(DeploymentId::new("read"), binding)].into());
    assert_eq!(read.intents, [(IntentId::new("read"), intent)].into());
    assert_eq!(read.unreadable.bindings, ["damaged", "newer"].map(DeploymentId::new).into());
    let deadline = Some(Timestamp::from_millis(7));
    let intents = [("damaged", None), ("newer", deadline)];
    assert_eq!(
        read.unreadable.intents,
        intents.map(|(id, deadline)| (IntentId::new(id), deadline)).into()
    );
}

#[test]
fn retirements_and_notices_come_back_and_are_due() {
    let retirement = Retirement::after(&deployment(Phase::Committed), NOW);
    let item = write_retirement(&retirement).unwrap();
    assert_eq!(read_retirement(&item), Ok(retirement));
    assert_eq!(item["due"], text(DUE));

    let id = DeploymentId::new("d-1");
    let notice = Notice { deployment: id, sequence: 12, at: NOW, event: Event::Started };
    let mut item = write_notice(&notice).unwrap();
    assert_eq!(item["sk"], text("notice#000012"));
    item.insert("delivered".to_owned(), AttributeValue::Ss(vec!["team".to_owned()]));
    item.insert("refused".to_owned(), AttributeValue::Ss(vec!["old".to_owned()]));
    item.insert("posted#team".to_owned(), text("C0/17.1"));
    let posted = [(ChannelName::new("team"), PostedMessage("C0/17.1".to_owned()))].into();
    let (delivered, refused) = (vec![ChannelName::new("team")], vec![ChannelName::new("old")]);
    assert_eq!(
        read_notice(&item),
        Ok(OutboxEntry { notice, delivered, refused, posted, due: true })
    );
}

#[test]
fn a_lock_without_a_holder_is_free() {
    let key = LockKey::from_text("route#r");
    let mut item = Key::lock(&key).attributes();
    item.insert("epoch".to_owned(), number(4));
    let free = Lock { epoch: 4, ..Lock::untaken(key.clone()) };
    assert_eq!(read_lock(&key, &item), Ok(free.clone()));
    // What a newer version has written otherwise keeps nobody from the lock.
    let damaged = format!("{QUARANTINED}shop:6");
    item.insert(damaged, text("{}"));
    let quarantined = Quarantined {
        version: TaskDefinition::new("shop:7"),
        images: vec!["r/app:7".to_owned()],
        digests: Vec::new(),
        deployment: DeploymentId::new("shop-7"),
        at: NOW,
        because: "AlarmFired: 5xx".to_owned(),
    };
    item.insert(format!("{QUARANTINED}shop:7"), json(&Key::lock(&key), &quarantined).unwrap());
    assert_eq!(read_lock(&key, &item), Ok(Lock { quarantined: vec![quarantined], ..free }));
    item.insert("holder".to_owned(), number(1));
    assert!(read_lock(&key, &item).is_err());
}

#[test]
fn cells_come_back_and_expire() {
    let deployment = deployment(Phase::Open);
    let slot = SlotRequests { all: 50, bad: 1, slow: None };
    let cell = Cell { from: NOW, stage: StageIndex(0), canary: slot, stable: slot };
    let minute = Span::from_secs(60);
    let counted = CountedCells { period: minute, cells: &[cell] };
    let cells = StoredCells::of(&deployment.id, &deployment.plan, &[], counted, NOW);
    let item = write_cells(&cells).unwrap();
    assert_eq!(read_cells(&item).unwrap(), cells);
    assert!(item.contains_key("expiresAt") && !item.contains_key("due"));
}

#[test]
fn whoever_wants_a_start_replaces_nobody_else_and_no_earlier_wish() {
    let start = |by: &str, at| Start {
        deployment: DeploymentId::new("d1"),
        by: by.to_owned(),
        request: serde_json::json!({ "service": "shop" }),
        at,
    };
    let wanted = [
        start("arn:ada", NOW),
        start("arn:bob", NOW),
        start("arn:ada", NOW + Span::from_millis(1)),
    ];
    let items: Vec<_> = wanted.iter().map(|start| write_start(start).unwrap()).collect();
    let keys: std::collections::BTreeSet<_> =
        items.iter().map(|item| Key::of(item).unwrap()).collect();
    assert_eq!(keys.len(), 3);
    let in_order: Vec<_> = keys.iter().map(|key| key.sort.as_str()).collect();
    assert!(in_order.iter().all(|sort| sort.starts_with(START)), "{in_order:?}");
    assert!(in_order[2].ends_with("#arn:ada"), "{in_order:?}");
    for (start, item) in wanted.iter().zip(&items) {
        assert_eq!(read_start(item).unwrap(), *start);
    }
}

#[test]
fn the_largest_cells_are_an_item() {
    let deployment = deployment(Phase::Open);
    let slot = SlotRequests { all: u64::MAX, bad: u64::MAX, slow: Some(u64::MAX) };
    let minute = Span::from_secs(60);
    let cells: Vec<_> = (0..5_000)
        .map(|number| Cell {
            from: NOW + minute.times(number),
            stage: StageIndex(0),
            canary: slot,
            stable: slot,
        })
        .collect();
    let counted = CountedCells { period: minute, cells: &cells };
    let cells = StoredCells::of(&deployment.id, &deployment.plan, &[], counted, NOW);
    let bytes: usize = write_cells(&cells)
        .unwrap()
        .iter()
        .map(|(name, value)| name.len() + format!("{value:?}").len())
        .sum();
    // DynamoDB counts names and values in UTF-8; the quotes of the debug form are on top here.
    assert!(bytes < 400 * 1024, "{bytes}");
}

#[test]
fn a_lock_carries_what_was_taken_back() {
    let (key, deployment) = (LockKey::from_text("service#c/s"), DeploymentId::new("d"));
    let quarantined = |number: u32| Quarantined {
        version: TaskDefinition::new(format!("shop:{number}")),
        images: Vec::new(),
        digests: Vec::new(),
        deployment: deployment.clone(),
        at: NOW,
        because: "AlarmFired: 5xx".to_owned(),
    };
    let lifted = || vec![TaskDefinition::new("shop:1"), TaskDefinition::new("shop:2")];
    let take = |forgotten| RegistryWrite::TakeLock {
        key: key.clone(),
        deployment: deployment.clone(),
        expected_epoch: 4,
        forgotten,
    };
    let release = |added, lifted| RegistryWrite::ReleaseLock {
        key: key.clone(),
        deployment: deployment.clone(),
        quarantine: QuarantineChange { added, lifted },
    };
    for (write, expression, names) in [
        (take(Vec::new()), "SET holder = :holder, epoch = :next", vec![]),
        (
            take(lifted()),
            "SET holder = :holder, epoch = :next REMOVE #removed0, #removed1",
            vec![("#removed0", "quarantined:shop:1"), ("#removed1", "quarantined:shop:2")],
        ),
        (release(None, Vec::new()), "REMOVE holder", vec![]),
        (
            release(Some(quarantined(3)), lifted()),
            "REMOVE holder, #removed0, #removed1 SET #added = :added",
            vec![
                ("#added", "quarantined:shop:3"),
                ("#removed0", "quarantined:shop:1"),
                ("#removed1", "quarantined:shop:2"),
            ],
        ),
    ] {
        let items = crate::registry::writes::transaction("table", &[write]).unwrap();
        let update = items[0].update().unwrap();
        assert_eq!(update.update_expression(), expression);
        let named = update.expression_attribute_names().cloned().unwrap_or_default();
        let expected = names.into_iter().map(|(name, of)| (name.to_owned(), of.to_owned()));
        assert_eq!(named, expected.collect());
    }
}
