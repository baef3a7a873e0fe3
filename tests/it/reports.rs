//! After a real run the report is there, and says what the run said.

use std::time::Duration;

use glidepath_lab::{Event, Lab, Report};
use serde_json::Value;

use crate::{block_on, scenario};

/// The deployment's name and the cause of its failure, as the execution tells them.
fn told(report: &Report) -> (String, String) {
    let events = || report.events.iter().map(|observed| &observed.event);
    let name = events().find_map(|event| {
        if let Event::Started { execution, .. } = event { Some(execution.clone()) } else { None }
    });
    let cause = events().find_map(|event| {
        if let Event::Execution { cause, .. } = event { cause.clone() } else { None }
    });
    (name.unwrap_or_default(), cause.unwrap_or_default())
}

/// How often the plan is asked for: metrics count once their minute and the one after it are over.
const ATTEMPTS: u32 = 20;

/// The same request again, before it is started: what the service's own requests say about it.
async fn plan_warns_with_the_traffic_of_the_service(lab: &Lab, name: &str) {
    let machines = lab.clients().sfn.list_state_machines().send().await.unwrap();
    let machine = machines.state_machines().first().unwrap().state_machine_arn();
    let execution = format!("{}:{name}", machine.replace(":stateMachine:", ":execution:"));
    let execution = lab.clients().sfn.describe_execution().execution_arn(execution).send().await;
    let request = format!("{}/planned.json", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&request, execution.unwrap().input().unwrap()).unwrap();
    // It was rolled back: without its name nobody plans that version again.
    let refused = lab.command_line(&["plan", &request]).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("was taken back by `{name}`")), "{refused}");
    let retry = format!("release.retry={name}");
    let mut planned = String::new();
    for _ in 0..ATTEMPTS {
        planned = lab.command_line(&["plan", &request, "--set", &retry]).await.unwrap();
        if !planned.contains("hardly any requests") {
            break;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let warning = planned.lines().find(|line| line.starts_with("warning: at "));
    let warning = warning.unwrap_or_else(|| panic!("{planned}"));
    // At most 150 a second; the edges of the short run's minutes cut off a part.
    let per_minute = warning.split(' ').nth(2).and_then(|word| word.parse::<u32>().ok());
    assert!(per_minute.is_some_and(|per_minute| (1..=9_500).contains(&per_minute)), "{warning}");
    assert!(
        warning.contains("cannot be seen in 1m at $.strategy.canary.stages[0].bake"),
        "{warning}"
    );
    assert!(planned.contains("\n  hint: "), "{planned}");
}

#[test]
fn the_report_of_a_stopped_version_says_the_verdict_that_stopped_it() {
    block_on(async {
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let ran = lab.run(scenario("worse-than-stable"), None).await.unwrap();
        assert!(ran.passed(), "{}", ran.failures());
        let (name, cause) = told(&ran);

        let drawn = format!("{}/reported.svg", env!("CARGO_TARGET_TMPDIR"));
        let text = lab.command_line(&["report", &name, "--svg", &drawn]).await.unwrap();
        assert!(text.contains(&format!("VerdictFailed: {cause}")), "{cause}\n{text}");
        assert!(text.contains("rolled back at "), "{text}");
        let drawn = std::fs::read_to_string(drawn).unwrap();
        let headline = text.lines().nth(1).unwrap_or_default();
        assert!(drawn.contains(&format!("{headline}</title>")), "{headline}");

        // The stored cells, judged again, are the judge's own numbers: the look that failed is there.
        let told = lab.command_line(&["report", &name, "--json"]).await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["failure"]["cause"], cause.as_str());
        let cells = told["cells"].as_array().unwrap();
        let failing = cells.iter().find(|cell| cell["fails"] == true);
        let failing = failing.unwrap_or_else(|| panic!("no cell fails: {told:#}"));
        let since = failing["from"].as_str().unwrap_or_default();
        assert!(cause.contains(&format!("allowed since {since}")), "{since}: {cause}");

        let unknown = lab.command_line(&["report", "nobody"]).await.unwrap_err();
        assert!(unknown.to_string().contains("there is no deployment `nobody`"), "{unknown}");

        plan_warns_with_the_traffic_of_the_service(&lab, &name).await;

        // What it has counted, judged again by its own request, is stopped at the same period.
        let counted = format!("{}/counted.csv", env!("CARGO_TARGET_TMPDIR"));
        let csv = lab.command_line(&["report", &name, "--csv"]).await.unwrap();
        std::fs::write(&counted, csv).unwrap();
        let request = format!("{}/planned.json", env!("CARGO_TARGET_TMPDIR"));
        let judged = ["judge", &counted, "--request", &request, "--json"];
        let judged = lab.command_line(&judged).await.unwrap();
        let judged: Value = serde_json::from_str(&judged).unwrap();
        assert_eq!(judged["rollsBack"]["cell"], since, "{judged:#}");
    });
}
