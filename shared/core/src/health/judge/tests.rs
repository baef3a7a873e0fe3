mod stopped;

use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, NOW, alarm_arn};
use crate::health::verdict::Judgement;
use crate::health::{
    Cell, ConnectionErrors, Errors, LoadBalancerErrors, MeasuredMetrics, SlotRequests, TaskEnd,
};
use crate::plan::{AlarmPlan, Permille};
use crate::time::Span;
use crate::weight::Weight;

/// Everything read, nothing wrong, and enough of it.
fn healthy(plan: &Plan) -> Readings {
    let alarm = |watched| {
        move |alarm: &AlarmArn| AlarmReading {
            alarm: alarm.clone(),
            watched,
            signal: AlarmSignal::Ok,
            reason: "threshold not crossed".to_owned(),
            since_before: false,
        }
    };
    let AlarmPlan { stable, canary, service, forced: _, idle: _ } = &plan.health.alarms;
    let alarms = stable.iter().map(alarm(Watched::Stable));
    let alarms = alarms.chain(canary.iter().map(alarm(Watched::Canary)));
    Readings {
        at: NOW,
        alarms: Reading::Read(alarms.chain(service.iter().map(alarm(Watched::Service))).collect()),
        targets: Reading::Read(vec![targets(1, 1, 3)]),
        stopped_tasks: Reading::Read(vec![]),
        gaps: vec![],
        metrics: Reading::Read(measured(counts(0, 1_000, 0, 19_000))),
        hooks: vec![],
        probes: vec![],
    }
}

fn measured(cells: Vec<Cell>) -> MeasuredMetrics {
    MeasuredMetrics {
        requests: Reading::Read(cells),
        connection_errors: Reading::Read(ConnectionErrors::default()),
        load_balancer_errors: Reading::Read(vec![load_balancer_errors(0, 0)]),
        checks: vec![],
    }
}

/// So many in half an hour before the deployment, so many in the newest three minutes.
fn load_balancer_errors(before: u64, newest: u64) -> LoadBalancerErrors {
    LoadBalancerErrors {
        load_balancer: "app/front/1".to_owned(),
        before: Errors { count: before, periods: 30 },
        newest: Errors { count: newest, periods: 3 },
    }
}

fn targets(canary_healthy: u32, canary_needed: u32, stable_healthy: u32) -> RouteTargets {
    RouteTargets { canary_healthy, canary_needed, stable_healthy, canary_sick: None }
}

/// One period of stage 1.
fn counts(canary_bad: u64, canary: u64, stable_bad: u64, stable: u64) -> Vec<Cell> {
    let slot = |all, bad| SlotRequests { all, bad, slow: None };
    vec![Cell {
        from: NOW,
        stage: StageIndex(0),
        canary: slot(canary, canary_bad),
        stable: slot(stable, stable_bad),
    }]
}

/// The same period of stage 1 over and over.
fn minutes(count: usize, cell: &[Cell]) -> Vec<Cell> {
    cell.iter().copied().cycle().take(count).collect()
}

fn task(name: &str) -> StoppedTask {
    let reason = "exit code 137".to_owned();
    StoppedTask { task: name.to_owned(), reason, at: NOW, end: TaskEnd::Exited }
}

/// The verdict about stage 1 of a healthy deployment in which one thing is different.
fn verdict(change: impl FnOnce(&mut Plan, &mut Readings)) -> Verdict {
    let mut plan = fixtures::plan();
    let mut readings = healthy(&plan);
    change(&mut plan, &mut readings);
    judge(&plan, StageIndex(0), &readings)
}

fn by_requests(counts: Vec<Cell>) -> Verdict {
    verdict(|_, readings| readings.metrics = Reading::Read(measured(counts)))
}

fn verdict_without_a_limit(counts: Vec<Cell>) -> Verdict {
    verdict(|plan, readings| {
        plan.health.bad_requests_limit = None;
        readings.metrics = Reading::Read(measured(counts));
    })
}

/// The same as five equal periods, in which the rest is left out.
fn in_minutes(counts: &[Cell]) -> Vec<Cell> {
    let part = |slot: SlotRequests| SlotRequests { all: slot.all / 5, bad: slot.bad / 5, ..slot };
    let minute = crate::time::Span::from_secs(60);
    let cells = counts.iter().flat_map(|cell| {
        (0..5).map(move |number| Cell {
            from: cell.from + minute.times(number),
            canary: part(cell.canary),
            stable: part(cell.stable),
            ..*cell
        })
    });
    cells.collect()
}

fn with_signal(alarm: &str, signal: AlarmSignal) -> Verdict {
    verdict(|_, readings| {
        if let Reading::Read(alarms) = &mut readings.alarms {
            for reading in alarms.iter_mut().filter(|reading| reading.alarm.name() == alarm) {
                reading.signal = signal;
            }
        }
    })
}

#[track_caller]
fn assert_says(verdict: &Verdict, judgement: Judgement, text: &str) {
    assert_eq!(verdict.judgement, judgement, "{:#?}", verdict.reasons);
    let said = verdict
        .reasons
        .iter()
        .any(|reason| reason.judgement == judgement && reason.text.contains(text));
    assert!(said, "no reason contains {text:?}: {:#?}", verdict.reasons);
}

proptest! {
    #[test]
    fn any_counts_are_judged_without_panic(
        canary_bad: u64, canary: u64, stable_bad: u64, stable: u64, limit in 0u16..=1000, minimum: u64,
    ) {
        let verdict = verdict(|plan, readings| {
            plan.health.bad_requests_limit = Some(Permille(limit));
            plan.health.minimum_requests = minimum;
            readings.metrics = Reading::Read(measured(counts(canary_bad, canary, stable_bad, stable)));
        });
        prop_assert!(!verdict.reasons.is_empty());
    }

    #[test]
    fn more_bad_canary_requests_never_look_better(
        canary in 0u64..2_000, bad in 0u64..2_000, more in 0u64..2_000,
        stable_bad in 0u64..2_000, stable in 0u64..2_000,
        limit in 0u16..=1000, minimum in 1u64..500,
    ) {
        let judged = |bad: u64| {
            verdict(|plan, readings| {
                plan.health.bad_requests_limit = Some(Permille(limit));
                plan.health.minimum_requests = minimum;
                readings.metrics = Reading::Read(measured(counts(bad, canary, stable_bad, stable)));
            })
            .judgement
        };
        prop_assert!(judged(bad + more) >= judged(bad));
    }

    #[test]
    fn fewer_healthy_targets_never_look_better(
        healthy in 0u32..50, fewer in 0u32..50, needed in 0u32..50, stable in 0u32..3,
    ) {
        let judged = |healthy| {
            verdict(|_, readings| {
                readings.targets = Reading::Read(vec![targets(healthy, needed, stable)]);
            })
            .judgement
        };
        prop_assert!(judged(healthy.saturating_sub(fewer)) >= judged(healthy));
    }

    #[test]
    fn whatever_cannot_be_read_is_neither_health_nor_sickness(
        alarms: bool, targets: bool, tasks: bool, requests: bool,
    ) {
        let verdict = verdict(|_, readings| {
            let why = || "AccessDenied".to_owned();
            if alarms { readings.alarms = Reading::Unreadable(why()); }
            if targets { readings.targets = Reading::Unreadable(why()); }
            if tasks { readings.stopped_tasks = Reading::Unreadable(why()); }
            if requests { readings.metrics = Reading::Unreadable(why()); }
        });
        let anything = alarms || targets || tasks || requests;
        let expected = if anything { Judgement::Inconclusive } else { Judgement::Pass };
        prop_assert_eq!(verdict.judgement, expected);
    }

    #[test]
    fn the_verdict_is_its_worst_reason(bad in 0u64..1_000, healthy in 0u32..2, stopped in 0usize..3) {
        let verdict = verdict(|_, readings| {
            readings.metrics = Reading::Read(measured(counts(bad, 1_000, 0, 1_000)));
            readings.targets = Reading::Read(vec![targets(healthy, 1, 3)]);
            readings.stopped_tasks = Reading::Read(vec![task("a"); stopped]);
        });
        let worst = verdict.reasons.iter().map(|reason| reason.judgement).max();
        prop_assert_eq!(Some(verdict.judgement), worst);
        // Three alarms, targets, tasks, the comparison, the level of requests and the load
        // balancer: no check is silent, whatever it says. Gross failure speaks only when there is
        // one, and so does the share of requests, here far from the stage's 5 %.
        let gross = usize::from(bad >= 600);
        prop_assert_eq!(verdict.reasons.len(), 9 + gross);
    }
}

#[test]
fn a_healthy_canary_passes_with_every_reason() {
    let verdict = verdict(|_, _| {});
    assert_eq!(verdict.judgement, Judgement::Pass);
    let texts: Vec<_> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "the canary's alarm `shop-green-5xx` is OK",
            "the service's alarm `shop-latency` is OK",
            "the stable slot's alarm `shop-blue-5xx` is OK",
            "1 of 1 canary targets are healthy in `green`",
            "no canary task stopped",
            "the canary is not shown to be worse than stable; bad requests: 0 of 1000 of the canary, 0 \
             of 19000 of stable; stable has none to compare with (nothing is ruled out); evidence against the canary is 0.69 of 100, \
             from 0 of 1 periods",
            "canary: 0 of 1000 requests were bad (0 %), allowed are 5 %; \
             stable: 0 of 19000 requests were bad (0 %)",
            "load balancer `front` itself answered 0 requests with 5xx in 3 periods; before the \
             deployment 0 in 30",
        ]
    );
}

#[test]
fn alarms_of_the_canary_and_of_the_service_fail_and_those_of_stable_hold() {
    for (alarm, judgement) in [
        ("shop-green-5xx", Judgement::Fail),
        ("shop-latency", Judgement::Fail),
        ("shop-blue-5xx", Judgement::Inconclusive),
    ] {
        let verdict = with_signal(alarm, AlarmSignal::Alarm);
        assert_says(&verdict, judgement, "is firing: threshold not crossed");
    }
}

#[test]
fn an_alarm_of_the_slot_that_was_left_does_not_hold_the_last_stage() {
    let judged = |permille| {
        verdict(|plan, readings| {
            plan.stages[0].weight = Weight::from_permille(permille).unwrap();
            let Reading::Read(alarms) = &mut readings.alarms else { panic!() };
            alarms[0].signal = AlarmSignal::Alarm;
        })
    };
    assert_says(&judged(1000), Judgement::Pass, "does not count while its slot has no traffic");
    assert_says(&judged(999), Judgement::Inconclusive, "`shop-blue-5xx` is firing");
}

#[test]
fn an_alarm_that_fired_before_holds_until_it_is_ok_and_never_rolls_back() {
    let judged = |permille, since_before| {
        verdict(|plan, readings| {
            plan.stages[0].weight = Weight::from_permille(permille).unwrap();
            let Reading::Read(alarms) = &mut readings.alarms else { panic!() };
            let canary = alarms.iter_mut().find(|found| found.watched == Watched::Canary).unwrap();
            canary.signal = AlarmSignal::Alarm;
            canary.since_before = since_before;
        })
    };
    assert_says(&judged(0, true), Judgement::Pass, "counts from the moment it is OK");
    assert_says(&judged(50, true), Judgement::Suspect, "counts from the moment it is OK");
    assert_says(&judged(50, false), Judgement::Fail, "`shop-green-5xx` is firing");
}

#[test]
fn one_alarm_that_cannot_be_read_hides_none_that_fires() {
    let verdict = verdict(|_, readings| {
        let Reading::Read(alarms) = &mut readings.alarms else { panic!() };
        for found in alarms {
            found.reason = "no".to_owned();
            found.signal = match found.watched {
                Watched::Canary => AlarmSignal::Unreadable,
                Watched::Service => AlarmSignal::Alarm,
                Watched::Stable => AlarmSignal::Ok,
            };
        }
    });
    assert_says(&verdict, Judgement::Fail, "`shop-latency` is firing");
    let unread = "the canary's alarm `shop-green-5xx` could not be read: no";
    let said = verdict.reasons.iter().find(|reason| reason.text == unread).unwrap();
    assert_eq!(said.judgement, Judgement::Inconclusive);
}

#[test]
fn an_alarm_without_data_blocks_nothing_and_is_named() {
    let verdict = with_signal("shop-green-5xx", AlarmSignal::InsufficientData);
    assert_says(&verdict, Judgement::Pass, "`shop-green-5xx` has no data and says nothing");
}

#[test]
fn a_deleted_alarm_is_inconclusive() {
    let verdict = with_signal("shop-green-5xx", AlarmSignal::Missing);
    assert_says(&verdict, Judgement::Inconclusive, "does not exist any more");
}

#[test]
fn an_alarm_that_was_not_read_is_inconclusive() {
    let verdict = verdict(|plan, _| plan.health.alarms.canary.push(alarm_arn("forgotten")));
    assert_says(&verdict, Judgement::Inconclusive, "`forgotten` was not among those read");
}

#[test]
fn a_deployment_without_alarms_needs_no_look_at_them() {
    let verdict = verdict(|plan, readings| {
        plan.health.alarms = AlarmPlan::default();
        readings.alarms = Reading::Unreadable("AccessDenied".to_owned());
    });
    assert_eq!(verdict.judgement, Judgement::Pass);
}

#[test]
fn too_few_healthy_targets_hold_and_none_at_all_fails() {
    let judged = |found| verdict(|_, readings| readings.targets = Reading::Read(vec![found]));
    assert_says(&judged(targets(1, 3, 3)), Judgement::Suspect, "1 of 3 canary targets");
    assert_says(&judged(targets(0, 3, 3)), Judgement::Fail, "0 of 3 canary targets");
    // More than the stage needs are there while tasks of the one before stop.
    assert_says(
        &judged(targets(2, 1, 3)),
        Judgement::Pass,
        "2 canary targets are healthy in `green`, 1 needed",
    );
    let timeout = Some("Target.Timeout: Request timed out".to_owned());
    let sick = RouteTargets { canary_sick: timeout, ..targets(0, 3, 3) };
    assert_says(&judged(sick.clone()), Judgement::Fail, "in `green`: Target.Timeout: Request");
    let enough = judged(RouteTargets { canary_healthy: 3, ..sick });
    assert!(enough.reasons.iter().all(|reason| !reason.text.contains("Timeout")));
    assert_says(&judged(targets(3, 3, 0)), Judgement::Inconclusive, "no stable target is healthy");
}

#[test]
fn a_route_whose_targets_are_not_known_is_inconclusive() {
    let verdict = verdict(|_, readings| readings.targets = Reading::Read(vec![]));
    assert_says(&verdict, Judgement::Inconclusive, "targets of 0 of 1 routes were read");
}

#[test]
fn too_few_requests_are_inconclusive_and_say_how_many_are_missing() {
    // One bad request may be chance, and stable may have as many.
    for counts in [counts(1, 143, 0, 5_000), counts(15, 143, 500, 5_000)] {
        let verdict = by_requests(counts);
        assert_says(&verdict, Judgement::Inconclusive, "57 more canary requests are needed");
    }
}

#[test]
fn too_few_requests_that_speak_against_the_canary_are_told_apart() {
    let verdict = by_requests(counts(15, 143, 0, 5_000));
    assert_says(&verdict, Judgement::Suspect, "57 more canary requests are needed");
    assert_eq!(by_requests(counts(2, 30, 0, 500)).judgement, Judgement::Suspect);
    // Without a limit the comparison speaks: from readings 10 on, until 100 end it.
    let judged =
        |count, bad| verdict_without_a_limit(minutes(count, &counts(bad, 20, 0, 5_000))).judgement;
    let minute_by_minute: Vec<_> = (1..=6).map(|count| judged(count, 1)).collect();
    assert!(minute_by_minute.is_sorted(), "{minute_by_minute:?}");
    assert_eq!(minute_by_minute[0], Judgement::Inconclusive);
    assert!(minute_by_minute.contains(&Judgement::Suspect), "{minute_by_minute:?}");
    assert_eq!(judged(6, 0), Judgement::Inconclusive);
}

#[test]
fn a_share_above_the_limit_fails_with_its_numbers_and_one_at_the_limit_passes() {
    let above = by_requests(in_minutes(&counts(105, 2_000, 5, 5_000)));
    assert_says(&above, Judgement::Fail, "105 of 2000 requests were bad (5.3 %), allowed are 5 %");
    // One minute may be a burst.
    let once = by_requests(counts(105, 2_000, 5, 5_000));
    assert_says(&once, Judgement::Suspect, "more minutes will tell");
    assert_eq!(by_requests(counts(100, 2_000, 1, 5_000)).judgement, Judgement::Pass);
}

#[test]
fn a_gross_failure_does_not_wait_for_the_minimum() {
    assert_eq!(by_requests(counts(18, 30, 0, 500)).judgement, Judgement::Fail);
    assert_eq!(by_requests(counts(17, 30, 0, 500)).judgement, Judgement::Suspect);
    assert_eq!(by_requests(counts(29, 29, 0, 500)).judgement, Judgement::Suspect);
}

#[test]
fn the_canary_is_not_blamed_for_what_stable_does_too() {
    // Which of two equal shares is a hair higher is chance.
    for bad in [99, 100, 101, 120] {
        let verdict = by_requests(in_minutes(&counts(bad, 1_000, 1_000, 10_000)));
        assert_says(&verdict, Judgement::Pass, "stable");
    }
    let worse = by_requests(in_minutes(&counts(200, 1_000, 1_000, 10_000)));
    assert_says(&worse, Judgement::Fail, "200 of 1000 requests were bad (20 %), allowed are 5 %");
}

#[test]
fn a_canary_over_the_limit_that_may_be_no_worse_waits_for_more_requests() {
    let judged = |canary_bad, stable_bad| {
        verdict(|plan, readings| {
            plan.health.comparison = None;
            let counts = counts(canary_bad, 300, stable_bad, 300);
            readings.metrics = Reading::Read(measured(in_minutes(&counts)));
        })
    };
    assert_says(&judged(20, 10), Judgement::Suspect, "not shown to be worse than stable");
    assert_says(&judged(40, 1), Judgement::Fail, "40 of 300 requests were bad");
}

/// At 100 %, where stable has nothing any more, after a stage at which it had this.
fn at_the_end(canary_bad: u64, stable_bad: u64) -> Verdict {
    let mut plan = fixtures::plan();
    let mut readings = healthy(&plan);
    let last = StageIndex(plan.stages.len() - 1);
    let mut cells = counts(canary_bad, 1_000, stable_bad, 1_000);
    cells[0].stage = StageIndex(last.0 - 1);
    let mut alone = counts(canary_bad, 1_000, 0, 0);
    (alone[0].stage, alone[0].from) = (last, alone[0].from + crate::time::Span::from_secs(300));
    cells.extend(alone);
    plan.health.comparison = None;
    readings.metrics = Reading::Read(measured(in_minutes(&cells)));
    judge(&plan, last, &readings)
}

#[test]
fn a_better_version_is_not_rolled_back_to_a_worse_one() {
    assert_says(&at_the_end(100, 300), Judgement::Pass, "and so is stable (300 of 1000");
    assert_says(&at_the_end(100, 10), Judgement::Fail, "100 of 1000 requests were bad (10 %)");
    // Not for gross failure either.
    assert_says(&at_the_end(700, 950), Judgement::Pass, "but stable is no better: 950 of 1000");
    assert_says(&at_the_end(700, 100), Judgement::Fail, "gross failure of the canary");
}

#[test]
fn a_handful_of_stable_requests_excuses_nobody() {
    assert_eq!(by_requests(counts(100, 1_000, 29, 29)).judgement, Judgement::Fail);
    assert_eq!(by_requests(counts(100, 1_000, 0, 0)).judgement, Judgement::Fail);
}

#[test]
fn requests_are_not_waited_for_at_weight_zero_or_without_a_limit() {
    let none = Reading::Unreadable("no complete period since the shift yet".to_owned());
    let idle = verdict(|plan, readings| {
        plan.stages[0].weight = Weight::NONE;
        readings.metrics = none.clone();
    });
    assert_says(&idle, Judgement::Pass, "no requests expected at weight 0 %");
    let unlimited = verdict(|plan, readings| {
        plan.health.bad_requests_limit = None;
        plan.health.comparison = None;
        readings.metrics = none.clone();
    });
    assert_eq!(unlimited.judgement, Judgement::Pass);
}

#[test]
fn a_canary_far_below_the_limit_is_found_worse_than_stable() {
    let worse = counts(12, 500, 40, 9_500);
    assert_eq!(by_requests(minutes(2, &worse)).judgement, Judgement::Pass);
    let verdict = by_requests(minutes(12, &worse));
    assert_says(
        &verdict,
        Judgement::Fail,
        "the canary is worse than stable beyond what is allowed",
    );
    assert_says(&verdict, Judgement::Fail, "5.7 times stable's");
    // The level alone lets it pass.
    let uncompared = verdict_of(minutes(12, &worse), |plan| plan.health.comparison = None);
    assert_eq!(uncompared.judgement, Judgement::Pass);
}

#[test]
fn what_was_shown_once_is_not_forgotten() {
    let mut cells = minutes(12, &counts(12, 500, 40, 9_500));
    cells.extend(minutes(500, &counts(0, 500, 40, 9_500)));
    assert_eq!(by_requests(cells).judgement, Judgement::Fail);
}

#[test]
fn evidence_of_earlier_stages_counts_and_everything_at_100_percent_does_not() {
    let mut cells = minutes(12, &counts(12, 500, 40, 9_500));
    for cell in &mut cells[6..] {
        cell.stage = StageIndex(1);
    }
    assert_eq!(by_requests(cells.clone()).judgement, Judgement::Fail);
    let alone = verdict_of(cells, |plan| {
        for stage in &mut plan.stages {
            stage.weight = Weight::ALL;
        }
    });
    assert_eq!(alone.judgement, Judgement::Pass);
}

#[test]
fn slow_requests_are_compared_where_the_plan_asks() {
    let mut cells = minutes(12, &counts(0, 500, 0, 9_500));
    for cell in &mut cells {
        cell.canary.slow = Some(25);
        cell.stable.slow = Some(95);
    }
    assert_eq!(by_requests(cells.clone()).judgement, Judgement::Pass);
    let asked = verdict_of(cells, |plan| {
        plan.health.slower_than = Some(crate::time::Span::from_secs(1));
    });
    assert_says(
        &asked,
        Judgement::Fail,
        "slow requests: 300 of 6000 of the canary, 1140 of 114000 of stable; 5.0 times",
    );
}

fn verdict_of(cells: Vec<Cell>, change: impl FnOnce(&mut Plan)) -> Verdict {
    verdict(|plan, readings| {
        change(plan);
        readings.metrics = Reading::Read(measured(cells));
    })
}

#[test]
fn errors_of_the_load_balancer_itself_hold_when_they_rise() {
    let judged = |before, newest| {
        verdict(|_, readings| {
            let mut metrics = measured(counts(0, 1_000, 0, 19_000));
            metrics.load_balancer_errors =
                Reading::Read(vec![load_balancer_errors(before, newest)]);
            readings.metrics = Reading::Read(metrics);
        })
    };
    assert_says(&judged(0, 10), Judgement::Suspect, "`front` itself answered 10 requests");
    assert_eq!(judged(0, 9).judgement, Judgement::Pass);
    // Three times as many as before, and one more.
    assert_eq!(judged(99, 30).judgement, Judgement::Pass);
    assert_eq!(judged(99, 31).judgement, Judgement::Suspect);
}

#[test]
fn failed_connections_and_a_share_far_from_the_weight_are_told() {
    let verdict = verdict(|_, readings| {
        let mut metrics = measured(counts(0, 400, 0, 19_600));
        metrics.connection_errors = Reading::Read(ConnectionErrors { canary: 3, stable: 1 });
        readings.metrics = Reading::Read(metrics);
    });
    assert_says(&verdict, Judgement::Pass, "3 connections to canary targets failed, 1 to stable");
    assert_says(
        &verdict,
        Judgement::Pass,
        "the canary gets 2 % of the requests at a weight of 5 %",
    );
}
