//! `cargo lab up`: everything stands, and nothing happens until somebody does something.

use std::path::Path;

use glidepath_lab::{Lab, LabResult, REGION, ROOT_KEY, STACK_NAME, Scenario, ServiceResources};

use crate::demo;

/// Sets everything up, says how to reach it and waits to be interrupted.
pub(crate) async fn run(file: Option<&Path>) -> LabResult<bool> {
    let scenario = match file {
        Some(file) => crate::load(file)?,
        None => demo::scenario()?,
    };
    let mut lab = Lab::start(&scenario.aws).await?;
    let services = lab.set_up(&scenario).await?;
    crate::print(&instructions(&lab))?;
    for (name, resources) in &services {
        crate::print(&describe(&scenario, name, resources))?;
    }
    crate::print("\nCtrl-C ends it all.")?;
    std::future::pending().await
}

fn instructions(lab: &Lab) -> String {
    let machine = lab.glidepath().outputs().get("StateMachineArn").map_or("", String::as_str);
    let endpoint = lab.endpoint();
    format!(
        "The local AWS is at {endpoint}. In another terminal:\n\n\
         \x20 export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} \\\n\
         \x20        AWS_ACCESS_KEY_ID={ROOT_KEY} AWS_SECRET_ACCESS_KEY={ROOT_KEY}\n\
         \x20 aws cloudformation describe-stacks --stack-name {STACK_NAME}\n\
         \x20 aws stepfunctions start-execution --state-machine-arn {machine} --input file://request.json\n\
         \x20 aws stepfunctions list-executions --state-machine-arn {machine}\n\n\
         Everything that happens is in {}",
        lab.journal().display()
    )
}

fn describe(scenario: &Scenario, name: &str, resources: &ServiceResources) -> String {
    let mut lines = vec![format!("\nService {name}, ECS cluster {}:", resources.cluster)];
    for route in &resources.routes {
        lines.push(format!("  curl {}", route.url));
        lines.push(format!("    route {}", route.arn));
    }
    for (version, definition) in &resources.task_definitions {
        lines.push(format!("  version {version} is task definition {definition}"));
    }
    let request = glidepath_lab::example_request(scenario, resources);
    lines.push(format!("  a request that deploys it:\n{request:#}"));
    lines.join("\n")
}
