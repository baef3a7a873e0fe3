//! A deployment between its start and the answer of its plan: an execution of that name runs, and
//! nothing is recorded yet.

use glidepath_aws::operator::ExecutionState;
use glidepath_core::failure::FailureCode;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clock, PortError, PortResult, Ports, Registry};

use crate::ended::Ended;
use crate::next_command::Commands;
use crate::stopped::Stopped;

/// Time between two looks.
const INTERVAL: Span = Span::from_secs(1);

/// Looks for an answer; a plan takes some seconds, and minutes only where AWS is slow to answer.
const PATIENCE: u32 = 120;

/// What there is of a deployment.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It was planned, and has begun.
    Accepted(Box<Deployment>),
    /// Its plan was refused: nothing was written, and nothing will be.
    Refused(Ended),
    /// It is being planned.
    Planning,
    /// There is no execution of that name.
    Nothing,
}

/// Whether what is recorded under the name is another execution's, which had the name before: Step
/// Functions forgets a name long before the registry does.
pub(crate) fn is_earlier(recorded: &Deployment, state: Option<&ExecutionState>) -> bool {
    match state {
        // A deployment that has ended has no execution that runs, but for the last notice and as long as what
        // serves again is asked.
        Some(ExecutionState::Running) => {
            matches!(recorded.phase, Phase::Closed(_)) && recorded.validating.is_none()
        }
        Some(ExecutionState::Failed { name, .. }) => name == FailureCode::NameUsed.name(),
        Some(ExecutionState::Succeeded) | None => false,
    }
}

/// Starts that are no further apart are one: they are written by different clocks.
const SAME_START: Span = Span::from_secs(60);

/// Whether the execution that runs under the name of a deployment that has ended is a new one, and not
/// the deployment's own on its last steps.
pub(crate) fn is_planned_anew(ended: &Deployment, running_since: Option<Timestamp>) -> bool {
    let own = ended.execution_start.as_ref();
    // Of a record from before the start was kept nobody can tell.
    let own = own.and_then(|own| Timestamp::parse(own.as_str()));
    matches!((own, running_since), (Some(own), Some(new)) if new.since(own) > SAME_START)
}

/// One look, at the execution first: what it recorded before it ended is then in what is read next.
pub(crate) async fn look(
    ports: &impl Ports<Registry: Registry>,
    id: &DeploymentId,
    execution: &ExecutionArn,
    find: &mut impl AsyncFnMut() -> PortResult<Option<ExecutionState>>,
) -> PortResult<Answer> {
    let state = match find().await {
        Ok(state) => state,
        // Whoever may only read the registry is told what it says.
        Err(error) if error.is_denied() => None,
        Err(error) => return Err(error),
    };
    let deployment = ports.registry().deployment(id).await?;
    if let Some(deployment) = deployment
        .filter(|found| found.execution == *execution && !is_earlier(found, state.as_ref()))
    {
        return Ok(Answer::Accepted(Box::new(deployment)));
    }
    Ok(match state {
        None | Some(ExecutionState::Succeeded) => Answer::Nothing,
        Some(ExecutionState::Running) => Answer::Planning,
        Some(ExecutionState::Failed { name, cause }) => {
            Answer::Refused(Ended::Refused { name, cause })
        }
    })
}

/// The plan's answer, or [`Answer::Planning`] if none came in two minutes. For `lag` looks, one a second,
/// an execution that is not there is one that cannot be seen yet.
pub(crate) async fn answer(
    ports: &impl Ports<Registry: Registry, Ambient: Clock>,
    id: &DeploymentId,
    execution: &ExecutionArn,
    lag: u32,
    mut find: impl AsyncFnMut() -> PortResult<Option<ExecutionState>>,
) -> PortResult<Answer> {
    let mut looks = 0;
    loop {
        let found = look(ports, id, execution, &mut find).await;
        looks += 1;
        match found {
            Ok(Answer::Planning) if looks < PATIENCE => {}
            Ok(Answer::Nothing) if looks <= lag => {}
            Err(error) if error.may_pass() && looks < PATIENCE => {}
            Ok(_) | Err(PortError::Throttled { .. } | PortError::Unanswered { .. }) => {
                return found;
            }
            Err(PortError::Refused { .. }) => return found,
        }
        ports.ambient().sleep(INTERVAL).await;
    }
}

/// The deployment as soon as it is planned, for whoever wants to end it.
pub(crate) async fn to_roll_back(
    ports: &impl Ports<Registry: Registry, Ambient: Clock>,
    id: &DeploymentId,
    execution: &ExecutionArn,
    find: impl AsyncFnMut() -> PortResult<Option<ExecutionState>>,
    commands: &Commands,
) -> Result<Deployment, Stopped> {
    match answer(ports, id, execution, 0, find).await? {
        Answer::Accepted(deployment) => Ok(*deployment),
        Answer::Nothing => Err(Stopped::unknown(id, commands)),
        Answer::Refused(Ended::Refused { name, .. } | Ended::Failed { name, .. }) => {
            Err(Stopped::Unusable {
                message: format!("{id} never began ({name}): there is nothing to roll back"),
                hint: commands.to_look(id),
            })
        }
        Answer::Refused(Ended::Succeeded) => Err(Stopped::unknown(id, commands)),
        Answer::Planning => Err(Stopped::Unanswered {
            message: format!("{id} is still being planned; nothing has been written yet"),
            hint: format!(
                "`aws stepfunctions stop-execution --execution-arn {execution}` ends it before it \
                 begins"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use glidepath_engine::testing::{Bed, MemoryRegistry, World};

    use super::*;
    use crate::fixtures::{self, NOW};

    /// What the execution was at each look; at the look after the last one it is recorded.
    async fn answered(states: &[Option<ExecutionState>], recorded: bool) -> Answer {
        seen_after(0, states, recorded).await
    }

    async fn seen_after(lag: u32, states: &[Option<ExecutionState>], recorded: bool) -> Answer {
        let (registry, world) = (MemoryRegistry::default(), World::at(NOW));
        let deployment = fixtures::baking();
        let mut states: VecDeque<_> = states.iter().cloned().collect();
        let find = async || {
            let state = states.pop_front().unwrap();
            if states.is_empty() && recorded {
                registry.items().deployments.insert(deployment.id.clone(), deployment.clone());
            }
            Ok(state)
        };
        let (id, execution) = (&deployment.id, &deployment.execution);
        answer(&Bed::new(&registry, &world), id, execution, lag, find).await.unwrap()
    }

    #[tokio::test]
    async fn a_running_execution_without_a_record_is_being_planned() {
        let running = Some(ExecutionState::Running);
        let begun = answered(&[running.clone(), running.clone(), running.clone()], true).await;
        assert!(matches!(begun, Answer::Accepted(_)), "{begun:?}");

        let failed = ExecutionState::Failed { name: "DeploymentRunning".into(), cause: "x".into() };
        let refused = answered(&[running.clone(), Some(failed)], false).await;
        assert!(matches!(refused, Answer::Refused(Ended::Refused { .. })), "{refused:?}");

        assert!(matches!(answered(&[None], false).await, Answer::Nothing));
        // What was started a moment ago may not be seen yet.
        let late = seen_after(2, &[None, None, running.clone()], true).await;
        assert!(matches!(late, Answer::Accepted(_)), "{late:?}");
        assert!(matches!(seen_after(2, &[None, None, None], false).await, Answer::Nothing));
        let patience = vec![running; PATIENCE as usize];
        assert!(matches!(answered(&patience, false).await, Answer::Planning));
    }

    /// The ARN is the same.
    #[test]
    fn a_deployment_that_had_the_name_before_is_not_this_one() {
        use glidepath_core::record::{Outcome, Validating};
        let mut recorded = fixtures::baking();
        let failed =
            |name: &str| ExecutionState::Failed { name: name.to_owned(), cause: "x".into() };
        let running = ExecutionState::Running;
        assert!(!is_earlier(&recorded, Some(&running)));
        recorded.phase = Phase::Closed(Outcome::Succeeded);
        assert!(is_earlier(&recorded, Some(&running)));
        assert!(is_earlier(&recorded, Some(&failed("NameUsed"))));
        // Its own execution, which asks what serves.
        let (ended_at, until) = (recorded.next_due_at, recorded.next_due_at);
        let validating = Validating { ended_at, until, hooks: Vec::new() };
        let asked = Deployment { validating: Some(validating), ..recorded.clone() };
        assert!(!is_earlier(&asked, Some(&running)));
        assert!(!is_earlier(&recorded, Some(&failed("AlarmFired"))));
        assert!(!is_earlier(&recorded, Some(&ExecutionState::Succeeded)));
        assert!(!is_earlier(&recorded, None));
    }

    #[test]
    fn a_name_in_its_last_steps_is_not_being_planned_anew() {
        use glidepath_core::ids::ExecutionStart;
        let mut ended = fixtures::succeeded();
        let start = Timestamp::parse("2026-01-01T08:00:00.123Z").unwrap();
        assert!(!is_planned_anew(&ended, Some(start)), "nobody knows when it started");
        ended.execution_start = Some(ExecutionStart::new("2026-01-01T08:00:00.123Z"));
        assert!(!is_planned_anew(&ended, None));
        assert!(!is_planned_anew(&ended, Some(start)));
        assert!(is_planned_anew(&ended, Some(start + Span::from_secs(90 * 86_400))));
    }

    #[tokio::test]
    async fn what_is_being_planned_can_be_rolled_back_as_soon_as_it_has_begun() {
        let (registry, world) = (MemoryRegistry::default(), World::at(NOW));
        let deployment = fixtures::baking();
        let (id, execution) = (deployment.id.clone(), deployment.execution.clone());
        let (bed, commands) = (Bed::new(&registry, &world), Commands::default());
        let nobody = async || Ok(None);
        let unknown = to_roll_back(&bed, &id, &execution, nobody, &commands).await;
        assert!(unknown.unwrap_err().to_string().contains("there is no deployment"));

        let mut looks = 0;
        let find = async || {
            looks += 1;
            if looks == 3 {
                registry.items().deployments.insert(id.clone(), deployment.clone());
            }
            Ok(Some(ExecutionState::Running))
        };
        let begun = to_roll_back(&bed, &id, &execution, find, &commands).await;
        assert_eq!(begun.unwrap().id, id);
    }
}
