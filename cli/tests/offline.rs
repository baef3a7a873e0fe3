//! The commands that need no AWS, run as a person runs them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn glidepath(arguments: &[&str], input: &str) -> Output {
    glidepath_where(&[], arguments, input)
}

/// With variables of the environment.
fn glidepath_where(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let ran = run(variables, arguments, input);
    ran.unwrap_or_else(|error| panic!("the command does not run: {error}"))
}

fn run(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_glidepath"))
        .args(arguments)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .envs(variables.iter().copied())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut standard_input) = child.stdin.take() {
        standard_input.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

#[track_caller]
fn assert_output(output: &Output, code: i32, standard: &str, error: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), error);
    assert_eq!(String::from_utf8_lossy(&output.stdout), standard);
    assert_eq!(output.status.code(), Some(code));
}

const TIMETABLE: &str = "\
petswipe-backend: petswipe-backend:42 (canary)

stage  weight     canary tasks  begins after  bakes for  approval
    1     5 %    5 % of stable            0s         5m  -
    2    25 %   25 % of stable            5m         5m  within 4h, else rollback
    3   100 %  100 % of stable           10m        30m  -

done after 40m at the earliest; the start of tasks comes on top
done or held after 6h 55m at the latest
about 3536 of 25000 history events, if approvals come late
";

#[test]
fn a_request_without_findings_is_shown_as_a_timetable() {
    assert_output(&glidepath(&["plan", "good.yaml", "--offline"], ""), 0, TIMETABLE, "");
}

#[test]
fn a_request_can_come_from_the_standard_input() {
    let request = include_str!("requests/good.yaml");
    assert_output(&glidepath(&["plan", "-", "--offline"], request), 0, TIMETABLE, "");
}

#[test]
fn every_finding_is_shown_with_its_path_and_a_hint_and_no_colours_in_a_pipe() {
    let findings = "\
error: an empty list at $.target.routes (line 6, column 3)
  hint: name at least one
error: `petswipe-backend` is not `family:revision` or a task definition's ARN at $.release.taskDefinition (line 7, column 12)
  hint: write `family:revision` or a task definition's ARN
error: 25 % does not go beyond the 25 % of stages[0] at $.strategy.canary.stages[1].weight (line 12, column 11)
  hint: let the weights increase from stage to stage
error: the last stage ends at 25 % at $.strategy.canary.stages[1].weight (line 12, column 11)
  hint: end with a stage of weight 100: a deployment is done when everything has moved
error: the duration 5 has no unit at $.strategy.canary.stages[0].bake (line 11, column 23)
  hint: write 5m, not 5
error: unknown field `retenton` at $.retenton (line 13, column 1)
  hint: did you mean `retention`?
";
    assert_output(&glidepath(&["plan", "bad.yaml", "--offline"], ""), 2, "", findings);
}

#[test]
fn whoever_wants_no_colours_is_told_the_same_without_them() {
    let told = |variables: &[(&str, &str)]| {
        let output = glidepath_where(variables, &["plan", "bad.yaml", "--offline"], "");
        String::from_utf8(output.stderr).unwrap()
    };
    let plain = told(&[]);
    // As in a terminal, which a test has not.
    let forced = ("CLICOLOR_FORCE", "1");
    let coloured = told(&[forced]);
    assert!(coloured.contains("\u{1b}[") && !plain.contains('\u{1b}'), "{coloured}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    assert_eq!(told(&[forced, ("NO_COLOR", "1")]), plain);
    assert_eq!(told(&[forced, ("NO_COLOR", "")]), coloured, "it says nothing where it is empty");
}

#[test]
fn what_is_no_document_is_refused_with_a_hint() {
    let output = glidepath(&["plan", "-", "--offline"], "a: [");
    let error = String::from_utf8_lossy(&output.stderr);
    let expected = "error: the standard input, line 1, column 4: a bracket is opened here and \
                    never closed\n  hint: close it with `]` or `}`\n";
    assert_eq!(error, expected);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_missing_file_and_wrong_usage_end_with_the_same_code() {
    let missing = glidepath(&["plan", "missing.yaml", "--offline"], "");
    let error = String::from_utf8_lossy(&missing.stderr);
    assert!(error.starts_with("error: cannot read `missing.yaml`: "), "{error}");
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(glidepath(&["plan"], "").status.code(), Some(2));
    assert_eq!(glidepath(&[], "").status.code(), Some(2));
}

#[test]
fn the_schema_is_the_published_one() {
    let published = include_str!("../../docs/request.schema.json");
    assert_output(&glidepath(&["schema"], ""), 0, published, "");
}

#[test]
fn windows_are_worked_out_without_a_look_at_aws() {
    let plan = |windows: &str| {
        let request = format!("{}\nwindows: {windows}\n", include_str!("requests/good.yaml"));
        glidepath(&["plan", "-", "--offline"], &request)
    };
    let never = plan("{ timeZone: Europe/Berlin, deny: [{}] }");
    assert_eq!(never.status.code(), Some(2));
    let error = String::from_utf8_lossy(&never.stderr).into_owned();
    assert!(error.contains("no weight may move within the sixty days to"), "{error}");
    let later = plan(
        r#"{ timeZone: UTC, deny: [{ from: "2020-01-01T00:00", until: "2999-01-01T00:00" }] }"#,
    );
    assert_eq!(later.status.code(), Some(2));
    let always = plan(
        r#"{ timeZone: UTC, deny: [{ from: "2020-01-01T00:00", until: "2020-01-02T00:00" }] }"#,
    );
    let text = String::from_utf8_lossy(&always.stdout).into_owned();
    assert_eq!(always.status.code(), Some(0), "{text}");
    assert!(text.contains("(as far as is known)"), "{text}");
}
