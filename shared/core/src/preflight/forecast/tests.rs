use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, NOW};
use crate::health::SlotRequests;
use crate::request::decode;
use serde_json::json;

const MINUTE: Span = Span::from_secs(60);

/// A day of minutes, each with as many requests, of which every so many are bad.
fn day(requests: u64, bad: impl Fn(u64) -> u64) -> Periods {
    let counts = (0..1440_u64).map(|minute| Period {
        from: NOW - MINUTE.times(1440 - minute),
        canary: SlotRequests::default(),
        stable: SlotRequests { all: requests, bad: bad(minute), slow: None },
    });
    Periods { length: MINUTE, counts: counts.collect() }
}

fn request(weights: &[f64], bakes: &[&str]) -> Request {
    let mut document = fixtures::document();
    let stages = weights.iter().zip(bakes);
    let stages: Vec<_> =
        stages.map(|(weight, bake)| json!({ "weight": weight, "bake": bake })).collect();
    document["strategy"] = json!({ "canary": { "stages": stages } });
    decode(&document).unwrap()
}

fn plan(request: &Request) -> Plan {
    super::super::preflight(request, &fixtures::found()).unwrap().plan
}

fn said(request: &Request, day: Periods, target_errors: Option<Periods>) -> String {
    forecast(request, &plan(request), &LastDay { counted: day, target_errors }).to_string()
}

#[test]
fn a_regression_that_cannot_be_seen_is_told_with_what_would_help() {
    let request = request(&[5.0, 10.0, 100.0], &["10m", "10m", "30m"]);
    let said = said(&request, day(100, |minute| u64::from(minute % 2 == 0)), None);
    assert_eq!(
        said,
        "warning: at 100 requests a minute, 2.5 % bad requests instead of 0.5 % cannot be seen in 20m \
         at $.strategy.canary.stages[1].bake\n  hint: bake stage 2 for 70m"
    );
    let hints = [600, 1_000, 1_300].map(|requests| {
        let bad = |minute: u64| requests / 200 * (minute % 2);
        self::said(&request, day(requests, bad), None).lines().last().unwrap_or_default().to_owned()
    });
    assert_eq!(
        hints,
        [
            "  hint: bake stage 2 for 25m",
            "  hint: bake stage 2 for 15m, or raise its weight to 13 %",
            "",
        ]
    );
}

#[test]
fn the_steps_of_a_linear_strategy_are_changed_together() {
    let linear = |bake: &str| {
        let mut document = fixtures::document();
        document["strategy"] = json!({ "linear": { "step": 10, "bake": bake } });
        decode(&document).unwrap()
    };
    let day = || day(100, |minute| u64::from(minute % 2 == 0));
    let told = said(&linear("3m"), day(), None);
    assert!(told.contains("cannot be seen in 27m at $.strategy.linear.bake"), "{told}");
    let (_, proposed) =
        told.split_once("hint: let every step bake for ").unwrap_or_else(|| panic!("{told}"));
    // Which is enough.
    assert_eq!(said(&linear(proposed), day(), None), "");
}

#[test]
fn a_busy_service_and_one_that_compares_nothing_are_told_nothing() {
    let canary = request(&[5.0, 25.0, 100.0], &["10m", "10m", "30m"]);
    assert_eq!(said(&canary, day(5_000, |_| 5), None), "");
    let at_once = request(&[100.0], &["30m"]);
    assert_eq!(said(&at_once, day(10, |_| 0), None), "");
}

#[test]
fn stages_wait_for_requests_only_where_something_judges_them() {
    let told = |limit: u32| {
        let mut document = fixtures::document();
        document["health"]["badRequests"]["limit"] = json!(limit);
        document["health"]["comparison"] = json!({ "sensitivity": "none" });
        said(&decode(&document).unwrap(), day(1, |_| 0), None)
    };
    assert!(told(99).contains("it will hold until a person decides"), "{}", told(99));
    assert!(!told(100).contains("it will hold"), "{}", told(100));
}

#[test]
fn a_service_without_requests_is_told_so() {
    let canary = request(&[5.0, 100.0], &["10m", "30m"]);
    let none = Periods { length: MINUTE, counts: vec![] };
    assert!(said(&canary, none, None).contains("hardly any requests during the last day"));
    // Two busy minutes of a day are no traffic.
    let mut rare = day(1_000, |_| 0);
    rare.counts = vec![rare.counts[0], rare.counts[1439]];
    assert!(said(&canary, rare, None).contains("hardly any requests"));
}

#[test]
fn bursts_of_what_no_target_did_are_told() {
    let canary = request(&[5.0, 25.0, 100.0], &["10m", "10m", "30m"]);
    let bursts = |minute: u64| if minute.is_multiple_of(60) { 100 } else { 0 };
    let noisy = said(&canary, day(5_000, bursts), Some(day(5_000, |_| 0)));
    assert!(noisy.contains("2400 requests of the last day"), "{noisy}");
    assert!(noisy.contains("only 0 were errors of the targets"), "{noisy}");
    assert!(noisy.contains("$.health.badRequests.are"), "{noisy}");
    // The same bursts, but the targets' own: nothing to count otherwise.
    assert_eq!(said(&canary, day(5_000, bursts), Some(day(5_000, bursts))), "");
    // As many, evenly.
    assert_eq!(said(&canary, day(5_000, |_| 2), Some(day(5_000, |_| 0))), "");
}

#[test]
fn dispersion_is_one_by_chance_and_large_in_bursts() {
    // Alternating 8 and 12 of 100 is 0.44 times what chance explains; bursts are far above.
    let even = dispersion(&day(100, |minute| 8 + 4 * (minute % 2)));
    assert!((even - 4.0 / 9.0).abs() < 0.01, "{even}");
    assert!(dispersion(&day(100, |minute| if minute.is_multiple_of(60) { 60 } else { 0 })) > 50.0);
    assert!(dispersion(&day(100, |_| 0)).abs() < f64::EPSILON);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_proposed_is_enough(
        requests in 1u64..3_000, permille in 0u64..30, first in 1u16..40, bake in 3u64..40,
    ) {
        let bake = format!("{bake}m");
        let request = request(
            &[f64::from(first), f64::from(first + 5), 100.0],
            &[&bake, &bake, "30m"],
        );
        let plan = plan(&request);
        let bad = requests * permille / 1000;
        let day = LastDay { counted: day(requests, |_| bad), target_errors: None };
        let findings = forecast(&request, &plan, &day);
        prop_assert!(!findings.has_errors());
        let said = findings.to_string();
        let proposed = said.split("bake stage 2 for ").nth(1).map(|rest| {
            rest.split([',', '\n']).next().unwrap_or_default().to_owned()
        });
        if let Some(proposed) = proposed {
            let mut plan = plan.clone();
            plan.stages[1].bake = parsed(&proposed);
            prop_assert!(is_seen(&forecast(&request, &plan, &day)));
        }
        let proposed = said.split("raise its weight to ").nth(1);
        if let Some(percent) = proposed.and_then(|rest| rest.split(' ').next()?.parse().ok()) {
            let mut plan = plan;
            plan.stages[1].weight = Weight::from_percent(percent).unwrap();
            prop_assert!(is_seen(&forecast(&request, &plan, &day)));
        }
    }

    #[test]
    fn any_day_is_read_without_panic(
        counts in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..20),
    ) {
        let request = request(&[5.0, 25.0, 100.0], &["10m", "10m", "30m"]);
        let counts = counts.into_iter().zip(0..).map(|((all, bad), minute)| Period {
            from: NOW + MINUTE.times(minute),
            canary: SlotRequests::default(),
            stable: SlotRequests { all, bad, slow: None },
        });
        let day = Periods { length: MINUTE, counts: counts.collect() };
        let findings = forecast(
            &request, &plan(&request),
            &LastDay { counted: day.clone(), target_errors: Some(day) },
        );
        prop_assert!(!findings.has_errors());
    }
}

/// What a stage lacks of the requests that a verdict needs is another warning, with a way out of its own.
fn is_seen(findings: &Findings) -> bool {
    !findings.to_string().contains("cannot be seen")
}

/// `3h45m` and the like, as spans are written.
fn parsed(text: &str) -> Span {
    let mut total = Span::ZERO;
    let mut number = String::new();
    for character in text.chars() {
        number.push(character);
        if character.is_ascii_alphabetic() {
            total = total.plus(Span::parse(&number).unwrap());
            number.clear();
        }
    }
    total
}
