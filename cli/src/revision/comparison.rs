//! The version of a plan held against the one that serves, as ECS has both.

use std::io::Write;

use futures_util::future::try_join;
use glidepath_aws::clients::Clients;
use glidepath_aws::task_definitions::TaskDefinitions;
use glidepath_core::document::Findings;
use glidepath_core::ids::TaskDefinition;
use glidepath_core::plan::Plan;
use serde_json::{Value, json};

use super::changes::{Change, changes};
use super::document::{registrable, version};

/// What a plan would change of the task definition that serves.
#[derive(Debug)]
pub(crate) struct Comparison {
    was: TaskDefinition,
    is: TaskDefinition,
    /// Why nobody could look, if nobody could.
    seen: Result<Seen, String>,
}

#[derive(Debug)]
struct Seen {
    changes: Vec<Change>,
    /// Containers whose image is named by a tag, with it: ECS looks up what that stands for when it deploys them.
    floating: Vec<(String, String)>,
}

impl Seen {
    fn of(was: &Value, is: &Value, named: &TaskDefinition) -> Self {
        let containers = version(is, named.clone()).containers.into_iter();
        let floating = containers.filter(|one| !one.image.contains('@'));
        Self {
            changes: changes(was, is),
            floating: floating.map(|one| (one.container, one.image)).collect(),
        }
    }
}

impl Comparison {
    /// `imagined`: what would be registered, of a version that nobody has registered yet.
    pub(crate) async fn read(clients: &Clients, plan: &Plan, imagined: Option<&Value>) -> Self {
        let definitions = TaskDefinitions::new(clients);
        let (was, is) = (&plan.stable.task_definition, &plan.task_definition);
        let one = async |named: &TaskDefinition| match definitions.describe(named.as_str()).await {
            Ok(Some(found)) => Ok(registrable(&found)),
            Ok(None) => Err(format!("ECS does not have {} any more", named.short())),
            Err(error) => Err(error.to_string()),
        };
        let read = async {
            let both = match imagined {
                Some(imagined) => (one(was).await?, imagined.clone()),
                None => try_join(one(was), one(is)).await?,
            };
            Ok(Seen::of(&both.0, &both.1, is))
        };
        Self { seen: read.await, was: was.clone(), is: is.clone() }
    }

    /// As if both said the same.
    #[cfg(test)]
    pub(crate) fn of_nothing(plan: &Plan) -> Self {
        let (was, is) = (&plan.stable.task_definition, &plan.task_definition);
        let seen = Ok(Seen { changes: Vec::new(), floating: Vec::new() });
        Self { was: was.clone(), is: is.clone(), seen }
    }

    /// What could not be looked at.
    pub(crate) fn unseen(&self) -> Findings {
        let mut findings = Findings::default();
        if let Err(why) = &self.seen {
            findings.warning(
                "$.release",
                format!(
                    "what {} changes of {} could not be seen: {why}",
                    self.is.short(),
                    self.was.short()
                ),
                "the plan is right without it; whoever may describe task definitions sees more",
            );
        }
        findings
    }

    /// For people; nothing where there is nothing to say.
    pub(crate) fn show(&self, output: &mut impl Write) -> std::io::Result<()> {
        let Ok(Seen { changes, floating }) = &self.seen else { return Ok(()) };
        let (was, is) = (self.was.short(), self.is.short());
        if self.was != self.is {
            if changes.is_empty() {
                writeln!(output, "\n{is} says the same as {was}, which serves")?;
            } else {
                writeln!(output, "\nwhat {is} changes of {was}, which serves:")?;
            }
            for change in changes {
                writeln!(output, "  {change}")?;
            }
        }
        if !floating.is_empty() {
            writeln!(
                output,
                "\nby a tag, so that ECS looks up what it stands for when it deploys them:"
            )?;
            for (container, image) in floating {
                writeln!(output, "  container {container}: {image}")?;
            }
        }
        Ok(())
    }

    /// For programs, into an object of theirs: `null` where nobody could look.
    pub(crate) fn write_into(&self, view: &mut Value) {
        let seen = self.seen.as_ref().ok();
        view["differences"] = json!(seen.map(|seen| &seen.changes));
        let floating = |seen: &Seen| -> Value {
            let named = seen.floating.iter();
            named
                .map(|(container, image)| json!({ "container": container, "image": image }))
                .collect()
        };
        view["floating"] = json!(seen.map(floating));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::same_as_file;

    fn definition(image: &str, variable: &str) -> Value {
        json!({
            "family": "shop", "cpu": "256",
            "containerDefinitions": [
                { "name": "web", "image": image, "environment": [{ "name": variable, "value": "secret" }] },
                { "name": "envoy", "image": "envoy:v1" },
            ],
        })
    }

    fn compared(was: &Value, is: &Value) -> Comparison {
        let named = |version: &str| {
            TaskDefinition::new(format!("arn:aws:ecs:eu-west-1:1:task-definition/{version}"))
        };
        let (is_named, was_named) = (named("shop:2"), named("shop:1"));
        let seen = Ok(Seen::of(was, is, &is_named));
        Comparison { was: was_named, is: is_named, seen }
    }

    #[test]
    fn a_plan_says_what_it_changes_and_what_floats() {
        let (was, is) =
            (definition("shop/web@sha256:aa", "MODE"), definition("shop/web@sha256:bb", "SPEED"));
        let compared = compared(&was, &is);
        let (mut text, mut view) = (Vec::new(), json!({}));
        compared.show(&mut text).unwrap();
        compared.write_into(&mut view);
        let text = String::from_utf8(text).unwrap();
        same_as_file("comparison.txt", &format!("{text}\n{view:#}\n"));
        assert!(!text.contains("secret") && compared.unseen().is_empty());
    }

    #[test]
    fn what_is_the_same_and_what_nobody_could_see_is_said() {
        let shown = |compared: &Comparison| {
            let mut text = Vec::new();
            compared.show(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let pinned =
            json!({ "containerDefinitions": [{ "name": "web", "image": "shop/web@sha256:aa" }] });
        assert_eq!(
            shown(&compared(&pinned, &pinned)),
            "\nshop:2 says the same as shop:1, which serves\n"
        );
        let mut unseen = compared(&pinned, &pinned);
        unseen.seen = Err("ecs:DescribeTaskDefinition: AccessDenied: no".to_owned());
        assert_eq!(shown(&unseen), "");
        let mut view = json!({});
        unseen.write_into(&mut view);
        assert_eq!(view, json!({ "differences": null, "floating": null }));
        let told = unseen.unseen().to_string();
        assert!(told.contains("shop:2 changes of shop:1 could not be seen"), "{told}");
        // What serves already floats as it did.
        let tagged = definition("shop/web:1", "MODE");
        let mut same = compared(&tagged, &tagged);
        same.was = same.is.clone();
        let told = shown(&same);
        assert!(!told.contains("changes") && told.contains("container web: shop/web:1"), "{told}");
    }
}
