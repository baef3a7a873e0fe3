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
