//! The reference of the metrics as Markdown.

use std::fmt::Write;

use super::document::NAMESPACE;
use super::metric::{Dimension, Metric};
use crate::fixtures::same_as_file;

const INTRODUCTION: &str = "\
# Metrics

What Glidepath measures of itself: lines of its functions' logs in CloudWatch's embedded metric format, of which
CloudWatch makes metrics in the namespace `";

const REST: &str = "\
Names, units and dimensions stay within one major version; names may be added. CloudWatch may count a line twice, and
lines come minutes apart: read maxima and averages, no sums, and treat what is missing as missing. Each name with each
set of dimensions is a custom metric that is paid for in the hours in which it gets data: four for a stack, eight for a
service that is being deployed, and two for a function that fails. The name of a deployment is in the lines (`deployment`)
and never a dimension.

What is measured of a service is measured at each look, so only while a deployment is under way; before and after it the
load balancer's own metrics say how its requests go. A look that finds no requests, or cannot read them, sends no share.

Besides, the stack's alarms and dashboards read what AWS measures: `AWS/Lambda` (`Errors`, `Throttles`, `Duration`),
`AWS/SQS` (`ApproximateNumberOfMessagesVisible`), `AWS/States` (`ExecutionsAborted`, `ExecutionThrottled`) and
`AWS/ApplicationELB`. What `plan` fails by, whoever has started it is told at once. `Errors` of `plan`, `advance` and `validate` count every request that is refused and every verdict
that fails, so nothing is alarmed by those: that is what `TransientFailures` and `UnexpectedFailures` are for.

What is done about each alarm: [runbook](runbook.md#when-glidepath-itself-is-ill).

This page is generated from `shared/core/src/telemetry` (`UPDATE=1 cargo test -p glidepath-core`).
";

/// What it says, and which function writes it.
const fn meaning(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::CanaryWeight => (
            "validate",
            "share that the new version's group has on the route where it has most, as read back",
        ),
        Metric::CanaryTraffic => (
            "validate",
            "share of the requests that reached the new version, in the newest complete minute",
        ),
        Metric::CanaryBadRequests => (
            "validate",
            "bad requests of the new version, of all of its own, in that minute; what is bad the plan says",
        ),
        Metric::StableBadRequests => ("validate", "the same of the version that serves"),
        Metric::CanarySlowRequests => {
            ("validate", "slow requests of the new version; only where the plan says what is slow")
        }
        Metric::StableSlowRequests => ("validate", "the same of the version that serves"),
        Metric::Stage => ("validate", "the stage, from 1"),
        Metric::Verdict => ("validate", "0 pass, 1 inconclusive, 2 suspect, 3 fail"),
        Metric::Sweeps => ("sweep", "1 for each sweep that could read what is due"),
        Metric::OverdueWork => (
            "sweep",
            "for how long the oldest deployment or retirement has been overdue; 0 if none is",
        ),
        Metric::UndeliveredNotices => (
            "sweep",
            "for how long the oldest notice has waited that a channel has not taken; 0 if none does",
        ),
        Metric::AlarmToRoute => (
            "rollback",
            "from the change of an alarm, by CloudWatch's clock, until every route that it stops was written back",
        ),
        Metric::TransientFailures => {
            ("all but plan", "1 for each invocation that failed because AWS did not answer")
        }
        Metric::UnexpectedFailures => (
            "all but plan",
            "1 for each that failed for good where it should not: a permission, most likely",
        ),
    }
}

fn page() -> String {
    let mut page = format!("{INTRODUCTION}{NAMESPACE}`.\n\n");
    page.push_str("| name | unit | dimensions | written by | what |\n|---|---|---|---|---|\n");
    for metric in Metric::ALL {
        let set = |set: &&[Dimension]| {
            let names: Vec<_> =
                set.iter().map(|dimension| format!("`{}`", dimension.name())).collect();
            names.join(", ")
        };
        let sets: Vec<_> = metric.dimensions().iter().map(set).collect();
        let (by, what) = meaning(metric);
        let (name, unit, sets) = (metric.name(), metric.unit().name(), sets.join("; and "));
        writeln!(page, "| `{name}` | {unit} | {sets} | {by} | {what} |").expect("a text");
    }
    page + "\n" + REST
}

#[test]
fn the_page_of_the_metrics_is_up_to_date() {
    same_as_file("../../docs/metrics.md", &page());
}
