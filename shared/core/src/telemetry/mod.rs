//! What Glidepath measures of itself, as lines of its functions' logs in CloudWatch's embedded metric format:
//! CloudWatch makes metrics of them, and nobody calls anything. docs/metrics.md is made from here.

mod document;
mod measurement;
mod metric;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use self::document::{NAMESPACE, Origin};
pub use self::measurement::Measurement;
pub use self::metric::{Dimension, Metric, Unit};
