//! What a person types next.

use glidepath_core::ids::DeploymentId;

/// Writes commands as they must be typed to reach the same stack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commands {
    pub(crate) stack: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
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

    /// `glidepath COMMAND`, with the stack where it is not the default one.
    pub(crate) fn plain(&self, command: &str) -> String {
        format!("glidepath {command}{}", self.options())
    }

    /// `glidepath status`, with the stack where it is not the default one.
    pub(crate) fn all(&self) -> String {
        self.plain("status")
    }

    /// The options of every command, each with a space before it.
    pub(crate) fn options(&self) -> String {
        let options =
            [("--stack", &self.stack), ("--region", &self.region), ("--profile", &self.profile)];
        let given =
            options.into_iter().filter_map(|(option, value)| Some((option, value.as_ref()?)));
        given.map(|(option, value)| format!(" {option} {value}")).collect()
    }

    /// Of a stack with another name in another Region.
    #[cfg(test)]
    pub(crate) fn elsewhere() -> Self {
        let (stack, region) = (Some("blue".to_owned()), Some("eu-west-1".to_owned()));
        Self { stack, region, profile: None }
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
        let commands = Commands { profile: Some("ops".to_owned()), ..Commands::default() };
        assert_eq!(commands.all(), "glidepath status --profile ops");
    }
}
