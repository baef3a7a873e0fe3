//! How the online commands are used, and what they say without AWS.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

/// Runs with an address at which nobody listens, and without anybody's configuration.
fn glidepath(arguments: &[&str]) -> Output {
    command_at("http://127.0.0.1:9", arguments)
}

/// The same with an AWS of its own.
fn command_at(address: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glidepath"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests"))
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("AWS_ENDPOINT_URL", address)
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
    assert_refused(&["audit"], 2, "--from <TIME>");
    assert_refused(&["audit", "--from", "monday"], 2, "neither a day (2026-11-01) nor an instant");
    let backwards = ["audit", "--from", "2026-11-02", "--to", "2026-11-01"];
    assert_refused(&backwards, 2, "`--from` is the earlier one");
    assert_refused(&["start", "good.yaml", "--name", "a b"], 2, "cannot be in a name");
    assert_refused(&["status", "--watch"], 2, "<DEPLOYMENT>");
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

/// A stack that says this version, and what it was asked; nothing but its description is answered.
fn stack_of(version: &str) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let output = |name: &str, value: &str| {
        format!("<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>")
    };
    let outputs = [
        output("Version", version),
        output("StateMachineArn", "arn:aws:states:eu-west-1:123456789012:stateMachine:m"),
        output("TableName", "t"),
        output("RollbackFunctionName", "r"),
        output("UndeliveredQueueUrl", "q"),
    ];
    let described = format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>\
         <StackName>glidepath</StackName><StackStatus>CREATE_COMPLETE</StackStatus>\
         <CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>{}</Outputs>\
         </member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
        outputs.concat()
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut length, mut target) = (0, String::new());
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim().split_once(": ") else {
                    if line.trim().is_empty() {
                        break;
                    }
                    continue;
                };
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "x-amz-target" => target = value.to_owned(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            if body == "enough" {
                return asked;
            }
            let description = body.contains("Action=DescribeStacks");
            let (status, answer) = if description {
                ("200 OK", described.as_str())
            } else {
                ("400 Bad Request", r#"{"__type": "AccessDeniedException", "message": "no"}"#)
            };
            let action = body.split('&').find_map(|field| field.strip_prefix("Action="));
            asked.push(action.map_or(target, str::to_owned));
            let length = answer.len();
            let head =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}");
            write!(stream.get_mut(), "{head}\r\n\r\n{answer}").unwrap();
        }
        asked
    });
    (address, answering)
}

/// What the command says with a stack of this version, how it ends, and what it asked.
fn with_stack(arguments: &[&str], version: &str) -> (String, Option<i32>, Vec<String>) {
    let (address, answering) = stack_of(version);
    let ended = command_at(&address, &[arguments, &["--region", "eu-west-1"]].concat());
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    write!(stream, "POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nenough").unwrap();
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (said.concat(), ended.status.code(), answering.join().unwrap())
}

#[test]
fn nothing_is_started_with_a_stack_that_is_known_not_to_fit() {
    for command in ["plan", "start"] {
        let (said, code, asked) = with_stack(&[command, "good.yaml"], "99.0.0");
        assert!(
            said.contains("error: the stack is 99.0.0, this command line"),
            "{command}: {said}"
        );
        assert!(said.contains("hint: install the command line of version 99.0.0"), "{said}");
        assert_eq!((code, asked), (Some(2), vec!["DescribeStacks".to_owned()]), "{command}");
    }
}

#[test]
fn nobody_lets_go_on_what_the_stack_would_not_understand() {
    let (said, code, asked) = with_stack(&["promote", "d-1", "--reason", "why"], "99.0.0");
    assert!(said.contains("error: nothing was recorded: error: the stack is 99.0.0"), "{said}");
    assert!(said.contains("hint: `glidepath rollback` works with any version"), "{said}");
    assert_eq!((code, asked), (Some(2), vec!["DescribeStacks".to_owned()]), "{said}");
}

#[test]
fn a_stack_that_is_only_of_another_version_is_warned_about() {
    let own = env!("CARGO_PKG_VERSION");
    let (said, code, asked) = with_stack(&["start", "good.yaml"], &format!("{own}7"));
    assert!(
        said.contains(&format!("warning: the stack is {own}7, this command line {own}")),
        "{said}"
    );
    let calls = ["DescribeStacks", "GetCallerIdentity", "AWSStepFunctions.StartExecution"];
    assert_eq!((code, asked), (Some(3), calls.map(str::to_owned).to_vec()), "{said}");
}

#[test]
fn a_profile_that_is_not_there_is_not_passed_over_for_other_credentials() {
    let arguments = ["status", "--region", "eu-west-1", "--profile", "nope"];
    assert_refused(&arguments, 3, "error: there is no profile `nope`, or nobody is logged in: ");
}

/// Every command and option of the help is in each of them.
fn words() -> Vec<String> {
    let help = |arguments: &[&str]| String::from_utf8(glidepath(arguments).stdout).unwrap();
    let all = help(&["help"]);
    let (_, commands) = all.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    let names = commands.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() > 15, "{names:?}");
    let options = names.iter().flat_map(|name| {
        let help = help(&["help", name]);
        let options = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        let plain =
            |word: &str| word.trim_end_matches(|end: char| !end.is_alphanumeric()).to_owned();
        options.map(plain).filter(|word| !word.is_empty()).collect::<Vec<_>>()
    });
    let mut words: Vec<_> = options.chain(names.clone()).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn every_shell_can_complete_every_command_and_option() {
    let words = words();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = glidepath(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout);
        for word in &words {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(output.status.success(), "{shell}");
    }
    assert_refused(&["completions", "ksh"], 2, "possible values: bash");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = |arguments: &[&str]| {
        let output = glidepath(&[&["man"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(page(&[]).contains("glidepath\\-status(1)"));
    let status = page(&["status"]);
    for word in [".TH glidepath-status 1", "\\-\\-watch", "\\-\\-failed", "GLIDEPATH_STACK"] {
        assert!(status.contains(word), "{word}: {status}");
    }
    assert_refused(&["man", "statsu"], 2, "hint: did you mean `status`?");
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("man");
    std::fs::create_dir_all(&directory).unwrap();
    let into = ["--directory", directory.to_str().unwrap()];
    assert_eq!(page(&into), "");
    for name in ["glidepath.1", "glidepath-rollback.1", "glidepath-open.1"] {
        assert!(directory.join(name).exists(), "{name}");
    }
    assert_refused(&["man", "--directory", "/nowhere/at/all"], 2, "cannot write into `/nowhere");
}

#[test]
fn a_configuration_that_says_what_it_cannot_is_refused_before_aws_is_asked() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("configuration.yaml");
    let with = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_glidepath"))
            .args(arguments)
            .env_clear()
            .env("GLIDEPATH_CONFIG", &file)
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = with("stack: a\nregoin: eu-west-1\n", &["status"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("line 2, column 1: nothing is set by `regoin`"), "{told}");
    // Its Region is taken: without one nothing would be asked.
    let (code, told) = with("region: eu-west-1\n", &["status"]);
    assert_eq!(code, Some(3), "{told}");
    // And what needs no stack needs no configuration.
    assert_eq!(with("regoin: x\n", &["schema"]).0, Some(0));
}

/// For programs a mistake is an object on the standard output, by the same exit code, and nothing stands beside it.
#[test]
fn a_program_reads_what_went_wrong_where_it_reads_everything() {
    let told = |arguments: &[&str]| {
        let output = glidepath(arguments);
        assert!(
            output.stderr.is_empty(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        (object, output.status.code())
    };
    for arguments in [
        &["start", "good.yaml", "--json"][..],
        &["plan", "good.yaml", "--json"],
        &["approve", "shop-42", "--json"],
        &["reject", "shop-42", "--json"],
        &["promote", "shop-42", "--reason", "night", "--json"],
        &["pause", "shop-42", "--json"],
        &["resume", "shop-42", "--json"],
        &["rollback", "shop-42", "--json"],
        &["rollback", "shop-42", "--to", "previous", "--reason", "slow", "--json"],
        &["switch", "shop", "--to", "blue", "--reason", "slow", "--json"],
        &["retire", "shop", "--json"],
    ] {
        let (object, code) = told(arguments);
        let error = &object["error"];
        assert_eq!((error["code"].as_str(), code), (Some("unusable"), Some(2)), "{arguments:?}");
        assert!(error["hint"].as_str().unwrap().contains("--region"), "{arguments:?}: {object}");
        let (object, code) = told(&[arguments, &["--region", "eu-west-1"]].concat());
        let found = (object["error"]["code"].as_str(), code);
        assert_eq!(found, (Some("unanswered"), Some(3)), "{arguments:?}");
    }
    for command in ["start", "plan"] {
        let (object, code) = told(&[command, "bad.yaml", "--json"]);
        assert_eq!((object["error"]["code"].as_str(), code), (Some("findings"), Some(2)));
        let findings = object["findings"].as_array().unwrap();
        assert!(findings.iter().any(|one| one["path"] == "$.retenton"), "{object}");
    }
}
