//! The stack that a command works on, found once.

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

use crate::next_command::Commands;
use crate::stopped::Stopped;

/// The name of the stack if nobody gives another.
const DEFAULT_STACK: &str = "glidepath";

/// Which stack.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Name of Glidepath's CloudFormation stack
    #[arg(long, global = true, env = "GLIDEPATH_STACK", default_value = DEFAULT_STACK, value_parser = stack)]
    stack: String,
    /// AWS region; without it AWS_REGION or the profile's
    #[arg(long, global = true)]
    region: Option<String>,
    /// Profile of the AWS configuration to act as; before any keys in the environment
    #[arg(long, global = true)]
    profile: Option<String>,
}

/// A variable of CI that is empty is one that nobody has set.
fn stack(name: &str) -> Result<String, std::convert::Infallible> {
    Ok(if name.is_empty() { DEFAULT_STACK } else { name }.to_owned())
}

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
    pub(crate) async fn connect(&self) -> Result<Connection, Stopped> {
        let clients = Clients::at_a_desk(self.region.clone(), self.profile.clone()).await;
        let clients = clients.map_err(|_| Stopped::Unusable {
            message: match &self.profile {
                Some(profile) => format!("profile `{profile}` has no region, or is not there"),
                None => "no AWS region is configured".to_owned(),
            },
            hint: "give --region, or set AWS_REGION".to_owned(),
        })?;
        let stack = stack::describe(&clients, &self.stack).await;
        let stack = stack.map_err(|error| self.not_found(error))?;
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

    /// How this person has to type further commands.
    pub(crate) fn commands(&self) -> Commands {
        let stack = (self.stack != DEFAULT_STACK).then(|| self.stack.clone());
        Commands { stack, region: self.region.clone(), profile: self.profile.clone() }
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
        assert_eq!(stack(""), Ok(DEFAULT_STACK.to_owned()));
        let (stack, region) = ("blue".to_owned(), Some("us-east-1".to_owned()));
        let options = Options { stack, region, profile: None };
        let error = |detail: &str| PortError::Refused {
            operation: "cloudformation:DescribeStacks",
            detail: detail.to_owned(),
        };
        let told = options.not_found(error("ValidationError: Stack with id blue does not exist"));
        assert_eq!(told.to_string(), "there is no stack `blue` in us-east-1");
        let told = options.not_found(error("AccessDenied: no"));
        assert!(told.to_string().contains("AccessDenied"), "{told}");
    }
}
