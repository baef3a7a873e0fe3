//! The state machine in memory: routes by `next`, waits, pauses at the gate, retries what may pass,
//! and sends every other failure through the rollback, as the real definition does.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, TaskToken};
use glidepath_core::protocol::{NextStep, Reply};
use glidepath_core::time::Span;

use super::{Bed, Between, KILLED, World, example};
use crate::gate::{GateInput, TickInput};
use crate::plan::PlanInput;
use crate::ports::{Clock, Random};
use crate::rollback::{CaughtError, RollbackInput};
use crate::{StepInput, advance, complete, gate, plan, rollback, validate};

/// More steps than any example takes.
const STEPS: u32 = 2_000;

/// `MaxAttempts` of the definition's Retry.
const RETRIES: u32 = 8;

/// `MaxAttempts` of the rollback's Retry.
const ROLLBACK_RETRIES: u32 = 120;

/// An execution in memory.
#[derive(Debug)]
pub struct Machine<'a, B = ()> {
    /// Its world.
    pub bed: Bed<'a, B>,
    /// What it does next.
    pub reply: Reply,
    /// What it has answered so far, in order.
    pub steps: Vec<NextStep>,
    /// Every invocation is made twice, as Lambda may do.
    pub twice: bool,
    /// What led to the rollback; handed to every turn of it.
    caught: Option<Failure>,
    plan: Option<PlanInput>,
}

impl<'a, B: Between> Machine<'a, B> {
    /// An execution that has planned its deployment.
    pub fn after_plan(bed: Bed<'a, B>, deployment: &DeploymentId) -> Self {
        let reply = Reply::new(deployment, NextStep::Advance, "planned");
        Self { bed, reply, steps: Vec::new(), twice: false, caught: None, plan: None }
    }

    /// An execution from its beginning.
    pub fn start(bed: Bed<'a, B>, input: PlanInput) -> Self {
        let mut machine = Self::after_plan(bed, &input.deployment);
        machine.plan = Some(input);
        machine
    }

    /// Runs until it has ended; `Ok` if it succeeded.
    pub async fn run(&mut self) -> Result<(), Failure> {
        self.run_until(|_| false).await
    }

    /// Runs until the condition holds before a step, or it has ended.
    pub async fn run_until(&mut self, stop: impl Fn(&Reply) -> bool) -> Result<(), Failure> {
        for _ in 0..STEPS {
            if stop(&self.reply) && self.plan.is_none() {
                return Ok(());
            }
            match self.reply.next {
                NextStep::Succeeded => return Ok(()),
                NextStep::Failed => {
                    let nameless = || Failure::new(FailureCode::Unexpected, "failed namelessly");
                    return Err(self.reply.failure.clone().unwrap_or_else(nameless));
                }
                NextStep::Advance
                | NextStep::Gate
                | NextStep::Validate
                | NextStep::Complete
                | NextStep::Rollback => self.step(None).await,
            }
        }
        Err(Failure::new(FailureCode::Unexpected, format!("no end after {STEPS} steps")))
    }

    /// One step, after its wait and with its retries; a failure leads to the rollback. With `woken`
    /// the step is a gate that somebody has ended with a failure.
    pub async fn step(&mut self, woken: Option<Failure>) {
        let next = self.reply.next;
        self.steps.push(next);
        if next != NextStep::Gate {
            self.bed.world.pass(Span::from_secs(self.reply.wait_seconds));
        }
        let result = match woken {
            Some(failure) => Err(failure),
            None => self.tried(next).await,
        };
        self.plan = None;
        match result {
            Ok(reply) => self.reply = reply,
            Err(failure) if next == NextStep::Rollback => {
                self.reply = Reply::new(&self.reply.deployment, NextStep::Failed, "gave up")
                    .failing(self.caught.clone().unwrap_or(failure));
            }
            Err(failure) => {
                self.caught = Some(failure);
                self.reply = Reply::new(&self.reply.deployment, NextStep::Rollback, "caught");
            }
        }
    }

    /// One invocation, repeated while its failure may pass.
    async fn tried(&self, next: NextStep) -> Result<Reply, Failure> {
        let retries = if next == NextStep::Rollback { ROLLBACK_RETRIES } else { RETRIES };
        let mut last = None;
        for _ in 0..=retries {
            if self.twice {
                // Whatever comes of the first delivery, the second one follows.
                let _ = self.survived(next).await;
            }
            match self.survived(next).await {
                Err(failure) if failure.code == FailureCode::Transient => {
                    self.bed.world.pass(Span::from_secs(5));
                    last = Some(failure);
                }
                result => return result,
            }
        }
        let exhausted = || Failure::new(FailureCode::Transient, "never tried");
        Err(last.unwrap_or_else(exhausted))
    }

    /// One invocation. A killed process is an error of Lambda's, which the definition retries.
    async fn survived(&self, next: NextStep) -> Result<Reply, Failure> {
        match AssertUnwindSafe(self.invoke(next)).catch_unwind().await {
            Ok(result) => result,
            Err(panic) if panic.downcast_ref() == Some(&KILLED) => {
                Err(Failure::new(FailureCode::Transient, "Runtime.ExitError"))
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    async fn invoke(&self, next: NextStep) -> Result<Reply, Failure> {
        let bed = &self.bed;
        if let Some(input) = &self.plan {
            return plan::run(bed, &example::stack(), input).await;
        }
        let input = StepInput { deployment: self.reply.deployment.clone() };
        match next {
            NextStep::Advance => advance::run(bed, &input).await,
            NextStep::Validate => validate::run(bed, &input).await,
            NextStep::Complete => complete::run(bed, &self.reply.deployment).await,
            NextStep::Rollback => {
                let error = self.caught.as_ref().map(|failure| CaughtError {
                    name: failure.code.name().to_owned(),
                    cause: Some(failure.cause.clone()),
                });
                let deployment = self.reply.deployment.clone();
                let woken = self.steps.iter().rev().nth(1) == Some(&NextStep::Gate);
                let input = RollbackInput {
                    deployment,
                    error,
                    by: None,
                    force: false,
                    woken,
                    execution_start: None,
                };
                rollback::run(bed, &input).await
            }
            NextStep::Gate => {
                let token = TaskToken::new(format!("token-{}", bed.number()));
                let tick = TickInput {
                    redrive_count: 0,
                    entered_at: entered_at(bed.world),
                    retry_count: 0,
                };
                let deployment = self.reply.deployment.clone();
                gate::run(bed, &GateInput { deployment, token, tick }).await?;
                // Nobody ends the pause: it times out.
                bed.world.pass(Span::from_secs(self.reply.wait_seconds.max(1)));
                Ok(Reply::new(&self.reply.deployment, NextStep::Validate, "the pause is over"))
            }
            NextStep::Succeeded | NextStep::Failed => Ok(self.reply.clone()),
        }
    }
}

/// `State.EnteredTime` with its milliseconds.
fn entered_at(world: &World) -> String {
    let now = world.now();
    let fraction = now.as_millis().rem_euclid(1000);
    now.to_string().replace('Z', &format!(".{fraction:03}Z"))
}
