use std::borrow::Cow;

use super::*;
use crate::timeline::Answered;

fn scenario(expect: &str) -> Scenario {
    let text = format!(
        "
title: test
services: {{ shop: {{ versions: {{ v1: {{}}, v2: {{}} }} }} }}
request: {{ release: {{ version: v2 }} }}
expect: {expect}
"
    );
    Scenario::parse(&text, "test.yaml").unwrap()
}

fn events(list: Vec<(f64, Event)>) -> Vec<Observed> {
    list.into_iter().map(|(at, event)| Observed { at, event }).collect()
}

fn started(stable: Slot) -> Event {
    Event::Started {
        deployment: "first".into(),
        service: Some("shop".into()),
        execution: "first-1".into(),
        stable: Some(stable),
    }
}

fn written(blue: f64, green: f64) -> Event {
    let (service, principal) = ("shop".into(), "advance".into());
    Event::WeightsWritten { service, route: 1, blue, green, principal }
}

fn notice(name: &str, sequence: u64, channel: &str) -> Event {
    Event::Notice {
        deployment: "first".into(),
        channel: channel.into(),
        name: Some(name.into()),
        sequence: Some(sequence),
        text: String::new(),
    }
}

fn failed(scenario: &Scenario, events: &[Observed]) -> Vec<String> {
    let findings = check(scenario, events).into_iter();
    findings.filter(|finding| !finding.passed).map(|finding| finding.expected).collect()
}

#[test]
fn the_share_of_the_canary_follows_the_roles() {
    let expecting = scenario("{ inOrder: [[{ weight: 10 }, { weight: 0 }]] }");
    let blue_is_canary = events(vec![
        (0.0, started(Slot::Green)),
        (1.0, written(10.0, 90.0)),
        (2.0, written(0.0, 100.0)),
    ]);
    assert_eq!(failed(&expecting, &blue_is_canary), Vec::<String>::new());
    let green_is_canary = events(vec![(0.0, started(Slot::Blue)), (1.0, written(10.0, 90.0))]);
    assert_eq!(failed(&expecting, &green_is_canary).len(), 1);
}

#[test]
fn order_is_by_the_time_of_events_and_not_by_when_they_were_seen() {
    let expecting = scenario("{ inOrder: [[{ notice: started }, { weight: 10 }]] }");
    let late = events(vec![
        (0.0, started(Slot::Blue)),
        (2.0, written(90.0, 10.0)),
        (1.0, notice("started", 1, "topic")),
    ]);
    assert_eq!(failed(&expecting, &late), Vec::<String>::new());
    let wrong = scenario("{ inOrder: [[{ weight: 10 }, { notice: started }]] }");
    assert_eq!(failed(&wrong, &late).len(), 1);
}

#[test]
fn notices_that_overtook_each_other_count_in_the_order_of_the_deployment() {
    let expecting = scenario("{ deployments: { first: { notices: [started, succeeded] } } }");
    let overtaken = events(vec![
        (0.0, started(Slot::Blue)),
        (1.0, notice("succeeded", 2, "topic")),
        (1.1, notice("started", 1, "topic")),
    ]);
    assert_eq!(failed(&expecting, &overtaken), Vec::<String>::new());
}

#[test]
fn a_notice_seen_on_two_channels_is_one_notice() {
    let seen = events(vec![
        (1.0, notice("started", 1, "topic")),
        (1.1, notice("started", 1, "other")),
        (2.0, notice("waiting", 2, "topic")),
        (3.0, notice("succeeded", 3, "topic")),
    ]);
    let exact = scenario(
        "{ deployments: { first: { exactNotices: [started, succeeded] } }, never: [{ notice: started, time: 2 }] }",
    );
    assert_eq!(failed(&exact, &seen), Vec::<String>::new());
    let disordered = scenario("{ deployments: { first: { notices: [succeeded, started] } } }");
    assert_eq!(failed(&disordered, &seen).len(), 1);
}

#[test]
fn nothing_seen_fulfils_nothing() {
    let expecting = scenario(
        "{ deployments: { first: { status: SUCCEEDED, failure: VerdictFailed, causeContains: [x], weights: [5] } },
           services: { shop: { serving: blue, version: { blue: v1 }, desiredCount: { blue: 3 }, minRequests: 1,
             maxBadRequests: 0, noLoadBalancerErrors: true } } }",
    );
    assert_eq!(failed(&expecting, &[]).len(), 10);
}

#[test]
fn bad_requests_are_counted_over_all_versions_and_seconds() {
    let second = |bad, unanswered| Event::Requests {
        service: "shop".into(),
        answered: BTreeMap::from([(
            "v1".to_owned(),
            Answered {
                slot: None,
                requests: 10,
                bad,
                unanswered: BTreeMap::from([(Cow::Borrowed("502"), unanswered)]),
            },
        )]),
    };
    let seen = events(vec![(1.0, second(2, 0)), (2.0, second(1, 1))]);
    let strict =
        scenario("{ services: { shop: { maxBadRequests: 2, noLoadBalancerErrors: true } } }");
    assert_eq!(
        failed(&strict, &seen),
        [
            "service `shop`: at most 2 bad requests",
            "service `shop`: no errors of the load balancer itself"
        ]
    );
    let found: Vec<_> = check(&strict, &seen).into_iter().map(|finding| finding.found).collect();
    assert!(found.contains(&"1 of 20 requests: 1 × 502 (at 2.0 s)".to_owned()), "{found:?}");
    let lenient = scenario(
        "{ services: { shop: { maxBadRequests: 3, minRequests: 20 } }, inOrder: [[{ badRequests: 3 }]] }",
    );
    assert_eq!(failed(&lenient, &seen), Vec::<String>::new());
}

#[test]
fn a_step_that_was_not_done_fails_the_scenario() {
    let text = "
title: test
services: { shop: { versions: { v1: {} } } }
script: [{ at: 1s, do: { sweep: {} } }, { at: 2s, do: { sweep: {} } }]
expect: { inOrder: [[{ step: 1 }, { step: 2 }]] }
";
    let scenario = Scenario::parse(text, "test.yaml").unwrap();
    let done = |step, error| Event::Script { step, action: String::new(), error };
    let seen = events(vec![(1.0, done(1, Some("no".to_owned())))]);
    assert_eq!(failed(&scenario, &seen).len(), 3);
    let seen = events(vec![(1.0, done(1, None)), (2.0, done(2, None))]);
    assert_eq!(failed(&scenario, &seen).len(), 0);
    let seen = events(vec![(1.0, done(2, None)), (2.0, done(1, None))]);
    assert_eq!(failed(&scenario, &seen).len(), 1);
}
