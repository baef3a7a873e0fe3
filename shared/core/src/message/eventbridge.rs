//! A notice as an event of EventBridge.

use super::Trial;
use super::document::{NoticeDocument, trial as trial_document};

/// The `source` of every event. Whoever may put events on a bus can write it, so it proves nothing.
pub const SOURCE: &str = "glidepath";

/// What a notice is called, and a trial. The function may put nothing else on a bus.
pub const DETAIL_TYPES: [&str; 2] = [NOTICE, TRIAL];
const NOTICE: &str = "Deployment Notice";
/// No notice, so that no rule for those matches.
const TRIAL: &str = "Channel Trial";

/// One entry of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub detail_type: &'static str,
    /// JSON.
    pub detail: String,
    /// ARNs of what it is about.
    pub resources: Vec<String>,
}

/// The notice as an event: rules tell them apart by `detail.event`, `detail.urgency` and the like.
pub fn entry(document: &NoticeDocument) -> Entry {
    Entry {
        detail_type: NOTICE,
        detail: serde_json::json!(document).to_string(),
        resources: vec![document.execution.clone()],
    }
}

pub fn trial(trial: &Trial) -> Entry {
    let detail = serde_json::json!(trial_document(trial)).to_string();
    Entry { detail_type: TRIAL, detail, resources: Vec::new() }
}
