//! The file that tells the example application how each version behaves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::error::{Doing, LabResult};
use crate::scenario::{Behave, Version};

/// One file for a whole lab; versions are known by their image tags.
#[derive(Clone, Debug)]
pub(crate) struct Behaviours {
    path: PathBuf,
    versions: Arc<Mutex<BTreeMap<String, Entry>>>,
}

/// The example application's own format.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    error_rate: f64,
    latency_milliseconds: u64,
    startup_failure: bool,
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy_tasks: Option<u32>,
}

impl From<&Version> for Entry {
    fn from(version: &Version) -> Self {
        Self {
            error_rate: version.error_rate,
            latency_milliseconds: milliseconds(version.latency),
            startup_failure: version.startup_failure,
            healthy: version.healthy,
            healthy_tasks: version.healthy_tasks,
        }
    }
}

fn milliseconds(length: crate::scenario::Length) -> u64 {
    u64::try_from(length.duration().as_millis()).unwrap_or(u64::MAX)
}

impl Behaviours {
    /// Those of a lab, none at first.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, versions: Arc::default() }
    }

    /// A version behaves so from now on.
    pub(crate) fn set(&self, tag: String, version: &Version) -> LabResult<()> {
        self.change(|versions| {
            versions.insert(tag, Entry::from(version));
        })
    }

    /// The given members change.
    pub(crate) fn adjust(&self, tag: &str, behave: &Behave) -> LabResult<()> {
        self.change(|versions| {
            let faultless = || Entry::from(&Version::faultless());
            let entry = versions.entry(tag.to_owned()).or_insert_with(faultless);
            entry.error_rate = behave.error_rate.unwrap_or(entry.error_rate);
            entry.latency_milliseconds =
                behave.latency.map_or(entry.latency_milliseconds, milliseconds);
            entry.startup_failure = behave.startup_failure.unwrap_or(entry.startup_failure);
            entry.healthy = behave.healthy.unwrap_or(entry.healthy);
            entry.healthy_tasks = behave.healthy_tasks.or(entry.healthy_tasks);
        })
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Entry>)) -> LabResult<()> {
        // Held while writing: two changes at once must not overwrite each other's file.
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut versions);
        let text = serde_json::to_string(&*versions).doing("cannot write behaviours")?;
        // In one piece: tasks read the file whenever it changes.
        let partial = self.path.with_extension("partial");
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, &self.path))
            .doing(format!("cannot write {}", self.path.display()))
    }
}
