use glidepath_core::failure::FailureCode;
use glidepath_core::plan::{Bounds, Check, CheckMode, Measure, MetricStatistic, Number};
use glidepath_core::time::Span;
use glidepath_engine::forecast::try_checks;
use glidepath_engine::ports::{
    Alarm, Clock, Metrics, MetricsQuery, Monitoring, PortError, PortResult,
};
use glidepath_engine::testing::World;
use glidepath_engine::testing::example::{plan, stage, world};

const MINUTE: Span = Span::from_secs(60);

fn measure(name: &str) -> Measure {
    Measure::Metric(MetricStatistic {
        namespace: "Shop".to_owned(),
        name: name.to_owned(),
        dimensions: [].into(),
        statistic: "Sum".to_owned(),
    })
}

fn check(name: &str) -> Check {
    Check {
        name: name.to_owned(),
        // The canary has nothing before its first task: stable's measure is what is tried.
        canary: measure("nothing"),
        stable: measure(name),
        limit: Bounds { above: Number::new(1.0), below: None },
        against_stable: Bounds::default(),
        points: 3,
        period: None,
        mode: CheckMode::Critical,
        alerts: false,
    }
}

async fn tried(measures: Vec<(&str, PortResult<Vec<Number>>)>) -> String {
    let world = world();
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.checks = measures.iter().map(|(name, _)| check(name)).collect();
    world.state().measures =
        measures.into_iter().map(|(name, points)| (measure(name), points)).collect();
    let findings = try_checks(&world, world.now(), &plan).await;
    if findings.has_errors() {
        assert_eq!(findings.failure(FailureCode::InvalidRequest).code, FailureCode::InvalidRequest);
    }
    findings.to_string()
}

fn refused(detail: &str) -> PortResult<Vec<Number>> {
    Err(PortError::Refused { operation: "GetMetricData", detail: detail.to_owned() })
}

#[tokio::test]
async fn a_check_that_cloudwatch_does_not_take_is_an_error_before_anything_is_written() {
    let one = || Ok(vec![Number::ONE]);
    assert_eq!(tried(vec![("orders", one())]).await, "");
    let said =
        tried(vec![("orders", one()), ("queue", refused("ValidationError: no such id"))]).await;
    assert!(said.starts_with("error: CloudWatch does not take `queue`"), "{said}");
    assert!(said.contains("no such id at $.health.checks[1]"), "{said}");
}

#[tokio::test]
async fn what_may_pass_and_what_has_no_data_yet_is_a_warning() {
    let said = tried(vec![("orders", Ok(vec![]))]).await;
    assert!(said.starts_with("warning: `orders` had no data during the last hour"), "{said}");
    let throttled = Err(PortError::Throttled { operation: "GetMetricData" });
    let said = tried(vec![("orders", throttled)]).await;
    assert!(said.starts_with("warning: `orders` could not be tried"), "{said}");
    let said = tried(vec![("orders", refused("AccessDeniedException: no"))]).await;
    assert!(said.starts_with("warning: `orders` could not be tried"), "{said}");
}

/// Takes one check a call and no more.
struct OneAtATime(World);

impl Monitoring for OneAtATime {
    async fn alarms(&self, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
        self.0.alarms(names).await
    }

    async fn metrics(&self, query: &MetricsQuery) -> PortResult<Option<Metrics>> {
        let mut metrics = self.0.metrics(query).await?;
        for check in metrics.iter_mut().flat_map(|metrics| &mut metrics.checks) {
            if query.checks.len() > 1 {
                check.canary = refused("ValidationError: one query a call").map(|_| [].into());
            }
        }
        Ok(metrics)
    }
}

#[tokio::test]
async fn checks_that_are_taken_alone_but_not_together_are_an_error_too() {
    let world = world();
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.checks = ["orders", "queue"].map(check).to_vec();
    let points = || Ok(vec![Number::ONE]);
    world.state().measures = vec![(measure("orders"), points()), (measure("queue"), points())];
    let now = world.now();
    let said = try_checks(&OneAtATime(world), now, &plan).await.to_string();
    assert!(said.starts_with("error: CloudWatch takes `orders`, `queue` each alone"), "{said}");
    assert!(said.contains("one query a call at $.health.checks"), "{said}");
    assert!(!said.contains("does not take"), "{said}");
}

#[tokio::test]
async fn a_check_of_an_hour_is_given_time_to_have_data() {
    let world = world();
    let mut plan = plan(vec![stage(500, MINUTE), stage(1000, MINUTE)]);
    plan.health.checks = vec![Check { period: Some(MINUTE.times(60)), ..check("orders") }];
    let said = try_checks(&world, world.now(), &plan).await.to_string();
    assert!(said.starts_with("warning: `orders` had no data during the last 3h"), "{said}");
}
