//! `glidepath status`: what runs, and what has become of the rest.

use std::io::Write;

use glidepath_core::back::KNOWN;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::record::{Deployment, Notice, Phase};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{Clock, Recent, Registry};

use crate::connection::{Connection, Options};
use crate::ended::{Ended, Followed};
use crate::filter::Filter;
use crate::follow::{Follow, Until, closed, follow};
use crate::form::{self, Form};
use crate::live::{Live, live};
use crate::names::{Beginnings, Named};
use crate::next_command::Commands;
use crate::planning::{self, Answer};
use crate::render::{Doing, View, detail, overview};
use crate::stopped::Stopped;

/// How many deployments are listed besides those that run.
const RECENT: u32 = 20;

/// Show running and recent deployments, or one of them with its timeline
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the deployment or the beginning of it, ARN of its execution, or a service of which exactly
    /// one runs; without it all that run, and the newest that have ended
    deployment: Option<Named>,
    /// Only deployments of this service
    #[arg(long, conflicts_with = "deployment")]
    service: Option<String>,
    /// Only those that failed, were rolled back, or are being rolled back
    #[arg(long, conflicts_with = "deployment")]
    failed: bool,
    /// How many are listed besides those that run
    #[arg(
        long,
        conflicts_with = "deployment",
        default_value_t = RECENT,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    limit: u32,
    /// Go on until it has ended: drawn anew in a terminal, in lines elsewhere, and with --json an object for
    /// each change, one a line
    #[arg(long, requires = "deployment")]
    watch: bool,
    /// End with 1 if it failed or was rolled back; with --watch as soon as it has
    #[arg(long, requires = "deployment")]
    exit_status: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn asked(&self) -> Filter<'_> {
        Filter { service: self.service.as_deref(), failed: self.failed }
    }

    const fn shape(&self) -> Shape {
        match (self.json, self.watch) {
            (false, _) => Shape::Text,
            (true, false) => Shape::Json,
            (true, true) => Shape::JsonLine,
        }
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let connection = options.connect().await?;
    let (ports, commands) = (&connection.ports, options.commands());
    let registry = &ports.registry;
    let Some(named) = &arguments.deployment else {
        let asked = arguments.asked();
        // Those that are wanted may be far behind.
        let looked = if asked.is_for_all() { arguments.limit } else { KNOWN.max(arguments.limit) };
        let found = registry.recent(looked).await?;
        let shown = asked.of(&found, arguments.limit);
        let now = ports.ambient.now();
        write!(output, "{}", all(&shown, asked, &found, arguments.json, now))?;
        return Ok(());
    };
    let operator = &connection.operator;
    let state = async |execution: &ExecutionArn| operator.find(execution).await;
    let execution = |id: &DeploymentId| operator.execution(id);
    let id = &named.find(registry, execution, state, Beginnings::Taken, &commands).await?;
    let execution = operator.execution(id);
    let found = match registry.deployment(id).await? {
        Some(deployment) => Answer::Accepted(Box::new(deployment)),
        // The execution is only asked for where the registry knows nothing.
        None => {
            let mut find = async || connection.operator.find(&execution).await;
            planning::look(ports, id, &execution, &mut find).await?
        }
    };
    let goes_on = match &found {
        Answer::Nothing => return Err(Stopped::unknown(id, &commands)),
        Answer::Refused(_) => false,
        Answer::Planning => true,
        Answer::Accepted(deployment) => {
            !matches!(deployment.phase, Phase::Closed(_)) || deployment.validating.is_some()
        }
    };
    let execution = match &found {
        Answer::Accepted(deployment) => deployment.execution.clone(),
        Answer::Nothing | Answer::Refused(_) | Answer::Planning => execution,
    };
    let form = Form::of(arguments.json);
    let followed = arguments.watch && goes_on;
    let mut shown = 0;
    // Whoever follows in lines begins with all that there is; the others have it in their first drawing or line.
    if !followed || form == Form::Lines {
        let text = match &found {
            Answer::Accepted(deployment) => {
                let notices = notices(registry, id).await?;
                shown = notices.last().map_or(0, |notice| notice.sequence);
                let live = live(ports, deployment).await?;
                let anew = planned_anew(&connection, deployment).await?;
                let seen = Seen { deployment, notices: &notices, live: &live, anew };
                seen.shown(arguments.shape(), &commands, ports.ambient.now())
            }
            Answer::Nothing | Answer::Refused(_) | Answer::Planning => {
                unbegun(id, &found, arguments.shape(), &commands)
            }
        };
        write!(output, "{text}")?;
        output.flush()?;
    }
    let followed = match found {
        Answer::Planning | Answer::Accepted(_) if followed => {
            let until = Until::default();
            let following = Follow { ports, id, commands: &commands, shown, until };
            let look = async || operator.state(&execution).await;
            let mut telling = form.telling(id, &commands, output);
            Some(follow(following, &execution, look, &mut *telling).await?)
        }
        Answer::Refused(ended) => Some(Followed::Ended(ended)),
        Answer::Accepted(deployment) if matches!(deployment.phase, Phase::Closed(_)) => {
            Some(Followed::Ended(closed(&deployment)))
        }
        Answer::Nothing | Answer::Planning | Answer::Accepted(_) => None,
    };
    match followed {
        Some(followed) if arguments.exit_status => followed.outcome(id, &commands),
        // Showing it is all that was asked, whatever the end is.
        Some(_) | None => Ok(()),
    }
}

/// Whether the name of a deployment that has ended is used once more, right now.
async fn planned_anew(connection: &Connection, deployment: &Deployment) -> Result<bool, Stopped> {
    if !matches!(deployment.phase, Phase::Closed(_)) {
        return Ok(false);
    }
    match connection.operator.running_since(&deployment.execution).await {
        Ok(since) => Ok(planning::is_planned_anew(deployment, since)),
        // Whoever may only read the registry is told what it says.
        Err(error) if error.is_denied() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What is shown is not what somebody has just started.
fn newer(id: &DeploymentId) -> String {
    format!(
        "\na new execution named {id} is being planned; what is shown is the earlier deployment of \
         that name. A name is used once: it will be refused, and nothing is written\n"
    )
}

async fn notices(registry: &impl Registry, id: &DeploymentId) -> Result<Vec<Notice>, Stopped> {
    let entries = registry.notices(id).await?;
    Ok(entries.into_iter().map(|entry| entry.notice).collect())
}

/// One that the registry does not know: it is being planned, or its plan was refused.
fn unbegun(id: &DeploymentId, answer: &Answer, shape: Shape, commands: &Commands) -> String {
    let refused = match answer {
        Answer::Refused(Ended::Refused { name, cause } | Ended::Failed { name, cause }) => {
            Some((name, cause))
        }
        Answer::Refused(Ended::Succeeded)
        | Answer::Planning
        | Answer::Nothing
        | Answer::Accepted(_) => None,
    };
    if shape != Shape::Text {
        let state = if refused.is_some() { Doing::Refused } else { Doing::Planning };
        return shape.written(&form::unbegun(id, state, refused));
    }
    match refused {
        Some((name, cause)) => {
            format!("{id} was refused, and nothing was written: {name}\n{cause}\n")
        }
        None => format!(
            "{id} is being planned; nothing has been written yet\n  follow it   {}\n  end it      {}\n",
            commands.of("status", id, "--watch"),
            commands.of("rollback", id, "--reason \"...\"")
        ),
    }
}

/// How one deployment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Json,
    /// For whoever follows in JSON: one object a line.
    JsonLine,
}

impl Shape {
    fn written(self, value: &serde_json::Value) -> String {
        match self {
            Self::Text | Self::Json => format!("{value:#}\n"),
            Self::JsonLine => format!("{value}\n"),
        }
    }
}

/// What was seen of one deployment.
struct Seen<'a> {
    deployment: &'a Deployment,
    notices: &'a [Notice],
    live: &'a Live,
    /// Its name is used once more, right now.
    anew: bool,
}

impl Seen<'_> {
    fn shown(&self, shape: Shape, commands: &Commands, now: Timestamp) -> String {
        let Self { deployment, notices, live, anew } = *self;
        if shape != Shape::Text {
            let mut view = serde_json::json!(View::whole(deployment, notices, live, now));
            if anew {
                view["plannedAnew"] = true.into();
            }
            return shape.written(&view);
        }
        let mut text = detail(deployment, notices, live, commands, now);
        if anew {
            text.push_str(&newer(&deployment.id));
        }
        text
    }
}

fn all(found: &Recent, asked: Filter<'_>, known: &Recent, json: bool, now: Timestamp) -> String {
    if json {
        let views =
            found.deployments.iter().map(|deployment| serde_json::json!(View::of(deployment, now)));
        let unreadable = found.unreadable.iter().map(|(id, why)| {
            let state = Doing::Unreadable;
            serde_json::json!({ "deployment": id, "phase": state, "state": state, "cause": why })
        });
        format!("{:#}\n", serde_json::json!(views.chain(unreadable).collect::<Vec<_>>()))
    } else {
        overview(found, asked, known, now)
    }
}

#[cfg(test)]
mod tests {
    use glidepath_engine::testing::example::{self, begun, plan, stage};
    use glidepath_engine::testing::{Bed, Machine, MemoryRegistry};

    use super::*;
    use crate::fixtures::{self, minutes};

    #[tokio::test]
    async fn a_whole_deployment_is_shown_with_its_timeline_and_no_token() {
        let (registry, world) = (MemoryRegistry::default(), example::world());
        let plan = plan(vec![stage(100, minutes(1)), stage(1000, minutes(1))]);
        let deployment = begun(&registry, plan, "shop-2", world.now()).await;
        let mut machine = Machine::after_plan(Bed::new(&registry, &world), &deployment.id);
        loop {
            let found = registry.deployment(&deployment.id).await.unwrap().unwrap();
            let notices = notices(&registry, &deployment.id).await.unwrap();
            let live = live(&Bed::new(&registry, &world), &found).await.unwrap();
            let seen = Seen { deployment: &found, notices: &notices, live: &live, anew: false };
            for shape in [Shape::Text, Shape::Json, Shape::JsonLine] {
                let text = seen.shown(shape, &Commands::default(), world.now());
                if let Some(gate) = &found.gate {
                    assert!(!text.contains(gate.token.expose()), "{text}");
                }
                assert!(text.contains("shop-2") && text.contains("shop:2"), "{text}");
            }
            if matches!(found.phase, Phase::Closed(_)) {
                assert_eq!(notices.last().unwrap().event.name(), "succeeded");
                break;
            }
            machine.step(None).await;
        }
    }

    #[test]
    fn an_earlier_deployment_is_told_from_the_one_that_is_being_planned_under_its_name() {
        let (ended, live, commands) = (fixtures::succeeded(), Live::default(), Commands::default());
        let text = |anew, json| {
            let seen = Seen { deployment: &ended, notices: &[], live: &live, anew };
            seen.shown(if json { Shape::Json } else { Shape::Text }, &commands, fixtures::NOW)
        };
        assert!(text(true, false).contains("a new execution named shop-42 is being planned"));
        assert!(text(true, true).contains("\"plannedAnew\": true"));
        for json in [false, true] {
            assert!(!text(false, json).contains("planned"), "{}", text(false, json));
        }
    }

    #[tokio::test]
    async fn what_runs_and_what_has_ended_is_listed() {
        let registry = MemoryRegistry::default();
        for deployment in fixtures::all() {
            registry.items().deployments.insert(deployment.id.clone(), deployment);
        }
        let mut found = registry.recent(RECENT).await.unwrap();
        found.unreadable.insert(DeploymentId::new("shop-9"), "there is no phase `x`".to_owned());
        let listed: Vec<serde_json::Value> =
            serde_json::from_str(&all(&found, Filter::default(), &found, true, fixtures::NOW))
                .unwrap();
        assert_eq!(listed.len(), found.deployments.len() + 1);
        assert!(listed.iter().all(|view| view.get("timeline").is_none()));
        assert_eq!(listed.last().unwrap()["phase"], "unreadable");
    }

    #[test]
    fn one_that_is_being_planned_or_was_refused_leaves_a_trace() {
        let (id, commands) = (DeploymentId::new("shop-43"), Commands::elsewhere());
        let text = unbegun(&id, &Answer::Planning, Shape::Text, &commands);
        let options = "--stack blue --region eu-west-1";
        let expected = format!(
            "shop-43 is being planned; nothing has been written yet\n  \
             follow it   glidepath status shop-43 {options} --watch\n  \
             end it      glidepath rollback shop-43 {options} --reason \"...\"\n"
        );
        assert_eq!(text, expected);
        let refused =
            Ended::Refused { name: "DeploymentRunning".into(), cause: "shop-42 holds it".into() };
        let refused = Answer::Refused(refused);
        let text = unbegun(&id, &refused, Shape::Text, &commands);
        let expected = "shop-43 was refused, and nothing was written: DeploymentRunning\n\
                        shop-42 holds it\n";
        assert_eq!(text, expected);
        let json: serde_json::Value =
            serde_json::from_str(&unbegun(&id, &refused, Shape::Json, &commands)).unwrap();
        assert_eq!(json["phase"], "refused");
        assert_eq!(json["failure"]["name"], "DeploymentRunning");
    }
}
