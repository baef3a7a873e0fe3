//! `cargo demo`: two deployments to watch.

mod live;
mod model;
mod plain;
mod story;
mod summary;

use std::path::Path;

use glidepath_lab::{Lab, LabError, LabResult, Observed, Scenario};
use model::Model;
use tokio::sync::mpsc;

const SCENARIO: &str = include_str!("../../scenarios/demo.yaml");
const EVENTS_UNDER_WAY: usize = 1024;

pub(crate) fn scenario() -> LabResult<Scenario> {
    Scenario::parse(SCENARIO, "lab/scenarios/demo.yaml")
        .map_err(|error| LabError::new(error.to_string()))
}

/// Shows it; whether everything went as expected.
pub(crate) async fn run(keep_logs: Option<&Path>) -> LabResult<bool> {
    let scenario = scenario()?;
    let mut lab = Lab::start(&scenario.aws).await?;
    let (sender, events) = mpsc::channel::<Observed>(EVENTS_UNDER_WAY);
    let model = Model::new(&scenario);
    let showing = async {
        if console_is_there() {
            live::show(model, events).await
        } else {
            plain::show(model, events).await
        }
    };
    let (report, shown) = tokio::join!(lab.run(scenario, Some(sender)), showing);
    if let Some(directory) = keep_logs {
        lab.keep_logs(directory).await?;
    }
    let report = report?;
    shown?;
    glidepath_lab::print(&summary::write(&report))?;
    if !report.passed() {
        lab.explain(&report).await;
        glidepath_lab::print(&format!("\nNot as expected:\n{}", report.failures()))?;
    }
    Ok(report.passed())
}

fn console_is_there() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}
