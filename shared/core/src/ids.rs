//! Names of things in the world, each a type of its own so that one cannot be given for another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$documentation:meta])* $name:ident;)*) => {$(
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// A deployment: the name of the Step Functions execution that carries it.
    DeploymentId;
    /// ARN of the Step Functions execution that carries a deployment.
    ExecutionArn;
    /// When Step Functions started an execution, as its context object writes it. Only ever compared: a
    /// name is free again some time after its execution has ended, and so is the ARN.
    ExecutionStart;
    /// One claimed write to the world; unique for every invocation that claims.
    IntentId;
    /// The user's name for what is deployed; a label, never a key.
    ServiceLabel;
    /// Name or ARN of an ECS cluster.
    ClusterName;
    /// Name of an ECS service.
    EcsServiceName;
    /// `family:revision` or ARN of an ECS task definition.
    TaskDefinition;
    /// ARN of an ELBv2 target group.
    TargetGroupArn;
    /// ARN of a CloudWatch alarm.
    AlarmArn;
    /// Name of a notification channel configured in the stack.
    ChannelName;
}

impl ChannelName {
    /// As what the stack's parameter of that name stands beside the channels, where it is remembered who has what of a
    /// timeline. No channel: nobody is told anything there, and no plan takes one of this name.
    pub const AUDIT_BUCKET: &str = "AuditBucket";

    /// The audit bucket, among channels.
    pub fn audit_bucket() -> Self {
        Self::new(Self::AUDIT_BUCKET)
    }

    /// Whether the audit bucket is meant.
    pub fn is_audit_bucket(&self) -> bool {
        self.0 == Self::AUDIT_BUCKET
    }
}

/// Most characters of an execution's name.
const LONGEST_NAME: usize = 80;

impl DeploymentId {
    /// A name that Step Functions takes for an execution, or why it takes none such.
    pub fn of_execution(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length == 0 || length > LONGEST_NAME {
            return Err(format!(
                "a name has 1 to {LONGEST_NAME} characters, this one has {length}"
            ));
        }
        let refused = |character: char| {
            character.is_whitespace()
                || character.is_control()
                || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(character)
        };
        match text.chars().find(|character| refused(*character)) {
            Some(character) => Err(format!("{character:?} cannot be in a name")),
            None => Ok(Self::new(text)),
        }
    }
}

impl TargetGroupArn {
    /// The value of the CloudWatch dimension `TargetGroup`: `targetgroup/NAME/ID`.
    pub fn dimension(&self) -> &str {
        self.0.rsplit_once(':').map_or(self.0.as_str(), |(_, resource)| resource)
    }

    /// The group's name, for people.
    pub fn short(&self) -> &str {
        self.dimension().split('/').nth(1).unwrap_or(self.0.as_str())
    }
}

impl ClusterName {
    /// Its name: it may be given by its ARN as well.
    pub fn short(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl AlarmArn {
    /// The alarm's name: what follows `:alarm:`.
    pub fn name(&self) -> &str {
        self.0.split_once(":alarm:").map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl TaskDefinition {
    /// `family:revision` without the ARN around it.
    pub fn short(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, short)| short)
    }
}

/// A Step Functions task token: whoever holds it can answer a gate.
///
/// It is shown nowhere: `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskToken(String);

impl TaskToken {
    /// Takes the token from `$states.context.Task.Token`.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The token itself, only for the call that answers it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TaskToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TaskToken(hidden)")
    }
}
