//! Measures of the user's own that a deployment is judged by.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::time::Span;

/// One measure of CloudWatch and what is allowed of it, for both slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The user's name for it.
    pub name: String,
    /// The measure, of the canary.
    pub canary: Measure,
    /// The same of stable. Equal where the measure belongs to no slot.
    pub stable: Measure,
    /// What the canary's value may be.
    pub limit: Bounds,
    /// How many times stable's value at the same time the canary's may be.
    pub against_stable: Bounds,
    /// How many of the newest points in a row must be out of bounds.
    pub points: u32,
    /// The length of a period; `None`: as the load balancer publishes its metrics.
    pub period: Option<Span>,
    /// What a value out of bounds leads to.
    pub mode: CheckMode,
    /// Whether it is told to whoever hears of what wants attention, once in a stage. Beside the mode, so that a version
    /// that does not know it reads the record all the same: without it there is no rollback.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alerts: bool,
}

/// What a value out of bounds, or none at all, leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckMode {
    /// Out of bounds rolls back; what cannot be read holds.
    Critical,
    /// It is told with every verdict and changes none.
    Informative,
    /// Verdicts tell what it would have done. For trying a check before it is trusted.
    DryRun,
}

/// What is asked of CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    Metric(MetricStatistic),
    /// Metric math over metrics of its own, or a Metrics Insights query.
    Expression {
        /// As CloudWatch takes it, with the ids below.
        expression: String,
        /// Metrics by the id that the expression has for them.
        #[serde(default)]
        metrics: BTreeMap<String, MetricStatistic>,
    },
}

impl Measure {
    /// Whether it is a query of Metrics Insights, which is no metric math.
    pub fn is_insights(&self) -> bool {
        match self {
            Self::Metric(_) => false,
            Self::Expression { expression, .. } => is_insights(expression),
        }
    }

    /// How many queries of GetMetricData it takes.
    pub fn queries(&self) -> usize {
        match self {
            Self::Metric(_) => 1,
            Self::Expression { metrics, .. } => 1 + metrics.len(),
        }
    }

    /// The same with a prefix to every id, so that several can be asked for in one call.
    #[must_use]
    pub fn prefixed(&self, prefix: &str) -> Self {
        let Self::Expression { expression, metrics } = self else { return self.clone() };
        let renamed = tokens(expression).map(|token| match token {
            Token::Word(word) if metrics.contains_key(word) => format!("{prefix}{word}"),
            Token::Word(text) | Token::Other(text) => text.to_owned(),
        });
        Self::Expression {
            expression: renamed.collect(),
            metrics: metrics.iter().map(|(id, of)| (format!("{prefix}{id}"), of.clone())).collect(),
        }
    }

    /// The same with another text for each of its texts that may hold a placeholder.
    #[must_use]
    pub fn map(&self, text: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Metric(metric) => Self::Metric(metric.map(&text)),
            Self::Expression { expression, metrics } => Self::Expression {
                expression: text(expression),
                metrics: metrics
                    .iter()
                    .map(|(id, metric)| (id.clone(), metric.map(&text)))
                    .collect(),
            },
        }
    }
}

/// Whether an expression is a query of Metrics Insights and no metric math.
pub(crate) fn is_insights(expression: &str) -> bool {
    let word = expression.split_whitespace().next().unwrap_or_default();
    word.eq_ignore_ascii_case("select")
}

/// A part of an expression.
enum Token<'a> {
    /// A name: of a metric, a function or a keyword.
    Word(&'a str),
    /// Anything else; a quoted text is one.
    Other(&'a str),
}

fn tokens(expression: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = expression;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = if in_word(first) {
            rest.find(|c| !in_word(c)).unwrap_or(rest.len())
        } else if first == '"' || first == '\'' {
            rest[1..].find(first).map_or(rest.len(), |end| end + 2)
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let word = first.is_ascii_alphabetic();
        Some(if word { Token::Word(token) } else { Token::Other(token) })
    })
}

/// The names in an expression, outside of its quotes.
pub(crate) fn words(expression: &str) -> impl Iterator<Item = &str> {
    tokens(expression).filter_map(|token| match token {
        Token::Word(word) => Some(word),
        Token::Other(_) => None,
    })
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatistic {
    /// Such as `AWS/ECS`.
    pub namespace: String,
    /// Such as `CPUUtilization`.
    pub name: String,
    /// Value by name. CloudWatch finds a metric only by all of its dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// Such as `Average`, `Sum`, `p99` or `TC(1.5:)`.
    pub statistic: String,
}

impl MetricStatistic {
    fn map(&self, text: impl Fn(&str) -> String) -> Self {
        let dimensions =
            self.dimensions.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Self { dimensions, ..self.clone() }
    }
}

/// What a value may not be above or below; both are allowed themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// Values above are out of bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Number>,
    /// Values below are out of bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Number>,
}

impl Bounds {
    /// Whether nothing is out of bounds.
    pub const fn is_empty(&self) -> bool {
        self.above.is_none() && self.below.is_none()
    }

    /// Whether a value is within these bounds, each taken so many times.
    pub fn hold(&self, value: Number, times: Number) -> bool {
        let limit = |bound: Number| bound.0 * times.0;
        self.above.is_none_or(|above| value.0 <= limit(above))
            && self.below.is_none_or(|below| value.0 >= limit(below))
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.below, self.above) {
            (Some(below), Some(above)) => write!(formatter, "{below} to {above}"),
            (Some(below), None) => write!(formatter, "at least {below}"),
            (None, Some(above)) => write!(formatter, "at most {above}"),
            (None, None) => formatter.write_str("anything"),
        }
    }
}

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Number(f64);

/// Finite numbers are equal to themselves.
impl Eq for Number {}

impl Number {
    pub const ONE: Self = Self(1.0);

    /// `None` for what is no number and for infinity.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| serde::de::Error::custom("not a finite number"))
    }
}

impl std::fmt::Display for Number {
    /// With about four digits: more would hide the others.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.0.abs();
        if size >= 1e15 || (size < 1e-4 && size > 0.0) {
            return write!(formatter, "{:.3e}", self.0);
        }
        let digits: i32 = if size >= 1000.0 {
            0
        } else if size > 0.0 {
            // Below 1000 and at least 0.0001, so between -4 and 2.
            3 - size.log10().floor() as i32
        } else {
            0
        };
        let text = format!("{:.*}", usize::try_from(digits).unwrap_or(0), self.0);
        let text = match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.'),
            false => text.as_str(),
        };
        formatter.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Number {
        Number::new(value).unwrap()
    }

    #[test]
    fn what_alerts_is_read_by_a_version_that_knows_no_alerts() {
        let measure = Measure::Metric(MetricStatistic {
            namespace: "Shop".to_owned(),
            name: "Slow".to_owned(),
            dimensions: BTreeMap::new(),
            statistic: "Sum".to_owned(),
        });
        for alerts in [false, true] {
            let check = Check {
                name: "slow".to_owned(),
                canary: measure.clone(),
                stable: measure.clone(),
                limit: Bounds::default(),
                against_stable: Bounds::default(),
                points: 3,
                period: None,
                mode: CheckMode::Informative,
                alerts,
            };
            let written = serde_json::to_value(&check).unwrap();
            assert_eq!(written["mode"], "informative");
            assert_eq!(written.get("alerts").is_some(), alerts);
            assert_eq!(serde_json::from_value::<Check>(written).unwrap(), check);
        }
    }

    #[test]
    fn numbers_are_short_and_finite() {
        for (value, text) in [
            (0.0, "0"),
            (80.0, "80"),
            (83.456_78, "83.46"),
            (1.5, "1.5"),
            (0.001_234_5, "0.001234"),
            (12_345.6, "12346"),
            (-2.25, "-2.25"),
            (1e300, "1.000e300"),
            (1e-9, "1.000e-9"),
        ] {
            assert_eq!(number(value).to_string(), text);
        }
        assert_eq!(Number::new(f64::NAN), None);
        assert_eq!(Number::new(f64::INFINITY), None);
    }

    #[test]
    fn ids_get_a_prefix_wherever_they_are_names() {
        let metric = MetricStatistic {
            namespace: "Shop".to_owned(),
            name: "Orders".to_owned(),
            dimensions: BTreeMap::new(),
            statistic: "Sum".to_owned(),
        };
        let measure = Measure::Expression {
            expression:
                "IF(all>0, 100*bad/all, 0) + SUM(SEARCH('{Shop} all \"bad\"', 'Sum')) - all1"
                    .to_owned(),
            metrics: ["all", "bad"].map(|id| (id.to_owned(), metric.clone())).into(),
        };
        let Measure::Expression { expression, metrics } = measure.prefixed("c0s_") else {
            panic!("it was an expression")
        };
        assert_eq!(
            expression,
            "IF(c0s_all>0, 100*c0s_bad/c0s_all, 0) + SUM(SEARCH('{Shop} all \"bad\"', 'Sum')) - all1"
        );
        assert_eq!(metrics.keys().collect::<Vec<_>>(), ["c0s_all", "c0s_bad"]);
    }

    #[test]
    fn bounds_allow_themselves() {
        let bounds = Bounds { above: Some(number(2.0)), below: Some(number(0.5)) };
        assert_eq!(bounds.to_string(), "0.5 to 2");
        for (value, times, holds) in [
            (2.0, 1.0, true),
            (2.1, 1.0, false),
            (0.5, 1.0, true),
            (0.4, 1.0, false),
            (20.0, 10.0, true),
            (21.0, 10.0, false),
            (0.0, 0.0, true),
        ] {
            assert_eq!(bounds.hold(number(value), number(times)), holds, "{value} {times}");
        }
        assert!(Bounds::default().hold(number(1e300), Number::ONE));
    }
}
