//! The canary's tasks: what ECS is asked for, and what is said where they do not come.

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::health::{StoppedTask, TaskEnd};
use glidepath_core::plan::Slot;
use glidepath_core::protocol::NextStep;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use glidepath_engine::ports::{Clock, Driver, EcsService, Rollout, ScaleTo, ServiceEvent};
use glidepath_engine::testing::example::{self, DEPLOYED, begun, plan, stage, version, world};
use glidepath_engine::testing::{Bed, Call, GivingUp, Machine, MemoryRegistry, World};

const MINUTE: Span = Span::from_secs(60);

/// The time after which an end is no early one.
const EARLY: Span = MINUTE;

fn green(world: &World, change: impl FnOnce(&mut EcsService)) {
    let mut state = world.state();
    change(state.services.get_mut(&example::service(Slot::Green)).unwrap());
}

fn scaled(world: &World) -> Vec<ScaleTo> {
    let calls = world.take_calls();
    let scaled = calls.into_iter().filter_map(|call| match call {
        Call::Scale(service, to) if service == example::service(Slot::Green) => Some(to),
        _ => None,
    });
    scaled.collect()
}

/// A deployment in this world, up to the first pause; with the time that it took.
async fn deployed(world: &World) -> (Result<(), Failure>, Span) {
    let registry = MemoryRegistry::default();
    let stages = vec![stage(100, MINUTE), stage(1000, MINUTE)];
    let deployment = begun(&registry, plan(stages), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, world), &deployment.id);
    let mut before_rollback = None;
    loop {
        let next = machine.reply.next;
        if next == NextStep::Rollback && before_rollback.is_none() {
            before_rollback = Some(world.now().since(deployment.started_at));
        }
        match next {
            NextStep::Succeeded => return (Ok(()), Span::ZERO),
            NextStep::Failed => {
                assert_eq!(world.state().routes[&example::route()], example::actions(Weight::NONE));
                let failure = machine.reply.failure.clone().unwrap();
                return (Err(failure), before_rollback.unwrap());
            }
            NextStep::Advance
            | NextStep::Gate
            | NextStep::Validate
            | NextStep::Complete
            | NextStep::Rollback => machine.step(None).await,
        }
    }
}

async fn fails_early(world: &World, code: FailureCode) -> String {
    let (ended, after) = deployed(world).await;
    let failure = ended.unwrap_err();
    assert_eq!(failure.code, code, "{failure}");
    assert!(after < EARLY, "{failure} after {after}");
    failure.cause
}

fn stopped(world: &World, name: &str, end: TaskEnd) {
    let reason = "Essential container in task exited: `app` exited with 1".to_owned();
    let task = StoppedTask { task: name.to_owned(), reason, at: world.now(), end };
    world.state().stopped_tasks.push(task);
}

#[tokio::test]
async fn the_version_is_named_once_and_never_between_stages() {
    let world = world();
    deployed(&world).await.0.unwrap();
    let asked = scaled(&world);
    let of = |desired_count, task_definition| ScaleTo {
        desired_count,
        task_definition,
        force_new_deployment: false,
    };
    assert_eq!(asked, [of(1, Some(version(2))), of(3, None)]);
}

#[tokio::test]
async fn a_circuit_breaker_that_goes_back_is_seen_at_once_with_its_reason() {
    for giving_up in [GivingUp::GoesBack, GivingUp::GoesBackSilently] {
        let world = world();
        world.state().given_up.insert(version(2), giving_up);
        stopped(&world, "t1", TaskEnd::NeverRan);
        let cause = fails_early(&world, FailureCode::CanaryFailedToStart).await;
        let start = "ECS gave up on `shop-green` and went back to shop:1: ";
        assert!(cause.starts_with(start), "{cause}");
        let end = "tasks failed to start.; the newest, `t1`: Essential container in task exited: \
                   `app` exited with 1";
        assert!(cause.ends_with(end), "{cause}");
        let named = scaled(&world).iter().filter(|to| to.task_definition.is_some()).count();
        assert_eq!(named, 1, "it was asked again");
    }
}

#[tokio::test]
async fn an_older_failure_of_the_service_is_not_held_against_the_deployment() {
    let world = world();
    green(&world, |green| {
        let message = "(service shop-green) (deployment ecs-svc/1) deployment failed: tasks failed \
                       to start.";
        green.events.push(ServiceEvent { at: DEPLOYED, message: message.to_owned() });
    });
    deployed(&world).await.0.unwrap();
}

#[tokio::test]
async fn a_circuit_breaker_that_stays_is_seen_at_once_with_its_reason() {
    let world = world();
    world.state().given_up.insert(version(2), GivingUp::Stays);
    let cause = fails_early(&world, FailureCode::CanaryFailedToStart).await;
    let reason = "ECS deployment circuit breaker: tasks failed to start.";
    assert_eq!(cause, format!("ECS gave up on `shop-green`: {reason}"));
}

#[tokio::test]
async fn a_circuit_breaker_that_stays_for_want_of_places_says_so() {
    let world = world();
    world.state().given_up.insert(version(2), GivingUp::Stays);
    let message =
        "(service shop-green) was unable to place a task. Reason: Capacity is unavailable.";
    let at = world.now();
    green(&world, |green| green.events.push(ServiceEvent { at, message: message.to_owned() }));
    let cause = fails_early(&world, FailureCode::CanaryFailedToStart).await;
    assert!(cause.ends_with(&format!("tasks failed to start.; {message}")), "{cause}");
}

#[tokio::test]
async fn a_version_that_has_failed_before_is_deployed_anew() {
    for tasks in [0, 1] {
        let world = world();
        green(&world, |green| {
            green.task_definition = version(2);
            green.rollout = Rollout::Failed("tasks failed to start".to_owned());
            green.desired_count = tasks;
        });
        deployed(&world).await.0.unwrap();
        let asked = scaled(&world);
        let of = |desired_count, force_new_deployment| ScaleTo {
            desired_count,
            task_definition: None,
            force_new_deployment,
        };
        assert_eq!(asked, [of(1, true), of(3, false)]);
    }
}

#[tokio::test]
async fn a_version_that_fails_anew_is_not_forced_again() {
    let world = world();
    world.state().given_up.insert(version(2), GivingUp::Stays);
    green(&world, |green| {
        green.task_definition = version(2);
        green.rollout = Rollout::Failed("tasks failed to start".to_owned());
    });
    fails_early(&world, FailureCode::CanaryFailedToStart).await;
    let forced = scaled(&world).iter().filter(|to| to.force_new_deployment).count();
    assert_eq!(forced, 1);
}

#[tokio::test]
async fn a_crash_loop_is_seen_by_the_tasks_that_stopped() {
    let world = world();
    world.state().broken.insert(version(2));
    stopped(&world, "t1", TaskEnd::Exited);
    stopped(&world, "t2", TaskEnd::Exited);
    let cause = fails_early(&world, FailureCode::CanaryFailedToStart).await;
    assert_eq!(
        cause,
        "2 tasks of `shop-green` stopped by themselves; the newest, `t2`: Essential container in \
         task exited: `app` exited with 1"
    );
}

#[tokio::test]
async fn tasks_that_ecs_replaces_as_unhealthy_are_not_waited_for() {
    let world = world();
    world.state().broken.insert(version(2));
    stopped(&world, "t1", TaskEnd::Unhealthy);
    stopped(&world, "t2", TaskEnd::Unhealthy);
    fails_early(&world, FailureCode::CanaryNotHealthy).await;
}

#[tokio::test]
async fn one_stopped_task_is_no_crash_loop() {
    let world = world();
    world.state().broken.insert(version(2));
    stopped(&world, "t1", TaskEnd::Exited);
    let (ended, after) = deployed(&world).await;
    assert_eq!(ended.unwrap_err().code, FailureCode::CanaryNotHealthy);
    assert!(after > MINUTE.times(14));
}

/// How a deployment fails whose service is made to be so once ECS was asked for its tasks.
async fn waits_for(sick: bool, change: impl FnOnce(Timestamp, &mut EcsService)) -> Failure {
    let (registry, world) = (MemoryRegistry::default(), world());
    if sick {
        world.state().sick.insert(example::group(Slot::Green));
    }
    let deployment = begun(&registry, plan(vec![stage(1000, MINUTE)]), "d1", world.now()).await;
    let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
    machine.step(None).await;
    let now = world.now();
    green(&world, |green| change(now, green));
    let failure = machine.run().await.unwrap_err();
    assert_eq!(failure.code, FailureCode::CanaryNotHealthy);
    failure
}

#[tokio::test]
async fn a_task_that_finds_no_place_is_named_in_the_cause() {
    let message = "(service shop-green) was unable to place a task because no container instance \
                   met all of its requirements.";
    let failure = waits_for(false, |at, green| {
        green.running_count = 0;
        green.rollout = Rollout::InProgress { failed_tasks: 0 };
        let newest = "(service shop-green) has begun draining connections on 1 tasks.";
        green.events = [newest, message]
            .map(|message| ServiceEvent { at, message: message.to_owned() })
            .into();
    })
    .await;
    let cause = format!("0 of 3 tasks of `shop-green` run: {message}");
    assert!(failure.cause.contains(&cause), "{failure}");
}

#[tokio::test]
async fn ecs_waiting_for_targets_is_explained_by_the_load_balancer() {
    let failure = waits_for(true, |_, green| {
        green.rollout = Rollout::InProgress { failed_tasks: 0 };
    })
    .await;
    let cause = "3 of 3 tasks of `shop-green` run, ECS waits for healthy targets; 0 of 3 targets of \
                 `green` are healthy: Target.Timeout: Request timed out (health check of `/health`)";
    assert!(failure.cause.ends_with(cause), "{failure}");
}

#[tokio::test]
async fn a_service_that_becomes_another_kind_is_asked_for_nothing() {
    let world = world();
    green(&world, |green| green.driver = Driver::Shifting("CANARY".to_owned()));
    let cause = fails_early(&world, FailureCode::CanaryFailedToStart).await;
    assert!(cause.contains("not deployed by rolling updates"), "{cause}");
    assert!(scaled(&world).is_empty());
}
