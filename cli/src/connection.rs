//! The stack that a command works on, found once.

use glidepath_aws::clients::Clients;
use glidepath_aws::operator::Operator;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::stack::{self, Stack};
use glidepath_core::ids::DeploymentId;

use crate::report::Stopped;

/// The name of the stack if nobody gives another.
const DEFAULT_STACK: &str = "glidepath";

/// Which stack.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Name of Glidepath's CloudFormation stack
    #[arg(long, global = true, env = "GLIDEPATH_STACK", default_value = DEFAULT_STACK)]
    stack: String,
    /// AWS region; without it AWS_REGION or the profile's
    #[arg(long, global = true)]
    region: Option<String>,
}

/// Everything through which a command reaches the stack.
#[derive(Debug)]
pub(crate) struct Connection {
    /// For further adapters.
    pub(crate) clients: Clients,
    /// What the stack tells of itself.
    pub(crate) stack: Stack,
    /// Deployments and timelines.
    pub(crate) registry: DynamoRegistry,
    /// Pauses of executions.
    pub(crate) orchestration: StepFunctions,
    /// The person's own calls.
    pub(crate) operator: Operator,
}

impl Options {
    /// Finds the stack.
    pub(crate) async fn connect(&self) -> Result<Connection, Stopped> {
        let clients = Clients::at_a_desk(self.region.clone()).await;
        let clients = clients.map_err(|_| Stopped::Unusable {
            message: "no AWS region is configured".to_owned(),
            hint: "give --region, or set AWS_REGION".to_owned(),
        })?;
        let stack = stack::describe(&clients, &self.stack).await?;
        Ok(Connection {
            registry: DynamoRegistry::new(&clients, &stack.table),
            orchestration: StepFunctions::new(&clients),
            operator: Operator::new(&clients, stack.clone()),
            clients,
            stack,
        })
    }

    /// How this person has to type further commands.
    pub(crate) fn commands(&self) -> Commands {
        let stack = (self.stack != DEFAULT_STACK).then(|| self.stack.clone());
        Commands { stack, region: self.region.clone() }
    }
}

/// Writes commands as they must be typed to reach the same stack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commands {
    stack: Option<String>,
    region: Option<String>,
}

impl Commands {
    /// `glidepath VERB DEPLOYMENT REST`, with the stack where it is not the default one.
    pub(crate) fn of(&self, verb: &str, deployment: &DeploymentId, rest: &str) -> String {
        let mut command = format!("glidepath {verb} {deployment}{}", self.options());
        if !rest.is_empty() {
            command.push_str(&format!(" {rest}"));
        }
        command
    }

    /// `glidepath status`, with the stack where it is not the default one.
    pub(crate) fn all(&self) -> String {
        format!("glidepath status{}", self.options())
    }

    /// The options of every command, each with a space before it.
    pub(crate) fn options(&self) -> String {
        let options = [("--stack", &self.stack), ("--region", &self.region)];
        let given =
            options.into_iter().filter_map(|(option, value)| Some((option, value.as_ref()?)));
        given.map(|(option, value)| format!(" {option} {value}")).collect()
    }

    /// Of a stack with another name in another Region.
    #[cfg(test)]
    pub(crate) fn elsewhere() -> Self {
        Self { stack: Some("blue".to_owned()), region: Some("eu-west-1".to_owned()) }
    }

    /// How to look at a deployment, as a sentence.
    pub(crate) fn to_look(&self, deployment: &DeploymentId) -> String {
        format!("`{}` shows where it is", self.of("status", deployment, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_the_stack_only_where_it_must() {
        let id = DeploymentId::new("shop-42");
        assert_eq!(Commands::default().of("approve", &id, ""), "glidepath approve shop-42");
        assert_eq!(
            Commands::elsewhere().of("status", &id, "--watch"),
            "glidepath status shop-42 --stack blue --region eu-west-1 --watch"
        );
    }
}
