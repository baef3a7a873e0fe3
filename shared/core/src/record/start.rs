//! Who has started a deployment by the function `start`, as AWS has recognised them. Step Functions keeps
//! what was started and never who did, so it is written down before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{DeploymentId, ExecutionStart};
use crate::time::{Span, Timestamp};

/// Somebody wants this deployment, with this request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    pub deployment: DeploymentId,
    /// The ARN of their identity.
    pub by: String,
    /// The input of the execution.
    pub request: Value,
    pub at: Timestamp,
}

/// How long before its execution begins somebody may be recorded: the function starts it next.
const BEFORE: Span = Span::from_secs(60);

/// How long after it, because clocks disagree.
const AFTER: Span = Span::from_secs(5);

/// Who has started what an execution carries: the first who wanted it as it is, right before it began. A
/// start with another request, or of another time, is of an execution that never was; and whoever starts it
/// past the function is in none.
pub fn starter<'starts>(
    starts: &'starts [Start],
    request: &Value,
    began: Option<&ExecutionStart>,
) -> Option<&'starts str> {
    let began = Timestamp::parse(began?.as_str())?;
    let in_time = |at: Timestamp| began - BEFORE <= at && at <= began + AFTER;
    let wanted = starts.iter().filter(|start| in_time(start.at) && same(&start.request, request));
    wanted.min_by_key(|start| start.at).map(|start| start.by.as_str())
}

/// Whether two requests say the same. On its way through the state machine a number may be written in
/// another form: `1.0` as `1`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let matches = |(name, one): (&String, &Value)| {
                other.get(name).is_some_and(|other| same(one, other))
            };
            one.len() == other.len() && one.iter().all(matches)
        }
        (Value::Null | Value::Bool(_) | Value::String(_), _)
        | (Value::Number(_) | Value::Array(_) | Value::Object(_), _) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BEGAN: &str = "2026-11-29T10:00:00.250Z";

    /// So many seconds after the execution has begun.
    fn start(by: &str, request: Value, after: i64) -> Start {
        let deployment = DeploymentId::new("shop-42");
        let began = Timestamp::parse(BEGAN).unwrap().as_millis();
        let at = Timestamp::from_millis(began + after * 1_000);
        Start { deployment, by: by.to_owned(), request, at }
    }

    fn starter<'starts>(starts: &'starts [Start], request: &Value) -> Option<&'starts str> {
        super::starter(starts, request, Some(&ExecutionStart::new(BEGAN)))
    }

    #[test]
    fn who_wanted_just_this_first_has_started_it() {
        let request = json!({ "service": "shop", "weights": [1.0, 25], "wait": null });
        let starts = [
            start("arn:late", request.clone(), 1),
            start("arn:other", json!({ "service": "basket" }), -2),
            start("arn:ada", json!({ "wait": null, "weights": [1, 25.0], "service": "shop" }), -1),
            // Whose execution never was, and who comes when it runs already.
            start("arn:gave-up", request.clone(), -61),
        ];
        assert_eq!(starter(&starts, &request), Some("arn:ada"));
        assert_eq!(super::starter(&starts, &request, None), None);
        assert_eq!(starter(&starts[3..], &request), None);
        assert_eq!(starter(&[start("arn:bob", request.clone(), 6)], &request), None);
        for other in [
            json!({ "service": "shop", "weights": [1.0, 26], "wait": null }),
            json!({ "service": "shop", "weights": [1.0, 25] }),
            json!({ "service": "shop", "weights": [1.0, 25], "wait": null, "more": 1 }),
            json!({ "service": "shop", "weights": [1.0], "wait": null }),
            json!({ "service": "shop", "weights": "1", "wait": false }),
        ] {
            assert_eq!(starter(&starts, &other), None, "{other}");
        }
        assert_eq!(starter(&[], &request), None);
    }
}
