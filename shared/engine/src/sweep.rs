//! Looks after everything whose time has come, whatever its execution says: an execution that waits
//! while its rollback gave up is as dead as one that ended.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::protocol::Work;

use crate::failed;
use crate::ports::{Clock, Due, Functions, PortResult, Ports, Registry};

/// What a sweep found overdue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Deployments before their commit, handed to the rollback.
    pub rolled_back: u32,
    /// Deployments after their commit and old slots, handed to the completion.
    pub completed: u32,
    /// Ended deployments after which what serves is still to be asked.
    pub validated: u32,
    /// Deployments with notices, handed to the delivery.
    pub delivered: u32,
}

/// One sweep. What cannot be handed over is left for the next one, after the rest was.
pub async fn run<P>(ports: &P) -> Result<Swept, Failure>
where
    P: Ports<Registry: Registry, Functions: Functions, Ambient: Clock>,
{
    let due = ports.registry().due(ports.ambient().now()).await.map_err(|error| failed(&error))?;
    let mut swept = Swept::default();
    let mut lost = Vec::new();
    let mut code = FailureCode::Transient;
    for due in due {
        if let Err(error) = hand_over(ports, &due, &mut swept).await {
            if !error.may_pass() {
                code = FailureCode::Unexpected;
            }
            lost.push(format!("{due:?}: {error}"));
        }
    }
    if lost.is_empty() { Ok(swept) } else { Err(Failure::new(code, lost.join("; "))) }
}

async fn hand_over<P>(ports: &P, due: &Due, swept: &mut Swept) -> PortResult<()>
where
    P: Ports<Registry: Registry, Functions: Functions, Ambient: Clock>,
{
    let functions = ports.functions();
    match due {
        Due::Retirement(_) => {
            functions.start_completion(due).await?;
            swept.completed += 1;
        }
        Due::Notices(deployment) => {
            functions.start_delivery(deployment).await?;
            swept.delivered += 1;
        }
        Due::Deployment(id) => {
            let Some(deployment) = ports.registry().deployment(id).await? else { return Ok(()) };
            // The index lags behind: only the item itself says whether it is still due.
            if deployment.next_due_at > ports.ambient().now() {
                return Ok(());
            }
            match deployment.overdue_work() {
                Some(Work::Rollback) => {
                    functions.start_rollback(id).await?;
                    swept.rolled_back += 1;
                }
                Some(Work::Completion) => {
                    functions.start_completion(due).await?;
                    swept.completed += 1;
                }
                Some(Work::Validation) => {
                    functions.start_validation(id).await?;
                    swept.validated += 1;
                }
                None => {}
            }
        }
    }
    Ok(())
}
