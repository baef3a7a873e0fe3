//! What the runner asks of the local AWS besides AWS's own API: faults, and a look at the registry.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Doing, LabError, LabResult};
use crate::http::{Fetched, fetch};
use crate::scenario::Fault;

/// One line of a log.
#[derive(Debug, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) stream: String,
    pub(crate) message: String,
}

/// The local AWS's own paths.
#[derive(Clone, Debug)]
pub struct Control {
    /// `127.0.0.1:PORT`
    authority: String,
}

impl Control {
    /// Of the local AWS at this base URL.
    pub fn new(endpoint: &str) -> Self {
        Self { authority: endpoint.trim_start_matches("http://").to_owned() }
    }

    /// From now on these faults too, each with a name.
    pub(crate) async fn add_faults<'a>(
        &self,
        faults: impl IntoIterator<Item = (String, &'a Fault)>,
    ) -> LabResult<()> {
        let faults: Vec<Value> =
            faults.into_iter().map(|(name, fault)| fault.request(&name)).collect();
        self.ask("POST", "faults", Some(&json!({ "faults": faults }))).await.map(drop)
    }

    /// No faults any more.
    pub(crate) async fn end_faults(&self) -> LabResult<()> {
        self.ask("DELETE", "faults", None).await.map(drop)
    }

    /// From now on the load balancing API takes this many changes at once, and so many a second
    /// after that.
    pub async fn limit_changes(&self, burst: u32, per_second: f64) -> LabResult<()> {
        let limits = json!({ "changes": { "burst": burst, "perSecond": per_second } });
        self.ask("POST", "elb-limits", Some(&limits)).await.map(drop)
    }

    /// From now on ECS places at most so many tasks at once; `None`: any number.
    pub(crate) async fn place_at_most(&self, tasks: Option<u32>) -> LabResult<()> {
        let limit = json!({ "tasks": tasks });
        self.ask("POST", "ecs-limits", Some(&limit)).await.map(drop)
    }

    /// From now on alarms change their state by a clock that is so many seconds ahead.
    pub(crate) async fn set_alarm_clock(&self, ahead: i32) -> LabResult<()> {
        self.ask("POST", "alarm-clock", Some(&json!({ "ahead": ahead }))).await.map(drop)
    }

    /// A metric of the load balancer (`app/NAME/ID`) gets a statistic set, of which nobody can tell
    /// single values.
    pub(crate) async fn add_statistic_set(
        &self,
        load_balancer: &str,
        metric: &str,
    ) -> LabResult<()> {
        let metric = json!({
            "namespace": "AWS/ApplicationELB",
            "metric": metric,
            "dimensions": { "LoadBalancer": load_balancer },
        });
        self.ask("POST", "statistic-sets", Some(&metric)).await.map(drop)
    }

    /// Every item of a DynamoDB table.
    pub(crate) async fn items(&self, table: &str) -> LabResult<Vec<Value>> {
        let mut answer = self.ask("GET", &format!("tables/{table}"), None).await?;
        match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) | None => Err(LabError::new(format!("the table {table} cannot be read"))),
        }
    }

    /// Everything that was logged since a moment in seconds since 1970, by the name of its group.
    pub(crate) async fn logs(&self, since: f64) -> LabResult<BTreeMap<String, Vec<LogLine>>> {
        let mut answer = self.ask("GET", &format!("logs?since={since}"), None).await?;
        let groups = answer.get_mut("groups").map(Value::take).unwrap_or_default();
        serde_json::from_value(groups).doing("the logs cannot be read")
    }

    async fn ask(&self, method: &str, place: &str, document: Option<&Value>) -> LabResult<Value> {
        let doing = format!("asking the local AWS: {method} /_lab/{place}");
        let url = format!("http://{}/_lab/{place}", self.authority);
        let body = document.map(Value::to_string).unwrap_or_default();
        let Fetched { status, body, .. } = fetch(method, &url, &[], body).await?;
        let refused = !(200..300).contains(&status);
        let answer: Value = serde_json::from_str(&body).doing(&doing)?;
        if refused {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("refused");
            return Err(LabError::new(format!("{doing}: {message}")));
        }
        Ok(answer)
    }
}
