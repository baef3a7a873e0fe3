//! How somebody names a deployment: by its own name, by the ARN of its execution, or, where exactly
//! one runs, by its service.

use std::convert::Infallible;
use std::str::FromStr;

use glidepath_aws::operator::ExecutionState;
use glidepath_core::document::nearest;
use glidepath_core::ids::{DeploymentId, ExecutionArn};
use glidepath_core::record::{Deployment, Phase};
use glidepath_core::time::Timestamp;
use glidepath_engine::ports::{PortResult, Recent, Registry};

use crate::next_command::Commands;
use crate::stopped::Stopped;

/// How many of the newest deployments are looked through for what was meant, besides those that run.
pub(crate) const RECENT: u32 = 20;

/// Most names that are offered in place of one that there is not.
const OFFERED: usize = 3;

/// What may stand for a deployment besides its name and the name of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginnings {
    /// Nothing: something is changed by it.
    Offered,
    /// The beginning of one name, for somebody who only looks.
    Taken,
}

/// A deployment as somebody has typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named(String);

impl FromStr for Named {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Named {
    /// The deployment of exactly this name or execution, whether there is one or not. `execution`
    /// is what carries a deployment of this stack.
    pub(crate) fn exactly(
        &self,
        execution: impl Fn(&DeploymentId) -> ExecutionArn,
    ) -> Result<DeploymentId, Stopped> {
        let Self(text) = self;
        let parts: Vec<_> = text.split(':').collect();
        let ["arn", _, "states", _, _, "execution", _, name] = parts[..] else {
            return Ok(DeploymentId::new(text));
        };
        let id = DeploymentId::new(name);
        let own = execution(&id);
        if own.as_str() == text {
            return Ok(id);
        }
        // A deployment of this stack may have the same name, and it is not the one that was meant.
        Err(Stopped::Unusable {
            message: format!("`{text}` is no execution of this stack: its own would be `{own}`"),
            hint: "name the stack with --stack or GLIDEPATH_STACK, and its Region with --region"
                .to_owned(),
        })
    }

    /// The deployment of exactly this name or execution if there is one or may be one; otherwise the
    /// only one that runs of a service of this name. Nothing is guessed where there could be two.
    pub(crate) async fn find<R: Registry>(
        &self,
        registry: &R,
        execution: impl Fn(&DeploymentId) -> ExecutionArn,
        state: impl AsyncFnOnce(&ExecutionArn) -> PortResult<Option<ExecutionState>>,
        beginnings: Beginnings,
        commands: &Commands,
    ) -> Result<DeploymentId, Stopped> {
        let id = self.exactly(&execution)?;
        match registry.deployment(&id).await {
            Ok(Some(_)) => return Ok(id),
            Ok(None) => {}
            // There is one: whoever can read it, or needs not to, goes on.
            Err(error) if !error.may_pass() => return Ok(id),
            Err(error) => return Err(error.into()),
        }
        if name(id.as_str()).is_err() {
            // No execution can be called that, but a service can.
            return self.of_service(&registry.recent(RECENT).await?, beginnings, commands);
        }
        match state(&execution(&id)).await {
            Ok(None) => self.of_service(&registry.recent(RECENT).await?, beginnings, commands),
            // It is being planned or was refused, or nobody can tell.
            Ok(Some(_)) | Err(_) => Ok(id),
        }
    }

    fn of_service(
        &self,
        recent: &Recent,
        beginnings: Beginnings,
        commands: &Commands,
    ) -> Result<DeploymentId, Stopped> {
        let Self(text) = self;
        let running: Vec<_> = running(recent, text).collect();
        let begun = self.begun(recent).filter(|_| beginnings == Beginnings::Taken);
        match running[..] {
            [only] if recent.unreadable.is_empty() => Ok(only.clone()),
            [] if let Some(begun) = begun => Ok(begun.clone()),
            [] if recent.unreadable.is_empty() => Err(Stopped::Unusable {
                message: format!(
                    "there is no deployment `{text}`, and none of a service `{text}` runs"
                ),
                hint: format!(
                    "{}`{}` shows the names of running and recent ones",
                    self.offered(recent),
                    commands.all()
                ),
            }),
            _ => {
                let possible = running.into_iter().chain(recent.unreadable.keys());
                let possible: Vec<_> = possible.map(|id| format!("`{id}`")).collect();
                Err(Stopped::Unusable {
                    message: format!(
                        "there is no deployment `{text}`, and of the service `{text}` more than one \
                         may run: {}",
                        possible.join(", ")
                    ),
                    hint: format!("name one of them; `{}` shows what they are", commands.all()),
                })
            }
        }
    }

    /// The only deployment whose name begins so: of those that run, or else of all.
    fn begun<'a>(&self, recent: &'a Recent) -> Option<&'a DeploymentId> {
        let Self(text) = self;
        let names = recent.deployments.iter().map(|found| (&found.id, Some(found.phase)));
        let names = names.chain(recent.unreadable.keys().map(|id| (id, None)));
        let begun: Vec<_> = names.filter(|(id, _)| id.as_str().starts_with(text)).collect();
        let only = |found: Vec<&'a DeploymentId>| match found[..] {
            [only] => Some(only),
            [] | [_, _, ..] => None,
        };
        // One that cannot be read may run.
        let runs = |phase: &Option<Phase>| !matches!(phase, Some(Phase::Closed(_)));
        let running: Vec<_> =
            begun.iter().filter(|(_, phase)| runs(phase)).map(|(id, _)| *id).collect();
        if running.is_empty() {
            only(begun.into_iter().map(|(id, _)| id).collect())
        } else {
            only(running)
        }
    }

    /// What may have been meant, as a question; empty if nothing is like it.
    fn offered(&self, recent: &Recent) -> String {
        let Self(text) = self;
        let begins = |found: &&Deployment| {
            found.id.as_str().starts_with(text) || found.plan.service.as_str() == text
        };
        let mut names: Vec<_> = recent.deployments.iter().filter(begins).collect();
        names.truncate(OFFERED);
        let mut names: Vec<_> = names.into_iter().map(|found| found.id.as_str()).collect();
        if names.is_empty() {
            let known = recent.deployments.iter();
            let known = known.flat_map(|found| [found.id.as_str(), found.plan.service.as_str()]);
            names.extend(nearest(text, known));
        }
        if names.is_empty() {
            return String::new();
        }
        format!("did you mean `{}`? ", names.join("` or `"))
    }
}

/// The deployments of a service that have not ended.
pub(crate) fn running<'a>(
    recent: &'a Recent,
    service: &'a str,
) -> impl Iterator<Item = &'a DeploymentId> {
    let runs = move |found: &&Deployment| {
        found.plan.service.as_str() == service && !matches!(found.phase, Phase::Closed(_))
    };
    recent.deployments.iter().filter(runs).map(|found| &found.id)
}

/// What Step Functions takes as the name of an execution.
pub(crate) fn name(text: &str) -> Result<DeploymentId, String> {
    DeploymentId::of_execution(text)
}

/// A name that nobody has used: `shop-back-20261128T203000Z`.
pub(crate) fn named_after(service: &str, now: Timestamp) -> Result<DeploymentId, Stopped> {
    let now: String =
        now.to_string().chars().filter(|character| !"-:".contains(*character)).collect();
    let plain = |character: char| if character.is_alphanumeric() { character } else { '-' };
    let service: String = service.chars().take(50).map(plain).collect();
    name(&format!("{service}-back-{now}")).map_err(|message| Stopped::Unusable {
        message: format!("no execution can be named after `{service}`: {message}"),
        hint: "deploy the version with `strategy: {allAtOnce: {bake: 0s}}` and `--name`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use glidepath_core::record::Outcome;
    use glidepath_engine::ports::PortError;
    use glidepath_engine::testing::MemoryRegistry;

    use super::*;
    use crate::fixtures;

    fn execution(id: &DeploymentId) -> ExecutionArn {
        ExecutionArn::new(format!("arn:aws:states:eu-west-1:1:execution:glidepath:{id}"))
    }

    /// A registry with deployments of these names and services; of those that run.
    fn registry(deployments: &[(&str, &str, bool)]) -> MemoryRegistry {
        let registry = MemoryRegistry::default();
        for (id, service, runs) in deployments {
            let mut deployment = fixtures::baking();
            deployment.id = DeploymentId::new(*id);
            deployment.plan.service = glidepath_core::ids::ServiceLabel::new(*service);
            if !runs {
                deployment.phase = Phase::Closed(Outcome::Succeeded);
            }
            registry.items().deployments.insert(deployment.id.clone(), deployment);
        }
        registry
    }

    /// Where there is no execution of that name.
    async fn found(registry: &MemoryRegistry, text: &str) -> Result<String, String> {
        let named: Named = text.parse().unwrap();
        let nothing = async |_: &ExecutionArn| Ok(None);
        let beginnings = Beginnings::Offered;
        let found =
            named.find(registry, execution, nothing, beginnings, &Commands::default()).await;
        found.map(|id| id.to_string()).map_err(|stopped| {
            let Stopped::Unusable { message, hint } = stopped else { panic!("{stopped}") };
            format!("{message}; {hint}")
        })
    }

    #[tokio::test]
    async fn a_deployment_is_found_by_name_by_execution_and_by_the_only_one_of_its_service() {
        let registry = registry(&[
            ("shop-42", "shop", true),
            ("shop-41", "shop", false),
            ("cart-7", "cart", false),
        ]);
        let arn = execution(&DeploymentId::new("shop-41"));
        for (text, expected) in
            [("shop-41", "shop-41"), (arn.as_str(), "shop-41"), ("shop", "shop-42")]
        {
            assert_eq!(found(&registry, text).await.as_deref(), Ok(expected), "{text}");
        }
        let told = found(&registry, "cart").await.unwrap_err();
        assert_eq!(
            told,
            "there is no deployment `cart`, and none of a service `cart` runs; did you mean \
             `cart-7`? `glidepath status` shows the names of running and recent ones"
        );
        let told = found(&registry, "shpo-42").await.unwrap_err();
        assert!(told.contains("did you mean `shop-42`?"), "{told}");
        let told = found(&registry, "arn:aws:states:eu-west-1:2:execution:glidepath:shop-42").await;
        assert!(told.unwrap_err().contains("is no execution of this stack"));
    }

    /// Whoever changes something by half a name may mean another one.
    #[tokio::test]
    async fn a_beginning_is_enough_to_look_where_it_is_that_of_one_deployment_and_never_to_act() {
        let registry = registry(&[
            ("shop-42", "shop", true),
            ("shop-41", "shop", false),
            ("cart-8", "cart", true),
            ("cart-9", "cart", true),
            ("mail-6", "mail", false),
            ("mail-71", "mail", false),
            ("mail-72", "mail", false),
        ]);
        let looked = async |text: &str| {
            let named: Named = text.parse().unwrap();
            let nothing = async |_: &ExecutionArn| Ok(None);
            let commands = Commands::default();
            let found = named.find(&registry, execution, nothing, Beginnings::Taken, &commands);
            found.await.map(|id| id.to_string()).ok()
        };
        for (text, expected) in [
            // Of those that run, before what has ended.
            ("sh", Some("shop-42")),
            ("shop-41", Some("shop-41")),
            ("mail-6", Some("mail-6")),
            ("mail-71", Some("mail-71")),
            ("ca", None),
            ("mail-7", None),
            ("hop", None),
        ] {
            assert_eq!(looked(text).await.as_deref(), expected, "{text}");
            let acted = found(&registry, text).await;
            assert_eq!(acted.is_ok(), ["shop-41", "mail-6", "mail-71"].contains(&text), "{text}");
        }
        let told = found(&registry, "sh").await.unwrap_err();
        assert!(told.contains("did you mean") && told.contains("`shop-42`"), "{told}");
    }

    #[tokio::test]
    async fn nothing_is_guessed_where_two_are_possible() {
        let several = registry(&[("a-1", "shop", true), ("b-1", "shop", true)]);
        let told = found(&several, "shop").await.unwrap_err();
        assert!(told.contains("more than one may run: `a-1`, `b-1`"), "{told}");

        let unread = registry(&[("a-1", "shop", true), ("b-1", "shop", true)]);
        unread.items().unreadable.insert(DeploymentId::new("b-1"));
        let told = found(&unread, "shop").await.unwrap_err();
        assert!(told.contains("`a-1`, `b-1`"), "{told}");

        // The only one that runs may be the one that cannot be read.
        let unread = registry(&[("b-1", "shop", true)]);
        unread.items().unreadable.insert(DeploymentId::new("b-1"));
        let told = found(&unread, "shop").await.unwrap_err();
        assert!(told.contains("may run: `b-1`"), "{told}");

        // One that is named can be handed on, whoever can read it.
        assert_eq!(found(&unread, "b-1").await.as_deref(), Ok("b-1"));
    }

    #[tokio::test]
    async fn a_name_that_is_being_planned_or_that_nobody_can_look_up_is_never_a_service() {
        let registry = registry(&[("shop-42", "shop", true)]);
        let (named, commands) = (Named("shop".to_owned()), Commands::default());
        let operation = "states:DescribeExecution";
        let denied = PortError::Refused { operation, detail: "AccessDenied".to_owned() };
        for state in [Ok(Some(ExecutionState::Running)), Err(denied)] {
            let state = async |_: &ExecutionArn| state.clone();
            let found = named
                .find(&registry, execution, state, Beginnings::Taken, &commands)
                .await
                .unwrap();
            assert_eq!(found.as_str(), "shop");
        }
    }

    #[test]
    fn names_are_what_an_execution_may_be_called() {
        assert!(name("petswipe-0a1b2c3d_4.5").is_ok());
        for bad in ["", "a b", "a/b", "a:b", "a\nb", &"a".repeat(81)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn its_name_is_one_that_an_execution_can_have() {
        let at = Timestamp::parse("2026-11-28T20:30:00Z").unwrap();
        assert_eq!(named_after("shop", at).unwrap().as_str(), "shop-back-20261128T203000Z");
        let long = named_after(&"a b/".repeat(40), at).unwrap();
        assert!(long.as_str().len() <= 80, "{long}");
    }
}
