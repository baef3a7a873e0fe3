//! How the online commands are used, and what they say without AWS.

use std::process::{Command, Output};

/// Runs with an address at which nobody listens, and without anybody's configuration.
fn glidepath(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glidepath"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests"))
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap_or_else(|error| panic!("the command does not run: {error}"))
}

#[track_caller]
fn assert_refused(arguments: &[&str], code: i32, expected: &str) {
    let output = glidepath(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(expected), "{arguments:?}: {error}");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn wrong_usage_is_refused_with_what_is_missing() {
    for command in ["approve", "reject", "report", "rollback", "abort"] {
        assert_refused(&[command], 2, "<DEPLOYMENT>");
    }
    assert_refused(&["start"], 2, "<FILE>");
    assert_refused(&["start", "good.yaml", "--name", "a b"], 2, "cannot be in a name");
    assert_refused(&["status", "--watch"], 2, "<DEPLOYMENT>");
    assert_refused(&["status", "shop-42", "--watch", "--json"], 2, "cannot be used with");
}

#[test]
fn a_request_with_mistakes_needs_no_aws_to_be_refused() {
    for arguments in [
        &["plan", "bad.yaml"][..],
        &["start", "bad.yaml", "--wait"],
        &["doctor", "--service", "bad.yaml"],
    ] {
        assert_refused(arguments, 2, "error: unknown field `retenton` at $.retenton");
    }
}

#[test]
fn without_a_region_the_hint_names_both_ways_to_give_one() {
    for arguments in [
        &["status"][..],
        &["plan", "good.yaml"],
        &["start", "good.yaml"],
        &["report", "shop-42"],
        &["approve", "shop-42"],
        &["reject", "shop-42", "--reason", "it is slow"],
        &["rollback", "shop-42"],
        &["doctor"],
    ] {
        assert_refused(arguments, 2, "hint: give --region, or set AWS_REGION");
    }
}

#[test]
fn aws_that_cannot_be_reached_has_a_code_of_its_own() {
    assert_refused(&["status", "--region", "eu-west-1"], 3, "error: cloudformation:DescribeStacks");
}

#[test]
fn a_profile_that_is_not_there_is_not_passed_over_for_other_credentials() {
    let arguments = ["status", "--region", "eu-west-1", "--profile", "nope"];
    assert_refused(&arguments, 3, "error: there is no profile `nope`, or nobody is logged in: ");
}

#[test]
fn every_shell_can_complete_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = glidepath(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout);
        for word in ["rollback", "exit-status", "profile"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(output.status.success(), "{shell}");
    }
    assert_refused(&["completions", "ksh"], 2, "possible values: bash");
}
