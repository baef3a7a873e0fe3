//! The rollback: any trigger, any time, any number of times.
//!
//! Fence, then routes, with nothing between. Everything else comes after traffic is safe: waiting
//! until nothing can land any more, the last read-back, capacity, the terminal record, the unlock.

mod alarm;
mod bring_back;
mod claimed;
mod conclude;
mod overwritten;
mod put_off;
mod reinforce;
mod weak;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, ExecutionStart};
use glidepath_core::protocol::{NextStep, Refused, Reply, SeenRoutes, leave_to_sweep};
use glidepath_core::record::{Deployment, Fence, FenceTrigger, Intent, Purpose};
use glidepath_core::request::can_be_said;
use glidepath_core::route::RouteActions;
use glidepath_core::said::quoted;
use glidepath_core::time::Span;
use serde::{Deserialize, Serialize};

pub use alarm::{AlarmEvent, AlarmOutcome, on_alarm};

use self::bring_back::{Back, BringBack, Door};
use self::claimed::{Carrier, Claimed};
use self::put_off::later;
use self::reinforce::reinforce;
use self::weak::Waits;
use crate::attempt::Urgency;
use crate::claim::Claim;
use crate::pace::{self, LINGER, RESTORE_LIFETIME};
use crate::ports::{
    Clock, Containers, DeploymentFence, LoadBalancer, Orchestration, Ports, Registry, Scaling,
};
use crate::restore::{Stable, restore};
use crate::transition::{Stop, load, transition};
use crate::{Ambient, failed};

/// What the state machine hands over after a failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackInput {
    pub deployment: DeploymentId,
    /// What was caught; `None` while a rollback goes on.
    #[serde(default)]
    pub error: Option<CaughtError>,
    /// Who asks, if it is not the state machine.
    #[serde(default)]
    pub by: Option<FenceTrigger>,
    /// A person sends everything to stable, healthy or not.
    #[serde(default)]
    pub force: bool,
    /// The state machine was woken from its pause: whoever did it has recorded what nobody has told
    /// yet.
    #[serde(default)]
    pub woken: bool,
    /// When the execution started that asks, if one does.
    #[serde(default)]
    pub execution_start: Option<ExecutionStart>,
}

impl RollbackInput {
    /// Whether an execution asks that does not carry this deployment, which has ended.
    fn is_of_another_execution(&self, ended: &Deployment) -> bool {
        let start = self.execution_start.as_ref();
        start.is_some() && !ended.is_carried_by(&ended.execution, start)
    }

    /// Who forces it, if anybody does: a decision like that has a name.
    fn forced_by(&self) -> Result<Option<String>, Failure> {
        match (&self.by, self.force) {
            (_, false) => Ok(None),
            (Some(FenceTrigger::Operator(person)), true) => Ok(Some(person.clone())),
            (
                None
                | Some(
                    FenceTrigger::Alarm(_)
                    | FenceTrigger::StateMachine
                    | FenceTrigger::ExecutionEnd
                    | FenceTrigger::Sweep,
                ),
                true,
            ) => Err(Failure::new(
                FailureCode::InvalidRequest,
                "`force` needs the name of the person who decides it, as `by: {operator: NAME}`; \
                 nothing was written",
            )),
        }
    }
}

/// What a person posts to the function's URL. It refuses what it does not know, in place of doing less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostedRollback {
    pub deployment: DeploymentId,
    /// Why, for whoever reads the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Everything to stable, healthy or not.
    #[serde(default)]
    pub force: bool,
}

impl PostedRollback {
    /// As this person asks for it. No reason holds a rollback up: what cannot be kept is left out.
    pub fn by(self, person: String) -> RollbackInput {
        let Self { deployment, reason, force } = self;
        let cause = match reason.filter(|reason| can_be_said(reason).is_ok()) {
            Some(reason) => format!("{person}: {}", quoted(&reason)),
            None => format!("{person} asked for it"),
        };
        let name = FailureCode::Aborted.name().to_owned();
        RollbackInput {
            deployment,
            error: Some(CaughtError { name, cause: Some(cause) }),
            by: Some(FenceTrigger::Operator(person)),
            force,
            woken: false,
            execution_start: None,
        }
    }
}

/// An error as Step Functions hands it to a catcher.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaughtError {
    /// `Error`.
    pub name: String,
    /// `Cause`: for a function, a JSON text with `errorMessage`.
    #[serde(default)]
    pub cause: Option<String>,
}

impl CaughtError {
    /// The failure it stands for, with the words a person should read.
    fn failure(&self) -> Failure {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct FunctionError {
            error_message: String,
        }
        let cause = self.cause.clone().unwrap_or_default();
        let words = serde_json::from_str::<FunctionError>(&cause)
            .map_or(cause, |function| function.error_message);
        match FailureCode::from_name(&self.name) {
            Some(code) => Failure::new(code, words),
            None => Failure::new(FailureCode::Unexpected, format!("{}: {words}", self.name)),
        }
    }
}

/// Rolls a deployment back as far as is possible now, and says what comes next.
pub async fn run<P>(ports: &P, input: &RollbackInput) -> Result<Reply, Failure>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Orchestration: Orchestration,
            Ambient: Ambient,
        >,
{
    let (registry, ambient) = (ports.registry(), ports.ambient());
    let failure = input.error.as_ref().map_or_else(
        || Failure::new(FailureCode::Unexpected, "a rollback was asked for without a reason"),
        CaughtError::failure,
    );
    let fence = Fence {
        trigger: input.by.clone().unwrap_or(FenceTrigger::StateMachine),
        failure: failure.clone(),
        at: ambient.now(),
    };
    let id = pace::intent_id(ambient);
    let intent = Intent::new(Purpose::Restore, ambient.now(), RESTORE_LIFETIME)
        .forced_by(input.forced_by()?);
    let closed = registry.fence_deployment(&input.deployment, &fence, &id, &intent).await;
    let deployment = match closed.map_err(|error| failed(&error))? {
        DeploymentFence::Closed(deployment) => *deployment,
        // The plan of a new execution failed before it could see that its name was used before.
        DeploymentFence::TooLate(earlier) if input.is_of_another_execution(&earlier) => {
            return Ok(Reply::new(&input.deployment, NextStep::Failed, "nothing was written")
                .failing(failure));
        }
        DeploymentFence::TooLate(deployment) => return Ok(deployment.too_late(failure)),
        DeploymentFence::Unknown => {
            // The state machine comes here with a plan that was refused; a person with a wrong name.
            if let Some(FenceTrigger::Operator(_)) = &input.by {
                let cause =
                    format!("there is no deployment `{}`; nothing was written", input.deployment);
                return Err(Failure::new(FailureCode::UnknownDeployment, cause));
            }
            return Ok(Reply::new(&input.deployment, NextStep::Failed, "nothing was written")
                .failing(failure));
        }
    };

    let restored = deployment.progress.restored_at.is_some();
    let claim = Claim::of_fence(ports, &input.deployment, id, intent);
    let turn = Turn { ports, by: input.by.as_ref() };
    let turned: Result<Reply, Failure> = match turn.take(deployment, &claim).await {
        // Another rollback was faster: where it has come to counts.
        Err(Stop::Refused(Refused::NotOpen(_))) => {
            Ok(load(ports, &input.deployment).await?.too_late(failure))
        }
        // Traffic is safe: what is left has time, and retries in a hurry would take the calls that
        // other rollbacks need.
        Err(Stop::Failed(failure)) if restored && failure.code == FailureCode::Transient => {
            let summary = format!("traffic is on stable; {}", failure.cause);
            let wait = pace::unhurried(ambient);
            Ok(Reply::new(&input.deployment, NextStep::Rollback, summary).after(wait))
        }
        turned => turned.map_err(Failure::from),
    };
    let mut reply = turned?;
    // The sweep would only tell it within a minute.
    reply.notify |= input.woken;
    if turn.carried() || reply.next != NextStep::Rollback {
        return Ok(reply);
    }
    let left = transition(ports, &input.deployment, |deployment| {
        let now = ambient.now();
        leave_to_sweep(deployment, now, now + Span::from_secs(reply.wait_seconds))
    });
    match left.await {
        // Another rollback has brought it to its end meanwhile.
        Ok(()) | Err(Stop::Refused(Refused::NotOpen(_))) => Ok(reply),
        Err(stop) => Err(stop.into()),
    }
}

struct Turn<'a, P> {
    ports: &'a P,
    by: Option<&'a FenceTrigger>,
}

impl<P> Turn<'_, P>
where
    P: Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Scaling: Scaling,
            Orchestration: Orchestration,
            Ambient: Ambient,
        >,
{
    /// What follows the fence.
    async fn take(&self, mut deployment: Deployment, claim: &Claim<'_, P>) -> Result<Reply, Stop> {
        let Turn { ports, by } = *self;
        if let (None, Some(wait)) = (by, deployment.still_off(ports.ambient().now())) {
            claim.finish().await?;
            return Ok(later(&deployment, wait));
        }
        // A later turn of the same rollback writes again only if somebody moved a route since.
        let written_before = deployment.progress.restored_at.is_some();
        let astray = if written_before { self.astray(&deployment, claim).await? } else { None };
        let told = if written_before && astray.is_none() {
            claim.finish().await?;
            false
        } else {
            let stable = Stable::of(&deployment);
            let urgency = Urgency::of(&deployment, self.linger());
            let left = deployment.left();
            let complete = left.len() == deployment.plan.routes.len();
            let written = restore(ports, claim.intent(), &left, stable, urgency).await;
            let back = BringBack {
                claimed: Claimed { ports, deployment: &deployment, claim, carrier: self.carrier() },
                door: Door::Turn,
            };
            let seen = |beside: Option<_>| match (astray, beside.filter(|_| complete)) {
                (Some(before), _) => SeenRoutes::Before(before),
                (None, Some(beside)) => SeenRoutes::Beside(beside),
                (None, None) => SeenRoutes::Nothing,
            };
            let came = back.after(written, seen).await;
            let (restored, told, rest) = match came.map_err(|unfinished| unfinished.stop)? {
                Back::Restored { deployment, told, rest, .. } => (*deployment, told, rest),
                Back::PutOff { wait, .. } => return Ok(later(&deployment, wait)),
                Back::Waits(Waits { wait, told, summary, .. }) => {
                    // After what can be moved has moved: traffic does not wait for tasks.
                    let asked = reinforce(ports, &deployment).await;
                    let summary =
                        asked.map_or(summary.clone(), |asked| format!("{summary}; {asked}"));
                    let reply = Reply::new(&deployment.id, NextStep::Rollback, summary);
                    return Ok(reply.after(wait).telling(told));
                }
            };
            deployment = restored;
            if rest > Span::ZERO {
                let summary = "traffic is on stable; it is looked at when others need no calls";
                let reply = Reply::new(&deployment.id, NextStep::Rollback, summary);
                return Ok(reply.after(rest).telling(told));
            }
            told
        };
        if deployment.is_on_too_few() {
            // Nothing of the traffic waits for it, so only the log has what came of it.
            if let Some(asked) = reinforce(ports, &deployment).await {
                tracing::info!(deployment = %deployment.id, "{asked}");
            }
        }
        let concluded = conclude::conclude(ports, &deployment).await?;
        let telling = told || concluded.notify;
        Ok(concluded.telling(telling))
    }

    /// Whether a route is not as the rollback wrote it. The claim ends if nobody knows: nothing was
    /// attempted under it, and a turn that fails must not keep the next ones from ending.
    async fn astray(
        &self,
        deployment: &Deployment,
        claim: &Claim<'_, P>,
    ) -> Result<Option<Vec<Option<RouteActions>>>, Stop> {
        claim.holding(conclude::astray(self.ports, deployment).await).await
    }

    /// Whether somebody comes back for the rest.
    fn carried(&self) -> bool {
        match self.by {
            Some(FenceTrigger::Sweep | FenceTrigger::ExecutionEnd) => false,
            Some(
                FenceTrigger::Alarm(_) | FenceTrigger::StateMachine | FenceTrigger::Operator(_),
            )
            | None => true,
        }
    }

    /// Who goes on with what is put off.
    fn carrier(&self) -> Carrier {
        if self.by.is_some() { Carrier::Woken } else { Carrier::StateMachine }
    }

    /// How long to wait for the load balancer's API before going away.
    fn linger(&self) -> Span {
        // Nobody reads the answer where no execution is left: it goes on for as long as its claim
        // lasts, and the next sweep after it.
        if self.carried() { LINGER } else { RESTORE_LIFETIME }
    }
}
