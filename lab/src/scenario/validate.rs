//! What the types of a scenario cannot say.

use super::fault::{Caller, Fault};
use super::happening::Happening;
use super::script::Action;
use super::service::{RouteKind, Service};
use super::whole::{FIRST_DEPLOYMENT, Scenario};

const LONGEST_NAME: usize = 12;
const MOST_TRAFFIC: u32 = 200;
const MOST_TASKS: u32 = 20;

/// Every mistake with its path.
pub(super) fn findings(scenario: &Scenario) -> Vec<String> {
    let mut found = Findings { scenario, list: Vec::new() };
    if scenario.services.is_empty() {
        found.add("services", "there must be at least one");
    }
    for (name, service) in &scenario.services {
        found.service(name, service);
    }
    found.deployments();
    for (index, step) in scenario.script.iter().enumerate() {
        let path = format!("script[{index}]");
        match (&step.at, &step.when) {
            (Some(_), None) if step.after.is_some() => {
                found.add(&path, "`after` belongs to `when`; add it to `at` instead");
            }
            (Some(_), None) => {}
            (None, Some(happening)) => found.happening(&format!("{path}.when"), happening),
            (None, None) | (Some(_), Some(_)) => {
                found.add(&path, "give either `at` or `when`, to say when it happens");
            }
        }
        found.action(&format!("{path}.do"), &step.action);
    }
    for (index, fault) in scenario.faults.iter().enumerate() {
        found.fault(&format!("faults[{index}]"), fault);
    }
    found.expectations();
    found.list
}

struct Findings<'a> {
    scenario: &'a Scenario,
    list: Vec<String>,
}

impl<'a> Findings<'a> {
    fn add(&mut self, path: &str, message: impl std::fmt::Display) {
        self.list.push(format!("{path}: {message}"));
    }

    fn service(&mut self, name: &str, service: &Service) {
        let path = format!("services.{name}");
        if !is_name(name) {
            self.add(
                &path,
                format!("the name must be 1 to {LONGEST_NAME} lower-case letters, digits and hyphens, beginning with a letter"),
            );
        }
        if !service.versions.contains_key(&service.running) {
            self.add(
                &format!("{path}.running"),
                format!(
                    "`{}` is not among the versions ({})",
                    service.running,
                    listed(service.versions.keys())
                ),
            );
        }
        for (version, behaviour) in &service.versions {
            let path = format!("{path}.versions.{version}");
            if !is_name(version) {
                self.add(&path, "the name must be 1 to 12 lower-case letters, digits and hyphens, beginning with a letter");
            }
            self.error_rate(&path, Some(behaviour.error_rate));
            if let Some(build) = &behaviour.build {
                let of = service.versions.get(build);
                if !service.ecr || of.is_none_or(|of| of.build.is_some()) {
                    let message = "with `ecr`, a version with a build of its own";
                    self.add(&format!("{path}.build"), message);
                }
            }
        }
        if service.routes.is_empty() || service.routes.len() > 4 {
            self.add(&format!("{path}.routes"), "there must be 1 to 4");
        }
        for (route, number) in service.routes.iter().zip(1..) {
            if route.transform && route.kind == RouteKind::Listener {
                self.add(
                    &format!("{path}.routes[{}].transform", number - 1),
                    "a listener's default action has no transforms; only a rule has",
                );
            }
        }
        for id in service.resources.keys() {
            if !id.chars().all(|character| character.is_ascii_alphanumeric()) {
                let message = "CloudFormation's logical ids have letters and digits only";
                self.add(&format!("{path}.resources.{id}"), message);
            }
        }
        if service.traffic > MOST_TRAFFIC {
            self.add(
                &format!("{path}.traffic"),
                format!("at most {MOST_TRAFFIC} requests a second"),
            );
        }
        if service.tasks == 0 || service.tasks > MOST_TASKS {
            self.add(&format!("{path}.tasks"), format!("1 to {MOST_TASKS}"));
        }
    }

    fn error_rate(&mut self, path: &str, rate: Option<f64>) {
        if rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
            self.add(&format!("{path}.errorRate"), "a share from 0 to 1");
        }
    }

    fn deployments(&mut self) {
        let deployments = self.scenario.deployments();
        for (index, (name, request)) in deployments.iter().enumerate() {
            let path = format!("the request of deployment `{name}`");
            if deployments.iter().take(index).any(|(other, _)| other == name) {
                self.add(&path, "another deployment has this name too");
            }
            if !is_name(name) {
                self.add(&path, "its name must be 1 to 12 lower-case letters, digits and hyphens, beginning with a letter");
            }
            let service = request.get("service").and_then(|service| service.as_str());
            let Some((_, service)) = self.scenario.service_named(service) else {
                let complete = request.contains_key("target") && request.contains_key("service");
                if !complete {
                    self.add(
                        &path,
                        format!(
                            "`service` must name one of the services ({})",
                            listed(self.scenario.services.keys())
                        ),
                    );
                }
                continue;
            };
            let version = request.get("release").and_then(|release| release.get("version"));
            if let Some(version) = version.and_then(|version| version.as_str())
                && !service.versions.contains_key(version)
            {
                self.add(
                    &path,
                    format!(
                        "release.version `{version}` is not among the versions ({})",
                        listed(service.versions.keys())
                    ),
                );
            }
        }
    }

    fn happening(&mut self, path: &str, happening: &Happening) {
        if happening.kinds() != 1 {
            self.add(path, "give exactly one of stage, weight, state, notice, execution, alarm, tasks, scaling, badRequests, fault and step");
        }
        if happening.is.is_some() && happening.alarm.is_none() {
            self.add(&format!("{path}.is"), "only together with `alarm`");
        }
        if happening.time == Some(0) || happening.stage == Some(0) {
            self.add(path, "`time` and `stage` count from 1");
        }
        if happening.fault.is_some_and(|number| !(1..=self.scenario.faults.len()).contains(&number))
        {
            self.add(&format!("{path}.fault"), "there is no such fault; `faults` count from 1");
        }
        if happening.step.is_some_and(|number| !(1..=self.scenario.script.len()).contains(&number))
        {
            self.add(&format!("{path}.step"), "there is no such step; the script counts from 1");
        }
        if let Some(deployment) = &happening.deployment {
            self.deployment(&format!("{path}.deployment"), deployment);
        }
        if let Some(service) = &happening.service
            && !self.scenario.services.contains_key(service)
        {
            self.add(&format!("{path}.service"), format!("there is no service `{service}`"));
        }
    }

    fn deployment(&mut self, path: &str, name: &str) {
        if !self.scenario.deployments().iter().any(|(other, _)| *other == name) {
            let message = if name == FIRST_DEPLOYMENT {
                "there is no `request`, so there is no first deployment".to_owned()
            } else {
                format!("the scenario starts no deployment `{name}`")
            };
            self.add(path, message);
        }
    }

    fn action(&mut self, path: &str, action: &Action) {
        match action {
            Action::Behave(behave) => {
                self.error_rate(path, behave.error_rate);
                if let Some(service) = self.target(path, behave.service.as_deref())
                    && !service.versions.contains_key(&behave.version)
                {
                    let versions = listed(service.versions.keys());
                    self.add(
                        &format!("{path}.behave.version"),
                        format!("`{}` is not among the versions ({versions})", behave.version),
                    );
                }
            }
            Action::SetAlarm(set) => {
                self.target(path, set.service.as_deref());
            }
            Action::RewriteRoute(rewrite) => {
                if let Some(service) = self.target(path, rewrite.service.as_deref())
                    && !(1..=service.routes.len()).contains(&rewrite.route)
                {
                    self.add(
                        &format!("{path}.rewriteRoute.route"),
                        "there is no such route; they count from 1",
                    );
                }
                if rewrite.blue > 999 || rewrite.green > 999 {
                    self.add(path, "weights are 0 to 999");
                }
            }
            Action::Approve(decide) | Action::Reject(decide) => {
                self.deployment(path, decide.deployment.as_deref().unwrap_or(FIRST_DEPLOYMENT));
            }
            Action::Glidepath(wanted) if wanted.run.is_empty() => {
                self.add(&format!("{path}.glidepath.run"), "which command of it?");
            }
            Action::Scale(scale) => {
                self.target(path, scale.service.as_deref());
                if scale.tasks > MOST_TASKS {
                    self.add(&format!("{path}.scale.tasks"), format!("at most {MOST_TASKS}"));
                }
            }
            Action::SetBounds(set) => {
                self.target(path, set.service.as_deref());
                for (name, bound) in [("minimum", set.minimum), ("maximum", set.maximum)] {
                    if bound.is_some_and(|bound| bound > MOST_TASKS) {
                        self.add(
                            &format!("{path}.setBounds.{name}"),
                            format!("at most {MOST_TASKS}"),
                        );
                    }
                }
            }
            Action::Image(image) => {
                self.target(path, image.service.as_deref());
                let service = self.scenario.service_named(image.service.as_deref());
                if let Some((_, service)) = service {
                    if !service.ecr {
                        self.add(&format!("{path}.image"), "its service has no `ecr`");
                    }
                    if !service.versions.contains_key(&image.version) {
                        self.add(&format!("{path}.image.version"), "there is no such version");
                    }
                }
            }
            Action::StopExecution(which) => {
                self.deployment(path, which.deployment.as_deref().unwrap_or(FIRST_DEPLOYMENT));
            }
            Action::Fault(fault) => self.fault(&format!("{path}.fault"), fault),
            Action::Glidepath(_)
            | Action::PlaceAtMost(_)
            | Action::StartDeployment(_)
            | Action::DeleteStateMachine(_)
            | Action::UpdateStack(_)
            | Action::Sweep(_)
            | Action::EndFaults(_) => {}
        }
    }

    fn fault(&mut self, path: &str, fault: &Fault) {
        match fault {
            Fault::Fail(fail) => {
                let action = fail.action.rsplit(':').next().unwrap_or_default();
                if !action.starts_with(|first: char| first.is_ascii_uppercase()) {
                    self.add(
                        &format!("{path}.fail.action"),
                        "an action of AWS, as `ModifyRule` or `elasticloadbalancing:ModifyRule`",
                    );
                }
                if fail.nth == 0 || fail.times == 0 {
                    self.add(&format!("{path}.fail"), "`nth` and `times` count from 1");
                }
                if fail.until_ended && fail.times != 1 {
                    self.add(&format!("{path}.fail"), "give either `times` or `untilEnded`");
                }
            }
            Fault::Kill(kill) => {
                self.function(&format!("{path}.kill"), kill.function, kill.invocation);
            }
            Fault::Repeat(repeat) => {
                self.function(&format!("{path}.repeat"), repeat.function, repeat.invocation);
            }
        }
    }

    fn function(&mut self, path: &str, function: Caller, invocation: u32) {
        if function.function().is_none() {
            self.add(
                &format!("{path}.function"),
                "the state machine is no function; `stopExecution` in the script ends it",
            );
        }
        if invocation == 0 {
            self.add(&format!("{path}.invocation"), "counts from 1");
        }
    }

    fn target(&mut self, path: &str, name: Option<&str>) -> Option<&'a Service> {
        let found = self.scenario.service_named(name).map(|(_, service)| service);
        if found.is_none() {
            let message =
                format!("`service` must name one of {}", listed(self.scenario.services.keys()));
            self.add(path, message);
        }
        found
    }

    fn expectations(&mut self) {
        let expect = &self.scenario.expect;
        for name in expect.deployments.keys() {
            self.deployment(&format!("expect.deployments.{name}"), name);
        }
        for name in expect.services.keys() {
            if !self.scenario.services.contains_key(name) {
                self.add(&format!("expect.services.{name}"), "there is no such service");
            }
        }
        for (list, happenings) in expect.in_order.iter().enumerate() {
            for (index, happening) in happenings.iter().enumerate() {
                self.happening(&format!("expect.inOrder[{list}][{index}]"), happening);
            }
        }
        for (index, happening) in expect.never.iter().enumerate() {
            self.happening(&format!("expect.never[{index}]"), happening);
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.starts_with(|character: char| character.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}
