//! What becomes of the load balancer's answers, good and bad.

use glidepath_core::weight::AlbWeight;
use glidepath_engine::ports::{PortError, Reaching, TargetGroup, TargetGroups};

use super::*;
use crate::replay::{answering, silent, watched, xml, xml_error};

const RULE: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/front/50dc/f2f7/9683";

fn rule() -> RouteRef {
    RouteRef::Rule(RULE.to_owned())
}

fn described(inner: &str) -> String {
    format!(
        "<DescribeRulesResponse><DescribeRulesResult><Rules>{inner}</Rules></DescribeRulesResult>\
         </DescribeRulesResponse>"
    )
}

fn forwarding() -> String {
    let group = |name, weight| {
        format!("<member><TargetGroupArn>{name}</TargetGroupArn><Weight>{weight}</Weight></member>")
    };
    described(&format!(
        "<member><RuleArn>{RULE}</RuleArn><IsDefault>false</IsDefault><Actions><member>\
         <Type>forward</Type><Order>1</Order><ForwardConfig><TargetGroups>{}{}</TargetGroups>\
         <TargetGroupStickinessConfig><Enabled>false</Enabled></TargetGroupStickinessConfig>\
         </ForwardConfig></member></Actions></member>",
        group("blue", 90),
        group("green", 10)
    ))
}

async fn write_with(answer: crate::replay::Answer) -> PortResult<()> {
    let balancer = ElasticLoadBalancing::new(&answering(vec![answer]));
    balancer.write_route(&rule(), &RouteActions(vec![])).await
}

/// A call that is refused would close the connection, and be an error in CloudTrail at every cold start.
#[tokio::test]
async fn the_connection_for_the_first_write_is_opened_by_a_call_that_is_not_refused() {
    let limits = "<DescribeAccountLimitsResponse><DescribeAccountLimitsResult><Limits/>\
                  </DescribeAccountLimitsResult></DescribeAccountLimitsResponse>";
    let (clients, asked) = watched(vec![xml(limits)]);
    ElasticLoadBalancing::new(&clients).warm_up().await;
    let requests: Vec<_> = asked.actual_requests().collect();
    let [request] = requests[..] else { panic!("{requests:?}") };
    let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
    assert!(body.starts_with("Action=DescribeAccountLimits&"), "{body}");
    assert!(body.ends_with("PageSize=1"), "{body}");
}

#[tokio::test]
async fn a_rule_is_read_with_its_load_balancer() {
    let balancer = ElasticLoadBalancing::new(&answering(vec![xml(&forwarding())]));
    let found = balancer.routes(&[rule()]).await.unwrap().remove(0);
    let FoundRoute::Found { actions, load_balancer } = found else { panic!("{found:?}") };
    assert_eq!(load_balancer, "app/front/50dc");
    let forward = actions.forward().unwrap();
    assert_eq!(forward.groups()[1].weight, AlbWeight::new(10));
}

#[tokio::test]
async fn one_missing_rule_does_not_hide_the_others() {
    let missing = || xml_error(400, "RuleNotFound", "One or more rules not found");
    let answers = vec![missing(), missing(), xml(&forwarding())];
    let balancer = ElasticLoadBalancing::new(&answering(answers));
    let gone = RouteRef::Rule(RULE.replace("9683", "gone"));
    let found = balancer.routes(&[gone, rule()]).await.unwrap();
    assert!(matches!(found[..], [FoundRoute::Missing, FoundRoute::Found { .. }]), "{found:?}");
}

#[tokio::test]
async fn rules_that_nobody_named_are_found_on_every_page() {
    const LISTENER: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/front/50dc/f2f7";
    let listeners = format!(
        "<DescribeListenersResponse><DescribeListenersResult><Listeners><member><ListenerArn>\
         {LISTENER}</ListenerArn></member></Listeners></DescribeListenersResult>\
         </DescribeListenersResponse>"
    );
    let first = forwarding().replace("</Rules>", "</Rules><NextMarker>more</NextMarker>");
    let default = described(
        "<member><RuleArn>default</RuleArn><IsDefault>true</IsDefault><Actions><member>\
         <Type>forward</Type><TargetGroupArn>green</TargetGroupArn></member></Actions></member>\
         <member><RuleArn>other</RuleArn><IsDefault>false</IsDefault><Actions><member>\
         <Type>fixed-response</Type></member></Actions></member>",
    );
    let (clients, replay) = watched(vec![xml(&listeners), xml(&first), xml(&default)]);
    let groups = [TargetGroupArn::new("green"), TargetGroupArn::new("unused")];
    let found = ElasticLoadBalancing::new(&clients).reaching(&[rule()], &groups).await.unwrap();
    let green = |route, permille| Reaching { route, shares: vec![(groups[0].clone(), permille)] };
    let listener = RouteRef::Listener(LISTENER.to_owned());
    assert_eq!(found, [green(rule(), 100), green(listener, 1000)]);
    let asked = replay.actual_requests().next().unwrap();
    let body = std::str::from_utf8(asked.body().bytes().unwrap()).unwrap();
    assert!(body.contains("loadbalancer%2Fapp%2Ffront%2F50dc"), "{body}");
}

#[tokio::test]
async fn the_default_rule_is_told_apart() {
    let default = described(&format!(
        "<member><RuleArn>{RULE}</RuleArn><IsDefault>true</IsDefault></member>"
    ));
    let balancer = ElasticLoadBalancing::new(&answering(vec![xml(&default)]));
    assert_eq!(balancer.routes(&[rule()]).await, Ok(vec![FoundRoute::DefaultRule]));
}

#[tokio::test]
async fn a_throttled_write_had_no_effect_and_is_not_repeated_here() {
    let throttled = || xml_error(400, "Throttling", "Rate exceeded");
    let (clients, replay) = watched(vec![throttled(), throttled()]);
    let written = ElasticLoadBalancing::new(&clients)
        .write_route(&rule(), &RouteActions(vec![]))
        .await
        .unwrap_err();
    assert!(matches!(written, PortError::Throttled { .. }) && written.answered());
    assert_eq!(replay.actual_requests().count(), 1);
}

#[tokio::test]
async fn a_denied_write_is_refused_with_its_reason() {
    let refused = write_with(xml_error(403, "AccessDenied", "not authorized")).await.unwrap_err();
    assert!(refused.answered() && !refused.may_pass());
    assert_eq!(
        refused.to_string(),
        "elasticloadbalancing:ModifyRule: AccessDenied: not authorized"
    );
}

#[tokio::test]
async fn after_a_server_error_nobody_knows() {
    let unknown = write_with(xml_error(500, "InternalFailure", "oops")).await.unwrap_err();
    assert!(!unknown.answered() && unknown.may_pass(), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_ends_within_the_time_of_an_attempt() {
    let started = tokio::time::Instant::now();
    let written = ElasticLoadBalancing::new(&silent())
        .write_route(&rule(), &RouteActions(vec![]))
        .await
        .unwrap_err();
    assert!(matches!(written, PortError::Unanswered { .. }), "{written}");
    let limit = glidepath_core::record::ATTEMPT_TIMEOUT.as_millis();
    assert!(started.elapsed().as_millis() < u128::from(limit));
}

#[tokio::test]
async fn targets_are_counted_by_state() {
    let target = |state: &str, reason: &str| {
        format!(
            "<member><TargetHealth><State>{state}</State><Reason>{reason}</Reason>\
             <Description>why</Description></TargetHealth></member>"
        )
    };
    let targets = [
        target("healthy", ""),
        target("healthy", ""),
        target("unused", "Target.NotInUse"),
        target("unused", "Target.InvalidState"),
        target("unhealthy", "Target.Timeout"),
        target("initial", "Elb.RegistrationInProgress"),
        target("draining", "Target.DeregistrationInProgress"),
        target("unhealthy.draining", "Target.DeregistrationInProgress"),
    ]
    .concat();
    let answer = format!(
        "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>\
         {targets}</TargetHealthDescriptions></DescribeTargetHealthResult>\
         </DescribeTargetHealthResponse>"
    );
    let balancer = ElasticLoadBalancing::new(&answering(vec![xml(&answer)]));
    let health = balancer.target_health(&TargetGroupArn::new("blue")).await;
    // Of the one that is unhealthy, not of those that start or cannot be reached at all.
    let sick = Some("Target.Timeout: why".to_owned());
    assert_eq!(health, Ok(TargetHealth { healthy: 2, unused: 1, other: 3, sick }));
}

#[tokio::test]
async fn a_target_group_is_read_with_its_stickiness() {
    let group = |protocol: &str| {
        xml(&format!(
            "<DescribeTargetGroupsResponse><DescribeTargetGroupsResult><TargetGroups><member>\
             <TargetGroupArn>g</TargetGroupArn><Protocol>{protocol}</Protocol>\
             <HealthCheckPath>/health</HealthCheckPath></member></TargetGroups>\
             </DescribeTargetGroupsResult></DescribeTargetGroupsResponse>"
        ))
    };
    let attributes = |sticky: &str| {
        xml(&format!(
            "<DescribeTargetGroupAttributesResponse><DescribeTargetGroupAttributesResult>\
             <Attributes><member><Key>stickiness.type</Key><Value>lb_cookie</Value></member>\
             <member><Key>stickiness.enabled</Key><Value>{sticky}</Value></member></Attributes>\
             </DescribeTargetGroupAttributesResult></DescribeTargetGroupAttributesResponse>"
        ))
    };
    let read = async |answers: Vec<crate::replay::Answer>| {
        let balancer = ElasticLoadBalancing::new(&answering(answers));
        balancer.target_groups(&[TargetGroupArn::new("g")]).await.map(|mut found| found.remove(0))
    };
    let of = |protocol: &str, sticky| TargetGroup {
        protocol: protocol.to_owned(),
        sticky,
        health_check_path: Some("/health".to_owned()),
    };
    assert_eq!(read(vec![group("HTTP"), attributes("true")]).await, Ok(Some(of("HTTP", true))));
    assert_eq!(read(vec![group("TLS"), attributes("false")]).await, Ok(Some(of("TLS", false))));
    let gone = xml_error(400, "TargetGroupNotFound", "One or more target groups not found");
    assert_eq!(read(vec![gone]).await, Ok(None));
    let denied = xml_error(403, "AccessDenied", "not authorized");
    let error = read(vec![group("HTTP"), denied]).await.unwrap_err();
    let operation = "elasticloadbalancing:DescribeTargetGroupAttributes";
    assert_eq!(error.to_string(), format!("{operation}: AccessDenied: not authorized"));
}

#[test]
fn network_load_balancers_are_not_supported() {
    assert_eq!(load_balancer_of(&RULE.replace("/app/", "/net/")), None);
    let listener = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/front/50dc/f2f7";
    assert_eq!(load_balancer_of(listener).as_deref(), Some("app/front/50dc"));
}
