//! Reads what CloudWatch already knows before a deployment begins: the service's last day, for
//! warnings, and every check of the plan once, so that one that CloudWatch refuses is found here.

use futures_util::future::{join, join_all};
use glidepath_core::document::Findings;
use glidepath_core::health::{Periods, Series, is_even};
use glidepath_core::plan::{BadRequestsAre, Check, Plan, StageIndex};
use glidepath_core::preflight::{self, LastDay, Resolved, Suggestion};
use glidepath_core::record::Shift;
use glidepath_core::request::{Request, Sensitivity};
use glidepath_core::time::{Span, Timestamp};

use crate::ports::{CheckQuery, Metrics, MetricsQuery, Monitoring, PortError, PortResult};

/// How far back the service is looked at.
const DAY: Span = Span::from_secs(86_400);

/// How far back stages are made for: a weekend must not decide alone.
const DAYS: Span = Span::from_secs(3 * 86_400);

/// How far back stable's errors are looked at for evenness.
const EVENNESS: Span = Span::from_secs(3 * 3_600);

/// How far back a check is tried at least: less than a high resolution is kept for.
const TRIAL: Span = Span::from_secs(3_600);

/// What the last day says about a plan. What cannot be read is a warning: nobody should have to wait
/// for it.
pub async fn forecast(
    monitoring: &impl Monitoring,
    now: Timestamp,
    request: &Request,
    plan: &Plan,
) -> Findings {
    let other = match plan.health.bad_requests_are {
        BadRequestsAre::NotAnsweredWell => Some(BadRequestsAre::TargetErrors),
        BadRequestsAre::TargetErrors => None,
    };
    let counted = requests(monitoring, now, DAY, plan, plan.health.bad_requests_are);
    let other = async {
        match other {
            Some(bad_are) => requests(monitoring, now, DAY, plan, bad_are).await.map(Some),
            None => Ok(None),
        }
    };
    match join(counted, other).await {
        (Ok(counted), Ok(target_errors)) => {
            preflight::forecast(request, plan, &LastDay { counted, target_errors })
        }
        (Err(error), _) | (_, Err(error)) => {
            let mut findings = Findings::default();
            findings.warning(
                "$.health",
                format!("the requests of the last day could not be read: {error}"),
                "without them nobody can say whether the stages are long enough",
            );
            findings
        }
    }
}

/// Stages that fit the requests of the last days.
pub async fn suggest(
    monitoring: &impl Monitoring,
    now: Timestamp,
    plan: &Plan,
) -> PortResult<Suggestion> {
    let days = requests(monitoring, now, DAYS, plan, plan.health.bad_requests_are).await?;
    Ok(preflight::suggest(plan, &days))
}

async fn requests(
    monitoring: &impl Monitoring,
    now: Timestamp,
    span: Span,
    plan: &Plan,
    bad_are: BadRequestsAre,
) -> PortResult<Periods> {
    let routes = plan.routes.iter().map(|route| {
        (route.load_balancer.clone(), route.pair.canary.clone(), route.pair.stable.clone())
    });
    let query = MetricsQuery { routes: routes.collect(), bad_are, ..since(now, span) };
    match monitoring.metrics(&query).await? {
        Some(metrics) => metrics.requests,
        None => Ok(Periods { length: span, counts: Vec::new() }),
    }
}

/// Sets how many periods have to speak against the canary by how evenly stable's errors came. What
/// cannot be read leaves the more careful number.
pub(crate) async fn adapt(monitoring: &impl Monitoring, now: Timestamp, resolved: &mut Resolved) {
    let Resolved { plan, warnings } = resolved;
    let read = requests(monitoring, now, EVENNESS, plan, plan.health.bad_requests_are).await;
    let Some(comparison) = &mut plan.health.comparison else { return };
    match read {
        Ok(periods) => {
            let tallies: Vec<_> = periods
                .counts
                .iter()
                .map(|period| period.stable.plus(period.canary).bad_tally())
                .collect();
            if let (true, Some(witnesses)) = (is_even(&tallies), Sensitivity::Fast.witnesses()) {
                comparison.witnesses = witnesses;
            }
        }
        Err(error) => warnings.warning(
            "$.health.comparison.sensitivity",
            format!("the requests of the last three hours could not be read: {error}"),
            "it is `standard` then",
        ),
    }
}

/// A query for this time that asks for no metric yet.
fn since(now: Timestamp, span: Span) -> MetricsQuery {
    let from = now - span;
    MetricsQuery {
        routes: Vec::new(),
        shifts: vec![Shift { stage: StageIndex::default(), at: from }],
        bad_are: BadRequestsAre::default(),
        slower_than: None,
        checks: Vec::new(),
        checks_since: from,
        now,
    }
}

/// Tries every check on the slot that serves; errors are those that waiting cannot mend.
pub async fn try_checks(monitoring: &impl Monitoring, now: Timestamp, plan: &Plan) -> Findings {
    let judged =
        (plan.health.checks.as_slice(), "$.health.checks", "a critical check holds every stage");
    let mut findings = try_these(monitoring, now, judged).await;
    if let Some(validation) = &plan.validation {
        let checks = validation.stable.checks.as_slice();
        let asked = (checks, "$.rollback.validate.checks", "it is told as not known");
        findings.extend(try_these(monitoring, now, asked).await);
    }
    findings
}

/// Those of one list, which are read in the same calls.
async fn try_these(
    monitoring: &impl Monitoring,
    now: Timestamp,
    (listed, at, then): (&[Check], &str, &str),
) -> Findings {
    let mut findings = Findings::default();
    let checks: Vec<_> = listed
        .iter()
        .map(|check| CheckQuery {
            canary: check.stable.clone(),
            stable: None,
            period: check.period,
        })
        .collect();
    let mut found = tried(monitoring, now, checks.clone()).await;
    let suspects: Vec<_> = (0..).zip(&found).filter(|(_, series)| is_refused(series)).collect();
    if suspects.len() > 1 {
        // One that CloudWatch does not understand takes the others of its call with it: which was it?
        let together = suspects.iter().find_map(|(_, series)| series.as_ref().err().cloned());
        let suspects: Vec<usize> = suspects.into_iter().map(|(index, _)| index).collect();
        let alone = suspects.iter().filter_map(|index| checks.get(*index));
        let alone = alone.map(|check| tried(monitoring, now, vec![check.clone()]));
        let alone: Vec<_> = join_all(alone).await.into_iter().flatten().collect();
        if let (Some(error), false) = (together, alone.iter().any(is_refused)) {
            let names = suspects.iter().filter_map(|index| listed.get(*index));
            let names: Vec<_> = names.map(|check| format!("`{}`", check.name)).collect();
            let names = names.join(", ");
            findings.error(
                at,
                format!("CloudWatch takes {names} each alone, but not together: {error}"),
                "leave one of them out: every look would ask for them together, and know nothing",
            );
        }
        for (index, series) in suspects.into_iter().zip(alone) {
            if let Some(before) = found.get_mut(index) {
                *before = series;
            }
        }
    }
    for (index, (check, series)) in listed.iter().zip(found).enumerate() {
        let (path, name) = (format!("{at}[{index}]"), &check.name);
        let span = trial(check.period);
        match series {
            Ok(series) if series.keys().all(|at| *at < now - span) => {
                let time = if span == TRIAL { "hour".to_owned() } else { span.to_string() };
                findings.warning(
                    path,
                    format!("`{name}` had no data during the last {time}"),
                    format!(
                        "while it has none, {then}; FILL(id, 0) fills a metric that is only published now \
                         and then"
                    ),
                );
            }
            Ok(_) => {}
            Err(error) if error.may_pass() || error.is_denied() => findings.warning(
                path,
                format!("`{name}` could not be tried: {error}"),
                format!("if it stays so, {then}"),
            ),
            Err(error) => findings.error(
                path,
                format!("CloudWatch does not take `{name}`: {error}"),
                "try it in CloudWatch's console, or with `aws cloudwatch get-metric-data`",
            ),
        }
    }
    findings
}

fn is_refused(series: &PortResult<Series>) -> bool {
    series.as_ref().is_err_and(|error| !error.may_pass())
}

/// How far back a check with such periods is tried: at least one of them lies in it as a whole,
/// wherever they begin and however late their points come.
fn trial(period: Option<Span>) -> Span {
    TRIAL.max(period.unwrap_or(Span::ZERO).times(3))
}

/// What each of the checks has measured lately.
async fn tried(
    monitoring: &impl Monitoring,
    now: Timestamp,
    checks: Vec<CheckQuery>,
) -> Vec<PortResult<Series>> {
    let Some(span) = checks.iter().map(|check| trial(check.period)).max() else {
        return Vec::new();
    };
    let many = checks.len();
    let answers = monitoring.metrics(&MetricsQuery { checks, ..since(now, span) }).await;
    let answers = answers.and_then(|metrics| metrics.ok_or_else(error_of_nothing));
    match answers {
        Ok(Metrics { checks, .. }) => {
            let mut found: Vec<_> = checks.into_iter().map(|answer| answer.canary).collect();
            found.resize_with(many, || Err(error_of_nothing()));
            found
        }
        Err(error) => (0..many).map(|_| Err(error.clone())).collect(),
    }
}

fn error_of_nothing() -> PortError {
    let detail = "no answer to the check".to_owned();
    PortError::Unanswered { operation: "cloudwatch:GetMetricData", detail }
}
