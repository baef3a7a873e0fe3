//! After a rollback, or a way back: whether what serves again is as good as it was. It moves nothing.

use glidepath_core::failure::Failure;
use glidepath_core::health::{Judgement, hook_runs, judge_validation};
use glidepath_core::pace::tick_wait;
use glidepath_core::protocol::{Asked, NextStep, Reply, validated};
use glidepath_core::record::{Deployment, LockKey, Outcome};

use crate::failed;
use crate::gather::gather_ended;
use crate::pace::overdue;
use crate::ports::{Clock, Containers, Hooks, Monitoring, Ports, Probing, Registry};
use crate::transition::{Stop, transition};

/// One look; what comes next is another one, or the end that the deployment has had before.
pub(super) async fn run<P>(
    ports: &P,
    deployment: &Deployment,
    outcome: Outcome,
) -> Result<Reply, Failure>
where
    P: Ports<
            Registry: Registry,
            Containers: Containers,
            Monitoring: Monitoring,
            Hooks: Hooks,
            Probing: Probing,
            Ambient: Clock,
        >,
{
    let clock = ports.ambient();
    let over = |summary| deployment.last_answer(outcome, summary, deployment.reason());
    let Some(asked) = deployment.validates() else {
        return Ok(over("nothing is left to ask of what serves"));
    };
    let (role, validation, validating) = asked;
    let readings = gather_ended(ports, deployment, asked).await;
    let plan = &deployment.plan;
    let key = LockKey::service(&plan.cluster, &plan.slot(role).service);
    // After the answers: who has begun before them is seen.
    let lock = match ports.registry().locks(std::slice::from_ref(&key)).await {
        Ok(mut locks) => locks.pop(),
        // What is to be told in the end does not wait for it.
        Err(error) if clock.now() >= validating.until => {
            tracing::warn!(deployment.id = %deployment.id, %error, "the lock could not be read");
            None
        }
        Err(error) => return Err(failed(&error)),
    };
    let asked = Asked {
        verdict: judge_validation(validation, role, &readings),
        hooks: hook_runs(&readings.hooks, &validating.hooks),
        lock,
    };
    let now = clock.now();
    let wait = tick_wait(plan.health.interval, now.since(validating.ended_at));
    let wait = wait.min(validating.until.since(now));
    let recorded = transition(ports, &deployment.id, |current| {
        let now = clock.now();
        validated(current, &asked, now, overdue(&current.plan, now, wait))
    });
    match recorded.await {
        Ok(true) => Ok(over("what serves was asked").telling(true)),
        Ok(false) => {
            let known = asked.verdict.texts(|says| says == Judgement::Pass).len();
            let all = asked.verdict.reasons.len();
            let summary = format!("{known} of {all} checks of what serves are good so far");
            Ok(Reply::new(&deployment.id, NextStep::Validate, summary).after(wait))
        }
        // A copy of this look was faster.
        Err(Stop::Refused(_)) => Ok(over("it was told meanwhile")),
        Err(stop) => Err(stop.into()),
    }
}
