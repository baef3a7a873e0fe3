//! The bucket that the runbook proposes, as it stands there: what the function that delivers puts into it is what
//! `glidepath audit --json` prints, each entry once, whatever the bucket does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use glidepath_lab::scenario::{CallError, Caller, FailCalls, Fault};
use glidepath_lab::{Call, Event, Lab, Person, Report, fetch_as};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{block_on, scenario};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const STACK: &str = "auditors";
/// A bucket that nobody has.
const MISSING: &str = "nobody-s-bucket";
const LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(500);

/// The bucket of the runbook, by its name.
async fn bucket(lab: &Lab) -> String {
    let (_, section) = RUNBOOK.split_once("## What is kept for auditors\n").unwrap();
    let (_, template) = section.split_once("```yaml\n").unwrap();
    let (template, _) = template.split_once("```\n").unwrap();
    let stacks = &lab.clients().cloudformation;
    stacks.create_stack().stack_name(STACK).template_body(template).send().await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let described = stacks.describe_stacks().stack_name(STACK).send().await.unwrap();
        let mut outputs = described.stacks().iter().flat_map(|stack| stack.outputs());
        let name = outputs.find_map(|output| {
            output.output_value().filter(|_| output.output_key() == Some("AuditBucketName"))
        });
        if let Some(name) = name {
            return name.to_owned();
        }
        sleep(POLL).await;
    }
    panic!("the runbook's bucket does not come to be");
}

async fn get(lab: &Lab, path: &str) -> String {
    let url = format!("{}/{path}", lab.endpoint());
    let got = fetch_as(&Person::root(), "s3", "GET", &url, &[], "").await.unwrap();
    assert_eq!(got.status, 200, "{path}: {}", got.body);
    got.body
}

/// What the bucket holds of a deployment, by key.
async fn kept(lab: &Lab, bucket: &str, deployment: &str) -> BTreeMap<String, String> {
    let listed = get(lab, bucket).await;
    let keys =
        listed.split("<Key>").skip(1).filter_map(|after| Some(after.split_once("</Key>")?.0));
    let mut kept = BTreeMap::new();
    for key in keys.filter(|key| key.contains(&format!("/{deployment}."))) {
        kept.insert(key.to_owned(), get(lab, &format!("{bucket}/{key}")).await);
    }
    kept
}

/// What the command line says of it.
async fn audited(lab: &Lab, deployment: &str) -> String {
    let told = lab.command_line(&["audit", "--from", "2020-01-01", "--json"]).await.unwrap();
    let of = |line: &&str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        entry["deployment"] == deployment
    };
    told.lines().filter(of).map(|line| format!("{line}\n")).collect()
}

/// Sweeps until the bucket has all of a deployment that has succeeded.
async fn until_kept(lab: &Lab, bucket: &str, deployment: &str) -> BTreeMap<String, String> {
    let begun = Instant::now();
    loop {
        lab.send_event("SweepFunctionName", &json!({})).await.unwrap();
        sleep(POLL).await;
        let (kept, audited) = (kept(lab, bucket, deployment).await, audited(lab, deployment).await);
        let whole: String = kept.values().cloned().collect();
        if whole == audited && whole.contains(r#""retired""#) {
            return kept;
        }
        assert!(begun.elapsed() < LIMIT, "kept:\n{whole}\naudited:\n{audited}");
    }
}

fn name(report: &Report) -> String {
    let mut events = report.events.iter().map(|observed| &observed.event);
    let name = events.find_map(|event| {
        if let Event::Started { execution, .. } = event { Some(execution.clone()) } else { None }
    });
    name.unwrap()
}

/// What the function that delivers has asked of S3.
fn puts(lab: &Lab) -> Vec<Call> {
    let calls = lab.calls(0.0).unwrap().into_iter();
    calls.filter(|call| call.service == "s3" && call.principal.contains("NotifyRole")).collect()
}

fn ended_with(puts: &[Call], error: &str) -> bool {
    puts.iter().any(|put| put.error.as_deref() == Some(error))
}

#[test]
fn what_happened_is_kept_once_and_is_what_audit_prints_whatever_the_bucket_does() {
    block_on(async {
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let bucket = bucket(&lab).await;
        lab.set_parameters(vec![("AuditBucket", bucket.clone())]).await.unwrap();
        let ran = lab.run(scenario("short-success"), None).await.unwrap();
        assert!(ran.passed(), "{}", ran.failures());
        let first = name(&ran);
        let whole = until_kept(&lab, &bucket, &first).await;
        let end = whole.values().next().unwrap();
        assert!(end.lines().last().unwrap().contains(r#""succeeded""#), "{end}");

        // Everything again: the bucket is not even asked.
        let asked = puts(&lab);
        assert_eq!(asked.len(), whole.len(), "{asked:#?}");
        assert!(asked.iter().all(|put| put.action == "PutObject" && put.error.is_none()));
        lab.send_event("NotifyFunctionName", &json!({ "deployment": first })).await.unwrap();
        sleep(Duration::from_secs(3)).await;
        assert_eq!(puts(&lab).len(), asked.len());
        assert_eq!(kept(&lab, &bucket, &first).await, whole);

        a_bucket_that_is_not_there_hurts_nobody(&mut lab, &bucket).await;
    });
}

/// And gets all of it once it is mended, once, although the answer to it is lost.
async fn a_bucket_that_is_not_there_hurts_nobody(lab: &mut Lab, bucket: &str) {
    lab.set_parameters(vec![("AuditBucket", MISSING.to_owned())]).await.unwrap();
    let mut played = scenario("short-success");
    // What the bucket has not taken is still to be done.
    played.expect.clean_end = false;
    let ran = lab.run(played, None).await.unwrap();
    assert!(ran.passed(), "{}", ran.failures());
    let second = name(&ran);
    assert!(ended_with(&puts(lab), "NoSuchBucket"), "{:#?}", puts(lab));
    let told = ran.events.iter().any(|observed| {
        matches!(&observed.event, Event::Notice { name: Some(name), .. } if name == "succeeded")
    });
    assert!(told, "the channels wait for the bucket");

    let fault = Fault::Fail(FailCalls {
        action: "s3:PutObject".to_owned(),
        by: Some(Caller::Notify),
        nth: 1,
        times: 1,
        until_ended: false,
        error: CallError::TimeoutAfter,
    });
    lab.add_fault("lost", &fault).await.unwrap();
    lab.set_parameters(vec![("AuditBucket", bucket.to_owned())]).await.unwrap();
    until_kept(lab, bucket, &second).await;
    assert!(ended_with(&puts(lab), "PreconditionFailed"), "{:#?}", puts(lab));
}
