//! `--image`: a revision that differs from the version that serves in images, and in nothing else.
//!
//! What it is made of is decided before anything is registered, and a second time finds what the first one has
//! registered: by the record of the deployment, if there is one of its name, and else by the newest revision of the
//! family.

mod asked;
mod changes;
mod comparison;
mod differences;
mod document;

use std::collections::BTreeMap;
use std::io::Write;

use glidepath_aws::task_definitions::{Described, TaskDefinitions};
use glidepath_core::document::Findings;
use glidepath_core::ids::{DeploymentId, TaskDefinition};
use glidepath_core::time::Span;
use glidepath_core::world::{PrivateImage, Stored};
use glidepath_engine::ports::{Clock, PortError, Registry, Repositories};
use glidepath_engine::survey::{Unfit, serving};
use serde_json::Value;

use self::asked::{ImageOf, floating, resolved, wanted};
pub(crate) use self::comparison::Comparison;
use self::document::{inexact, registrable, strayed, version, with_images};
use crate::connection::Connection;
use crate::document::{Assignment, Document};
use crate::stopped::{Stopped, write_findings};

/// The images that somebody gives on the command line.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Images {
    /// Release the version that serves with another image in this container, and nothing else changed;
    /// may be given more than once. A tag is looked up in ECR now, and its digest is what is released
    #[arg(
        long = "image",
        value_name = "CONTAINER=TAG-OR-DIGEST",
        conflicts_with = "task_definition"
    )]
    asked: Vec<ImageOf>,
}

/// What is released.
#[derive(Debug)]
pub(crate) struct Revision {
    /// What it is made from.
    from: TaskDefinition,
    /// Containers with their images, before and after.
    changes: Vec<(String, String, String)>,
    /// What somebody should know.
    warnings: Findings,
    made: Made,
}

#[derive(Debug)]
enum Made {
    /// It is what it is made from.
    Serves,
    /// Somebody has registered it already.
    Exists(TaskDefinition),
    /// Nobody has: what would be registered, and as what if nobody is faster.
    New(Value, TaskDefinition),
}

impl Images {
    pub(crate) const fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The revision that a request would release, for a deployment of this name if it has one already.
    pub(crate) async fn revision(
        &self,
        connection: &Connection,
        document: &Document,
        name: Option<&DeploymentId>,
    ) -> Result<Revision, Stopped> {
        let request = document.request()?;
        let Connection { ports, clients, .. } = connection;
        let definitions = TaskDefinitions::new(clients);
        let known = match name {
            Some(name) => ports.registry.deployment(name).await?,
            None => None,
        };
        let from = match &known {
            // Its own routes say nothing while it shifts them, and another version once it has succeeded.
            Some(known) => known.plan.stable.task_definition.clone(),
            None => serving(ports, &request).await.map_err(|unfit| match unfit {
                Unfit::Refused(refusal) => document.refused(refusal.findings().clone()),
                Unfit::Failed(failure) => Stopped::by_failure(&failure, "try again"),
            })?,
        };
        let described = described(&definitions, &from).await?;
        let containers = version(&described.document, from.clone()).containers;

        let mut findings = Findings::default();
        let wanted = wanted(&self.asked, &containers, &mut findings);
        let in_ecr: Vec<_> = wanted.iter().filter_map(|wanted| wanted.private.clone()).collect();
        let stored = look_up(ports, in_ecr).await?;
        let images = resolved(&wanted, &stored, &mut findings);
        if findings.has_errors() {
            return Err(Stopped::Findings(findings));
        }
        floating(&images, &containers, &mut findings);
        let successor = with_images(&described, &images);
        if let Some(place) = inexact(&successor) {
            return Err(Stopped::Unusable {
                message: format!(
                    "{} has a number at {place} that could not be written as it was read; nothing was registered",
                    from.short()
                ),
                hint: "register the revision with the AWS CLI, and give it with --task-definition"
                    .to_owned(),
            });
        }
        let before = containers.into_iter().map(|one| (one.container, one.image));
        let before: BTreeMap<_, _> = before.collect();
        let changes = images.into_iter().filter_map(|(container, image)| {
            let was = before.get(&container).filter(|was| **was != image)?;
            Some((container, was.clone(), image))
        });
        let changes: Vec<_> = changes.collect();
        let same = |found: &Described| strayed(&successor, &registrable(found)).is_empty();
        let made = if let Some(known) = known {
            let version = known.plan.task_definition;
            if !same(&self::described(&definitions, &version).await?) {
                return Err(another(&known.id, &version, &from));
            }
            if version == from { Made::Serves } else { Made::Exists(version) }
        } else if changes.is_empty() {
            Made::Serves
        } else {
            let newest = definitions.describe(family(&from)).await?;
            let next = next(&from, newest.as_ref());
            let arn = newest.filter(same).and_then(|newest| arn(&newest));
            arn.map_or(Made::New(successor, next), Made::Exists)
        };
        Ok(Revision { from, changes, warnings: findings, made })
    }
}

impl Revision {
    /// What is released, and what somebody should know about it.
    pub(crate) fn show(&self, output: &mut impl Write) -> Result<(), Stopped> {
        let from = self.from.short();
        match &self.made {
            Made::Serves => {
                writeln!(
                    output,
                    "{from} serves with these images already: no revision is registered"
                )?;
            }
            Made::Exists(version) => writeln!(
                output,
                "{} is {from} with these images already: no other revision is registered",
                version.short()
            )?,
            Made::New(_, next) => writeln!(
                output,
                "a new revision of {from}, which serves ({}, if nobody is faster):",
                next.short()
            )?,
        }
        for (container, was, is) in &self.changes {
            writeln!(
                output,
                "  {container}   {was}\n  {:width$} → {is}",
                "",
                width = container.len()
            )?;
        }
        write_findings(&self.warnings, output)?;
        Ok(())
    }

    /// Puts it into the request; one that nobody has registered yet is there for whoever plans with this
    /// connection, and for nobody else.
    pub(crate) fn preview(
        &self,
        connection: &mut Connection,
        document: &mut Document,
    ) -> Result<(), Stopped> {
        let arn = match &self.made {
            Made::Serves => self.from.clone(),
            Made::Exists(version) => version.clone(),
            Made::New(successor, next) => {
                connection.ports.containers.imagine(version(successor, next.clone()));
                next.clone()
            }
        };
        document.set(&Assignment::task_definition(arn.as_str()))
    }

    /// What would be registered, if anything would be.
    pub(crate) const fn imagined(&self) -> Option<&Value> {
        match &self.made {
            Made::New(successor, _) => Some(successor),
            Made::Serves | Made::Exists(_) => None,
        }
    }

    /// What somebody should know.
    pub(crate) fn into_warnings(self) -> Findings {
        self.warnings
    }

    /// Whether there is anything to register.
    pub(crate) const fn is_new(&self) -> bool {
        match self.made {
            Made::New(_, _) => true,
            Made::Serves | Made::Exists(_) => false,
        }
    }

    /// Registers it, reads it back and puts it into the request, unless it is there already. What was registered,
    /// if anything was.
    pub(crate) async fn register(
        &self,
        connection: &Connection,
        document: &mut Document,
    ) -> Result<Option<TaskDefinition>, Stopped> {
        let version = match &self.made {
            Made::Serves => self.from.clone(),
            Made::Exists(version) => version.clone(),
            Made::New(successor, _) => {
                let definitions = TaskDefinitions::new(&connection.clients);
                let registered = definitions.register(successor).await.map_err(not_registered)?;
                let registered = TaskDefinition::new(registered);
                let differs_now = |found: &Option<Described>| {
                    found.as_ref().map(|found| strayed(successor, &registrable(found)))
                };
                // ECS shows some seconds later what was registered, and its tags later still.
                let mut differ = differs_now(&definitions.describe(registered.as_str()).await?);
                for seconds in SHOWN_AFTER {
                    if differ.as_ref().is_some_and(Vec::is_empty) {
                        break;
                    }
                    connection.ports.ambient.sleep(Span::from_secs(seconds)).await;
                    differ = differs_now(&definitions.describe(registered.as_str()).await?);
                }
                let differ = differ.ok_or_else(|| gone(&registered))?;
                if !differ.is_empty() {
                    return Err(differs(&registered, &self.from, &differ));
                }
                registered
            }
        };
        document.set(&Assignment::task_definition(version.as_str()))?;
        Ok(self.is_new().then_some(version))
    }
}

/// Waits before the looks at what was registered, in seconds: ECS is consistent in the end only.
const SHOWN_AFTER: [u64; 4] = [1, 2, 4, 8];

async fn described(
    definitions: &TaskDefinitions,
    version: &TaskDefinition,
) -> Result<Described, Stopped> {
    let found = definitions.describe(version.as_str()).await?;
    found.ok_or_else(|| gone(version))
}

fn gone(version: &TaskDefinition) -> Stopped {
    Stopped::Unusable {
        message: format!("ECS does not have {} any more", version.short()),
        hint: "register a version with the AWS CLI, and give it with --task-definition".to_owned(),
    }
}

async fn look_up<P>(
    ports: &P,
    images: Vec<PrivateImage>,
) -> Result<BTreeMap<PrivateImage, Stored>, PortError>
where
    P: glidepath_engine::ports::Ports<Repositories: Repositories>,
{
    let stored = ports.repositories().look_up(&images).await?;
    Ok(images.into_iter().zip(stored).collect())
}

fn family(version: &TaskDefinition) -> &str {
    let short = version.short();
    short.rsplit_once(':').map_or(short, |(family, _)| family)
}

/// What ECS will call another one: it counts each family's revisions.
fn next(from: &TaskDefinition, newest: Option<&Described>) -> TaskDefinition {
    let (family, number) = from.as_str().rsplit_once(':').unwrap_or((from.as_str(), "0"));
    let number: u64 = number.parse().unwrap_or_default();
    let newest = newest.and_then(|newest| newest.document["revision"].as_u64()).unwrap_or_default();
    TaskDefinition::new(format!("{family}:{}", number.max(newest) + 1))
}

fn arn(described: &Described) -> Option<TaskDefinition> {
    described.document["taskDefinitionArn"].as_str().map(TaskDefinition::new)
}

fn another(id: &DeploymentId, version: &TaskDefinition, from: &TaskDefinition) -> Stopped {
    Stopped::Unusable {
        message: format!(
            "a deployment named `{id}` exists, and its {} is not {} with these images, or a tag stands for another \
             one by now; nothing was registered and nothing started",
            version.short(),
            from.short()
        ),
        hint: format!("give this one a name of its own, such as `--name {id}-again`"),
    }
}

fn not_registered(error: PortError) -> Stopped {
    if !error.is_denied() {
        return error.into();
    }
    Stopped::Unanswered {
        message: error.to_string(),
        hint: "attach the stack's `RegistrarPolicy` (its output `RegistrarPolicyArn`), whose `iam:PassRole` is for \
               the roles of the parameter `TaskRolePattern`; nothing was started"
            .to_owned(),
    }
}

fn differs(registered: &TaskDefinition, from: &TaskDefinition, differ: &[String]) -> Stopped {
    let registered = registered.short();
    Stopped::Unusable {
        message: format!(
            "ECS has registered {registered}, and it differs from {} in more than images: {}; nothing was started",
            from.short(),
            differ.join(", ")
        ),
        hint: format!(
            "`aws ecs deregister-task-definition --task-definition {registered}` takes it away; look at it before, \
             and give it with --task-definition if it is what you want"
        ),
    }
}
