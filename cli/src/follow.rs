//! Follows a deployment to its end and tells what happens on the way.

use std::pin::pin;

use glidepath_aws::operator::ExecutionState;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::record::{Deployment, Outcome, Phase, Revision};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{
    Clock, Containers, LoadBalancer, PortError, PortResult, Ports, Registry,
};

use crate::ended::{Ended, Followed};
use crate::live::{Live, live};
use crate::next_command::Commands;
use crate::planning::is_earlier;
use crate::render::{failure, waits_for_a_person, words};
use crate::stopped::Stopped;
use crate::telling::{SILENCE, Seen, Telling};

/// Time between two looks.
const INTERVAL: Span = Span::from_secs(2);

/// How many looks in a row may stay without an answer: five minutes of a bad line end nothing.
const PATIENCE: u32 = 150;

/// Weights, tasks and targets are read again after this time, whatever the record says.
const AWS_AGAIN: Span = Span::from_secs(30);

/// What is followed, and through what.
#[derive(Debug)]
pub(crate) struct Follow<'a, P> {
    pub(crate) ports: &'a P,
    pub(crate) id: &'a DeploymentId,
    /// For hints.
    pub(crate) commands: &'a Commands,
    /// How many entries of the timeline were shown before.
    pub(crate) shown: u32,
    pub(crate) until: Until,
}

/// Until what else than its end something is followed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Until {
    /// It waits for a person: an approval, or a decision about what it lacks.
    pub(crate) person: bool,
    /// So much time has passed.
    pub(crate) timeout: Option<Span>,
}

/// What one look found.
enum Look {
    On,
    /// It goes on although its execution has ended.
    Orphaned(String),
    Ended(Ended),
}

/// Follows until the deployment has ended. `look` asks for the execution: a request that is refused
/// never becomes a deployment.
pub(crate) async fn follow<
    P: Ports<Registry: Registry, LoadBalancer: LoadBalancer, Containers: Containers, Ambient: Clock>,
>(
    follow: Follow<'_, P>,
    execution: &ExecutionArn,
    mut look: impl AsyncFnMut() -> PortResult<ExecutionState>,
    telling: &mut dyn Telling,
) -> Result<Followed, Stopped> {
    let Follow { ports, id, commands, shown, until } = follow;
    let clock = ports.ambient();
    let (mut told, mut unanswered, mut orphaned) = (shown, 0, false);
    let begun = clock.now();
    let is_over = || until.timeout.is_some_and(|timeout| clock.now().since(begun) >= timeout);
    let mut answered_at = begun;
    let (mut now, wants_live) = (Now::default(), telling.wants_live());
    loop {
        let found = {
            let mut looking = pin!(async {
                // The execution first: what it wrote before it ended is then in what is read next.
                let state = look().await?;
                let deployment = ports.registry().deployment(id).await?;
                // An earlier deployment of this name is not this one.
                let deployment = deployment.filter(|deployment| {
                    deployment.execution == *execution && !is_earlier(deployment, Some(&state))
                });
                let mut new = Vec::new();
                if let Some(deployment) = &deployment {
                    if deployment.notices > told {
                        new = ports.registry().notices(id).await?;
                    }
                    if wants_live {
                        now.refresh(ports, deployment).await?;
                    }
                }
                let new = new.into_iter().map(|entry| entry.notice);
                let new: Vec<_> = new.filter(|notice| notice.sequence > told).collect();
                Ok::<_, PortError>((state, deployment, new))
            });
            loop {
                tokio::select! {
                    biased;
                    found = &mut looking => break found,
                    // Somebody who waits for an answer sees that nothing stands still but AWS.
                    () = clock.sleep(INTERVAL) => {
                        let silence = clock.now().since(answered_at);
                        if silence >= SILENCE {
                            telling.silent(silence, None)?;
                        }
                        if is_over() {
                            return Ok(Followed::StillOn);
                        }
                    }
                }
            }
        };
        match found {
            Ok((state, deployment, new)) => {
                unanswered = 0;
                answered_at = clock.now();
                told = new.iter().map(|notice| notice.sequence).fold(told, u32::max);
                let deployment = deployment.as_ref();
                let live = &now.live;
                telling.seen(&Seen { deployment, new: &new, live, now: answered_at })?;
                let waits = deployment.filter(|found| waits_for_a_person(found, answered_at));
                if let Some(deployment) = waits.filter(|_| until.person) {
                    return Ok(Followed::Waits(words(deployment, answered_at)));
                }
                match seen(state, deployment) {
                    Look::On => {}
                    Look::Ended(ended) => {
                        if deployment.is_none() {
                            telling.refused(&ended)?;
                        }
                        return Ok(Followed::Ended(ended));
                    }
                    Look::Orphaned(name) if !orphaned => {
                        orphaned = true;
                        telling.orphaned(&format!(
                            "its execution has ended ({name}); the sweep brings it to its end"
                        ))?;
                    }
                    Look::Orphaned(_) => {}
                }
            }
            Err(error) if error.may_pass() && unanswered < PATIENCE => {
                unanswered += 1;
                let silence = clock.now().since(answered_at);
                if silence >= SILENCE {
                    telling.silent(silence, Some(&error.to_string()))?;
                }
            }
            Err(error) => {
                return Err(Stopped::Unanswered {
                    message: format!("{error}; {id} goes on without you"),
                    hint: commands.to_look(id),
                });
            }
        }
        if is_over() {
            return Ok(Followed::StillOn);
        }
        clock.sleep(INTERVAL).await;
    }
}

/// What was read of requests, weights and tasks, for which record, and when.
#[derive(Debug, Default)]
struct Now {
    live: Live,
    read: Option<(Revision, Timestamp)>,
}

impl Now {
    /// Reads it anew where the record has changed, and otherwise now and then: the load balancer's calls are
    /// those that rollbacks of the account need.
    async fn refresh(
        &mut self,
        ports: &impl Ports<
            Registry: Registry,
            LoadBalancer: LoadBalancer,
            Containers: Containers,
            Ambient: Clock,
        >,
        deployment: &Deployment,
    ) -> PortResult<()> {
        let now = ports.ambient().now();
        let fresh = self.read.is_some_and(|(revision, at)| {
            revision == deployment.revision && now.since(at) < AWS_AGAIN
        });
        if !fresh {
            self.live = live(ports, deployment).await?;
            self.read = Some((deployment.revision, now));
        }
        Ok(())
    }
}

fn seen(state: ExecutionState, deployment: Option<&Deployment>) -> Look {
    let Some(deployment) = deployment else {
        return match state {
            ExecutionState::Running => Look::On,
            ExecutionState::Succeeded => Look::Ended(Ended::Succeeded),
            ExecutionState::Failed { name, cause } => Look::Ended(Ended::Refused { name, cause }),
        };
    };
    match (deployment.phase, state) {
        // Its execution goes on until what serves again has been asked.
        (Phase::Closed(_), ExecutionState::Running) if deployment.validating.is_some() => Look::On,
        (Phase::Closed(Outcome::Succeeded), _) => Look::Ended(Ended::Succeeded),
        (Phase::Closed(Outcome::RolledBack | Outcome::Abandoned), state) => {
            Look::Ended(why(deployment, state))
        }
        // It may stay so for long, and what ends it is not the execution: somebody must act.
        (Phase::Held, state @ ExecutionState::Failed { .. }) => Look::Ended(why(deployment, state)),
        (
            Phase::Open | Phase::RollingBack | Phase::Committed,
            ExecutionState::Failed { name, .. },
        ) => Look::Orphaned(name),
        (
            Phase::Open | Phase::RollingBack | Phase::Held | Phase::Committed,
            ExecutionState::Running | ExecutionState::Succeeded,
        ) => Look::On,
    }
}

/// How a deployment that is closed has ended.
pub(crate) fn closed(deployment: &Deployment) -> Ended {
    match deployment.phase {
        Phase::Committed | Phase::Closed(Outcome::Succeeded) => Ended::Succeeded,
        Phase::Open
        | Phase::RollingBack
        | Phase::Held
        | Phase::Closed(Outcome::RolledBack | Outcome::Abandoned) => {
            why(deployment, ExecutionState::Running)
        }
    }
}

/// The reason that the registry holds; it is the first one.
fn why(deployment: &Deployment, state: ExecutionState) -> Ended {
    match (failure(deployment, &[]), state) {
        (Some(failure), _) => {
            Ended::Failed { name: failure.code.name().to_owned(), cause: failure.cause.clone() }
        }
        (None, ExecutionState::Failed { name, cause }) => Ended::Failed { name, cause },
        (None, ExecutionState::Running | ExecutionState::Succeeded) => Ended::Failed {
            name: deployment.phase.name().to_owned(),
            cause: "the timeline says why".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::health::AlarmSignal;
    use glidepath_core::plan::{Approval, OnTimeout, Plan};
    use glidepath_core::protocol::NextStep;
    use glidepath_engine::testing::example::{self, begun, plan, stage};
    use glidepath_engine::testing::{Bed, Machine, MemoryRegistry, World};

    use super::*;
    use crate::fixtures::minutes;
    use crate::form::Lines;

    /// From its beginning to its end.
    fn whole<'a>(
        bed: &'a Bed<'a>,
        id: &'a DeploymentId,
        commands: &'a Commands,
    ) -> Follow<'a, Bed<'a>> {
        Follow { ports: bed, id, commands, shown: 0, until: Until::default() }
    }

    /// Follows the example deployment, whose execution makes a step at every look.
    async fn follow_example(
        registry: &MemoryRegistry,
        world: &World,
        at_look: impl FnMut(u32, &Machine<'_>),
    ) -> (Result<Followed, Stopped>, String) {
        let plan = plan(vec![stage(100, minutes(1)), stage(1000, minutes(1))]);
        follow_plan(registry, world, plan, Until::default(), at_look).await
    }

    async fn follow_plan(
        registry: &MemoryRegistry,
        world: &World,
        plan: Plan,
        until: Until,
        mut at_look: impl FnMut(u32, &Machine<'_>),
    ) -> (Result<Followed, Stopped>, String) {
        let deployment = begun(registry, plan, "shop-2", world.now()).await;
        let mut machine = Machine::after_plan(Bed::new(registry, world), &deployment.id);
        let (mut output, mut looks) = (Vec::new(), 0);
        let commands = Commands::default();
        let following = Follow {
            ports: &Bed::new(registry, world),
            id: &deployment.id,
            commands: &commands,
            shown: 0,
            until,
        };
        let look = async || {
            at_look(looks, &machine);
            looks += 1;
            match machine.reply.next {
                NextStep::Succeeded => return Ok(ExecutionState::Succeeded),
                NextStep::Failed => {
                    let failure = machine.reply.failure.clone().unwrap();
                    let name = failure.code.name().to_owned();
                    return Ok(ExecutionState::Failed { name, cause: failure.cause });
                }
                NextStep::Advance
                | NextStep::Gate
                | NextStep::Validate
                | NextStep::Complete
                | NextStep::Rollback => {}
            }
            machine.step(None).await;
            Ok(ExecutionState::Running)
        };
        let mut lines = Lines::new(&commands, &mut output, Vec::new());
        let ended = follow(following, &deployment.execution, look, &mut lines).await;
        let text = anstream::adapter::strip_str(&String::from_utf8(output).unwrap()).to_string();
        (ended, text)
    }

    #[tokio::test]
    async fn a_good_version_is_followed_to_its_success() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let (ended, text) = follow_example(&registry, &world, |_, _| {}).await;
        assert_eq!(ended.unwrap(), Followed::Ended(Ended::Succeeded));
        let told: Vec<_> = text.lines().map(|line| line.split_once("  ").unwrap().1).collect();
        assert_eq!(
            told,
            [
                "deployment of shop:2 has begun",
                "10 % of the requests go to shop:2",
                "100 % of the requests go to shop:2",
                "shop:2 is the stable version now",
            ]
        );
    }

    #[tokio::test]
    async fn a_bad_version_ends_with_name_and_cause() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let fire = |look, machine: &Machine<'_>| {
            if look == 4 {
                machine.bed.world.state().signal("green-errors", AlarmSignal::Alarm);
            }
        };
        let (ended, text) = follow_example(&registry, &world, fire).await;
        let stopped =
            ended.unwrap().outcome(&DeploymentId::new("shop-2"), &Commands::default()).unwrap_err();
        assert!(matches!(stopped, Stopped::Failed { .. }));
        assert!(stopped.to_string().starts_with("shop-2 failed: AlarmFired: "), "{stopped}");
        assert!(text.contains("all traffic is back on shop:1"), "{text}");
    }

    #[tokio::test]
    async fn whoever_waits_for_a_person_hears_of_the_question_and_not_of_a_bake() {
        let mut plan = plan(vec![stage(100, minutes(1)), stage(1000, minutes(1))]);
        plan.stages[1].approval = Some(Approval::anybody(minutes(240), OnTimeout::Rollback));
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let until = Until { person: true, timeout: None };
        let (ended, text) = follow_plan(&registry, &world, plan, until, |_, _| {}).await;
        let ended = ended.unwrap();
        assert_eq!(ended, Followed::Waits("waits for approval of stage 2 (100 %)".to_owned()));
        assert!(text.contains("10 % of the requests go to shop:2"), "{text}");
        let stopped = ended.outcome(&DeploymentId::new("shop-2"), &Commands::default());
        let stopped = stopped.unwrap_err().to_string();
        assert_eq!(stopped, "shop-2 waits for approval of stage 2 (100 %)");
    }

    #[tokio::test]
    async fn whoever_has_no_time_leaves_it_to_itself() {
        let plan = plan(vec![stage(100, minutes(60)), stage(1000, minutes(1))]);
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let until = Until { person: true, timeout: Some(minutes(5)) };
        let begun = world.now();
        let (ended, _) = follow_plan(&registry, &world, plan, until, |_, _| {}).await;
        assert_eq!(ended.unwrap(), Followed::StillOn);
        assert!(world.now().since(begun) >= minutes(5));
    }

    #[tokio::test]
    async fn a_request_that_is_refused_never_becomes_a_deployment() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let (id, commands) = (DeploymentId::new("shop-2"), Commands::default());
        let bed = Bed::new(&registry, &world);
        let following = whole(&bed, &id, &commands);
        let refused = ExecutionState::Failed {
            name: "InvalidRequest".to_owned(),
            cause: "no such rule".to_owned(),
        };
        let mut looks = [ExecutionState::Running, refused].into_iter();
        let look = async || Ok(looks.next().unwrap());
        let mut lines = Lines::new(&commands, Vec::new(), Vec::new());
        let ended = follow(following, &ExecutionArn::new("arn:e"), look, &mut lines).await;
        let expected =
            Ended::Refused { name: "InvalidRequest".to_owned(), cause: "no such rule".to_owned() };
        let Ok(Followed::Ended(ended)) = ended else { panic!("{ended:?}") };
        assert_eq!(ended, expected);
        assert!(matches!(ended.outcome(&id, &commands), Err(Stopped::Unusable { .. })));
    }

    #[tokio::test]
    async fn lost_answers_are_waited_out_and_a_refusal_is_not() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let (id, commands) = (DeploymentId::new("shop-2"), Commands::default());
        let (execution, bed) = (ExecutionArn::new("arn:e"), Bed::new(&registry, &world));
        for (errors, waited_out) in [(PATIENCE, true), (PATIENCE + 1, false)] {
            let following = whole(&bed, &id, &commands);
            let mut left = errors;
            let look = async || {
                if left == 0 {
                    return Ok(ExecutionState::Succeeded);
                }
                left -= 1;
                Err(PortError::Throttled { operation: "states:DescribeExecution" })
            };
            let mut aside = Vec::new();
            let mut lines = Lines::new(&commands, Vec::new(), &mut aside);
            let ended = follow(following, &execution, look, &mut lines).await;
            assert_eq!(ended.is_ok(), waited_out, "{errors}");
            let aside = String::from_utf8(aside).unwrap();
            let expected = "no answer from AWS for 20s, trying on (";
            assert!(aside.starts_with(expected), "{aside}");
            assert_eq!(aside.lines().count(), 1, "{aside}");
        }
        let following = whole(&bed, &id, &commands);
        let operation = "states:DescribeExecution";
        let look = async || Err(PortError::Refused { operation, detail: "expired".to_owned() });
        let mut lines = Lines::new(&commands, Vec::new(), Vec::new());
        let ended = follow(following, &execution, look, &mut lines).await.unwrap_err();
        assert!(ended.to_string().contains("shop-2 goes on without you"), "{ended}");
    }

    /// Whom it may say what it has seen, and when.
    #[derive(Default)]
    struct Noted {
        silences: Vec<u64>,
    }

    impl Telling for Noted {
        fn wants_live(&self) -> bool {
            true
        }

        fn seen(&mut self, _seen: &Seen<'_>) -> std::io::Result<()> {
            Ok(())
        }

        fn silent(&mut self, silence: Span, _why: Option<&str>) -> std::io::Result<()> {
            self.silences.push(silence.as_millis() / 1000);
            Ok(())
        }

        fn orphaned(&mut self, _words: &str) -> std::io::Result<()> {
            Ok(())
        }

        fn refused(&mut self, _ended: &Ended) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_said_while_it_is_waited_for() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let (id, commands) = (DeploymentId::new("shop-2"), Commands::default());
        let bed = Bed::new(&registry, &world);
        let asked_at = world.now();
        let look = async || {
            while world.now().since(asked_at) < Span::from_secs(26) {
                tokio::task::yield_now().await;
            }
            Ok(ExecutionState::Succeeded)
        };
        let mut noted = Noted::default();
        let following = whole(&bed, &id, &commands);
        let ended = follow(following, &ExecutionArn::new("arn:e"), look, &mut noted).await;
        assert_eq!(ended.unwrap(), Followed::Ended(Ended::Succeeded));
        assert_eq!(noted.silences, [20, 22, 24, 26]);
    }

    #[tokio::test]
    async fn who_waits_only_so_long_does_not_wait_for_an_answer_that_never_comes() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let (id, commands) = (DeploymentId::new("shop-2"), Commands::default());
        let bed = Bed::new(&registry, &world);
        let begun = world.now();
        let until = Until { person: false, timeout: Some(Span::from_secs(30)) };
        let following = Follow { until, ..whole(&bed, &id, &commands) };
        let look = async || std::future::pending().await;
        let ended =
            follow(following, &ExecutionArn::new("arn:e"), look, &mut Noted::default()).await;
        assert_eq!(ended.unwrap(), Followed::StillOn);
        assert_eq!(world.now().since(begun), Span::from_secs(30));
    }

    /// The load balancer's calls are those that rollbacks need.
    #[tokio::test]
    async fn what_aws_says_is_asked_again_where_the_record_has_changed_and_else_now_and_then() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let bed = Bed::new(&registry, &world);
        let deployment =
            begun(&registry, plan(vec![stage(1000, minutes(1))]), "shop-2", world.now()).await;
        let mut now = Now::default();
        let mut read_at = Vec::new();
        let from = world.now();
        for look in 0..40 {
            let mut deployment = deployment.clone();
            if look >= 25 {
                deployment.revision = Revision(deployment.revision.0 + 1);
            }
            let before = now.read;
            now.refresh(&bed, &deployment).await.unwrap();
            if now.read != before {
                read_at.push(world.now().since(from).as_millis() / 1000);
            }
            world.pass(INTERVAL);
        }
        assert_eq!(read_at, [0, 30, 50]);
        assert_eq!(now.live.slots.len(), 2);
    }

    #[tokio::test]
    async fn a_stopped_execution_does_not_end_the_watch() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let deployment =
            begun(&registry, plan(vec![stage(1000, minutes(1))]), "shop-2", world.now());
        let deployment = deployment.await;
        let commands = Commands::default();
        let following = Follow {
            ports: &Bed::new(&registry, &world),
            id: &deployment.id,
            commands: &commands,
            shown: 0,
            until: Until::default(),
        };
        let mut looks = 0;
        let look = async || {
            looks += 1;
            if looks == 3 {
                // What the sweep leads to.
                let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
                machine.reply.next = NextStep::Rollback;
                let _ended = machine.run().await;
            }
            Ok(ExecutionState::Failed { name: "ABORTED".to_owned(), cause: String::new() })
        };
        let mut output = Vec::new();
        let mut lines = Lines::new(&commands, &mut output, Vec::new());
        let ended = follow(following, &deployment.execution, look, &mut lines).await.unwrap();
        assert!(matches!(ended, Followed::Ended(Ended::Failed { .. })));
        let text = String::from_utf8(output).unwrap();
        assert_eq!(text.matches("its execution has ended (ABORTED)").count(), 1, "{text}");
    }
}
