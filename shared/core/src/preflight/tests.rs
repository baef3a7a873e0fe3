use serde_json::{Value, json};

use super::*;
use crate::document::Severity;
use crate::fixtures::{
    self, RULE, alarm, alarm_arn, decoded, document, ecs_service, found, group, registered,
    request, route, task_definition,
};
use crate::health::AlarmSignal;
use crate::ids::{ChannelName, DeploymentId};
use crate::plan::CanaryCapacity;
use crate::route::{Role, RouteRef};
use crate::time::Span;
use crate::urgency::{Listening, Urgency};
use crate::world::{Alarm, EcsService, FoundRoute, Reaching, Rollout};

mod alarms;
mod approval;
mod channels;
mod images;
mod kinds;
mod scaling;
mod task_roles;

/// `severity path: message` of everything found about a changed request in a changed world.
fn findings(change: impl FnOnce(&mut Value, &mut Found)) -> Vec<String> {
    let (mut document, mut found) = (document(), found());
    change(&mut document, &mut found);
    let findings = match preflight(&decoded(&document), &found) {
        Ok(resolved) => {
            assert!(!resolved.warnings.has_errors());
            resolved.warnings
        }
        Err(refusal) => {
            assert!(refusal.findings().has_errors());
            refusal.findings().clone()
        }
    };
    assert!(findings.iter().all(|finding| !finding.hint.is_empty()));
    findings
        .iter()
        .map(|finding| format!("{} {}: {}", finding.severity, finding.path, finding.message))
        .collect()
}

/// The plan of a changed request in a changed world.
fn plan(change: impl FnOnce(&mut Value, &mut Found)) -> Plan {
    let (mut document, mut found) = (document(), found());
    change(&mut document, &mut found);
    let resolved = preflight(&decoded(&document), &found);
    resolved.unwrap_or_else(|refusal| panic!("{}", refusal.findings())).plan
}

fn groups(plan: &Plan) -> Vec<(&str, &str)> {
    let pairs = plan.routes.iter().map(|route| &route.pair);
    pairs.map(|pair| (pair.stable.short(), pair.canary.short())).collect()
}

fn fire(found: &mut Option<Alarm>) {
    let alarm = found.as_mut().expect("the alarm is there");
    alarm.signal = AlarmSignal::Alarm;
    alarm.reason = "31 > 5".to_owned();
}

fn second_route(document: &mut Value) {
    let second = RULE.replace("/2/3", "/2/4");
    document["target"]["routes"] = json!([{ "rule": RULE }, { "rule": second }]);
}

#[test]
fn a_request_without_findings_becomes_a_plan() {
    let resolved = preflight(&request(), &found()).expect("nothing is wrong");
    assert!(resolved.warnings.is_empty(), "{}", resolved.warnings);
    let plan = resolved.plan;
    assert_eq!((plan.stable.slot, plan.stable.desired_count), (Slot::Blue, 3));
    assert_eq!(plan.stable.task_definition, task_definition("shop:41"));
    assert_eq!(plan.canary.service.as_str(), "shop-green");
    assert_eq!(plan.task_definition, task_definition("shop:42"));
    assert_eq!(groups(&plan), [("blue", "green")]);
    assert_eq!(plan.routes[0].load_balancer, "app/shop/1");
    assert_eq!(plan.stages.len(), 4);
    assert_eq!(plan.health.alarms.stable, [alarm_arn("shop-blue-5xx")]);
    assert_eq!(plan.health.alarms.canary, [alarm_arn("shop-green-5xx")]);
    assert_eq!(plan.health.alarms.service, [alarm_arn("shop-latency")]);
    assert_eq!(plan.health.bad_requests_limit, Some(Permille(50)));
}

#[test]
fn the_slot_that_carries_everything_is_stable_whatever_its_name() {
    let plan = plan(|_, found| {
        found.routes = vec![route(&[("blue", 0), ("green", 7)], false)];
        found.green = Some(ecs_service(3, "shop:41", &["green"]));
    });
    assert_eq!(plan.slot(Role::Stable).slot, Slot::Green);
    assert_eq!(groups(&plan), [("green", "blue")]);
    assert_eq!(plan.health.alarms.stable, [alarm_arn("shop-green-5xx")]);
    assert_eq!(plan.health.alarms.canary, [alarm_arn("shop-blue-5xx")]);
}

#[test]
fn a_limit_of_everything_switches_the_check_off() {
    let plan = plan(|document, _| document["health"]["badRequests"]["limit"] = json!(100));
    assert_eq!(plan.health.bad_requests_limit, None);
}

#[test]
fn blue_green_and_all_at_once_run_the_canary_in_full() {
    for strategy in ["blueGreen", "allAtOnce"] {
        let plan = plan(|document, _| document["strategy"] = json!({ strategy: {} }));
        assert_eq!(plan.capacity, CanaryCapacity::Full);
    }
}

#[test]
fn a_group_that_the_route_does_not_name_is_the_remaining_one_of_its_ecs_service() {
    let plan = plan(|_, found| found.routes = vec![route(&[("blue", 1)], false)]);
    assert_eq!(groups(&plan), [("blue", "green")]);
}

#[test]
fn unnamed_groups_of_several_routes_are_told_apart_by_what_the_others_name() {
    let plan = plan(|document, found| {
        second_route(document);
        found.routes =
            vec![route(&[("blue", 1)], false), route(&[("blue2", 1), ("green2", 0)], false)];
        found.blue = Some(ecs_service(3, "shop:41", &["blue", "blue2"]));
        found.green = Some(ecs_service(0, "shop:40", &["green", "green2"]));
    });
    assert_eq!(groups(&plan), [("blue", "green"), ("blue2", "green2")]);
}

#[test]
fn requests_that_nothing_judges_are_warned_about() {
    let found = |limit: u32, sensitivity: &str| {
        findings(|document, _| {
            document["health"]["badRequests"]["limit"] = json!(limit);
            document["health"]["comparison"] = json!({ "sensitivity": sensitivity });
        })
    };
    let told = found(100, "none");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("warning $.health: nothing judges the requests"), "{told:?}");
    for judged in [found(99, "none"), found(100, "standard")] {
        assert!(judged.is_empty(), "{judged:?}");
    }
    let at_once = findings(|document, _| {
        document["health"]["badRequests"]["limit"] = json!(100);
        document["health"]["comparison"] = json!({ "sensitivity": "none" });
        document["strategy"] = json!({ "allAtOnce": { "bake": "0s" } });
    });
    let unjudged = at_once.iter().any(|told| told.contains("nothing judges"));
    assert!(!unjudged, "{at_once:?}");
}

#[test]
fn two_routes_to_the_same_group_have_the_same_partner() {
    let plan = plan(|document, found| {
        second_route(document);
        found.routes = vec![route(&[("blue", 1)], false), route(&[("blue", 1)], false)];
    });
    assert_eq!(groups(&plan), [("blue", "green"), ("blue", "green")]);
}

#[test]
fn groups_of_several_routes_are_told_apart_by_the_container_s_port() {
    let ports = |service: &mut EcsService, ports: [(&str, u16); 2]| {
        for (registration, (container, port)) in service.target_groups.iter_mut().zip(ports) {
            registration.answers = Some((container.to_owned(), port));
        }
    };
    let found = |found: &mut Found, green_ports: [(&str, u16); 2]| {
        found.routes = vec![route(&[("blue", 1)], true), route(&[("blue2", 1)], true)];
        let mut blue = ecs_service(3, "shop:41", &["blue", "blue2"]);
        ports(&mut blue, [("web", 8080), ("web", 9090)]);
        let mut green = ecs_service(0, "shop:40", &["green2", "green"]);
        ports(&mut green, green_ports);
        (found.blue, found.green) = (Some(blue), Some(green));
    };
    let plan = plan(|document, world| {
        second_route(document);
        found(world, [("web", 9090), ("web", 8080)]);
    });
    assert_eq!(groups(&plan), [("blue", "green"), ("blue2", "green2")]);
    // The same port of another container is another door, and one door with two groups is a question.
    for ambiguous in [[("web", 8080), ("web", 8080)], [("job", 8080), ("job", 9090)]] {
        let findings = findings(|document, world| {
            second_route(document);
            found(world, ambiguous);
        });
        assert!(
            findings[0].contains("it cannot be told which target group of `shop-green`"),
            "{findings:?}"
        );
    }
}

#[test]
fn a_group_that_could_be_one_of_several_is_asked_for() {
    let found = findings(|document, found| {
        second_route(document);
        found.routes = vec![route(&[("blue", 1)], false), route(&[("blue2", 1)], false)];
        found.blue = Some(ecs_service(3, "shop:41", &["blue", "blue2"]));
        found.green = Some(ecs_service(0, "shop:40", &["green", "green2"]));
    });
    let message = "it cannot be told which target group of `shop-green` belongs to this route";
    assert_eq!(found[0], format!("error $.target.routes[0]: {message}"));
    assert_eq!(found[1], format!("error $.target.routes[1]: {message}"));
}

#[test]
fn routes_that_cannot_be_shifted_are_refused() {
    let of = |route: FoundRoute| findings(|_, found| found.routes = vec![route]);
    let cases = [
        (FoundRoute::Missing, format!("there is no `{RULE}`")),
        (FoundRoute::DefaultRule, "this is the default rule of a listener".to_owned()),
        (
            FoundRoute::Unsupported("a fixed response".to_owned()),
            "the route cannot be written back unchanged: a fixed response".to_owned(),
        ),
        (
            route(&[("other", 1)], false),
            "the route forwards to neither slot, but to `other`".to_owned(),
        ),
        (route(&[("blue", 1), ("other", 1)], false), "the route also forwards to other".to_owned()),
        (
            route(&[("blue", 1), ("green", 1)], false),
            "both slots carry weight: blue 1, green 1".to_owned(),
        ),
        (
            route(&[("blue", 0), ("green", 0)], false),
            "no group of the route carries weight".to_owned(),
        ),
    ];
    for (route, message) in cases {
        assert_eq!(of(route), [format!("error $.target.routes[0]: {message}")]);
    }
    let nothing = findings(|_, found| found.routes = vec![]);
    assert_eq!(nothing, [format!("error $.target.routes[0]: there is no `{RULE}`")]);
}

#[test]
fn a_sticky_route_with_both_groups_is_fine() {
    let sticky = findings(|_, found| {
        found.routes = vec![route(&[("blue", 999), ("green", 0)], true)];
    });
    assert!(sticky.is_empty(), "{sticky:?}");
    // As every deployment leaves it behind.
    let left = findings(|_, found| found.routes = vec![route(&[("blue", 1)], true)]);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_rule_that_nobody_listed_is_named_with_what_to_write() {
    let listener = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shop/1/9";
    let lead = |found: &mut Found, name: &str| {
        found.reaching = vec![
            Reaching {
                route: RouteRef::Rule(RULE.to_owned()),
                shares: vec![(group("blue"), 1000)],
            },
            Reaching {
                route: RouteRef::Listener(listener.to_owned()),
                shares: vec![(group(name), 125)],
            },
        ];
    };
    let sends = |share: &str| {
        format!("warning $.target.routes: `{listener}` sends {share} and is not listed")
    };
    assert_eq!(findings(|_, found| lead(found, "blue")), [sends("12.5 % to the blue slot")]);
    assert_eq!(findings(|_, found| lead(found, "green")), [sends("12.5 % to the green slot")]);
    assert!(findings(|_, found| lead(found, "another")).is_empty());
    // A rollback must leave it the tasks that it found.
    assert!(plan(|_, found| lead(found, "green")).unlisted.is_empty());
    let kept = plan(|_, found| {
        lead(found, "green");
        found.green = Some(ecs_service(2, "shop:40", &["green"]));
    });
    assert_eq!(kept.unlisted, [RouteRef::Listener(listener.to_owned())]);
}

#[test]
fn a_route_with_two_groups_of_one_slot_is_refused() {
    let found = findings(|_, found| {
        found.routes = vec![route(&[("blue", 1), ("blue2", 0)], false)];
        found.blue = Some(ecs_service(3, "shop:41", &["blue", "blue2"]));
    });
    let message = "the route forwards to several groups of the blue slot: `blue`, `blue2`";
    assert_eq!(found, [format!("error $.target.routes[0]: {message}")]);
}

#[test]
fn routes_that_disagree_about_stable_are_refused() {
    let found = findings(|document, found| {
        second_route(document);
        found.routes = vec![
            route(&[("blue", 1), ("green", 0)], false),
            route(&[("blue", 0), ("green", 1)], false),
        ];
    });
    let message = "green carries this route, but blue carries routes[0]";
    assert_eq!(found, [format!("error $.target.routes[1]: {message}")]);
}

#[test]
fn ecs_services_that_cannot_bear_a_deployment_are_refused() {
    let stable = |change: fn(&mut EcsService)| {
        findings(|_, found| change(found.blue.as_mut().expect("it is there")))
    };
    let stable_path = "error $.target.slots.blue";
    assert_eq!(
        stable(|blue| blue.desired_count = 0),
        [format!("{stable_path}: `shop-blue` carries the traffic and is asked to run 0 tasks")]
    );
    let progressing = "`shop-blue` carries the traffic and is being changed by ECS";
    assert_eq!(
        stable(|blue| blue.rollout = Rollout::InProgress { failed_tasks: 0 }),
        [format!("{stable_path}: {progressing}")]
    );
    assert_eq!(
        stable(|blue| blue.rollout = Rollout::InProgress { failed_tasks: 2 }),
        [format!("{stable_path}: {progressing}; 2 tasks failed to start")]
    );
    assert_eq!(stable(|blue| blue.deployments = 2), [format!("{stable_path}: {progressing}")]);
    assert_eq!(
        stable(|blue| blue.rollout = Rollout::Failed("circuit breaker".to_owned())),
        [format!(
            "{stable_path}: the last ECS deployment of `shop-blue`, which carries the traffic, \
             failed: circuit breaker"
        )]
    );
    let canary = findings(|_, found| {
        found.green.as_mut().expect("it is there").rollout =
            Rollout::Failed("the last version".to_owned());
    });
    assert!(canary.is_empty(), "{canary:?}");
}

#[test]
fn missing_and_indistinguishable_ecs_services_are_refused() {
    assert_eq!(
        findings(|_, found| found.green = None),
        ["error $.target.slots.green: there is no active ECS service `shop-green` in `production`"]
    );
    assert_eq!(
        findings(|_, found| (found.blue, found.green) = (None, None)),
        ["error $.target.cluster: `production` has neither `shop-blue` nor `shop-green`, or \
             there is no such cluster"]
    );
    assert_eq!(
        findings(|_, found| found.green = Some(ecs_service(0, "shop:40", &[]))),
        [
            "error $.target.slots.green: the tasks of `shop-green` register with no target group",
            "error $.target.routes[0]: the route also forwards to green",
        ]
    );
    assert_eq!(
        findings(|_, found| found.green = Some(ecs_service(0, "shop:40", &["blue"]))),
        ["error $.target.slots: both ECS services register with `blue`"]
    );
}

#[test]
fn a_missing_task_definition_is_refused_and_the_served_one_is_warned_about() {
    assert_eq!(
        findings(|_, found| found.task_definition = None),
        ["error $.release.taskDefinition: there is no task definition `shop:42`"]
    );
    assert_eq!(
        findings(|_, found| found.task_definition = Some(registered("shop:41"))),
        ["warning $.release.taskDefinition: the blue slot already serves `shop:41`"]
    );
}

#[test]
fn unknown_channels_are_refused_with_those_that_there_are() {
    let (mut document, found) = (document(), found());
    document["notify"] = json!(["team-shp", "xyz"]);
    let refusal = preflight(&decoded(&document), &found).expect_err("there are no such channels");
    let hints: Vec<_> = refusal.findings().iter().map(|finding| finding.hint.as_str()).collect();
    assert_eq!(hints, ["did you mean `team-shop`?", "the stack has `operators`, `team-shop`"]);
}

/// Who has what of a timeline would be mixed up, and the bucket would miss what the channel has.
#[test]
fn the_audit_bucket_is_no_channel_even_where_one_has_its_name() {
    let (mut document, mut found) = (document(), found());
    document["notify"] = json!(["team-shop", ChannelName::AUDIT_BUCKET]);
    found.stack.channels.insert(ChannelName::audit_bucket(), Listening::EVERYTHING);
    let refusal = preflight(&decoded(&document), &found).expect_err("it is no channel");
    let paths: Vec<_> = refusal.findings().iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(paths, ["$.notify[1]"]);
}

#[test]
fn channels_by_urgency_are_looked_up_in_their_lists() {
    let (mut document, found) = (document(), found());
    document["notify"] = json!({ "page": ["operators"], "attention": ["team-shp"] });
    let refusal = preflight(&decoded(&document), &found).expect_err("there is no such channel");
    let paths: Vec<_> = refusal.findings().iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(paths, ["$.notify.attention[0]", "$.notify.information"]);
    document["notify"] = json!({ "page": ["operators"], "attention": ["team-shop"] });
    let plan = preflight(&decoded(&document), &found).expect("both are there").plan;
    assert_eq!(plan.notify, [ChannelName::new("operators"), ChannelName::new("team-shop")]);
    let (team, pager) = (ChannelName::new("team-shop"), ChannelName::new("operators"));
    assert!(plan.tells(&pager, Urgency::Page) && !plan.tells(&pager, Urgency::Attention));
    assert!(plan.tells(&team, Urgency::Attention) && !plan.tells(&team, Urgency::Information));
}

#[test]
fn a_request_that_pages_nobody_is_warned_of_it() {
    let (mut document, found) = (document(), found());
    document["notify"] = json!({ "attention": ["team-shop"] });
    let resolved = preflight(&decoded(&document), &found).expect("only a warning");
    assert!(resolved.warnings.iter().any(|warning| warning.path == "$.notify.page"));
}

fn holder(name: &str, service: Option<&str>) -> Holder {
    Holder {
        keys: lock_keys(&request()),
        deployment: DeploymentId::new(name),
        service: service.map(crate::ids::ServiceLabel::new),
    }
}

#[test]
fn a_running_deployment_is_an_outcome_of_its_own() {
    let mut found = found();
    found.holders = vec![holder("shop-41", Some("shop")), holder("lost", None)];
    // What the running deployment has done to the weights is not held against the request.
    found.routes = vec![route(&[("blue", 950), ("green", 50)], false)];
    let refusal = preflight(&request(), &found).expect_err("a deployment is running");
    let Refusal::Running(findings) = &refusal else { panic!("{}", refusal.findings()) };
    assert_eq!(
        findings.to_string(),
        "error: deployment `shop-41` of service `shop` is running and needs the same ECS services \
         and routes at $.target\n  hint: wait until it has ended (`glidepath status shop-41`), or \
         end it with `glidepath rollback shop-41`\nerror: deployment `lost` is running and needs \
         the same ECS services and routes at $.target\n  hint: wait until it has ended (`glidepath \
         status lost`), or end it with `glidepath rollback lost`"
    );
    assert_eq!(refusal.failure().code, FailureCode::DeploymentRunning);
}

#[test]
fn lock_keys_are_among_those_of_the_plan() {
    let of_plan = LockKey::of(&fixtures::plan());
    let keys = lock_keys(&request());
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| of_plan.contains(key)));
}

#[test]
fn short_bakes_are_warned_about_once_for_each_field() {
    let found = findings(|document, _| {
        document["strategy"] =
            json!({ "linear": { "step": 10, "bake": "90s", "finalBake": "1m" } });
    });
    let looks = "has fewer than 2 looks, one every 1m";
    assert_eq!(
        found,
        [
            format!("warning $.strategy.linear.bake: a bake of 90s {looks}"),
            format!("warning $.strategy.linear.finalBake: a bake of 1m {looks}"),
        ]
    );
}

#[test]
fn a_plan_that_may_outgrow_its_execution_is_warned_about() {
    let long = |document: &mut Value, _: &mut Found| {
        document["strategy"] = json!({ "linear": { "step": 0.1, "bake": "5m" } });
    };
    let found = findings(long);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("warning $.strategy.linear: the execution needs about"));
    let forever = findings(|document, _| {
        document["strategy"]["canary"]["stages"][0]["bake"] = json!("366d");
    });
    let message = "the bakes take longer than the year that an execution may run";
    assert_eq!(forever, [format!("error $.strategy.canary: {message}")]);
}

#[test]
fn more_alarms_than_a_transaction_takes_are_refused() {
    let found = findings(|document, found| {
        let names: Vec<_> = (0..95).map(|number| format!("alarm-{number}")).collect();
        found.alarms.service = names.iter().map(|name| alarm(name, &[])).collect();
        document["health"]["alarms"]["service"] = json!(names);
    });
    let message = "routes and alarms need 105 registry items at once, at most 100 are possible";
    assert_eq!(found, [format!("error $.target.routes: {message}")]);
}

#[test]
fn errors_come_before_warnings_and_all_are_there() {
    let (mut document, mut found) = (document(), found());
    document["strategy"] = json!({ "allAtOnce": { "bake": "10s" } });
    document["notify"] = json!(["nobody"]);
    found.task_definition = None;
    found.routes = vec![FoundRoute::Missing];
    fire(&mut found.alarms.green[0]);
    let refusal = preflight(&decoded(&document), &found).expect_err("much is wrong");
    assert_eq!(refusal.failure().code, FailureCode::InvalidRequest);
    let paths: Vec<_> = refusal.findings().iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "$.target.routes[0]",
            "$.release.taskDefinition",
            "$.health.alarms.green[0]",
            "$.notify[0]"
        ]
    );
    found = fixtures::found();
    document["notify"] = json!([]);
    let resolved = preflight(&decoded(&document), &found).expect("only a warning is left");
    let warnings: Vec<_> = resolved.warnings.iter().collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!(resolved.plan.stages[0].bake, Span::from_secs(10));
}

/// deregister-task-definition-v2: services that have an inactive revision go on and still scale; none can be
/// made with it or updated to it.
#[test]
fn a_deregistered_version_comes_back_only_from_the_slot_that_kept_it() {
    let looked = |kept: bool, back: bool| {
        let mut found = found();
        let mut version = registered("shop:40");
        version.active = false;
        found.task_definition = Some(version);
        if !kept && let Some(green) = &mut found.green {
            green.task_definition = task_definition("shop:39");
        }
        let from = crate::ids::DeploymentId::new("shop-41");
        let version = task_definition("shop:41");
        found.way_back =
            back.then_some(crate::plan::WayBack { from, version, skips_validation: false });
        preflight(&request(), &found)
    };
    for (kept, back) in [(false, false), (true, false), (false, true)] {
        let refused = looked(kept, back).unwrap_err();
        let told = refused.findings().to_string();
        assert!(told.contains("`shop:40` is deregistered"), "{told}");
        assert_eq!(told.contains("or go back to another version"), back, "{told}");
    }
    let resolved = looked(true, true).unwrap();
    assert_eq!(resolved.plan.task_definition, resolved.plan.canary.task_definition);
    let judged = |finding: &crate::document::Finding| finding.path.starts_with("$.health");
    assert!(!resolved.warnings.iter().any(judged), "{}", resolved.warnings);
}

/// Whoever makes a version from the one that serves asks before there is anything to release.
#[test]
fn what_serves_is_known_whatever_is_released_and_only_beyond_doubt() {
    let serves = |change: &dyn Fn(&mut Found)| {
        let mut found = Found { task_definition: None, ..found() };
        change(&mut found);
        serving(&request(), &found)
    };
    assert_eq!(serves(&|_| {}).unwrap(), task_definition("shop:41"));
    let other = serves(&|found| {
        found.routes = vec![route(&[("blue", 0), ("green", 7)], false)];
        found.green = Some(ecs_service(3, "shop:7", &["green"]));
    });
    assert_eq!(other.unwrap(), task_definition("shop:7"));
    let both = serves(&|found| found.routes = vec![route(&[("blue", 1), ("green", 1)], false)]);
    assert!(both.unwrap_err().findings().to_string().contains("both slots carry weight"));
    let empty = serves(&|found| found.blue = Some(ecs_service(0, "shop:41", &["blue"])));
    assert!(empty.unwrap_err().findings().to_string().contains("is asked to run 0 tasks"));
    let running = serves(&|found| found.holders = vec![holder("shop-41", Some("shop"))]);
    assert!(matches!(running.unwrap_err(), Refusal::Running(_)));
}
