//! A measurement as one line in CloudWatch's embedded metric format
//! (Amazon CloudWatch User Guide, CloudWatch_Embedded_Metric_Format_Specification).

use serde_json::Value;

use super::measurement::Measurement;
use super::metric::Dimension;
use crate::time::Timestamp;

pub const NAMESPACE: &str = "Glidepath";

/// Longest value of a dimension, in characters.
const LONGEST_VALUE: usize = 255;

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name of the stack.
    pub stack: String,
    /// The name of the Lambda function.
    pub function: String,
}

impl Measurement {
    /// The line. Written as text: every function is linked with it, the largest as well.
    pub fn line(&self, origin: &Origin, at: Timestamp) -> String {
        let mut line = format!(
            "{{\"_aws\":{{\"Timestamp\":{},\"CloudWatchMetrics\":[{{\"Namespace\":\"{NAMESPACE}\",\"Dimensions\":[",
            at.as_millis()
        );
        let sets = self.values.first().map_or(&[][..], |(metric, _)| metric.dimensions());
        for (place, set) in sets.iter().enumerate() {
            line.push_str(if place == 0 { "[" } else { ",[" });
            for (place, dimension) in set.iter().enumerate() {
                line.push_str(if place == 0 { "\"" } else { ",\"" });
                line.push_str(dimension.name());
                line.push('"');
            }
            line.push(']');
        }
        line.push_str("],\"Metrics\":[");
        for (place, (metric, _)) in self.values.iter().enumerate() {
            line.push_str(if place == 0 { "{\"Name\":\"" } else { ",{\"Name\":\"" });
            line.push_str(metric.name());
            line.push_str("\",\"Unit\":\"");
            line.push_str(metric.unit().name());
            line.push_str("\"}");
        }
        line.push_str("]}]}");
        let mut text = |name: &str, text: String| {
            member(&mut line, name);
            // With its quotes.
            line.push_str(&Value::String(text).to_string());
        };
        text(Dimension::Stack.name(), origin.stack.clone());
        text(Dimension::FunctionName.name(), origin.function.clone());
        if let Some(service) = &self.service {
            text(Dimension::Service.name(), dimension(service.as_str()));
        }
        if let Some(deployment) = &self.deployment {
            text("deployment", deployment.as_str().to_owned());
        }
        if let Some(code) = self.code {
            text("code", code.name().to_owned());
        }
        for (metric, value) in &self.values {
            member(&mut line, metric.name());
            // By serde_json, which is linked anyway.
            line.push_str(&Value::from(*value).to_string());
        }
        line.push('}');
        line
    }
}

fn member(line: &mut String, name: &str) {
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":");
}

/// A request calls its service what it likes, and CloudWatch takes nothing of a line with a value that is none.
fn dimension(name: &str) -> String {
    let printable = name.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' });
    let value: String = printable.take(LONGEST_VALUE).collect();
    if value.trim().is_empty() { "?".to_owned() } else { value }
}
