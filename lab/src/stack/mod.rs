//! What the lab deploys through CloudFormation: the project's own template, the channels that it
//! notifies, and example services.

mod authentication;
mod deploy;
mod example;
pub(crate) mod images;
mod names;
mod resources;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::clients::Clients;
use crate::error::{Doing, LabError, LabResult};
use crate::local_aws::LocalAws;
use crate::observe::{CHANNEL, KEY, ROUTING_KEY, Receivers, SIGNING_SECRET, TOKEN};
use crate::paths::Paths;
use crate::scenario::{AlarmsBy, Receiver, Scenario, Service};
use crate::source::{Source, Upgrade};
use deploy::Packager;

pub use resources::{RouteResources, ServiceResources};

/// The channels of the lab that hear of every deployment whose request says nothing else.
pub(crate) const CHANNELS: [&str; 2] = ["topic", "slack"];
/// The channel that is EventBridge's default bus.
pub(crate) const BUS: &str = "bus";
/// What the stack says that it is after an update: a version that goes with no command line of ours.
const OTHER_VERSION: &str = "1000.0.0";
/// Name of the stack made from the project's template.
pub const STACK_NAME: &str = "glidepath";

/// The deployed product.
#[derive(Clone, Debug)]
pub struct Glidepath {
    outputs: BTreeMap<String, String>,
    /// The queue that gets every notice of the channel `topic`.
    pub notices: String,
    /// The queue that gets every event on the bus.
    pub events: String,
    /// ARN of what the alarms of services name as their action, if that is how they are delivered.
    alarm_action: Option<String>,
    parameters: Vec<(&'static str, String)>,
    /// The packaged template that was deployed.
    template: String,
    packager: Packager,
    /// What an update brings, and its packaged template once somebody has asked for it.
    other: Source,
    packaged: Arc<OnceCell<String>>,
}

impl Glidepath {
    /// Deploys channels and product. The receivers are where its messages shall go.
    pub(crate) async fn deploy(
        paths: &Paths,
        upgrade: &Upgrade,
        aws: &LocalAws,
        clients: &Clients,
        receivers: &Receivers,
        alarms_by: AlarmsBy,
    ) -> LabResult<Self> {
        let packager = Packager::new(paths, aws);
        let source = upgrade.begin(paths);
        let packaging = packager.package(&source, None);
        let channels = channels_template(receivers);
        let channels = deploy::stack(clients, "channels", &channels, &[]);
        let (template, channels) = tokio::try_join!(packaging, channels)?;
        let found = |key: &str| {
            channels.get(key).cloned().ok_or_else(|| {
                LabError::new(format!("the stack of the channels has no output {key}"))
            })
        };
        let configuration = json!({
            CHANNELS[0]: { "sns": { "topic": found("Topic")? } },
            CHANNELS[1]: { "slack": { "secret": found("Secret")? } },
            BUS: { "eventBridge": { "bus": "default" } },
            Receiver::App.channel(): { "slack": {
                "secret": found("App")?, "channel": CHANNEL, "endpoint": receivers.slack_api()
            } },
            Receiver::Pager.channel(): {
                "pagerDuty": { "secret": found("Pager")?, "endpoint": receivers.endpoint() }
            },
            Receiver::Teams.channel(): { "teams": { "secret": found("Teams")? } },
            Receiver::Webhook.channel(): { "webhook": { "secret": found("Webhook")? } },
        });
        let (events, topic) = match alarms_by {
            AlarmsBy::Event => ("ENABLED", String::new()),
            AlarmsBy::Action => ("DISABLED", String::new()),
            AlarmsBy::Topic => ("DISABLED", found("AlarmTopic")?),
        };
        // Time in the lab is short by configuration and by nothing else.
        let parameters = vec![
            ("AlarmEvents", events.to_owned()),
            ("AlarmTopic", topic.clone()),
            ("Architecture", "x86_64".to_owned()),
            ("MetricPeriodSeconds", "1".to_owned()),
            ("PublicationLagSeconds", "1".to_owned()),
            ("Channels", configuration.to_string()),
            ("PublicPage", "enabled".to_owned()),
            ("SlackApp", found("App")?),
        ];
        let outputs = deploy::stack(clients, STACK_NAME, &template, &parameters).await?;
        let alarm_action = match alarms_by {
            AlarmsBy::Event => None,
            AlarmsBy::Action => outputs.get("RollbackFunctionArn").cloned(),
            AlarmsBy::Topic => Some(topic),
        };
        let (notices, events) = (found("Queue")?, found("Events")?);
        let other = upgrade.end(paths);
        Ok(Self {
            outputs,
            notices,
            events,
            alarm_action,
            parameters,
            template,
            packager,
            other,
            packaged: Arc::default(),
        })
    }

    /// The packaged template of the other version. Packaging takes longest of an update, and need not be
    /// done while a deployment runs.
    pub(crate) async fn package_other(&self) -> LabResult<&str> {
        let package = || self.packager.package(&self.other, Some(OTHER_VERSION));
        self.packaged.get_or_try_init(package).await.map(String::as_str)
    }

    /// Updates the stack to its other version. All its functions get other code, or it is an error.
    pub(crate) async fn update(&self, clients: &Clients) -> LabResult<()> {
        let template = self.package_other().await?;
        let before = self.codes(clients).await?;
        deploy::update(clients, STACK_NAME, template, &self.parameters).await?;
        let after = self.codes(clients).await?;
        let same = before.iter().find(|(function, code)| after.get(*function) == Some(*code));
        match same {
            None => Ok(()),
            Some((function, _)) => Err(LabError::new(format!("{function} has its old code"))),
        }
    }

    /// Updates the stack to other values of these parameters, and nothing else.
    pub(crate) async fn set_parameters(
        &mut self,
        clients: &Clients,
        parameters: Vec<(&'static str, String)>,
    ) -> LabResult<()> {
        self.parameters.retain(|(name, _)| !parameters.iter().any(|(other, _)| other == name));
        self.parameters.extend(parameters);
        deploy::update(clients, STACK_NAME, &self.template, &self.parameters).await
    }

    /// What identifies the code of every function.
    async fn codes(&self, clients: &Clients) -> LabResult<BTreeMap<&str, Option<String>>> {
        let doing = "looking at the code of the functions";
        let mut codes = BTreeMap::new();
        for (_, name) in self.outputs.iter().filter(|(key, _)| key.ends_with("FunctionName")) {
            let found = clients.lambda.get_function_configuration().function_name(name);
            let found = found.send().await.doing(doing)?;
            codes.insert(name.as_str(), found.code_sha256);
        }
        Ok(codes)
    }

    /// ARN of the state machine.
    pub fn state_machine(&self) -> LabResult<&str> {
        self.output("StateMachineArn")
    }

    /// Name of the sweep function.
    pub fn sweep_function(&self) -> LabResult<&str> {
        self.output("SweepFunctionName")
    }

    /// Name of the registry's table.
    pub fn table(&self) -> LabResult<&str> {
        self.output("TableName")
    }

    /// Every output of the product's stack.
    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// One output of the product's stack.
    pub fn output(&self, key: &str) -> LabResult<&str> {
        self.outputs
            .get(key)
            .map(String::as_str)
            .ok_or_else(|| LabError::new(format!("template.yaml has no output {key}")))
    }
}

/// Creates the services of a scenario, the `number`th in this lab, all at once.
pub(crate) async fn create_services(
    clients: &Clients,
    glidepath: &Glidepath,
    scenario: &Scenario,
    number: usize,
) -> LabResult<BTreeMap<String, ServiceResources>> {
    let mut creating = tokio::task::JoinSet::new();
    for (name, service) in &scenario.services {
        let prefix = ServiceResources::prefix_of(name, number);
        let (clients, name, service) = (clients.clone(), name.clone(), service.clone());
        let action = glidepath.alarm_action.clone();
        creating.spawn(async move {
            create_service(&clients, name, prefix, &service, action.as_deref()).await
        });
    }
    let mut created = BTreeMap::new();
    while let Some(result) = creating.join_next().await {
        let resources =
            result.map_err(|error| LabError::because("creating a service", &error))??;
        created.insert(resources.name.clone(), resources);
    }
    Ok(created)
}

/// Name of the stack of a service whose resources' names begin so.
pub(crate) fn example_stack(prefix: &str) -> String {
    format!("example-{prefix}")
}

async fn create_service(
    clients: &Clients,
    name: String,
    prefix: String,
    service: &Service,
    alarm_action: Option<&str>,
) -> LabResult<ServiceResources> {
    if service.ecr {
        images::push(clients, &prefix, service).await?;
    }
    let template = example::template(&prefix, service, alarm_action).to_string();
    let outputs = deploy::stack(clients, &example_stack(&prefix), &template, &[]).await?;
    ServiceResources::from_outputs(&name, &prefix, service, &outputs)
        .map_err(|error| LabError::because(format!("service `{name}`"), &error))
}

fn channels_template(receivers: &Receivers) -> String {
    let reference = |id: &str| json!({ "Ref": id });
    let attribute = |id: &str, name: &str| json!({ "Fn::GetAtt": [id, name] });
    let may_send = |service: &str, queue: &str| {
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": format!("{service}.amazonaws.com") },
                "Action": "sqs:SendMessage",
                "Resource": attribute(queue, "Arn"),
            }],
        })
    };
    let resource =
        |kind: &str, properties: Value| json!({ "Type": kind, "Properties": properties });
    let secret = |name: &str, text: String| {
        let properties = json!({ "Name": format!("glidepath/{name}"), "SecretString": text });
        resource("AWS::SecretsManager::Secret", properties)
    };
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "Topic": resource("AWS::SNS::Topic", json!({ "TopicName": "glidepath-notices" })),
            "AlarmTopic": resource("AWS::SNS::Topic", json!({ "TopicName": "alarms" })),
            "Queue": resource("AWS::SQS::Queue", json!({ "QueueName": "glidepath-notices" })),
            "QueuePolicy": resource(
                "AWS::SQS::QueuePolicy",
                json!({ "Queues": [reference("Queue")], "PolicyDocument": may_send("sns", "Queue") }),
            ),
            "Subscription": resource("AWS::SNS::Subscription", json!({
                "TopicArn": reference("Topic"),
                "Protocol": "sqs",
                "Endpoint": attribute("Queue", "Arn"),
            })),
            "EventsQueue": resource("AWS::SQS::Queue", json!({ "QueueName": "glidepath-events" })),
            "EventsQueuePolicy": resource(
                "AWS::SQS::QueuePolicy",
                json!({ "Queues": [reference("EventsQueue")], "PolicyDocument": may_send("events", "EventsQueue") }),
            ),
            "EventsRule": resource("AWS::Events::Rule", json!({
                "EventPattern": { "source": ["glidepath"], "detail-type": ["Deployment Notice"] },
                "Targets": [{ "Id": "queue", "Arn": attribute("EventsQueue", "Arn") }],
            })),
            "Secret": secret("slack", receivers.slack()),
            "App": secret(
                "app",
                json!({
                    "token": TOKEN, "signingSecret": SIGNING_SECRET, "endpoint": receivers.slack_api(),
                })
                .to_string(),
            ),
            "Pager": secret("pager", ROUTING_KEY.to_owned()),
            "Teams": secret("teams", receivers.teams()),
            "Webhook": secret(
                "webhook",
                json!({ "url": receivers.webhook(), "keys": [KEY] }).to_string(),
            ),
        },
        "Outputs": {
            "Topic": { "Value": reference("Topic") },
            "AlarmTopic": { "Value": reference("AlarmTopic") },
            "Queue": { "Value": reference("Queue") },
            "Events": { "Value": reference("EventsQueue") },
            "Secret": { "Value": reference("Secret") },
            "App": { "Value": reference("App") },
            "Pager": { "Value": reference("Pager") },
            "Teams": { "Value": reference("Teams") },
            "Webhook": { "Value": reference("Webhook") },
        },
    })
    .to_string()
}
