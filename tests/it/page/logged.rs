//! What the page logs: whoever looks for a deployment finds what was answered on it, and an outage of it is counted although
//! no invocation fails.

use std::time::Duration;

use glidepath_lab::scenario::{CallError, FailCalls, Fault};
use serde_json::Value;

use super::get;
use crate::people::Stage;

/// The lines of the log, once there is one like this.
async fn lines_with(stage: &Stage, is: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut last = Vec::new();
    for _ in 0..120 {
        let lines = stage.lab.log_lines().await.unwrap();
        let read = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        let read: Vec<Value> = read.collect();
        if read.iter().any(&is) {
            return read;
        }
        last = lines;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("no such line in a minute:\n{}", last[last.len().saturating_sub(40)..].join("\n"));
}

/// As the runbook's queries have it: by the deployment, and by the metric.
pub(super) async fn is_found(stage: &Stage, url: &str, deployment: &str) {
    let answered = |line: &Value| line["message"] == "answered on the page";
    let lines = lines_with(stage, answered).await;
    let mut own = lines.iter().filter(|line| answered(line) && line["deployment"] == deployment);
    let line = own.next().unwrap_or_else(|| panic!("nothing was answered about {deployment}"));
    let span = &line["span"];
    assert_eq!((&span["deployment"], &span["stage"]), (&deployment.into(), &2.into()), "{line}");
    assert!(span["requestId"].is_string(), "{line}");

    let fault = Fault::Fail(FailCalls {
        action: "dynamodb:BatchGetItem".to_owned(),
        by: None,
        nth: 1,
        times: 1,
        until_ended: true,
        error: CallError::Denied,
    });
    let counted = |line: &Value| {
        let page = line["FunctionName"].as_str().is_some_and(|name| name.contains("Page"));
        page && line["UnexpectedFailures"] == 1.0
    };
    assert!(!lines.iter().any(counted));
    stage.lab.add_fault("the table", &fault).await.unwrap();
    let page = get(url).await;
    stage.lab.end_faults().await.unwrap();
    assert_eq!(page.status, 503, "{}", page.body);
    assert!(!page.body.contains("denied"), "{}", page.body);
    lines_with(stage, counted).await;
}
