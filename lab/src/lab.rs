//! A running lab: the local AWS with the product deployed in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, InvocationType};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::behaviours::Behaviours;
use crate::clean_end;
use crate::clients::{Clients, Person};
use crate::control::Control;
use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::LocalAws;
use crate::observe::{Call, Hearing, Receivers, read_calls, slack_signature};
use crate::paths::Paths;
use crate::progress::{Waiting, say};
use crate::report::Report;
use crate::scenario::{AwsSettings, Fault, Scenario, Slot, Version};
use crate::scene::Scene;
use crate::source::Upgrade;
use crate::stack::{Glidepath, ServiceResources, create_services, example_stack};
use crate::timeline::{Observed, Timeline, epoch_seconds};
use crate::{logs, people, play, run, setup, traffic};

const HEALTHY_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);
/// An old slot is retired some seconds after its deployment has ended.
const CLEARING_LIMIT: Duration = Duration::from_secs(60);

/// A local AWS with Glidepath deployed. Scenarios run in it one after the other.
pub struct Lab {
    aws: LocalAws,
    clients: Clients,
    glidepath: Glidepath,
    receivers: Receivers,
    behaviours: Behaviours,
    paths: Paths,
    scenarios: usize,
    /// Stacks of the services of scenarios that were not removed yet.
    examples: Vec<String>,
}

impl Lab {
    /// Sets up whatever is missing, starts the local AWS and deploys the product.
    pub async fn start(settings: &AwsSettings) -> LabResult<Self> {
        Self::start_between(&Upgrade::Within, settings).await
    }

    /// The same with two versions of the product.
    pub async fn start_between(upgrade: &Upgrade, settings: &AwsSettings) -> LabResult<Self> {
        let paths = Paths::new();
        setup::prepare(&paths).await?;
        let receivers = Receivers::start().await?;
        let waiting = Waiting::new("Starting the local AWS and deploying template.yaml");
        let aws = LocalAws::start(&paths, settings).await?;
        let clients = Clients::new(aws.endpoint());
        let by = settings.alarms_by;
        let glidepath = Glidepath::deploy(&paths, upgrade, &aws, &clients, &receivers, by).await?;
        drop(waiting);
        let behaviours = Behaviours::new(aws.behaviours());
        Ok(Self {
            aws,
            clients,
            glidepath,
            receivers,
            behaviours,
            paths,
            scenarios: 0,
            examples: Vec::new(),
        })
    }

    /// The base URL of the local AWS.
    pub fn endpoint(&self) -> &str {
        self.aws.endpoint()
    }

    /// Clients for it, as its root user.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// As this person.
    pub fn clients_of(&self, person: &Person) -> Clients {
        Clients::of(self.endpoint(), person)
    }

    fn control(&self) -> Control {
        Control::new(self.endpoint())
    }

    pub fn glidepath(&self) -> &Glidepath {
        &self.glidepath
    }

    /// Everything that happened in it, one JSON document a line.
    pub fn journal(&self) -> std::path::PathBuf {
        self.aws.journal()
    }

    /// Every call that a role made since a moment, in seconds since 1970.
    pub fn calls(&self, since: f64) -> LabResult<Vec<Call>> {
        read_calls(&self.aws.journal(), since).doing("cannot read the journal")
    }

    /// Hands an event to a function, named by an output of the stack, as AWS's services do: without
    /// waiting for what comes of it.
    pub async fn send_event(&self, function: &str, event: &serde_json::Value) -> LabResult<()> {
        let name = self.glidepath.output(function)?;
        let invoke = self.clients.lambda.invoke().function_name(name);
        let invoke = invoke.invocation_type(InvocationType::Event);
        let payload = Blob::new(event.to_string());
        invoke.payload(payload).send().await.doing("sending an event")?;
        Ok(())
    }

    /// Has every service looked at for drift, as the schedule does once a day; what the function answers.
    pub async fn look_for_drift(&self) -> LabResult<serde_json::Value> {
        let doing = "looking for drift";
        let name = self.glidepath.output("DriftFunctionName")?;
        let answer = self.clients.lambda.invoke().function_name(name).send().await.doing(doing)?;
        let payload = answer.payload().map(|payload| payload.as_ref()).unwrap_or_default();
        match answer.function_error() {
            None => serde_json::from_slice(payload).doing(doing),
            Some(_) => {
                let told = String::from_utf8_lossy(payload);
                Err(LabError::new(format!("the look for drift failed: {told}")))
            }
        }
    }

    /// Sets a variable in the environment of a function, named by an output of the stack, as another value of a
    /// parameter would.
    pub async fn set_variable(&self, function: &str, name: &str, value: &str) -> LabResult<()> {
        let doing = "setting a variable of a function";
        let lambda = &self.clients.lambda;
        let function = self.glidepath.output(function)?;
        let found = lambda.get_function_configuration().function_name(function).send().await;
        let found = found.doing(doing)?;
        let variables = found.environment().and_then(|environment| environment.variables());
        let mut variables = variables.cloned().unwrap_or_default();
        variables.insert(name.to_owned(), value.to_owned());
        let environment = Environment::builder().set_variables(Some(variables)).build();
        let update = lambda.update_function_configuration().function_name(function);
        update.environment(environment).send().await.doing(doing)?;
        Ok(())
    }

    /// Where whoever clicks in Slack is told something.
    pub fn slack_answers(&self) -> String {
        self.receivers.slack_answers()
    }

    /// The messages of the app in its channel as they are now, without what is in their threads.
    pub fn slack_messages(&self) -> Vec<serde_json::Value> {
        self.receivers.slack_messages()
    }

    /// The signature that Slack gives a body at this second.
    pub fn signed_by_slack(&self, timestamp: u64, body: &str) -> LabResult<String> {
        slack_signature(timestamp, body)
    }

    /// Updates the stack to other values of these parameters of the template.
    pub async fn set_parameters(
        &mut self,
        parameters: Vec<(&'static str, String)>,
    ) -> LabResult<()> {
        self.glidepath.set_parameters(&self.clients, parameters).await
    }

    /// Takes what has arrived in the queue of undelivered events, after a short wait for it.
    pub async fn undelivered(&self) -> LabResult<Vec<serde_json::Value>> {
        const MOST: i32 = 10;
        let doing = "reading the undelivered events";
        let queue = self.glidepath.output("UndeliveredQueueUrl")?;
        let receive = self.clients.sqs.receive_message().queue_url(queue);
        let receive = receive.max_number_of_messages(MOST).wait_time_seconds(1);
        let received = receive.send().await.doing(doing)?;
        let mut events = Vec::new();
        for message in received.messages.unwrap_or_default() {
            let delete = self.clients.sqs.delete_message().queue_url(queue);
            delete.set_receipt_handle(message.receipt_handle).send().await.doing(doing)?;
            events.push(serde_json::from_str(&message.body.unwrap_or_default()).doing(doing)?);
        }
        Ok(events)
    }

    /// Sets up the services of a scenario and waits until they serve.
    pub async fn set_up(
        &mut self,
        scenario: &Scenario,
    ) -> LabResult<BTreeMap<String, ServiceResources>> {
        self.scenarios += 1;
        if scenario.uses_the_command_line() {
            setup::prepare_command_line(&self.paths).await?;
        }
        let _waiting = Waiting::new("Creating the example services");
        for (name, service) in &scenario.services {
            let prefix = ServiceResources::prefix_of(name, self.scenarios);
            self.examples.push(example_stack(&prefix));
            for (version, behaviour) in &service.versions {
                // What has faults only later begins without.
                let faultless = Version::faultless();
                let behaviour = if behaviour.from.is_some() { &faultless } else { behaviour };
                self.behaviours.set(ServiceResources::tag_of(&prefix, version), behaviour)?;
            }
        }
        let services =
            create_services(&self.clients, &self.glidepath, scenario, self.scenarios).await?;
        for (name, resources) in &services {
            let tasks = scenario.services.get(name).map_or(0, |service| service.tasks);
            self.until_healthy(scenario, resources, tasks as usize).await?;
        }
        Ok(services)
    }

    async fn until_healthy(
        &mut self,
        scenario: &Scenario,
        resources: &ServiceResources,
        tasks: usize,
    ) -> LabResult<()> {
        let serving = scenario.services.get(&resources.name).map(|service| service.serving);
        let Some(serving) = serving else { return Ok(()) };
        let deadline = Instant::now() + HEALTHY_LIMIT;
        for route in &resources.routes {
            loop {
                let health = self.clients.elb.describe_target_health();
                let health = health.target_group_arn(route.group(serving)).send().await;
                let health = health.doing("asking for the health of the example")?;
                let states = health
                    .target_health_descriptions()
                    .iter()
                    .filter_map(|target| target.target_health().and_then(|health| health.state()));
                let healthy =
                    states.filter(|state| **state == TargetHealthStateEnum::Healthy).count();
                if healthy >= tasks {
                    break;
                }
                if let Some(error) = self.aws.ended() {
                    return Err(error);
                }
                if Instant::now() > deadline {
                    return Err(LabError::new(format!(
                        "service `{}` has {healthy} of {tasks} healthy tasks after {} s; what ECS says:\n{}",
                        resources.name,
                        HEALTHY_LIMIT.as_secs(),
                        self.events_of(resources, serving).await?
                    ))
                    .hint("`--keep-logs DIRECTORY` keeps the local AWS's log"));
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// The latest events of a slot's ECS service, newest first.
    async fn events_of(&self, resources: &ServiceResources, slot: Slot) -> LabResult<String> {
        const LATEST: usize = 5;
        let described = self.clients.ecs.describe_services().cluster(&resources.cluster);
        let described = described.services(resources.ecs_service(slot)).send().await;
        let described = described.doing("asking for the events of the example")?;
        let services = described.services().iter();
        let messages =
            services.flat_map(|service| service.events()).filter_map(|event| event.message());
        Ok(messages.take(LATEST).collect::<Vec<_>>().join("\n"))
    }

    /// Runs a scenario; `events` gets everything as it is observed.
    pub async fn run(
        &mut self,
        scenario: Scenario,
        events: Option<mpsc::Sender<Observed>>,
    ) -> LabResult<Report> {
        let since = epoch_seconds();
        if scenario.updates_the_stack() {
            self.glidepath.package_other().await?;
        }
        let services = self.set_up(&scenario).await?;
        let scene = Arc::new(self.scene(scenario, services));
        let outcome = run::play(&scene, &mut self.aws, &self.receivers, events).await?;
        Report::new(&scene, outcome, &self.aws.journal(), since)
    }

    fn scene(&self, scenario: Scenario, services: BTreeMap<String, ServiceResources>) -> Scene {
        let endpoint = self.aws.endpoint().to_owned();
        Scene {
            scenario,
            clients: self.clients.clone(),
            glidepath: self.glidepath.clone(),
            services,
            behaviours: self.behaviours.clone(),
            timeline: Timeline::new(),
            control: Control::new(&endpoint),
            endpoint,
            number: self.scenarios,
            state: Mutex::default(),
        }
    }

    /// Keeps requests flowing to the services, and sweeps as the schedule would, until it is dropped.
    pub async fn keep_alive(
        &self,
        scenario: &Scenario,
        services: &BTreeMap<String, ServiceResources>,
    ) -> LabResult<()> {
        const SWEEP: Duration = Duration::from_secs(2);
        let mut clients = JoinSet::new();
        for (name, resources) in services {
            let rate = scenario.services.get(name).map_or(0, |service| service.traffic);
            clients.spawn(traffic::steady(traffic::targets(resources)?, rate));
        }
        loop {
            sleep(SWEEP).await;
            if let Err(error) = play::sweep(&self.clients, &self.glidepath).await {
                say(error);
            }
        }
    }

    /// Hears what is told from now on by every channel that is no queue.
    pub fn hearing(&self) -> Hearing {
        Hearing(self.receivers.subscribe())
    }

    /// Runs `glidepath` with these arguments in this lab; what it prints.
    pub async fn command_line(&self, arguments: &[&str]) -> LabResult<String> {
        self.command_line_as(&Person::root(), arguments).await
    }

    /// The same with somebody's credentials.
    pub async fn command_line_as(&self, person: &Person, arguments: &[&str]) -> LabResult<String> {
        setup::prepare_command_line(&self.paths).await?;
        people::command_line(self.endpoint(), person, arguments).await
    }

    pub async fn command_line_path(&self) -> LabResult<std::path::PathBuf> {
        setup::prepare_command_line(&self.paths).await?;
        Ok(self.paths.command_line())
    }

    /// `glidepath` with these arguments in this lab, not yet started.
    pub async fn command_as(
        &self,
        person: &Person,
        arguments: &[&str],
    ) -> LabResult<tokio::process::Command> {
        setup::prepare_command_line(&self.paths).await?;
        Ok(people::command(self.endpoint(), person, arguments))
    }

    /// Every item of the registry, as DynamoDB's API writes them.
    pub async fn registry(&self) -> LabResult<Vec<serde_json::Value>> {
        self.control().items(self.glidepath.table()?).await
    }

    /// From now on alarms change their state by a clock that is so many seconds ahead.
    pub async fn set_alarm_clock(&self, ahead: i32) -> LabResult<()> {
        self.control().set_alarm_clock(ahead).await
    }

    /// Response times behind the load balancer (`app/NAME/ID`) get a statistic set, of which CloudWatch
    /// knows no single values: this hour has no trimmed counts and no percentile ranks.
    pub async fn blur_response_times(&self, load_balancer: &str) -> LabResult<()> {
        self.control().add_statistic_set(load_balancer, "TargetResponseTime").await
    }

    /// From now on this goes wrong, too.
    pub async fn add_fault(&self, name: &str, fault: &Fault) -> LabResult<()> {
        self.control().add_faults([(name.to_owned(), fault)]).await
    }

    /// Nothing goes wrong on request any more.
    pub async fn end_faults(&self) -> LabResult<()> {
        self.control().end_faults().await
    }

    /// Removes the services of what was played; whether nothing else is left of it.
    pub(crate) async fn clear(&mut self) -> LabResult<bool> {
        let control = self.control();
        let table = self.glidepath.table()?;
        let deadline = Instant::now() + CLEARING_LIMIT;
        let cleared = loop {
            // What is due takes the services: an old slot that is to be retired.
            play::sweep(&self.clients, &self.glidepath).await?;
            if clean_end::nothing_is_left(&control, table).await? {
                break true;
            }
            if Instant::now() > deadline {
                break false;
            }
            sleep(POLL).await;
        };
        for stack in std::mem::take(&mut self.examples) {
            let delete = self.clients.cloudformation.delete_stack().stack_name(&stack);
            delete.send().await.doing(format!("removing {stack}"))?;
        }
        Ok(cleared)
    }

    /// Every line that a function of the product has logged, as it is in the group.
    pub async fn log_lines(&self) -> LabResult<Vec<String>> {
        let group = format!("{}{}", logs::GROUPS, crate::stack::STACK_NAME);
        let mut groups = self.control().logs(0.0).await?;
        let lines = groups.remove(&group).unwrap_or_default();
        Ok(lines.into_iter().map(|line| line.message).collect())
    }

    /// Copies the logs of the local AWS and of every function.
    pub async fn keep_logs(&self, into: &Path) -> LabResult<()> {
        self.aws.keep_logs(into)?;
        logs::keep(&logs::read(&self.control(), 0.0).await?, into)
    }

    /// Tells a person what may have gone wrong.
    pub async fn explain(&self, report: &Report) {
        const MOST_LINES: usize = 30;
        for line in report.last_states() {
            say(line);
        }
        match logs::read(&self.control(), 0.0).await {
            Ok(logs) => {
                let errors = logs::errors(&logs);
                for line in errors.iter().rev().take(MOST_LINES).rev() {
                    say(line);
                }
            }
            Err(error) => say(error),
        }
    }
}
