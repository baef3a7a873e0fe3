//! `glidepath plan`: what a request would do, or everything that is wrong with it.

use std::io::Write;

use glidepath_core::document::Findings;
use glidepath_core::plan::Plan;
use glidepath_core::preflight::Resolved;
use glidepath_core::request::Asked;
use glidepath_core::timetable::Timetable;
use glidepath_engine::forecast::{forecast, suggest, try_checks};
use glidepath_engine::ports::Clock;
use glidepath_engine::survey::{Unfit, survey};

use crate::connection::{Connection, Options};
use crate::document::{Document, Source};
use crate::revision::Images;
use crate::stopped::{Stopped, write_findings};

/// Check a request and show its timetable
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    images: Images,
    /// Check only what can be seen without looking at AWS
    #[arg(long, conflicts_with = "asked")]
    offline: bool,
    /// Write stages that fit the service's own requests of the last three days instead
    #[arg(long, conflicts_with = "offline")]
    suggest: bool,
}

/// Shows the timetable of a request without findings, and what somebody should know about it.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let mut document = arguments.source.read()?;
    // Before anything is asked: a mistake in the request needs no credentials to be found.
    let asked = document.asked()?;
    if arguments.offline {
        match &asked {
            Asked::Release(request) => writeln!(output, "{}", Timetable::of_request(request))?,
            Asked::WayBack(asked) => writeln!(
                output,
                "nothing to be seen here: what `{}` goes back to, the stack's registry knows",
                asked.service
            )?,
        }
        return Ok(());
    }
    let mut connection = options.connect().await?;
    if !arguments.images.is_empty() {
        let revision = arguments.images.revision(&connection, &document, None).await?;
        revision.show(output)?;
        writeln!(output)?;
        revision.preview(&mut connection, &mut document)?;
    }
    let (Resolved { plan, warnings }, mut findings) = surveyed(&connection, &document).await?;
    let (monitoring, now) = (&connection.ports.monitoring, connection.ports.ambient.now());
    if arguments.suggest {
        write!(output, "{}", suggest(monitoring, now, &plan).await?)?;
        return Ok(());
    }
    findings.extend(warnings);
    if let Asked::Release(request) = &asked {
        let tried = try_checks(monitoring, now, &plan).await;
        if tried.has_errors() {
            return Err(document.refused(tried));
        }
        findings.extend(tried);
        findings.extend(forecast(monitoring, now, request, &plan).await);
    }
    show(&plan, findings, &document, output)
}

/// The plan of a request, its warnings in it, and beside it what is to be said of the stack.
pub(super) async fn surveyed(
    connection: &Connection,
    document: &Document,
) -> Result<(Resolved, Findings), Stopped> {
    let mut findings = connection.versions();
    if findings.has_errors() {
        return Err(document.refused(findings));
    }
    let Connection { stack, ports, .. } = connection;
    match survey(ports, &stack.settings()?, ports.ambient.now(), &document.value).await {
        Ok(surveyed) => Ok((surveyed.resolved, findings)),
        Err(Unfit::Refused(refusal)) => {
            findings.extend(refusal.findings().clone());
            Err(document.refused(findings.errors_first()))
        }
        Err(Unfit::Failed(failure)) => Err(Stopped::by_failure(&failure, "try again")),
    }
}

/// A plan, and what somebody should know about it.
pub(super) fn show(
    plan: &Plan,
    findings: Findings,
    document: &Document,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    writeln!(output, "{}", Timetable::of_plan(plan))?;
    if !findings.is_empty() {
        writeln!(output)?;
        write_findings(&document.located(findings), output)?;
    }
    Ok(())
}
