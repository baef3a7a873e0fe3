//! `glidepath rollback NAME --to VERSION`: the way back after a success. It is a deployment of its own, of a
//! version that has served before: everything at once, as soon as its tasks are healthy.

use std::io::Write;

use glidepath_core::back::{Back, KNOWN, NoWayBack, To, back};
use glidepath_core::document::Findings;
use glidepath_core::ids::{DeploymentId, ServiceLabel};
use glidepath_core::rehearsal::writes;
use glidepath_core::request::{ApiVersion, WayBackRelease, WayBackRequest};
use glidepath_core::said::quoted;
use glidepath_engine::ports::{Clock, Recent, Registry};
use serde_json::Value;

use super::start::{Following, Manner};
use super::{plan, start};
use crate::connection::Options;
use crate::document::Document;
use crate::follow::Until;
use crate::names::{Named, named_after};
use crate::next_command::Commands;
use crate::revision::Comparison;
use crate::stopped::Stopped;

/// What somebody asks for.
pub(crate) struct Asked<'a> {
    pub(crate) named: &'a Named,
    pub(crate) to: &'a To,
    pub(crate) reason: Option<&'a str>,
    pub(crate) dry_run: bool,
    pub(crate) skip_validation: bool,
    pub(crate) json: bool,
}

/// Starts what brings the version back and follows it, or shows what that would do.
pub(crate) async fn run(
    asked: &Asked<'_>,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let reason = match asked.reason {
        Some(reason) => reason.split_whitespace().collect::<Vec<_>>().join(" "),
        None if asked.dry_run => "a dry run".to_owned(),
        None => return Err(without_reason()),
    };
    let commands = options.commands();
    let connection = options.connect().await?;
    let subject = asked.named.exactly(|id| connection.operator.execution(id))?;
    let known = connection.ports.registry.recent(KNOWN).await?;
    let found = found(&known, subject.as_str(), asked.to, &reason, &commands)?;
    let mut findings = Findings::default();
    match undoes(&known, &found) {
        Some(told) if asked.json => {
            findings.warning("--to", told, "name another version with --to if that is not meant");
        }
        Some(told) => writeln!(output, "warning: {told}")?,
        None => {}
    }
    let Back { way_back, request, .. } = found;
    let serving = way_back.from;
    let version = request.release.task_definition.short().to_owned();
    // What was found here, so that the stack brings back nothing else: it refuses where the registry has
    // moved on since.
    let rollback_to = match asked.to {
        To::Previous => "previous",
        To::Named(_) | To::Slot(_) => request.release.task_definition.as_str(),
    };
    let document = WayBackRequest {
        api_version: ApiVersion::V1,
        service: ServiceLabel::new(serving.as_str()),
        release: WayBackRelease {
            rollback_to: rollback_to.to_owned(),
            skip_validation: asked.skip_validation,
        },
        // AWS says it, to the function that is asked to start it.
        started_by: None,
        reason,
    };
    let value = serde_json::to_value(&document).map_err(|error| Stopped::Unusable {
        message: format!("the way back from {serving} cannot be written as a request: {error}"),
        hint: format!("deploy {version} with `strategy: {{allAtOnce: {{bake: 0s}}}}`"),
    })?;
    let document = Document::of(value);
    if asked.dry_run {
        let (resolved, of_stack) = plan::surveyed(&connection, &document).await?;
        findings.extend(of_stack);
        findings.extend(resolved.warnings);
        let comparison = Comparison::read(&connection.clients, &resolved.plan, None).await;
        findings.extend(comparison.unseen());
        let writes = writes(&resolved.plan);
        let writes = writes.iter().map(|planned| planned.in_words(&resolved.plan));
        if asked.json {
            let mut view = plan::view(&resolved.plan, &comparison, &document.located(findings));
            view["writes"] = writes.map(Value::String).collect();
            writeln!(output, "{view}")?;
            return Ok(());
        }
        writeln!(
            output,
            "as the registry knows, {serving} serves; this would bring {version} back:\n"
        )?;
        plan::show(&resolved.plan, &comparison, findings, &document, output)?;
        writeln!(
            output,
            "\nwhat it would write to AWS, in order; the start of tasks comes on top:"
        )?;
        for planned in writes {
            writeln!(output, "  {planned}")?;
        }
        return Ok(());
    }
    let id = named_after(request.service.as_str(), connection.ports.ambient.now())?;
    if !asked.json {
        writeln!(output, "as the registry knows, {serving} serves; {id} brings {version} back")?;
        // Before anything is started, for whoever watches.
        output.flush()?;
    }
    let following = Following::Until(Until::default());
    let manner = Manner { following, json: asked.json, findings, registered: None };
    start::begin(&connection, &document, &id, manner, &commands, output).await
}

/// That somebody left this version on purpose: whoever types the name of the way back in place of the bad
/// deployment's brings the bad version back, and nothing else would tell.
fn undoes(known: &Recent, found: &Back) -> Option<String> {
    let serving = &found.way_back.from;
    let plan = &known.deployments.iter().find(|deployment| deployment.id == *serving)?.plan;
    let left = &plan.way_back.as_ref()?.version;
    (*left == found.request.release.task_definition).then(|| {
        let reason = plan.reason.as_deref().map(|reason| format!(" ({})", quoted(reason)));
        format!(
            "{} was left by {serving}{}: this undoes it and brings {0} to everybody again",
            left.short(),
            reason.unwrap_or_default()
        )
    })
}

fn without_reason() -> Stopped {
    Stopped::Unusable {
        message: "a way back has a reason: whoever is told wants to know it".to_owned(),
        hint: "say it with `--reason \"...\"`".to_owned(),
    }
}

/// What brings the version back, or why there is nothing to bring back, and what there is.
fn found(
    known: &Recent,
    subject: &str,
    to: &To,
    reason: &str,
    commands: &Commands,
) -> Result<Back, Stopped> {
    if let Some(unreadable) = known.unreadable.keys().next() {
        return Err(Stopped::Unusable {
            message: format!(
                "the record of {unreadable} cannot be read, so what has served is not known for \
                 certain; nothing was started"
            ),
            hint: "use the version of the command line that the stack has, or deploy the version with \
                   `strategy: {allAtOnce: {bake: 0s}}`"
                .to_owned(),
        });
    }
    back(&known.deployments, subject, to, None, reason)
        .map_err(|none| no_way_back(&none, subject, to, commands))
}

pub(super) fn no_way_back(
    none: &NoWayBack,
    subject: &str,
    to: &To,
    commands: &Commands,
) -> Stopped {
    let command = |verb: &str, id: Option<&DeploymentId>, rest: &str| match id {
        Some(id) => commands.of(verb, id, rest),
        None => format!("glidepath {verb}{}", commands.options()),
    };
    let (message, hint) = none.told(subject, to, &command);
    Stopped::Unusable { message: format!("{message}; nothing was started"), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn known(deployments: Vec<glidepath_core::record::Deployment>) -> Recent {
        Recent { deployments, ..Recent::default() }
    }

    fn refused(known: &Recent, to: &str) -> (String, String) {
        let found = found(known, "shop", &To::of(to), "slow", &Commands::default());
        let Err(Stopped::Unusable { message, hint }) = found else { panic!("{found:?}") };
        assert!(message.ends_with("nothing was started"), "{message}");
        (message, hint)
    }

    #[test]
    fn the_version_before_is_brought_back() {
        let known = known(vec![fixtures::succeeded()]);
        let to = To::Previous;
        let Back { way_back, request, .. } =
            found(&known, "shop", &to, "slow", &Commands::default()).unwrap();
        assert_eq!(way_back.from.as_str(), "shop-42");
        let old = &known.deployments[0].plan.stable.task_definition;
        assert_eq!(request.release.task_definition, *old);
        assert_eq!(request.reason.as_deref(), Some("slow"));
    }

    #[test]
    fn whoever_names_the_way_back_is_told_that_it_is_undone() {
        let bad = fixtures::succeeded();
        let mut went_back = bad.clone();
        went_back.id = DeploymentId::new("shop-43");
        let plan = &mut went_back.plan;
        std::mem::swap(&mut plan.task_definition, &mut plan.stable.task_definition);
        plan.reason = Some("it is slow".to_owned());
        plan.way_back = Some(glidepath_core::plan::WayBack {
            from: bad.id.clone(),
            version: bad.plan.task_definition.clone(),
            skips_validation: false,
        });
        let told = |known: &Recent, subject, to| {
            let found = found(known, subject, &To::of(to), "slow", &Commands::default());
            undoes(known, &found.unwrap())
        };
        assert_eq!(told(&known(vec![bad.clone()]), "shop-42", "previous"), None);
        assert_eq!(
            told(&known(vec![went_back, bad]), "shop-43", "previous").unwrap(),
            "shop:2 was left by shop-43 (\"it is slow\"): this undoes it and brings shop:2 to everybody again"
        );
    }

    #[test]
    fn what_cannot_be_brought_back_is_said_with_what_can() {
        let succeeded = known(vec![fixtures::succeeded()]);
        let (message, hint) = refused(&succeeded, "shop:7");
        assert!(message.starts_with("as far as is known, `shop:7` has served"), "{message}");
        assert_eq!(hint, "these have: shop:1");
        let (message, _) = refused(&succeeded, "shop-42");
        assert!(message.starts_with("shop:2 serves already"), "{message}");
        let (message, hint) = refused(&known(vec![fixtures::baking()]), "previous");
        assert!(message.starts_with("of `shop` none of the last"), "{message} {hint}");
        let mut running = fixtures::baking();
        running.id = DeploymentId::new("shop-43");
        let (message, hint) = refused(&known(vec![running, fixtures::succeeded()]), "previous");
        assert!(message.starts_with("shop-43 has not ended"), "{message}");
        assert!(hint.contains("`glidepath rollback shop-43`"), "{hint}");
        let mut unread = known(vec![fixtures::succeeded()]);
        unread.unreadable.insert(DeploymentId::new("shop-44"), "damaged".to_owned());
        assert!(refused(&unread, "previous").0.contains("shop-44 cannot be read"));
    }
}
