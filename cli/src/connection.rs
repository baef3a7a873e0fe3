//! The stack that a command works on, found once.

use std::ffi::OsString;

use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::containers::ElasticContainers;
use glidepath_aws::load_balancer::ElasticLoadBalancing;
use glidepath_aws::monitoring::{CloudWatch, Publication};
use glidepath_aws::operator::Operator;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::repositories::ElasticContainerRegistry;
use glidepath_aws::scaling::ApplicationAutoScaling;
use glidepath_aws::stack::{self, Stack};
use glidepath_core::document::Findings;
use glidepath_core::versions;
use glidepath_engine::ports::{Adapters, PortError};

use crate::configuration::Configuration;
use crate::next_command::Commands;
use crate::stopped::Stopped;

/// The name of the stack if nobody gives another.
const DEFAULT_STACK: &str = "glidepath";

/// Which stack.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Name of Glidepath's CloudFormation stack; without it that of the configuration, or `glidepath`
    #[arg(long, global = true, env = "GLIDEPATH_STACK")]
    stack: Option<String>,
    /// AWS region; without it AWS_REGION, the configuration's, or the profile's
    #[arg(long, global = true)]
    region: Option<String>,
    /// Profile of the AWS configuration to act as, before any keys in the environment; without it the
    /// environment's identity, or the profile of the configuration
    #[arg(long, global = true)]
    profile: Option<String>,
}

/// Which stack, where, and as whom, after everything that may say so.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settled {
    stack: String,
    /// `None`: what the SDK finds.
    region: Option<String>,
    profile: Option<String>,
}

/// Each of these says as whom somebody acts, and stands before what a file says.
const IDENTITIES: [&str; 5] = [
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Whose Region stands before what a file says.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Neither hooks nor probes, nor what only functions reach.
pub(crate) type CommandPorts = Adapters<
    DynamoRegistry,
    ElasticLoadBalancing,
    ElasticContainers,
    CloudWatch,
    (),
    (),
    StepFunctions,
    (),
    (),
    System,
    ApplicationAutoScaling,
    ElasticContainerRegistry,
>;

/// Everything through which a command reaches the stack.
#[derive(Debug)]
pub(crate) struct Connection {
    /// For further adapters.
    pub(crate) clients: Clients,
    pub(crate) stack: Stack,
    pub(crate) ports: CommandPorts,
    /// The person's own calls.
    pub(crate) operator: Operator,
}

impl Options {
    /// A variable of CI that is empty is one that nobody has set.
    fn stack(&self) -> Option<&String> {
        self.stack.as_ref().filter(|stack| !stack.is_empty())
    }

    /// An option before the environment, and that before the file.
    fn settled(
        &self,
        file: Configuration,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Settled {
        let set = |names: &[&str]| {
            names.iter().any(|name| environment(name).is_some_and(|value| !value.is_empty()))
        };
        let Configuration { stack, region, profile } = file;
        let region = region.filter(|_| !set(&REGIONS));
        let profile = profile.filter(|_| !set(&IDENTITIES));
        Settled {
            stack: self.stack().cloned().or(stack).unwrap_or_else(|| DEFAULT_STACK.to_owned()),
            region: self.region.clone().or(region),
            profile: self.profile.clone().or(profile),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Stopped> {
        let environment = |name: &str| std::env::var_os(name);
        let settled = self.settled(Configuration::read(environment)?, environment);
        let clients = Clients::at_a_desk(settled.region.clone(), settled.profile.clone()).await;
        let clients = clients.map_err(|_| Stopped::Unusable {
            message: match &settled.profile {
                Some(profile) => format!("profile `{profile}` has no region, or is not there"),
                None => "no AWS region is configured".to_owned(),
            },
            hint: "give --region, or set AWS_REGION".to_owned(),
        })?;
        let stack = stack::describe(&clients, &settled.stack).await;
        let stack = stack.map_err(|error| settled.not_found(error))?;
        let ports = Adapters::none()
            .with_registry(DynamoRegistry::new(&clients, &stack.table))
            .with_load_balancer(ElasticLoadBalancing::new(&clients))
            .with_containers(ElasticContainers::new(&clients))
            .with_scaling(ApplicationAutoScaling::new(&clients))
            .with_repositories(ElasticContainerRegistry::new(&clients))
            .with_monitoring(CloudWatch::new(&clients, Publication::default()))
            .with_orchestration(StepFunctions::new(&clients))
            .with_ambient(System::default());
        Ok(Connection { ports, operator: Operator::new(&clients, stack.clone()), clients, stack })
    }

    /// How this person has to type further commands: only what is another stack than without saying so.
    pub(crate) fn commands(&self) -> Commands {
        // A file that cannot be read ends the command when it connects.
        let file = Configuration::read(|name| std::env::var_os(name)).unwrap_or_default();
        let otherwise = file.stack.as_deref().unwrap_or(DEFAULT_STACK);
        let stack = self.stack().filter(|stack| *stack != otherwise).cloned();
        Commands { stack, region: self.region.clone(), profile: self.profile.clone() }
    }
}

impl Settled {
    /// Where it was looked for: whoever has several Regions and accounts may be in the wrong one.
    fn not_found(&self, error: PortError) -> Stopped {
        let Self { stack, region, profile } = self;
        let told = error.to_string();
        let says = |words: &[&str]| words.iter().any(|words| told.contains(words));
        if let (Some(profile), true) = (profile, says(&["credential", "was not defined"])) {
            return Stopped::Unanswered {
                message: format!("there is no profile `{profile}`, or nobody is logged in: {told}"),
                hint: format!(
                    "`aws configure list-profiles` shows the profiles there are; `aws sso login \
                     --profile {profile}` logs in"
                ),
            };
        }
        if !says(&["does not exist"]) {
            return error.into();
        }
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let region =
            region.clone().or_else(|| set("AWS_REGION")).or_else(|| set("AWS_DEFAULT_REGION"));
        let region = region.map_or("the profile's Region".to_owned(), |region| region);
        Stopped::Unanswered {
            message: format!("there is no stack `{stack}` in {region}"),
            hint: "name it with --stack or GLIDEPATH_STACK, and its Region with --region; \
                   `aws sts get-caller-identity` shows the account. If it is not deployed yet: README.md"
                .to_owned(),
        }
    }
}

impl Connection {
    /// Whether what this command line says of a deployment is what the stack does.
    pub(crate) fn versions(&self) -> Findings {
        versions::findings(self.stack.version.as_deref(), env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_is_not_there_is_told_with_where_it_was_looked_for() {
        let (stack, region) = ("blue".to_owned(), Some("us-east-1".to_owned()));
        let settled = Settled { stack, region, profile: None };
        let error = |detail: &str| PortError::Refused {
            operation: "cloudformation:DescribeStacks",
            detail: detail.to_owned(),
        };
        let told = settled.not_found(error("ValidationError: Stack with id blue does not exist"));
        assert_eq!(told.to_string(), "there is no stack `blue` in us-east-1");
        let told = settled.not_found(error("AccessDenied: no"));
        assert!(told.to_string().contains("AccessDenied"), "{told}");
    }

    #[test]
    fn an_option_comes_before_the_environment_and_that_before_the_file() {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        // Stack, region and profile: of options, of the environment by its names, of the file; settled.
        for (options, environment, file, expected) in [
            (["", "", ""], &[][..], ["", "", ""], ["glidepath", "", ""]),
            (["", "", ""], &[], ["f", "fr", "fp"], ["f", "fr", "fp"]),
            (
                ["o", "or", "op"],
                &["AWS_PROFILE", "AWS_REGION"],
                ["f", "fr", "fp"],
                ["o", "or", "op"],
            ),
            (["", "", ""], &["AWS_PROFILE"], ["f", "fr", "fp"], ["f", "fr", ""]),
            (["", "", ""], &["AWS_ACCESS_KEY_ID"], ["f", "fr", "fp"], ["f", "fr", ""]),
            (["", "", ""], &["AWS_DEFAULT_REGION"], ["f", "fr", "fp"], ["f", "", "fp"]),
            (["", "", "op"], &["AWS_ACCESS_KEY_ID"], ["f", "", "fp"], ["f", "", "op"]),
        ] {
            let [stack, region, profile] = options.map(text);
            let options = Options { stack, region, profile };
            let [stack, region, profile] = file.map(text);
            let file = Configuration { stack, region, profile };
            let set = |name: &str| environment.contains(&name).then(|| OsString::from("x"));
            let [stack, region, profile] = expected.map(text);
            let expected = Settled { stack: stack.unwrap(), region, profile };
            assert_eq!(options.settled(file, set), expected);
        }
        // Empty is not set, in either.
        let options = Options { stack: Some(String::new()), region: None, profile: None };
        let file = Configuration { profile: Some("fp".to_owned()), ..Configuration::default() };
        let settled = options.settled(file, |_| Some(OsString::new()));
        assert_eq!(
            (settled.stack.as_str(), settled.profile.as_deref()),
            (DEFAULT_STACK, Some("fp"))
        );
    }
}
