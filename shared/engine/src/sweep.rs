//! Looks after everything whose time has come, whatever its execution says: an execution that waits
//! while its rollback gave up is as dead as one that ended.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::protocol::Work;
use glidepath_core::telemetry::Measurement;
use glidepath_core::time::{Span, Timestamp};

use crate::failed;
use crate::ports::{Clock, Due, Functions, Overdue, PortResult, Ports, Registry, Telemetry};

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

/// For how long the oldest has been overdue.
#[derive(Default)]
struct Ages {
    work: Span,
    notices: Span,
}

impl Ages {
    fn take(&mut self, due: &Due, age: Span) {
        match due {
            Due::Deployment(_) | Due::Retirement(_) => self.work = self.work.max(age),
            Due::Notices(_) => self.notices = self.notices.max(age),
        }
    }
}

/// One sweep. What cannot be handed over is left for the next one, after the rest was. What is overdue is measured
/// whether or not it could be handed over; a sweep that cannot read it is none.
pub async fn run<P>(ports: &P) -> Result<Swept, Failure>
where
    P: Ports<Registry: Registry, Functions: Functions, Telemetry: Telemetry, Ambient: Clock>,
{
    let now = ports.ambient().now();
    let due = ports.registry().due(now).await.map_err(|error| failed(&error))?;
    let mut swept = Swept::default();
    let mut ages = Ages::default();
    let mut lost = Vec::new();
    let mut code = FailureCode::Transient;
    for Overdue { due, since } in due {
        match hand_over(ports, &due, since, &mut swept).await {
            Ok(since) => ages.take(&due, now.since(since)),
            Err(error) => {
                ages.take(&due, now.since(since));
                if !error.may_pass() {
                    code = FailureCode::Unexpected;
                }
                lost.push(format!("{due:?}: {error}"));
            }
        }
    }
    ports.telemetry().tell(&Measurement::of_sweep(ages.work, ages.notices));
    if lost.is_empty() { Ok(swept) } else { Err(Failure::new(code, lost.join("; "))) }
}

/// Since when it is due by its own item: the index, which says `since`, lags behind.
async fn hand_over<P>(
    ports: &P,
    due: &Due,
    since: Timestamp,
    swept: &mut Swept,
) -> PortResult<Timestamp>
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
            let Some(deployment) = ports.registry().deployment(id).await? else {
                return Ok(ports.ambient().now());
            };
            if deployment.next_due_at > ports.ambient().now() {
                return Ok(deployment.next_due_at);
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
            return Ok(deployment.next_due_at);
        }
    }
    Ok(since)
}
