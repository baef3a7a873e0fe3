//! `glidepath plan`: what a request would do, or everything that is wrong with it.

use std::io::Write;

use glidepath_aws::clock::System;
use glidepath_core::document::Findings;
use glidepath_core::plan::Plan;
use glidepath_core::preflight::{Resolved, openings};
use glidepath_core::request::Asked;
use glidepath_core::timetable::Timetable;
use glidepath_engine::forecast::{forecast, suggest, try_checks};
use glidepath_engine::ports::{Clock, Registry};
use glidepath_engine::survey::{Unfit, survey};
use serde_json::{Value, json};

use crate::connection::{Connection, Options};
use crate::document::{Document, Source};
use crate::revision::{Comparison, Images, Revision};
use crate::stopped::{Stopped, findings_view, write_findings, written_as_json};

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
    /// End with 0 if the version serves already, with 2 if something would change, with 1 if anything is wrong,
    /// as `terraform plan -detailed-exitcode` does
    #[arg(long, conflicts_with_all = ["offline", "suggest"])]
    detailed_exitcode: bool,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["offline", "suggest"])]
    json: bool,
}

/// Whether a deployment would change what serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    Nothing,
    Something,
    /// Nobody has asked AWS, or not for that.
    Unknown,
}

impl Arguments {
    /// How the command ends after that.
    fn ended(&self, planned: Result<Changes, Stopped>) -> Result<(), Stopped> {
        match planned {
            Ok(_) if !self.detailed_exitcode => Ok(()),
            Ok(Changes::Something) => Err(Stopped::Coded { code: 2, why: None }),
            Ok(Changes::Nothing | Changes::Unknown) => Ok(()),
            Err(Stopped::Coded { why, .. }) if self.detailed_exitcode => {
                Err(Stopped::Coded { code: 1, why })
            }
            Err(stopped) if self.detailed_exitcode => {
                Err(Stopped::Coded { code: 1, why: Some(Box::new(stopped)) })
            }
            Err(stopped) => Err(stopped),
        }
    }

    /// What is wrong with it, in the form that was asked for.
    fn told(&self, stopped: Stopped, output: &mut impl Write) -> Stopped {
        if self.json { written_as_json(stopped, output) } else { stopped }
    }
}

/// Shows the timetable of a request without findings, and what somebody should know about it.
pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let planned = planned(arguments, options, output).await;
    arguments.ended(planned.map_err(|stopped| arguments.told(stopped, output)))
}

async fn planned(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<Changes, Stopped> {
    let mut document = arguments.source.read()?;
    // Before anything is asked: a mistake in the request needs no credentials to be found.
    let asked = document.asked()?;
    if arguments.offline {
        match &asked {
            Asked::Release(request) => {
                let now = System::default().now();
                let mut findings = Findings::default();
                let windows = request.windows.as_ref();
                let windows = windows.map(|windows| openings(windows, now, &mut findings));
                if findings.has_errors() {
                    return Err(document.refused(findings));
                }
                writeln!(output, "{}", Timetable::of_request(request, windows.as_ref()))?;
                if !findings.is_empty() {
                    writeln!(output)?;
                    write_findings(&document.located(findings), output)?;
                }
            }
            Asked::WayBack(asked) => writeln!(
                output,
                "nothing to be seen here: what `{}` goes back to, the stack's registry knows",
                asked.service
            )?,
        }
        return Ok(Changes::Unknown);
    }
    let mut connection = options.connect().await?;
    let mut revision = None;
    if !arguments.images.is_empty() {
        let made = arguments.images.revision(&connection, &document, None).await?;
        if !arguments.json {
            made.show(output)?;
            writeln!(output)?;
        }
        made.preview(&mut connection, &mut document)?;
        revision = Some(made);
    }
    let (Resolved { plan, warnings }, mut findings) = surveyed(&connection, &document).await?;
    let imagined = revision.as_ref().and_then(Revision::imagined);
    let comparison = Comparison::read(&connection.clients, &plan, imagined).await;
    let (monitoring, now) = (&connection.ports.monitoring, connection.ports.ambient.now());
    if arguments.suggest {
        write!(output, "{}", suggest(monitoring, now, &plan).await?)?;
        return Ok(Changes::Unknown);
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
    findings.extend(comparison.unseen());
    if arguments.json {
        // People have read it above.
        findings.extend(revision.map(Revision::into_warnings).unwrap_or_default());
        writeln!(output, "{:#}", view(&plan, &comparison, &document.located(findings)))?;
    } else {
        show(&plan, &comparison, findings, &document, output)?;
    }
    Ok(changes(&plan))
}

fn changes(plan: &Plan) -> Changes {
    if plan.task_definition == plan.stable.task_definition {
        Changes::Nothing
    } else {
        Changes::Something
    }
}

/// A plan for programs.
pub(super) fn view(plan: &Plan, comparison: &Comparison, findings: &Findings) -> Value {
    let stages = plan.stages.iter().map(|stage| {
        json!({
            "weight": f64::from(stage.weight.permille()) / 10.0,
            "bake": stage.bake,
            "approval": stage.approval.is_some(),
        })
    });
    let windows = plan.windows.as_ref().map(|windows| {
        let open = windows.open.iter();
        let open = open.map(|opening| {
            json!({ "from": opening.from.to_string(), "until": opening.until.to_string() })
        });
        open.collect::<Vec<_>>()
    });
    let mut view = json!({
        "service": plan.service,
        "version": plan.task_definition,
        "replaces": plan.stable.task_definition,
        "changes": changes(plan) == Changes::Something,
        "stages": stages.collect::<Vec<_>>(),
        "windows": windows,
        "findings": findings_view(findings),
    });
    comparison.write_into(&mut view);
    view
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
    let now = ports.ambient.now();
    match survey(ports, &stack.settings()?, now, &document.value).await {
        Ok(surveyed) => {
            let freezes = ports.registry.freezes().await?;
            let plan = &surveyed.resolved.plan;
            if let Some(freeze) = freezes.of(plan).filter(|freeze| freeze.in_force(now)) {
                let frozen = freeze.in_words();
                findings.warning("$", format!("it is {frozen}"), "it begins once it is thawed");
            }
            Ok((surveyed.resolved, findings))
        }
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
    comparison: &Comparison,
    findings: Findings,
    document: &Document,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    writeln!(output, "{}", Timetable::of_plan(plan))?;
    comparison.show(output)?;
    if !findings.is_empty() {
        writeln!(output)?;
        write_findings(&document.located(findings), output)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use glidepath_engine::testing::example;

    use super::*;
    use crate::fixtures::{minutes, same_as_file};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(line: &[&str]) -> Arguments {
        Line::parse_from([&["plan", "request.yaml"], line].concat()).arguments
    }

    fn unusable() -> Stopped {
        Stopped::Unusable { message: "no".to_owned(), hint: "yes".to_owned() }
    }

    /// What `terraform plan -detailed-exitcode` has taught everybody; without it what this command always says.
    #[test]
    fn the_detailed_exit_code_is_that_of_terraform() {
        let code = |line: &[&str], planned: Result<Changes, Stopped>| {
            arguments(line).ended(planned).map_or_else(|stopped| stopped.code(), |()| 0)
        };
        let detailed = ["--detailed-exitcode"];
        for (planned, usual, asked) in [
            (Ok(Changes::Nothing), 0, 0),
            (Ok(Changes::Something), 0, 2),
            (Err(unusable()), 2, 1),
            (Err(Stopped::Coded { code: 2, why: None }), 2, 1),
        ] {
            let again = match &planned {
                Ok(changes) => Ok(*changes),
                Err(Stopped::Coded { code, .. }) => Err(Stopped::Coded { code: *code, why: None }),
                Err(_) => Err(unusable()),
            };
            assert_eq!((code(&[], planned), code(&detailed, again)), (usual, asked));
        }
    }

    #[test]
    fn a_plan_for_programs() {
        let plan =
            example::plan(vec![example::stage(50, minutes(5)), example::stage(1000, minutes(30))]);
        let mut findings = Findings::default();
        findings.warning("$.service", "it is late", "wait for the morning");
        let place = glidepath_core::document::Place { line: 2, column: 1 };
        let findings = findings.located(|_| Some(place));
        assert_eq!(changes(&plan), Changes::Something);
        let comparison = Comparison::of_nothing(&plan);
        same_as_file("plan.json", &format!("{:#}\n", view(&plan, &comparison, &findings)));
        let mut same = plan.clone();
        same.stable.task_definition = same.task_definition.clone();
        assert_eq!(changes(&same), Changes::Nothing);
        let mut output = Vec::new();
        let told = arguments(&["--json"]).told(Stopped::Findings(findings), &mut output);
        assert!(matches!(told, Stopped::Coded { code: 2, why: None }));
        let output = String::from_utf8(output).unwrap();
        assert!(output.contains("\"message\":\"it is late\""), "{output}");
    }
}
