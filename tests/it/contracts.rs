//! What the state machine, the template and the functions promise each other.

use std::collections::BTreeSet;
use std::path::Path;

use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::ids::DeploymentId;
use glidepath_core::protocol::{NextStep, Reply};
use glidepath_core::time::Span;
use glidepath_engine::StepInput;
use glidepath_engine::complete::CompleteInput;
use glidepath_engine::gate::GateInput;
use glidepath_engine::plan::PlanInput;
use glidepath_engine::rollback::RollbackInput;
use serde_json::{Map, Value, json};

const TEMPLATE: &str = include_str!("../../template.yaml");

fn machine() -> Value {
    serde_json::from_str(include_str!("../../statemachine/deployment.asl.json")).unwrap()
}

fn states() -> Map<String, Value> {
    machine()["States"].as_object().unwrap().clone()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The function that a state calls, in the form of its folder: `Plan` for `${PlanFunctionArn}`.
fn function_of(state: &Value) -> Option<String> {
    let name = state["Arguments"]["FunctionName"].as_str()?;
    Some(name.strip_prefix("${")?.strip_suffix("FunctionArn}")?.to_owned())
}

#[test]
fn every_error_name_is_ours_or_reserved() {
    let mut seen = BTreeSet::new();
    for (name, state) in states() {
        for rule in ["Retry", "Catch"] {
            for clause in state[rule].as_array().into_iter().flatten() {
                for error in texts(&clause["ErrorEquals"]) {
                    let reserved = ["States.", "Lambda.", "Sandbox.", "Runtime."]
                        .iter()
                        .any(|prefix| error.starts_with(prefix));
                    let ours = FailureCode::from_name(error).is_some();
                    assert!(reserved || ours, "`{error}` of state {name} is nobody's name");
                    seen.insert(error.to_owned());
                }
            }
        }
    }
    assert!(seen.contains("Transient") && seen.contains("States.ALL"), "{seen:?}");
}

/// What is done about an error that a function's invocation can end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handled {
    /// Passes within seconds.
    RetriedSoon,
    /// The function is not ready, as after weeks without a deployment: passes within two minutes.
    RetriedUntilReady,
    /// Not retried, and why not.
    Not(&'static str),
}

use Handled::{Not, RetriedSoon, RetriedUntilReady};

/// The function or its settings are wrong until somebody changes them.
const WRONG: Handled = Not("passes only when the stack is deployed anew");
/// The same payload gets the same answer.
const OURS: Handled = Not("the same payload fails again");
/// Nothing that the template uses; see the test below.
const UNUSED: Handled = Not("of something that the template does not use");

const SERVICE_EXCEPTIONS: &str = "Step Functions guide, bp-lambda-serviceexception";
const ERROR_NAMES: &str = "Step Functions guide, concepts-error-handling";
const INVOKE: &str = "Lambda API, Invoke (botocore 1.44.8)";
const LIFECYCLE: &str = "Lambda guide, lambda-runtime-environment";
/// What the runtime's supervisor reports, in AWS's own emulator of it.
const EMULATOR: &str = "aws/aws-lambda-runtime-interface-emulator, fatalerror.go";

/// Every error that the texts of Lambda and Step Functions name for an invocation, with its source.
const ERRORS: &[(&str, Handled, &str)] = &[
    ("Lambda.ServiceException", RetriedSoon, SERVICE_EXCEPTIONS),
    ("Lambda.AWSLambdaException", RetriedSoon, SERVICE_EXCEPTIONS),
    ("Lambda.SdkClientException", RetriedSoon, SERVICE_EXCEPTIONS),
    ("Lambda.ClientExecutionTimeoutException", RetriedSoon, SERVICE_EXCEPTIONS),
    ("Lambda.TooManyRequestsException", RetriedSoon, ERROR_NAMES),
    ("Lambda.Unknown", RetriedSoon, ERROR_NAMES),
    ("Sandbox.Timedout", RetriedSoon, ERROR_NAMES),
    ("Sandbox.Timeout", RetriedSoon, EMULATOR),
    ("Sandbox.Failure", RetriedSoon, EMULATOR),
    ("Runtime.ExitError", RetriedSoon, LIFECYCLE),
    ("Runtime.OutOfMemory", RetriedSoon, "logs of functions in several public repositories"),
    ("Runtime.TruncatedResponse", RetriedSoon, EMULATOR),
    ("Runtime.Unknown", RetriedSoon, EMULATOR),
    ("States.Timeout", RetriedSoon, ERROR_NAMES),
    ("Lambda.ResourceConflictException", RetriedUntilReady, "Lambda guide, functions-states"),
    ("Lambda.ResourceNotReadyException", RetriedUntilReady, INVOKE),
    ("Lambda.CodeArtifactUserPendingException", RetriedUntilReady, INVOKE),
    ("Lambda.CodeArtifactUserDeletedException", RetriedUntilReady, INVOKE),
    ("Lambda.CodeArtifactUserFailedException", WRONG, INVOKE),
    ("Lambda.InvalidRuntimeException", WRONG, INVOKE),
    ("Lambda.InvalidZipFileException", WRONG, INVOKE),
    ("Lambda.ModeNotSupportedException", WRONG, INVOKE),
    ("Lambda.NoPublishedVersionException", WRONG, INVOKE),
    ("Lambda.ResourceNotFoundException", WRONG, INVOKE),
    ("Lambda.RuntimeAliasDeletedException", WRONG, INVOKE),
    ("Lambda.RuntimeVersionDeletedException", WRONG, INVOKE),
    ("Lambda.ServiceQuotaExceededException", Not("passes only with a raised quota"), INVOKE),
    ("Lambda.RecursiveInvocationException", Not("retrying it is what it stops"), INVOKE),
    ("Runtime.InvalidEntrypoint", WRONG, "Lambda guide, troubleshooting-invocation"),
    ("Runtime.InvalidTaskConfig", WRONG, EMULATOR),
    ("Runtime.InvalidWorkingDir", WRONG, EMULATOR),
    ("Lambda.InvalidParameterValueException", OURS, INVOKE),
    ("Lambda.InvalidRequestContentException", OURS, INVOKE),
    ("Lambda.RequestTooLargeException", OURS, INVOKE),
    ("Lambda.SerializedRequestEntityTooLargeException", OURS, INVOKE),
    ("Lambda.UnsupportedMediaTypeException", OURS, INVOKE),
    ("Function.ResponseSizeTooLarge", OURS, EMULATOR),
    ("Function.Unknown", OURS, EMULATOR),
    ("Runtime.InvalidResponseModeHeader", OURS, EMULATOR),
    ("Lambda.EC2AccessDeniedException", UNUSED, INVOKE),
    ("Lambda.EC2ThrottledException", UNUSED, INVOKE),
    ("Lambda.EC2UnexpectedException", UNUSED, INVOKE),
    ("Lambda.ENILimitReachedException", UNUSED, INVOKE),
    ("Lambda.ENINotReadyException", UNUSED, INVOKE),
    ("Lambda.InvalidSecurityGroupIDException", UNUSED, INVOKE),
    ("Lambda.InvalidSubnetIDException", UNUSED, INVOKE),
    ("Lambda.SubnetIPAddressLimitReachedException", UNUSED, INVOKE),
    ("Lambda.EFSIOException", UNUSED, INVOKE),
    ("Lambda.EFSMountConnectivityException", UNUSED, INVOKE),
    ("Lambda.EFSMountFailureException", UNUSED, INVOKE),
    ("Lambda.EFSMountTimeoutException", UNUSED, INVOKE),
    ("Lambda.S3FilesMountConnectivityException", UNUSED, INVOKE),
    ("Lambda.S3FilesMountFailureException", UNUSED, INVOKE),
    ("Lambda.S3FilesMountTimeoutException", UNUSED, INVOKE),
    ("Lambda.KMSAccessDeniedException", UNUSED, INVOKE),
    ("Lambda.KMSDisabledException", UNUSED, INVOKE),
    ("Lambda.KMSInvalidStateException", UNUSED, INVOKE),
    ("Lambda.KMSNotFoundException", UNUSED, INVOKE),
    ("Lambda.SnapStartException", UNUSED, INVOKE),
    ("Lambda.SnapStartNotReadyException", UNUSED, INVOKE),
    ("Lambda.SnapStartRegenerationFailureException", UNUSED, INVOKE),
    ("Lambda.SnapStartTimeoutException", UNUSED, INVOKE),
    ("Lambda.DurableExecutionAlreadyStartedException", UNUSED, INVOKE),
    ("Extension.Crash", UNUSED, EMULATOR),
    ("Extension.ExitError", UNUSED, EMULATOR),
    ("Extension.InitError", UNUSED, EMULATOR),
    ("Extension.LaunchError", UNUSED, EMULATOR),
    ("States.HeartbeatTimeout", Not("no state has a heartbeat"), ERROR_NAMES),
    ("States.Permissions", WRONG, ERROR_NAMES),
    ("States.QueryEvaluationError", OURS, "Step Functions guide, transforming-data"),
    ("States.TaskFailed", Not("would retry our own failures too"), ERROR_NAMES),
    ("States.DataLimitExceeded", Not("cannot be retried"), ERROR_NAMES),
    ("States.Runtime", Not("cannot be retried"), ERROR_NAMES),
];

fn named(handled: Handled) -> BTreeSet<&'static str> {
    let of = ERRORS.iter().filter(|(_, found, _)| *found == handled);
    of.map(|(error, _, _)| *error).collect()
}

#[test]
fn every_error_that_passes_is_retried_and_no_other() {
    for (name, state) in states() {
        if state["Type"] != "Task" || name == "Notify" {
            continue;
        }
        let retriers = state["Retry"].as_array().unwrap();
        let listed = |place: usize| texts(&retriers[place]["ErrorEquals"]).collect::<BTreeSet<_>>();
        let mut soon: BTreeSet<_> = named(RetriedSoon).into_iter().chain(["Transient"]).collect();
        if name == "Gate" {
            // The ordinary end of its tick.
            soon.remove("States.Timeout");
        }
        assert_eq!(listed(0), soon, "{name}");
        assert_eq!(listed(1), named(RetriedUntilReady), "{name}");
        // Whatever else it is: nothing may keep the traffic on the canary.
        let rest: Vec<_> = (2..retriers.len()).map(listed).collect();
        let all = if name == "Rollback" { vec![BTreeSet::from(["States.ALL"])] } else { vec![] };
        assert_eq!(rest, all, "{name}");
    }
}

#[test]
fn a_function_that_is_not_ready_is_given_two_minutes() {
    // Seen to take up to 106 s where a stack had rested for weeks (an AWS solution's own tests). With
    // full jitter a pause is half as long as it may be, on average.
    for (name, state) in states() {
        let Some(retrier) = state["Retry"].get(1).filter(|_| name != "Notify") else { continue };
        let number = |field: &str| retrier[field].as_f64().unwrap();
        assert_eq!(retrier["JitterStrategy"], "FULL", "{name}");
        let pauses = (0..number("MaxAttempts") as i32)
            .map(|retry| number("IntervalSeconds") * number("BackoffRate").powi(retry));
        let longest = number("MaxDelaySeconds");
        let expected: f64 = pauses.map(|pause| pause.min(longest) / 2.0).sum();
        assert!(expected >= 120.0, "{name}: {expected} s");
    }
}

#[test]
fn nothing_is_used_whose_errors_are_not_retried() {
    let unused = [
        "VpcConfig",
        "FileSystemConfigs",
        "SnapStart",
        "PackageType",
        "ImageUri",
        "KmsKeyArn",
        "DurableConfig",
        "Layers",
        "HeartbeatSeconds",
    ];
    let machine = include_str!("../../statemachine/deployment.asl.json");
    for word in unused {
        let used = TEMPLATE.contains(&format!("{word}:")) || machine.contains(word);
        assert!(!used, "{word} is used: look at what its errors need in the table above");
    }
}

#[test]
fn every_error_has_one_row_with_a_source() {
    let names: BTreeSet<_> = ERRORS.iter().map(|(error, _, _)| error).collect();
    assert_eq!(names.len(), ERRORS.len());
    for (error, handled, source) in ERRORS {
        let told = match handled {
            RetriedSoon | RetriedUntilReady => true,
            Not(reason) => !reason.is_empty(),
        };
        assert!(told && !source.is_empty(), "{error}");
    }
}

#[test]
fn no_partition_is_written_down() {
    let machine = include_str!("../../statemachine/deployment.asl.json");
    for (file, text) in [("template.yaml", TEMPLATE), ("the state machine", machine)] {
        for (number, line) in (1..).zip(text.lines()) {
            assert!(!line.contains("arn:aws"), "{file}, line {number}: {line}");
        }
    }
    assert!(TEMPLATE.contains("Partition: !Ref AWS::Partition"));
    for (name, state) in states() {
        let Some(resource) = state["Resource"].as_str() else { continue };
        assert!(resource.starts_with("arn:${Partition}:states:::lambda:invoke"), "{name}");
    }
    // Nor is the domain of one, but in the names of principals, which every partition shares.
    for (number, line) in (1..).zip(TEMPLATE.lines()) {
        let shared = ["Principal", "ecs-tasks.", "${AWS::Region}.amazonaws.com"];
        let written = line.contains("amazonaws.com");
        assert!(!written || shared.iter().any(|word| line.contains(word)), "line {number}: {line}");
    }
}

#[test]
fn every_state_that_can_fail_leads_to_the_rollback() {
    for (name, state) in states() {
        if state["Type"] != "Task" || name == "Notify" {
            continue;
        }
        let last = state["Catch"].as_array().and_then(|clauses| clauses.last()).unwrap();
        assert_eq!(last["ErrorEquals"], json!(["States.ALL"]), "{name}");
        let next = if name == "Rollback" { "Next" } else { "Rollback" };
        assert_eq!(last["Next"], next, "{name}");
    }
}

#[test]
fn every_function_of_the_state_machine_exists_in_the_template_and_in_the_tree() {
    let mut functions = BTreeSet::new();
    for (name, state) in states() {
        let Some(function) = function_of(&state) else { continue };
        let folder = function.to_lowercase();
        let substitution = format!("{function}FunctionArn: !GetAtt {function}Function.Arn");
        assert!(TEMPLATE.contains(&substitution), "{substitution} of state {name}");
        assert!(TEMPLATE.contains(&format!("\n  {function}Function:\n")), "{function}");
        assert!(TEMPLATE.contains(&format!("BuildProperties: {{ Binary: {folder} }}")), "{folder}");
        let main =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../functions/{folder}/main.rs"));
        assert!(main.exists(), "{}", main.display());
        functions.insert(folder);
    }
    let expected = ["advance", "complete", "gate", "notify", "plan", "rollback", "validate"];
    assert_eq!(functions.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn every_next_step_is_routed() {
    let router = &states()["Next"];
    let conditions: Vec<_> = router["Choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| choice["Condition"].as_str().unwrap().to_owned())
        .collect();
    for step in NextStep::ALL {
        let name = json!(step);
        let condition = format!("{{% $next = '{}' %}}", name.as_str().unwrap());
        let routed = conditions.contains(&condition)
            || (step == NextStep::Rollback && router["Default"] == "Rollback");
        assert!(routed, "{condition}");
    }
}

/// The payload of a state with every expression replaced by a sample of what it evaluates to.
fn sample(payload: &Value) -> Value {
    match payload {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), sample(value))).collect()
        }
        Value::String(expression) => match expression.as_str() {
            "{% $states.context.Execution.Name %}" => json!("d1"),
            "{% $states.context.Execution.Id %}" => json!("arn:aws:states:x:1:execution:g:d1"),
            "{% $states.context.Execution.StartTime %}" => json!("2026-11-21T06:23:30.456Z"),
            "{% $states.context.Task.Token %}" => json!("token"),
            "{% $states.context.Execution.RedriveCount %}" => json!(0),
            "{% $states.context.State.EnteredTime %}" => json!("2026-11-21T06:23:32.123Z"),
            "{% $states.context.State.RetryCount %}" => json!(0),
            "{% $states.input %}" => json!({"apiVersion": "glidepath/v1"}),
            "{% $woken %}" => json!(true),
            "{% $error %}" => json!({"name": "AlarmFired", "cause": "why"}),
            other => panic!("no sample for {other}"),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => payload.clone(),
    }
}

#[test]
fn every_function_takes_the_payload_of_its_state() {
    for (name, state) in states() {
        let Some(function) = function_of(&state) else { continue };
        let payload = sample(&state["Arguments"]["Payload"]);
        let taken = match function.as_str() {
            "Plan" => serde_json::from_value::<PlanInput>(payload).map(drop),
            "Gate" => serde_json::from_value::<GateInput>(payload).map(drop),
            "Rollback" => serde_json::from_value::<RollbackInput>(payload).map(drop),
            "Complete" => serde_json::from_value::<CompleteInput>(payload).map(drop),
            "Advance" | "Validate" | "Notify" => {
                serde_json::from_value::<StepInput>(payload).map(drop)
            }
            other => panic!("no input type for {other}"),
        };
        taken.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_answer_has_the_fields_that_the_state_machine_assigns() {
    let reply = Reply::new(&DeploymentId::new("d1"), NextStep::Failed, "why")
        .after(Span::from_secs(3))
        .failing(Failure::new(FailureCode::AlarmFired, "why"));
    let reply = serde_json::to_value(reply).unwrap();
    for (name, state) in states() {
        if state["Type"] != "Task" || name == "Notify" || name == "Gate" {
            continue;
        }
        for (variable, expression) in state["Assign"].as_object().unwrap() {
            let Some(expression) = expression.as_str() else { continue };
            let field = format!("$states.result.Payload.{variable}");
            assert!(expression.contains(&field), "{name} assigns {variable} from {expression}");
            assert!(reply.get(variable).is_some(), "no answer has `{variable}`");
        }
    }
    assert_eq!(reply["failure"]["code"], "AlarmFired");
    assert_eq!(reply["failure"]["cause"], "why");
    assert_eq!(reply["waitSeconds"], 3);
}

#[test]
fn the_stack_says_the_version_of_the_source() {
    let said = format!("    Value: {}\n", env!("CARGO_PKG_VERSION"));
    let (_, output) = TEMPLATE.split_once("\n  Version:\n").unwrap();
    let output = output.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    assert!(output.ends_with(&said), "the output Version of template.yaml is not the workspace's");
}
