//! Tests of the whole: what the parts promise each other, and scenarios in the lab.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit_bucket;
mod ci;
mod contracts;
mod doctor;
mod drift;
mod faults;
mod features;
mod house;
mod images;
mod local_aws;
mod page;
mod people;
mod privileges;
mod reports;
mod scenarios;
mod telemetry;
mod triggers;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use glidepath_lab::{Lab, Labs, Person, Scenario};
use tokio::runtime::{Builder, Runtime};

/// What several tests play their scenarios in, one after the other.
static LABS: Labs = Labs::new();

/// Labs live on the runtime that they were started on, and outlive the test that started them.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

fn block_on<Answer>(future: impl Future<Output = Answer>) -> Answer {
    RUNTIME.block_on(future)
}

/// A user who may do nothing yet.
async fn user(lab: &Lab, name: &str) -> Person {
    let iam = &lab.clients().iam;
    iam.create_user().user_name(name).send().await.unwrap();
    let key = iam.create_access_key().user_name(name).send().await.unwrap().access_key.unwrap();
    Person { key: key.access_key_id, secret: key.secret_access_key, token: None }
}

fn scenarios_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/scenarios")
}

fn scenario(name: &str) -> Scenario {
    let file = scenarios_directory().join(format!("{name}.yaml"));
    Scenario::load(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
