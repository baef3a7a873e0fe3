//! How an execution has ended, as exit code and in words.

use glidepath_core::ids::DeploymentId;

use crate::next_command::Commands;
use crate::stopped::Stopped;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The new version is stable.
    Succeeded,
    /// It never began: nothing was written.
    Refused {
        name: String,
        /// All findings, or what went wrong.
        cause: String,
    },
    Failed {
        name: String,
        cause: String,
    },
}

/// Why somebody who follows a deployment stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    Ended(Ended),
    /// It goes on once a person has decided: where it is, in words.
    Waits(String),
    /// It goes on, and nobody wants to wait any longer.
    StillOn,
}

impl Followed {
    pub(crate) fn outcome(self, id: &DeploymentId, commands: &Commands) -> Result<(), Stopped> {
        let hint = commands.to_look(id);
        match self {
            Self::Ended(ended) => ended.outcome(id, commands),
            Self::Waits(words) => Err(Stopped::Waits { message: format!("{id} {words}"), hint }),
            Self::StillOn => {
                let message = format!("the time is up, and {id} goes on");
                Err(Stopped::StillOn { message, hint })
            }
        }
    }
}

impl Ended {
    /// The end as the end of a command.
    pub(crate) fn outcome(self, id: &DeploymentId, commands: &Commands) -> Result<(), Stopped> {
        match self {
            Self::Succeeded => Ok(()),
            Self::Refused { name, cause } => Err(Stopped::Unusable {
                message: format!("{id} was refused, and nothing was written: {name}\n{cause}"),
                hint: "`glidepath plan FILE` checks a request before anything is started"
                    .to_owned(),
            }),
            Self::Failed { name, cause } => Err(Stopped::Failed {
                message: format!("{id} failed: {name}: {cause}"),
                hint: commands.to_look(id),
            }),
        }
    }
}
