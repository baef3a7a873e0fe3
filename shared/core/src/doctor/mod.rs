//! What an account shows of what Glidepath assumes: one row for each assumption. Pure: whoever looks
//! hands in what was seen, and is told what it means and what to do.

mod account;
mod alarms;
mod page;
mod permissions;
mod service;

use serde::Serialize;

pub use account::{Concurrency, clocks, concurrency, versions};
pub use alarms::{Delivery, Way, composite, delivered, unreadable};
pub use page::{about_page, about_page_concurrency, page, page_concurrency};
pub use permissions::{
    Carried, Decision, Need, ROLES, Role, Scope, ServiceSubject, Subject, about_role, needs,
    permissions,
};
pub use service::{Statistics, routes, statistics};

/// How an assumption stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Ok,
    NotOk,
    /// Nobody could look; what was seen says why.
    NotChecked,
}

/// One assumption, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// A name for programs: `alarm.event`, `channel.team`.
    pub check: String,
    pub assumption: String,
    /// What was seen, or why nobody could look.
    pub seen: String,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// An assumption before anybody has looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    check: String,
    assumption: String,
}

impl About {
    /// With a name for programs and a sentence for people.
    pub fn new(check: impl Into<String>, assumption: impl Into<String>) -> Self {
        Self { check: check.into(), assumption: assumption.into() }
    }

    pub fn check(&self) -> &str {
        &self.check
    }

    pub fn ok(&self, seen: impl Into<String>) -> Row {
        self.row(Outcome::Ok, seen.into(), None)
    }

    pub fn not_ok(&self, seen: impl Into<String>, advice: impl Into<String>) -> Row {
        self.row(Outcome::NotOk, seen.into(), Some(advice.into()))
    }

    pub fn not_checked(&self, reason: impl Into<String>, advice: impl Into<String>) -> Row {
        self.row(Outcome::NotChecked, reason.into(), Some(advice.into()))
    }

    fn row(&self, outcome: Outcome, seen: String, advice: Option<String>) -> Row {
        Row {
            check: self.check.clone(),
            assumption: self.assumption.clone(),
            seen,
            outcome,
            advice,
        }
    }
}

/// A length of time as a person reads it: tenths of a second.
fn seconds(span: crate::time::Span) -> String {
    let tenths = span.as_millis().saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
