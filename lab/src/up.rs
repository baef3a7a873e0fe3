//! `cargo lab up`: everything stands and has requests, and nothing is deployed until somebody does it.

use std::path::{Path, PathBuf};

use glidepath_lab::{
    Doing, Lab, LabResult, Paths, REGION, ROOT_KEY, STACK_NAME, Scenario, ServiceResources,
};

use crate::demo;

/// Sets everything up, says how to reach it and waits to be interrupted.
pub(crate) async fn run(file: Option<&Path>) -> LabResult<bool> {
    let scenario = match file {
        Some(file) => Scenario::load(file)?,
        None => demo::scenario()?,
    };
    let mut lab = Lab::start(&scenario.aws).await?;
    let services = lab.set_up(&scenario).await?;
    let command_line = lab.command_line_path().await?;
    glidepath_lab::print(&instructions(&lab, &command_line))?;
    for (name, resources) in &services {
        glidepath_lab::print(&describe(&scenario, name, resources)?)?;
    }
    glidepath_lab::print("\nCtrl-C ends it all.")?;
    lab.keep_alive(&scenario, &services).await.map(|()| true)
}

fn instructions(lab: &Lab, command_line: &Path) -> String {
    let endpoint = lab.endpoint();
    let directory = command_line.parent().unwrap_or(command_line).display();
    let stack = match STACK_NAME {
        "glidepath" => String::new(),
        other => format!(" GLIDEPATH_STACK={other}"),
    };
    format!(
        "The local AWS is at {endpoint}. In another terminal:\n\n\
         \x20 export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION} \\\n\
         \x20        AWS_ACCESS_KEY_ID={ROOT_KEY} AWS_SECRET_ACCESS_KEY={ROOT_KEY}{stack} \\\n\
         \x20        PATH=\"{directory}:$PATH\"\n\n\
         What is called a minute is a second here. Everything that happens is in {}",
        lab.journal().display()
    )
}

/// A service, its versions, and what to type.
fn describe(scenario: &Scenario, name: &str, resources: &ServiceResources) -> LabResult<String> {
    let service = scenario.services.get(name);
    let rate = service.map_or(0, |service| service.traffic);
    let mut lines = vec![format!(
        "\nService {name}, ECS cluster {}, {rate} requests a second:",
        resources.cluster
    )];
    for route in &resources.routes {
        lines.push(format!("  curl {}", route.url));
    }
    for (version, definition) in &resources.task_definitions {
        let short = definition.rsplit('/').next().unwrap_or(definition);
        let behaviour = service.and_then(|service| service.versions.get(version));
        let errors = behaviour.map_or(0.0, |behaviour| behaviour.error_rate * 100.0);
        let fails = if errors > 0.0 {
            format!(", fails {errors} % of its requests")
        } else {
            String::new()
        };
        lines.push(format!("  version {version}: {short}{fails}"));
    }
    let file = request(scenario, name, resources)?;
    let file = file.display();
    lines.push(format!(
        "\n  glidepath plan {file}\n  glidepath start {file} --name {name}-first --wait\n  \
         glidepath status\n  glidepath report {name}-first"
    ));
    let running = service.map_or("", |service| service.running.as_str());
    let bad = service
        .into_iter()
        .flat_map(|service| &service.versions)
        .find(|(version, behaviour)| behaviour.error_rate > 0.0 && *version != running);
    let bad = bad.and_then(|(version, _)| resources.task_definitions.get(version));
    if let Some(bad) = bad {
        lines.push(format!(
            "\n  and then one that fails, once the old slot has lost its tasks:\n  \
             glidepath start {file} --task-definition {bad} --name {name}-second --wait"
        ));
    }
    Ok(lines.join("\n"))
}

/// Writes a request that deploys the service's next version.
fn request(scenario: &Scenario, name: &str, resources: &ServiceResources) -> LabResult<PathBuf> {
    let file = Paths::new().own().join(format!("{name}.json"));
    let request = glidepath_lab::example_request(scenario, resources);
    std::fs::write(&file, format!("{request:#}\n"))
        .doing(format!("cannot write {}", file.display()))?;
    Ok(file)
}
