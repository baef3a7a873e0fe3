//! The state machine in memory: routes by `next`, waits, pauses at the gate, and sends every
//! failure through the rollback, as the real definition does.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::{DeploymentId, TaskToken};
use glidepath_core::protocol::{NextStep, Reply};
use glidepath_core::time::Span;

use super::{MemoryRegistry, World};
use crate::gate::{GateInput, TickInput};
use crate::ports::{Clock, Random};
use crate::rollback::{CaughtError, RollbackInput};
use crate::{StepInput, advance, complete, gate, rollback, validate};

/// More steps than any example takes.
const STEPS: u32 = 2_000;

/// An execution in memory.
#[derive(Debug)]
pub struct Machine<'a> {
    /// Its registry.
    pub registry: &'a MemoryRegistry,
    /// Its world.
    pub world: &'a World,
    /// What it does next.
    pub reply: Reply,
    /// What it has answered so far, in order.
    pub steps: Vec<NextStep>,
}

impl<'a> Machine<'a> {
    /// An execution that has planned its deployment.
    pub fn after_plan(
        registry: &'a MemoryRegistry,
        world: &'a World,
        deployment: &DeploymentId,
    ) -> Self {
        let reply = Reply::new(deployment, NextStep::Advance, "planned");
        Self { registry, world, reply, steps: Vec::new() }
    }

    /// Runs until it has ended; `Ok` if it succeeded.
    pub async fn run(&mut self) -> Result<(), Failure> {
        self.run_until(|_| false).await
    }

    /// Runs until the condition holds before a step, or it has ended.
    pub async fn run_until(&mut self, stop: impl Fn(&Reply) -> bool) -> Result<(), Failure> {
        for _ in 0..STEPS {
            if stop(&self.reply) {
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

    /// One step, after its wait; a failure leads to the rollback.
    pub async fn step(&mut self, caught: Option<Failure>) {
        let next = self.reply.next;
        self.steps.push(next);
        let waits = next != NextStep::Gate;
        if waits {
            self.world.pass(Span::from_secs(self.reply.wait_seconds));
        }
        let result = match caught {
            Some(failure) => Err(failure),
            None => self.invoke(next).await,
        };
        self.reply = match result {
            Ok(reply) => reply,
            // The state machine retries these.
            Err(failure) if failure.code == FailureCode::Transient => {
                self.world.pass(Span::from_secs(5));
                return;
            }
            Err(failure) => self.roll_back(failure).await,
        };
    }

    async fn invoke(&self, next: NextStep) -> Result<Reply, Failure> {
        let (registry, world) = (self.registry, self.world);
        let input = StepInput { deployment: self.reply.deployment.clone() };
        match next {
            NextStep::Advance => advance::run(registry, world, world, world, &input).await,
            NextStep::Validate => validate::run(registry, world, world, world, world, &input).await,
            NextStep::Complete => {
                complete::run(registry, world, world, &self.reply.deployment).await
            }
            NextStep::Rollback => {
                let input = RollbackInput {
                    deployment: self.reply.deployment.clone(),
                    error: None,
                    by: None,
                };
                rollback::run(registry, world, world, world, world, &input).await
            }
            NextStep::Gate => {
                let token = TaskToken::new(format!("token-{}", world.number()));
                let tick =
                    TickInput { redrive_count: 0, entered_at: entered_at(world), retry_count: 0 };
                let deployment = self.reply.deployment.clone();
                gate::run(registry, world, &GateInput { deployment, token, tick }).await?;
                // Nobody ends the pause: it times out.
                world.pass(Span::from_secs(self.reply.wait_seconds.max(1)));
                Ok(Reply::new(&self.reply.deployment, NextStep::Validate, "the pause is over"))
            }
            NextStep::Succeeded | NextStep::Failed => Ok(self.reply.clone()),
        }
    }

    async fn roll_back(&self, failure: Failure) -> Reply {
        let error =
            CaughtError { name: failure.code.name().to_owned(), cause: Some(failure.cause) };
        let input = RollbackInput {
            deployment: self.reply.deployment.clone(),
            error: Some(error),
            by: None,
        };
        let (registry, world) = (self.registry, self.world);
        loop {
            match rollback::run(registry, world, world, world, world, &input).await {
                Ok(reply) => return reply,
                // The state machine retries it for long.
                Err(_) => world.pass(Span::from_secs(5)),
            }
        }
    }
}

/// `State.EnteredTime` with its milliseconds.
fn entered_at(world: &World) -> String {
    let now = world.now();
    let fraction = now.as_millis().rem_euclid(1000);
    now.to_string().replace('Z', &format!(".{fraction:03}Z"))
}
