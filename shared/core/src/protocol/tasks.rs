//! The canary's tasks going forward: what its ECS service is asked for, and what ECS's answer means.

use crate::failure::{Failure, FailureCode};
use crate::health::{StoppedTask, TaskEnd, stopped_tasks_limit};
use crate::ids::EcsServiceName;
use crate::record::Deployment;
use crate::weight::Weight;
use crate::world::{Driver, EcsService, Rollout, ScaleTo};

/// ECS gives up on a service by itself only with a circuit breaker; this many tasks that failed to
/// start, with none running, are enough for us. It is the lowest threshold that ECS itself allows.
const FAILED_TASKS: u32 = 3;

/// Where the tasks of a stage are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// The service is not as it must be: it is asked for this.
    Ask(ScaleTo),
    /// They do not all run yet, in words.
    Starting(String),
    /// All run; whether they serve, the load balancer says.
    Running,
    /// ECS has given them up, in words; why the newest of them stopped says more.
    GivenUp(String),
    /// They cannot come any more, in words.
    Impossible(String),
}

impl Deployment {
    /// How many tasks the canary must have for a weight.
    pub fn canary_tasks(&self, weight: Weight) -> u32 {
        self.plan.capacity.tasks(self.needed(), weight)
    }

    /// How many healthy tasks a look must find where the canary's weight is now: what it was asked for at
    /// most, and no more than somebody who scales it has left it.
    pub fn watched_tasks(&self, canary: Option<&EcsService>) -> u32 {
        let Some(stage) = self.plan.stage(self.watched_stage()) else { return 1 };
        let asked = self.progress.demand.asked.unwrap_or(u32::MAX);
        let left = canary.map_or(u32::MAX, |canary| canary.desired_count);
        self.canary_tasks(stage.weight).min(asked).min(left).max(1)
    }

    /// How many tasks all of the traffic needs, as stable shows it now. What somebody adds to the canary does
    /// not count: it may be a minimum, or a person, and a stable that is whole would wait for tasks that
    /// nobody needs.
    pub fn demand(&self, stable: Option<&EcsService>) -> u32 {
        self.needed().max(stable.map_or(0, |stable| stable.desired_count))
    }

    /// What stable is asked for so that it can take everything back; `None` if ECS has been asked for
    /// enough, or deploys the service in a way of its own.
    pub fn reinforcement(&self, stable: &EcsService) -> Option<ScaleTo> {
        let needed = self.needed();
        (stable.driver == Driver::Rolling && stable.desired_count < needed).then_some(ScaleTo {
            desired_count: needed,
            task_definition: None,
            force_new_deployment: false,
        })
    }

    /// Where the tasks are that this weight needs, from their service as ECS has it now; `None`: there is
    /// none of its name any more.
    pub fn tasks(&self, weight: Weight, service: Option<&EcsService>) -> Tasks {
        let plan = &self.plan;
        let canary = &plan.canary.service;
        let Some(service) = service else {
            return Tasks::Impossible(format!(
                "the ECS service `{canary}` does not exist any more"
            ));
        };
        if service.driver != Driver::Rolling {
            // What it is asked for now would begin a deployment that shifts traffic itself.
            return Tasks::Impossible(format!(
                "somebody has made `{canary}` a service that is not deployed by rolling updates of \
                 ECS any more"
            ));
        }
        if let Some(reason) = service.gave_up_on(&plan.task_definition, self.started_at) {
            let back = service.task_definition.short();
            return Tasks::GivenUp(format!(
                "ECS gave up on `{canary}` and went back to {back}: {reason}"
            ));
        }
        let wanted = self.canary_tasks(weight);
        if let Some(to) = self.missing(service, wanted) {
            return Tasks::Ask(to);
        }
        let running = service.running_count.min(wanted);
        match &service.rollout {
            Rollout::Failed(reason) => {
                Tasks::GivenUp(format!("ECS gave up on `{canary}`: {reason}"))
            }
            Rollout::InProgress { failed_tasks }
                if *failed_tasks >= FAILED_TASKS && service.running_count == 0 =>
            {
                let event = service.events.first().map_or("", |event| event.message.as_str());
                Tasks::GivenUp(format!(
                    "{failed_tasks} tasks of `{canary}` failed to start: {event}"
                ))
            }
            Rollout::InProgress { .. } => {
                let waiting = if running < wanted { "" } else { ", ECS waits for healthy targets" };
                Tasks::Starting(format!("{running} of {wanted} tasks of `{canary}` run{waiting}"))
            }
            Rollout::Completed if running < wanted || service.deployments > 1 => {
                Tasks::Starting(format!("{running} of {wanted} tasks of `{canary}` run"))
            }
            Rollout::Completed => Tasks::Running,
        }
    }

    /// What the service must be asked for, if it is not what it must be.
    fn missing(&self, service: &EcsService, wanted: u32) -> Option<ScaleTo> {
        let version = &self.plan.task_definition;
        let other = service.task_definition != *version;
        // One that failed before this deployment began: what was wrong with it may have been
        // repaired, but it never starts another task. The one of this deployment is newer.
        let failed_before = matches!(service.rollout, Rollout::Failed(_))
            && service.deployed_at.is_some_and(|at| at < self.started_at);
        // What somebody who sees the load has added to this version is not taken away again.
        let kept = if other { wanted } else { wanted.max(service.desired_count) };
        (other || failed_before || service.desired_count < wanted).then(|| ScaleTo {
            desired_count: kept,
            // Named only where it changes: naming one needs `iam:PassRole`, and begins an ECS
            // deployment if somebody else has changed it meanwhile.
            task_definition: other.then(|| version.clone()),
            force_new_deployment: failed_before && !other,
        })
    }
}

/// The failure of tasks that come and go, if so many have stopped: ECS counts none that has run, and a
/// service would go on like that for as long as it may settle. `stopped` has the newest last.
pub fn crashes(
    canary: &EcsServiceName,
    stopped: &[StoppedTask],
    running: u32,
    wanted: u32,
) -> Option<Failure> {
    let ran = stopped.iter().filter(|task| task.end != TaskEnd::NeverRan).count();
    let none_starts = stopped.len() >= FAILED_TASKS as usize && running == 0;
    let newest = stopped.last().filter(|_| ran >= stopped_tasks_limit(wanted) || none_starts)?;
    let code = match newest.end {
        TaskEnd::NeverRan | TaskEnd::Exited => FailureCode::CanaryFailedToStart,
        TaskEnd::Unhealthy => FailureCode::CanaryNotHealthy,
    };
    let count = stopped.len();
    let newest = newest.in_words();
    Some(Failure::new(code, format!("{count} tasks of `{canary}` stopped by themselves; {newest}")))
}

impl StoppedTask {
    /// It as the newest of several.
    pub fn in_words(&self) -> String {
        format!("the newest, `{}`: {}", self.task, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::plan::StageIndex;
    use crate::record::Step;
    use crate::time::Timestamp;

    fn stopped(end: TaskEnd) -> StoppedTask {
        StoppedTask { task: "t".to_owned(), reason: "exit 1".to_owned(), at: NOW, end }
    }

    #[test]
    fn two_tasks_that_ran_or_three_that_never_did_are_enough() {
        let canary = EcsServiceName::new("shop-green");
        let code = |stopped: &[StoppedTask], running| {
            crashes(&canary, stopped, running, 3).map(|failure| failure.code)
        };
        let (ran, never) = (stopped(TaskEnd::Exited), stopped(TaskEnd::NeverRan));
        assert_eq!(code(&[], 0), None);
        assert_eq!(code(std::slice::from_ref(&ran), 0), None);
        assert_eq!(code(&[ran.clone(), ran.clone()], 1), Some(FailureCode::CanaryFailedToStart));
        assert_eq!(code(&[never.clone(), never.clone()], 0), None);
        let three = [never.clone(), never.clone(), never];
        assert_eq!(code(&three, 0), Some(FailureCode::CanaryFailedToStart));
        assert_eq!(code(&three, 1), None);
        let sick = [ran, stopped(TaskEnd::Unhealthy)];
        assert_eq!(code(&sick, 1), Some(FailureCode::CanaryNotHealthy));
    }

    #[test]
    fn a_look_expects_the_tasks_of_the_weight_that_is_there() {
        let mut deployment = deployment();
        let (first, last) = (StageIndex(0), StageIndex(deployment.plan.stages.len() - 1));
        let needed = deployment.needed();
        deployment.progress.stage = last;
        assert_eq!(deployment.watched_stage(), StageIndex(last.0 - 1));
        deployment.progress.step = Step::Baking { since: NOW, promoted: None };
        assert_eq!(deployment.watched_stage(), last);
        assert_eq!(deployment.watched_tasks(None), needed);
        let version = deployment.plan.task_definition.clone();
        let left = EcsService::rolled_out(version, needed - 1);
        assert_eq!(deployment.watched_tasks(Some(&left)), needed - 1);
        deployment.progress.demand.asked = Some(1);
        assert_eq!(deployment.watched_tasks(Some(&left)), 1);
        deployment.progress.demand.asked = Some(0);
        assert_eq!(deployment.watched_tasks(Some(&left)), 1, "one at least");
        deployment.progress.step = Step::Settling { since: NOW, approved: true };
        deployment.progress.stage = first;
        assert_eq!(deployment.watched_stage(), first);
    }

    #[test]
    fn a_service_is_asked_for_what_it_is_not() {
        let deployment = deployment();
        let version = deployment.plan.task_definition.clone();
        let weight = deployment.plan.stages[0].weight;
        let wanted = deployment.canary_tasks(weight);
        let service = EcsService {
            deployed_at: Some(deployment.started_at),
            ..EcsService::rolled_out(version.clone(), wanted)
        };
        let tasks = |service: &EcsService| deployment.tasks(weight, Some(service));
        assert_eq!(tasks(&service), Tasks::Running);
        assert!(matches!(deployment.tasks(weight, None), Tasks::Impossible(_)));
        let more = EcsService { desired_count: wanted + 1, ..service.clone() };
        assert_eq!(tasks(&more), Tasks::Running);
        let fewer = EcsService { desired_count: wanted - 1, ..service.clone() };
        let to = |task_definition, force_new_deployment| {
            Tasks::Ask(ScaleTo { desired_count: wanted, task_definition, force_new_deployment })
        };
        assert_eq!(tasks(&fewer), to(None, false));
        let other = crate::ids::TaskDefinition::new("arn:aws:ecs:r:1:task-definition/shop:1");
        let older = EcsService { task_definition: other, ..service.clone() };
        assert_eq!(tasks(&older), to(Some(version), false));
        // What failed before is begun anew, what fails now is given up.
        let failed = |deployed_at| EcsService {
            rollout: Rollout::Failed("tasks failed to start".to_owned()),
            deployed_at: Some(deployed_at),
            ..service.clone()
        };
        let before = Timestamp::from_millis(deployment.started_at.as_millis() - 60_000);
        assert_eq!(tasks(&failed(before)), to(None, true));
        assert!(matches!(tasks(&failed(deployment.started_at)), Tasks::GivenUp(_)));
    }
}
