//! Glidepath's lab: a local AWS with the project's own template deployed in it, example services
//! with real traffic, and scenarios that say what happens and what must come of it.

mod behaviours;
mod check;
mod child;
mod clean_end;
mod clients;
mod control;
mod error;
mod fault_sweep;
mod http;
mod lab;
mod labs;
mod local_aws;
mod logs;
mod matching;
mod observe;
mod paths;
mod people;
mod play;
mod process_group;
mod progress;
mod report;
mod routing;
mod run;
pub mod scenario;
mod scene;
mod setup;
mod signed;
mod source;
mod stack;
mod timeline;
mod traffic;

pub use check::Finding;
pub use clients::{Clients, Person};
pub use control::Control;
pub use error::{Doing, LabError, LabResult};
pub use fault_sweep::{FailedRun, FaultSweep, SweptFaults};
pub use http::{Fetched, fetch};
pub use lab::Lab;
pub use labs::Labs;
pub use local_aws::{ACCOUNT, LocalAws, REGION, ROOT_KEY};
pub use observe::{Call, Hearing};
pub use paths::Paths;
pub use progress::{print, say};
pub use report::Report;
pub use scenario::Scenario;
pub use setup::{prepare, python_environment, set_up};
pub use signed::{fetch_as, signature};
pub use source::Upgrade;
pub use stack::{Glidepath, RouteResources, STACK_NAME, ServiceResources};
pub use timeline::{Answered, Event, Observed};

/// A complete request that deploys a version of a service which does not run yet (or the one that
/// does), for people to begin with.
pub fn example_request(scenario: &Scenario, resources: &ServiceResources) -> serde_json::Value {
    let service = scenario.services.get(&resources.name);
    let running = service.map_or("", |service| service.running.as_str());
    let other = resources.task_definitions.keys().find(|version| *version != running);
    let given = scenario.request.clone().unwrap_or_else(|| {
        let release = serde_json::json!({ "version": other.map_or(running, String::as_str) });
        serde_json::Map::from_iter([("release".to_owned(), release)])
    });
    let only = std::collections::BTreeMap::from([(resources.name.clone(), resources.clone())]);
    scenario::complete_request(&given, &only, &stack::CHANNELS)
        .unwrap_or_else(|error| serde_json::Value::String(error.to_string()))
}
