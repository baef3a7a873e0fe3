//! Measures of the user's own, as a person writes them.

mod placeholder;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::defaults;
use crate::document::{Decode, Node};
use crate::plan::{Bounds, CheckMode, Measure, MetricStatistic, Number, is_insights, words};
use crate::time::Span;

pub use placeholder::Placeholder;

/// Checks of a request; each may take eleven queries for each slot of the 500 that one call takes.
const MOST_CHECKS: usize = 20;

/// Metrics of one expression.
const MOST_METRICS: usize = 10;

/// The shortest period of a query of Metrics Insights.
const MINUTE: Span = Span::from_secs(60);

/// Dimensions of a metric that CloudWatch takes.
const MOST_DIMENSIONS: usize = 30;

/// A measure of CloudWatch that the new version is judged by at every look: a metric, or an
/// expression of metric math or Metrics Insights. Its newest points since the stage began count.
///
/// In the values of dimensions and in expressions, `${cluster}` stands for the ECS cluster,
/// `${service}` for the ECS service of the slot that is looked at, `${slot}` for `blue` or `green`,
/// `${targetGroup}` and `${loadBalancer}` for the CloudWatch dimensions of the slot's target group
/// and its load balancer on the first route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckRequest {
    /// Your name for it.
    pub name: String,
    /// A statistic of one metric; either this or `expression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Metric math with the ids of `metrics`, or a Metrics Insights query; it must give one series.
    /// `FILL(id, 0)` makes a metric that is only published when something happens one that can be
    /// judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// Metrics by the id that the expression has for them: a small letter, then letters, digits
    /// and `_`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Metric>,
    /// What the value of the new version may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limits>,
    /// How many times the old version's value at the same time it may be. The measure must contain
    /// `${service}`, `${slot}` or `${targetGroup}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_stable: Option<Limits>,
    /// How many of the newest points in a row must be out of bounds.
    #[serde(default = "defaults::check_points")]
    #[schemars(range(min = 1, max = 100))]
    pub points: u64,
    /// The length of a period: 1, 5, 10, 20 or 30 seconds, or whole minutes up to a day. Without it
    /// a minute, as load balancers publish theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Span>,
    /// What a value out of bounds leads to.
    #[serde(default)]
    pub mode: CheckModeRequest,
}

/// What a value out of bounds, or none at all, leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CheckMode")]
pub enum CheckModeRequest {
    /// Out of bounds rolls back; what cannot be read holds.
    #[default]
    Critical,
    /// It is told with every verdict and changes none.
    Informative,
    /// Out of bounds it is told to whoever hears of what wants attention, once in a stage, and changes no verdict.
    Alert,
    /// Verdicts tell what it would have done. For trying a check before it is trusted.
    DryRun,
}

impl CheckModeRequest {
    /// As a plan has it, and whether it alerts.
    pub const fn mode(self) -> (CheckMode, bool) {
        match self {
            Self::Critical => (CheckMode::Critical, false),
            Self::Informative => (CheckMode::Informative, false),
            Self::Alert => (CheckMode::Informative, true),
            Self::DryRun => (CheckMode::DryRun, false),
        }
    }
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metric {
    /// Such as `AWS/ECS`.
    pub namespace: String,
    /// Such as `CPUUtilization`.
    pub name: String,
    /// Value by name, all of them: CloudWatch finds a metric by no fewer.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// Such as `Average`, `Sum`, `Maximum`, `p99` or `TC(1.5:)`.
    #[serde(default = "defaults::statistic")]
    pub statistic: String,
}

/// What a value may not be above or below; at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Values above are out of bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub above: Option<Number>,
    /// Values below are out of bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub below: Option<Number>,
}

impl Limits {
    /// As the plan holds them.
    pub fn bounds(limits: Option<Self>) -> Bounds {
        limits.map_or(Bounds::default(), |Self { above, below }| Bounds { above, below })
    }
}

impl CheckRequest {
    /// What is asked of CloudWatch, placeholders and all.
    pub fn measure(&self) -> Option<Measure> {
        match (&self.metric, &self.expression) {
            (Some(metric), None) => Some(Measure::Metric(metric.plan())),
            (None, Some(expression)) => Some(Measure::Expression {
                expression: expression.clone(),
                metrics: self
                    .metrics
                    .iter()
                    .map(|(id, metric)| (id.clone(), metric.plan()))
                    .collect(),
            }),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

impl Metric {
    fn plan(&self) -> MetricStatistic {
        let Self { namespace, name, dimensions, statistic } = self.clone();
        MetricStatistic { namespace, name, dimensions, statistic }
    }
}

/// Reads the checks, each with a name of its own.
pub(super) fn checks(mut node: Node<'_>) -> Option<Vec<CheckRequest>> {
    let entries = node.value().as_array().map_or(&[][..], Vec::as_slice);
    if entries.is_empty() && node.value().is_array() {
        return Some(Vec::new());
    }
    if entries.len() > MOST_CHECKS {
        let message = format!("{} checks", entries.len());
        return node.error(message, format!("name at most {MOST_CHECKS}"));
    }
    let name = |entry: &serde_json::Value| entry["name"].as_str().map(str::to_owned);
    let mut distinct = true;
    for (index, entry) in entries.iter().enumerate() {
        let earlier = entries[..index].iter().position(|other| name(other) == name(entry));
        if let (Some(earlier), Some(name)) = (earlier, name(entry)) {
            let message = format!("`{name}` is the name of check {} too", earlier + 1);
            node.error_at(&format!("[{index}].name"), message, "give each a name of its own");
            distinct = false;
        }
    }
    node.list().filter(|_| distinct)
}

impl Decode for CheckRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let name = fields.required_with("name", |node| node.text());
            let metric = fields.optional::<Metric>("metric");
            let expression = fields.optional_with("expression", expression);
            let metrics = fields.defaulted_with("metrics", metrics, BTreeMap::new);
            let limit = fields.optional::<Limits>("limit");
            let against_stable = fields.optional::<Limits>("againstStable");
            let points = fields.defaulted_with("points", points, defaults::check_points);
            let period = fields.optional_with("period", period);
            let mode = fields.defaulted("mode", CheckModeRequest::default);
            let check = Self {
                name: name?,
                metric: metric?,
                expression: expression?,
                metrics: metrics?,
                limit: limit?,
                against_stable: against_stable?,
                points: points?,
                period: period?,
                mode: mode?,
            };
            match check.mistake() {
                Some((field, message, hint)) => {
                    fields.error(field, message, hint);
                    None
                }
                None => Some(check),
            }
        })
    }
}

impl CheckRequest {
    /// What only several fields together show: the field, what is wrong, what to write.
    fn mistake(&self) -> Option<(&'static str, String, &'static str)> {
        let Some(measure) = self.measure() else {
            let (field, message) = match self.metric {
                Some(_) => ("expression", "both `metric` and `expression`"),
                None => ("metric", "neither `metric` nor `expression`"),
            };
            return Some((field, message.to_owned(), "write exactly one of them"));
        };
        if self.limit.is_none() && self.against_stable.is_none() {
            let message =
                "nothing is out of bounds: neither `limit` nor `againstStable`".to_owned();
            return Some(("limit", message, "write what is allowed, such as { above: 80 }"));
        }
        if self.against_stable.is_some() && !Placeholder::tells_slots_apart(&measure) {
            let message = "the measure is the same for both versions".to_owned();
            let hint = "write `${service}`, `${slot}` or `${targetGroup}` where the slots differ";
            return Some(("againstStable", message, hint));
        }
        let expression = self.expression.as_deref()?;
        if is_insights(expression) && !self.metrics.is_empty() {
            let message = "a Metrics Insights query takes no metrics".to_owned();
            return Some(("metrics", message, "name the metric in its FROM and SELECT"));
        }
        if is_insights(expression) && self.period.is_some_and(|period| period < MINUTE) {
            let message = "Metrics Insights has no periods below a minute".to_owned();
            return Some(("period", message, "write 1m or more, or leave it out"));
        }
        let unused = self.metrics.keys().find(|id| !words(expression).any(|used| used == *id));
        unused.map(|id| {
            let message = format!("`{id}` is not in the expression");
            ("metrics", message, "leave it out, or write it into the expression")
        })
    }
}

fn expression(node: Node<'_>) -> Option<String> {
    let text = node.value().as_str().unwrap_or_default();
    if words(text).any(|word| word == "METRICS") {
        // It would take in the metrics of the load balancer, which are asked for in the same call.
        return node.error("METRICS() means every metric of the call", "name each of yours");
    }
    if let Err((message, hint)) = Placeholder::check(text) {
        return node.error(message, hint);
    }
    node.text()
}

fn metrics(node: Node<'_>) -> Option<BTreeMap<String, Metric>> {
    let is_id = |id: &str| {
        id.len() <= 64
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    node.map(MOST_METRICS, |id| {
        let hint = "write a small letter, then letters, digits and `_`";
        if is_id(id) { Ok(()) } else { Err((format!("`{id}` is no id of a metric"), hint)) }
    })
}

fn points(node: Node<'_>) -> Option<u64> {
    let points = node.value().as_u64();
    match points {
        Some(1..=100) => points,
        Some(_) | None => node.error("not a whole number from 1 to 100", "write such as 3"),
    }
}

fn period(node: Node<'_>) -> Option<Span> {
    node.checked(|period: &Span| {
        let seconds = period.as_millis() / 1000;
        let whole = period.as_millis().is_multiple_of(1000);
        let minutes = seconds > 0 && seconds.is_multiple_of(60) && seconds <= 86_400;
        if whole && (matches!(seconds, 1 | 5 | 10 | 20 | 30) || minutes) {
            return Ok(());
        }
        let hint = "write 1s, 5s, 10s, 20s, 30s, or whole minutes up to 1d";
        Err((format!("CloudWatch has no periods of {period}"), hint))
    })
}

/// A text in which placeholders may stand.
struct Template(String);

impl Decode for Template {
    fn decode(node: Node<'_>) -> Option<Self> {
        if let Err((message, hint)) = Placeholder::check(node.value().as_str().unwrap_or_default())
        {
            return node.error(message, hint);
        }
        node.text().map(Self)
    }
}

impl Decode for Metric {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let namespace = fields.required_with("namespace", |node| node.text());
            let name = fields.required_with("name", |node| node.text());
            let dimensions = fields.defaulted_with(
                "dimensions",
                |node| node.map::<Template>(MOST_DIMENSIONS, |_| Ok(())),
                BTreeMap::new,
            );
            let statistic =
                fields.defaulted_with("statistic", |node| node.text(), defaults::statistic);
            let dimensions = dimensions?.into_iter().map(|(name, value)| (name, value.0));
            Some(Self {
                namespace: namespace?,
                name: name?,
                dimensions: dimensions.collect(),
                statistic: statistic?,
            })
        })
    }
}

impl Decode for Limits {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let above = fields.optional::<Number>("above");
            let below = fields.optional::<Number>("below");
            let limits = Self { above: above?, below: below? };
            match (limits.above, limits.below) {
                (None, None) => {
                    fields.error("above", "neither `above` nor `below`", "write one of them");
                    None
                }
                (Some(above), Some(below)) if above < below => {
                    let message = format!("no value is at least {below} and at most {above}");
                    fields.error("below", message, "write a `below` that is less than `above`");
                    None
                }
                (Some(_), _) | (_, Some(_)) => Some(limits),
            }
        })
    }
}

impl Decode for Number {
    fn decode(node: Node<'_>) -> Option<Self> {
        match node.value().as_f64().and_then(Self::new) {
            Some(number) => Some(number),
            None => node.wrong_type("a number", "write it without quotes and unit, such as 80"),
        }
    }
}

impl Decode for CheckModeRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[
            ("critical", Self::Critical),
            ("informative", Self::Informative),
            ("alert", Self::Alert),
            ("dryRun", Self::DryRun),
        ])
    }
}

#[cfg(test)]
mod tests;
