//! A person's word about a stage that waits for one.

use std::io::Write;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::people::people;
use glidepath_core::plan::StageIndex;
use glidepath_core::record::{Deployment, Phase, Step};
use glidepath_core::request::can_be_said;
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use glidepath_engine::decide::{Answer, Posted, Word};
use glidepath_engine::ports::{Clock, PortError, Ports, Registry};
use serde_json::json;

use crate::connection::Options;
use crate::names::Named;
use crate::next_command::Commands;
use crate::render::words;
use crate::stopped::Stopped;
use crate::told::{Done, Told, finished};

/// What somebody decides about, and why.
#[derive(clap::Args)]
pub(crate) struct About {
    /// Name of the deployment, or the ARN of its execution
    pub(crate) deployment: Named,
    /// Why, for whoever reads the timeline
    #[arg(long, value_parser = reason)]
    pub(crate) reason: Option<String>,
    /// Print JSON, one object: the deployment and what was done, or `error`
    #[arg(long)]
    pub(crate) json: bool,
}

/// A stage as people count, from 1.
pub(crate) fn stage(text: &str) -> Result<StageIndex, String> {
    let number = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    number.map(StageIndex).ok_or_else(|| "stages are counted from 1".to_owned())
}

/// Why somebody decides as they do, in their words.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    can_be_said(text).map(|()| text.trim().to_owned())
}

/// Says it as whoever the credentials belong to.
pub(crate) async fn answer(
    about: &About,
    stage: Option<StageIndex>,
    word: Word,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    finished(about.json, asked(&about.deployment, stage, word, options).await, output)
}

async fn asked(
    deployment: &Named,
    stage: Option<StageIndex>,
    word: Word,
    options: &Options,
) -> Result<Told, Stopped> {
    let connection = options.connect().await?;
    if matches!(word, Word::Promote { .. } | Word::Pause { .. } | Word::Resume { .. }) {
        // Functions that do not know what was said would drop it.
        let versions = connection.versions();
        if versions.has_errors() {
            return Err(Stopped::Unusable {
                message: format!("nothing was recorded: {versions}"),
                hint: "`glidepath rollback` works with any version".to_owned(),
            });
        }
    }
    let deployment = deployment.exactly(|id| connection.operator.execution(id))?;
    // The function knows whose it is.
    let answer = Answer { deployment, stage, by: String::new(), groups: Vec::new(), word };
    let commands = options.commands();
    let say = async || match connection.operator.decide(&Posted::from(&answer)).await {
        Ok(said) => said.map(|decided| decided.under_way).map_err(Unsaid::Failed),
        Err(error) => Err(Unsaid::Unheard(error)),
    };
    let who = async || connection.operator.identity().await.ok();
    decide(&connection.ports, &answer, say, who, &commands).await
}

/// Why an answer was not taken.
enum Unsaid {
    /// The stack says why.
    Failed(Failure),
    /// Nobody knows whether the stack has heard it.
    Unheard(PortError),
}

/// Answers, and says in words what comes of it. `say` answers with the weight that may come although it was just
/// paused; `who` says whose answer to look for, where nobody knows whether it
/// was heard.
async fn decide<P>(
    ports: &P,
    answer: &Answer,
    say: impl AsyncFnOnce() -> Result<Option<Weight>, Unsaid>,
    who: impl AsyncFnOnce() -> Option<String>,
    commands: &Commands,
) -> Result<Told, Stopped>
where
    P: Ports<Registry: Registry, Ambient: Clock>,
{
    let now = || ports.ambient().now();
    let failure = match say().await {
        Ok(under_way) => {
            // It counts, whether it can be shown or not.
            let shown = ports.registry().deployment(&answer.deployment).await.ok().flatten();
            let told = shown.map(|deployment| answered(&deployment, answer, commands, now()));
            let told = told.unwrap_or_else(|| {
                let id = &answer.deployment;
                let text = format!("it is recorded\n  look        {}", commands.to_look(id));
                Told::unseen(done(&answer.word), id, text)
            });
            let told = told.with("seen", json!(true));
            return Ok(match under_way {
                Some(weight) => told
                    .in_words(|text| {
                        format!(
                            "{text}\n  under way   {weight}: that shift may still come, none after it"
                        )
                    })
                    .with("underWay", json!(f64::from(weight.permille()) / 10.0)),
                None => told,
            });
        }
        Err(Unsaid::Failed(failure)) => failure,
        Err(Unsaid::Unheard(error)) if error.may_pass() => {
            Failure::new(FailureCode::Transient, error.to_string())
        }
        Err(Unsaid::Unheard(error)) => return Err(error.into()),
    };
    let deployment = ports.registry().deployment(&answer.deployment).await?;
    let Some(deployment) = deployment else {
        return Err(Stopped::unknown(&answer.deployment, commands));
    };
    let refused = failure.code.kind().is_answer();
    // Who tries again after a lost answer may be told that they have said it already.
    let own = !refused || failure.code == FailureCode::NotAllowed;
    let by = if own { who().await } else { None };
    if by.is_some_and(|by| recorded(&deployment, answer, &by)) {
        // Only the wake-up was lost: the deployment finds the answer at its next look.
        let interval = deployment.plan.health.interval;
        let told = answered(&deployment, answer, commands, now());
        let told = told.in_words(|text| format!("{text}\nit may take {interval} until it is seen"));
        return Ok(told.with("seen", json!(false)));
    }
    let hint = match (&deployment.progress.step, &answer.word) {
        (Step::Approving { decision: None, .. }, Word::Approve { .. })
            if failure.code != FailureCode::NotAllowed =>
        {
            let stage = format!("--stage {}", deployment.progress.stage);
            format!("to approve it: `{}`", commands.of("approve", &answer.deployment, &stage))
        }
        _ => commands.to_look(&answer.deployment),
    };
    if !refused {
        return Err(Stopped::by_failure(&failure, hint));
    }
    let now = words(&deployment, now());
    let message = match deployment.phase {
        Phase::Open => {
            format!("{}: {}\n  {} {now}", nothing(&answer.word), failure.cause, deployment.id)
        }
        Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_) => {
            format!("{}: {} {now}", nothing(&answer.word), deployment.id)
        }
    };
    Err(Stopped::Unusable { message, hint })
}

const fn done(word: &Word) -> Done {
    match word {
        Word::Approve { .. } => Done::Approved,
        Word::Reject { .. } => Done::Rejected,
        Word::Promote { .. } => Done::Promoted,
        Word::Pause { .. } => Done::Paused,
        Word::Resume { .. } => Done::Resumed,
    }
}

const fn nothing(word: &Word) -> &'static str {
    match word {
        Word::Approve { .. } | Word::Reject { .. } => "nothing was answered",
        Word::Promote { .. } => "it cannot be let go on",
        Word::Pause { .. } => "it was not paused",
        Word::Resume { .. } => "it was not resumed",
    }
}

/// Whether the registry holds this answer: the stage may have moved on by it.
fn recorded(deployment: &Deployment, answer: &Answer, by: &str) -> bool {
    let progress = &deployment.progress;
    match (&answer.word, &progress.step) {
        (Word::Approve { .. } | Word::Reject { .. }, _) => {
            Answer { by: by.to_owned(), ..answer.clone() }.is_recorded(deployment)
        }
        (Word::Pause { .. }, _) => progress.paused.as_ref().is_some_and(|pause| pause.by == by),
        // Whoever it was: it goes on.
        (Word::Resume { .. }, _) => progress.paused.is_none(),
        (Word::Promote { .. }, Step::Baking { promoted: Some(promotion), .. }) => {
            promotion.by == by
        }
        (
            Word::Promote { .. },
            Step::Approving { .. } | Step::Settling { .. } | Step::Baking { .. },
        ) => false,
    }
}

fn answered(deployment: &Deployment, answer: &Answer, commands: &Commands, now: Timestamp) -> Told {
    let stage = answer.stage.unwrap_or(deployment.progress.stage);
    let weight = deployment.plan.stage(stage).map_or(Weight::ALL, |stage| stage.weight);
    let id = &deployment.id;
    let said = match &answer.word {
        Word::Approve { .. } => {
            let version = version(deployment);
            let here = deployment.progress.stage == stage;
            let at = deployment.goes_on_at(now).filter(|at| here && *at > now);
            let lacking = lacking(deployment, stage);
            let paused = deployment.progress.paused.is_some();
            let next = match (lacking, at) {
                // Said once more, after what came of it.
                _ if deployment.phase != Phase::Open => format!("{id} {}", words(deployment, now)),
                (0, _) if paused => {
                    format!("{weight} of the requests go to {version} once it is resumed")
                }
                (0, None) => format!("{weight} of the requests go to {version}"),
                (0, Some(at)) => format!("{weight} of the requests go to {version} at {at}"),
                (lacking, _) => format!("{} more must approve", people(lacking)),
            };
            format!("approved stage {stage} of {id}: {next}")
        }
        Word::Reject { .. } => {
            format!("refused stage {stage} of {id}: everything returns to stable")
        }
        Word::Promote { skip_bake: true, .. } => format!(
            "the bake of stage {stage} of {id} ends as soon as a look finds nothing lacking and nothing against {}",
            version(deployment)
        ),
        Word::Pause { .. } => format!(
            "{id} stays as it is: {} keeps its share and is judged as before\n  resume it   {}",
            version(deployment),
            commands.of("resume", id, "")
        ),
        Word::Resume { .. } => format!("{id} goes on: {}", words(deployment, now)),
        Word::Promote { skip_bake: false, .. } => format!(
            "stage {stage} of {id} may go on: it does, unless the next look sees something against \
             {}",
            version(deployment)
        ),
    };
    let text = format!("{said}\n  follow it   {}", commands.of("status", id, "--watch"));
    Told::of(done(&answer.word), deployment, now, text)
}

/// How many more people must approve the stage, if it waits for them.
fn lacking(deployment: &Deployment, stage: StageIndex) -> u32 {
    match &deployment.progress.step {
        Step::Approving { decision: None, .. } if deployment.progress.stage == stage => {
            deployment.approvals_lacking(stage)
        }
        Step::Approving { .. } | Step::Settling { .. } | Step::Baking { .. } => 0,
    }
}

fn version(deployment: &Deployment) -> &str {
    deployment.plan.task_definition.short()
}

#[cfg(test)]
mod tests {
    use glidepath_engine::testing::{Bed, Fault, MemoryRegistry, World};

    use glidepath_core::ids::{DeploymentId, IntentId};
    use glidepath_core::record::{Intent, Purpose};

    use super::*;
    use crate::fixtures::{self, NOW, minutes};

    fn world(deployment: Deployment) -> (MemoryRegistry, World) {
        let registry = MemoryRegistry::default();
        registry.items().deployments.insert(deployment.id.clone(), deployment);
        (registry, World::at(NOW))
    }

    /// With the function itself in place of its URL.
    async fn decided(
        bed: &Bed<'_>,
        answer: &Answer,
        commands: &Commands,
    ) -> Result<String, Stopped> {
        told(bed, answer, commands).await.map(|told| told.text().to_owned())
    }

    async fn told(bed: &Bed<'_>, answer: &Answer, commands: &Commands) -> Result<Told, Stopped> {
        let say = async || {
            let decided = glidepath_engine::decide::run(bed, answer).await;
            let under_way = decided.map(|after| after.under_way(bed.ambient().now()));
            under_way.map_err(Unsaid::Failed)
        };
        let who = async || Some(answer.by.clone());
        decide(bed, answer, say, who, commands).await
    }

    fn said(approved: bool) -> Answer {
        Answer {
            deployment: DeploymentId::new("shop-42"),
            stage: Some(StageIndex(1)),
            by: "arn:aws:iam::1:user/ada".to_owned(),
            groups: Vec::new(),
            word: if approved {
                Word::Approve { reason: None }
            } else {
                Word::Reject { reason: None }
            },
        }
    }

    fn promoted() -> Answer {
        let reason = "a night's traffic never gets there".to_owned();
        Answer { stage: None, word: Word::Promote { reason, skip_bake: false }, ..said(true) }
    }

    #[tokio::test]
    async fn an_answer_is_confirmed_with_what_it_leads_to() {
        for (approved, expected) in [
            (true, "approved stage 2 of shop-42: 25 % of the requests go to shop:2"),
            (false, "refused stage 2 of shop-42: everything returns to stable"),
        ] {
            let (registry, world) = world(fixtures::approving());
            let commands = Commands::default();
            let told = decided(&Bed::new(&registry, &world), &said(approved), &commands).await;
            let told = told.unwrap();
            assert!(told.starts_with(expected), "{told}");
            assert!(told.ends_with("glidepath status shop-42 --watch"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_program_is_told_what_was_done_in_one_word() {
        let word = |word| Answer { stage: None, word, ..said(true) };
        for (deployment, answer, done, state) in [
            (fixtures::approving(), said(true), "approved", "approved"),
            (fixtures::approving(), said(false), "rejected", "rejected"),
            (fixtures::waiting(), promoted(), "promoted", "promoted"),
            (fixtures::baking(), word(Word::Pause { reason: None }), "paused", "paused"),
            (fixtures::paused(), word(Word::Resume { reason: None }), "resumed", "baking"),
        ] {
            let (registry, world) = world(deployment);
            let bed = Bed::new(&registry, &world);
            let told = told(&bed, &answer, &Commands::default()).await.unwrap();
            let view = told.view();
            assert_eq!((&view["done"], &view["state"]), (&json!(done), &json!(state)), "{view}");
            assert_eq!((&view["deployment"], &view["seen"]), (&json!("shop-42"), &json!(true)));
        }
    }

    #[tokio::test]
    async fn a_stage_that_does_not_wait_says_what_it_does_instead() {
        let (registry, world) = world(fixtures::baking());
        let told = decided(&Bed::new(&registry, &world), &said(true), &Commands::default()).await;
        let stopped = told.unwrap_err();
        assert!(matches!(&stopped, Stopped::Unusable { .. }));
        let message = stopped.to_string();
        assert!(message.contains("nothing was answered: stage 2 does not wait"), "{message}");
        assert!(message.contains("shop-42 bakes stage 1 (5 %)"), "{message}");
    }

    #[tokio::test]
    async fn an_approval_names_the_stage_that_is_asked_for() {
        for (stage, expected) in [
            (None, "say which stage: stage 2 (25 %) of shop:2 is asked for"),
            (Some(StageIndex(2)), "stage 3 does not wait for an approval, stage 2 does"),
        ] {
            let (registry, world) = world(fixtures::approving());
            let answer = Answer { stage, ..said(true) };
            let told = decided(&Bed::new(&registry, &world), &answer, &Commands::default()).await;
            let Err(Stopped::Unusable { message, hint }) = told else { panic!() };
            assert_eq!(hint, "to approve it: `glidepath approve shop-42 --stage 2`");
            assert!(message.contains(expected), "{message}");
            let kept = registry.items().deployments[&answer.deployment].clone();
            assert!(!recorded(&kept, &answer, &answer.by));
        }
    }

    #[tokio::test]
    async fn a_stage_that_waits_is_let_go_on_and_one_that_does_not_is_told_why() {
        let (registry, world) = world(fixtures::waiting());
        let commands = Commands::default();
        let told = decided(&Bed::new(&registry, &world), &promoted(), &commands).await.unwrap();
        assert!(told.starts_with("stage 1 of shop-42 may go on: it does, unless"), "{told}");
        let again =
            decided(&Bed::new(&registry, &world), &promoted(), &commands).await.unwrap_err();
        assert!(again.to_string().contains("user/ada let stage 1 go on at"), "{again}");

        let mut against = fixtures::waiting();
        against.progress.against = vec!["1 of 3 canary targets are healthy".to_owned()];
        for (deployment, why) in [
            (fixtures::baking(), "stage 1 does not wait for evidence: its bake is not over"),
            (fixtures::approving(), "stage 2 waits for an approval, not for evidence"),
            (fixtures::settling(), "the tasks of stage 2 start"),
            (fixtures::held_by_others(), "somebody else changed a route: the canary has 40 %"),
            (against, "does not only lack evidence: 1 of 3 canary targets are healthy"),
            (fixtures::rolling_back(), "rolls back"),
        ] {
            let (registry, world) = self::world(deployment);
            let told = decided(&Bed::new(&registry, &world), &promoted(), &commands).await;
            let message = told.unwrap_err().to_string();
            assert!(message.starts_with("it cannot be let go on: "), "{message}");
            assert!(message.contains(why), "{message}");
            let kept = registry.items().deployments[&DeploymentId::new("shop-42")].clone();
            assert!(!recorded(&kept, &promoted(), &promoted().by));
        }
        let (registry, world) = self::world(fixtures::waiting());
        let other = Answer { stage: Some(StageIndex(1)), ..promoted() };
        let told = decided(&Bed::new(&registry, &world), &other, &commands).await.unwrap_err();
        assert!(told.to_string().contains("stage 2 does not wait; the deployment is at stage 1"));
    }

    #[tokio::test]
    async fn a_stage_that_was_let_go_on_does_not_seem_to_wait_for_anybody() {
        let (registry, world) = world(fixtures::waiting());
        decided(&Bed::new(&registry, &world), &promoted(), &Commands::default()).await.unwrap();
        let kept = registry.items().deployments[&DeploymentId::new("shop-42")].clone();
        let told = words(&kept, NOW);
        assert!(told.contains("lets stage 1") && !told.contains("waits"), "{told}");
    }

    #[test]
    fn a_reason_says_something_and_is_no_log() {
        assert!(reason("a night's traffic never gets there").is_ok());
        assert!(reason(" \n").is_err());
        assert!(reason("\u{1b}[31mred").is_err());
        assert_eq!(reason(" two\nlines ").as_deref(), Ok("two\nlines"));
        assert!(reason(&"x".repeat(2_001)).is_err());
    }

    #[tokio::test]
    async fn too_late_and_too_often_are_refused_with_the_reason() {
        let (registry, world) = world(fixtures::approving());
        let commands = Commands::default();
        decided(&Bed::new(&registry, &world), &said(true), &commands).await.unwrap();
        let again =
            decided(&Bed::new(&registry, &world), &said(false), &commands).await.unwrap_err();
        assert!(again.to_string().contains("was approved by arn:aws:iam::1:user/ada"), "{again}");

        let (registry, world) = self::world(fixtures::approving());
        world.pass(minutes(24 * 60));
        let late = decided(&Bed::new(&registry, &world), &said(true), &commands).await.unwrap_err();
        assert!(late.to_string().contains("was up at"), "{late}");

        let (registry, world) = self::world(fixtures::rolling_back());
        let late = decided(&Bed::new(&registry, &world), &said(true), &commands).await.unwrap_err();
        assert!(late.to_string().contains("rolls back"), "{late}");
    }

    #[tokio::test]
    async fn an_unknown_deployment_is_bad_usage() {
        let (registry, world) = (MemoryRegistry::default(), World::at(NOW));
        let told = decided(&Bed::new(&registry, &world), &said(true), &Commands::default()).await;
        assert!(matches!(told.unwrap_err(), Stopped::Unusable { .. }));
    }

    #[tokio::test]
    async fn a_pause_says_what_it_leads_to_and_what_may_still_come() {
        let (pause, resume) = (Word::Pause { reason: None }, Word::Resume { reason: None });
        let [pause, resume] =
            [pause, resume].map(|word| Answer { stage: None, word, ..said(true) });
        let (registry, world) = world(fixtures::baking());
        let bed = Bed::new(&registry, &world);
        let commands = Commands::elsewhere();
        let told = decided(&bed, &pause, &commands).await.unwrap();
        assert_eq!(
            told,
            "shop-42 stays as it is: shop:2 keeps its share and is judged as before\n  \
             resume it   glidepath resume shop-42 --stack blue --region eu-west-1\n  \
             follow it   glidepath status shop-42 --stack blue --region eu-west-1 --watch"
        );
        let again = decided(&bed, &pause, &commands).await.unwrap_err().to_string();
        assert!(again.starts_with("it was not paused: arn:aws:iam::1:user/ada has"), "{again}");
        assert!(again.contains("shop-42 paused by arn:aws:iam::1:user/ada: bakes"), "{again}");
        let told = decided(&bed, &resume, &commands).await.unwrap();
        assert!(told.starts_with("shop-42 goes on: bakes stage 1 (5 %)"), "{told}");
        let again = decided(&bed, &resume, &commands).await.unwrap_err().to_string();
        assert!(again.starts_with("it was not resumed: it is not paused"), "{again}");

        let mut moving = fixtures::settling();
        let intent = Intent::new(Purpose::Shift(Weight::ALL), NOW, minutes(1));
        moving.intents.insert(IntentId::new("shift"), intent);
        let (registry, world) = self::world(moving);
        let told = decided(&Bed::new(&registry, &world), &pause, &commands).await.unwrap();
        assert!(
            told.ends_with("under way   100 %: that shift may still come, none after it"),
            "{told}"
        );

        let mut asked = fixtures::approving();
        asked.progress.paused = fixtures::paused().progress.paused;
        let (registry, world) = self::world(asked);
        let told = decided(&Bed::new(&registry, &world), &said(true), &commands).await.unwrap();
        assert!(told.contains("25 % of the requests go to shop:2 once it is resumed"), "{told}");
    }

    #[tokio::test]
    async fn an_answer_counts_even_if_nobody_could_be_woken() {
        // Whatever call is lost: either nothing is recorded and it is an error, or it counts.
        let word = |word| Answer { stage: None, word, ..said(true) };
        let cases = [
            (fixtures::approving(), said(true)),
            (fixtures::waiting(), promoted()),
            (fixtures::baking(), word(Word::Pause { reason: None })),
            (fixtures::paused(), word(Word::Resume { reason: None })),
        ];
        for (deployment, answer) in cases {
            for call in 0..4 {
                for fault in [Fault::Throttled, Fault::LostBefore, Fault::LostAfter] {
                    let (registry, world) = world(deployment.clone());
                    let bed = Bed::with_fault(&registry, &world, Some((call, fault)));
                    let told = decided(&bed, &answer, &Commands::default()).await;
                    let kept = registry.items().deployments[&deployment.id].clone();
                    assert_eq!(
                        told.is_ok(),
                        recorded(&kept, &answer, &answer.by),
                        "{call} {fault:?}"
                    );
                }
            }
        }
    }
}
