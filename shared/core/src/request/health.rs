//! How the new version is judged, as a person writes it.

use schemars::JsonSchema;
use serde::Serialize;

use super::checks::{self, CheckRequest};
use super::hooks::HookRequest;
use super::probes::ProbeRequest;
use super::{AlarmName, Compared, defaults};
use crate::document::{Decode, Node, Percent};
use crate::plan::{BadRequestsAre, OnInconclusive};
use crate::time::Span;

/// How the new version is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// Time between two looks.
    #[serde(default = "defaults::interval")]
    pub interval: Span,
    /// CloudWatch alarms, by what they watch.
    #[serde(default)]
    pub alarms: Alarms,
    /// Requests that went wrong.
    #[serde(default)]
    pub bad_requests: BadRequests,
    /// Requests that took too long.
    #[serde(default)]
    pub slow_requests: SlowRequests,
    /// The comparison with the old version.
    #[serde(default)]
    pub comparison: Compared,
    /// Measures of your own.
    #[serde(default)]
    pub checks: Vec<CheckRequest>,
    /// Functions of your own that have a say.
    #[serde(default)]
    pub hooks: Vec<HookRequest>,
    /// URLs that must answer.
    #[serde(default)]
    pub probes: Vec<ProbeRequest>,
    /// Requests to the new version in a stage below which its share of bad ones says nothing.
    #[serde(default = "defaults::minimum_requests")]
    #[schemars(range(min = 1))]
    pub minimum_requests: u64,
    /// What happens when the evidence is not enough for a verdict.
    #[serde(default)]
    pub on_inconclusive: Inconclusive,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            interval: defaults::interval(),
            alarms: Alarms::default(),
            bad_requests: BadRequests::default(),
            slow_requests: SlowRequests::default(),
            comparison: Compared::default(),
            checks: Vec::new(),
            hooks: Vec::new(),
            probes: Vec::new(),
            minimum_requests: defaults::minimum_requests(),
            on_inconclusive: Inconclusive::default(),
        }
    }
}

impl Decode for Health {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let interval = fields.defaulted_with(
                "interval",
                |node| node.span_above_zero(),
                defaults::interval,
            );
            let alarms = fields.defaulted("alarms", Alarms::default);
            let bad_requests = fields.defaulted("badRequests", BadRequests::default);
            let slow_requests = fields.defaulted("slowRequests", SlowRequests::default);
            let comparison = fields.defaulted("comparison", Compared::default);
            let checks = fields.defaulted_with("checks", checks::checks, Vec::new);
            let hooks = fields.defaulted_with("hooks", |node| node.set_or_empty(), Vec::new);
            let probes = fields.defaulted_with("probes", |node| node.set_or_empty(), Vec::new);
            let minimum_requests = fields.defaulted_with(
                "minimumRequests",
                |node| node.whole_number(1),
                defaults::minimum_requests,
            );
            let on_inconclusive = fields.defaulted("onInconclusive", Inconclusive::default);
            Some(Self {
                interval: interval?,
                alarms: alarms?,
                bad_requests: bad_requests?,
                slow_requests: slow_requests?,
                comparison: comparison?,
                checks: checks?,
                hooks: hooks?,
                probes: probes?,
                minimum_requests: minimum_requests?,
                on_inconclusive: on_inconclusive?,
            })
        })
    }
}

/// CloudWatch alarms by what they watch, each as name or ARN. In a deployment the alarms of the
/// slot that takes the new version and those of the service roll back, those of the slot that
/// serves today hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alarms {
    /// They watch the blue slot: its target groups or its ECS service.
    #[serde(default)]
    pub blue: Vec<AlarmName>,
    /// They watch the green slot.
    #[serde(default)]
    pub green: Vec<AlarmName>,
    /// They watch the service as a whole.
    #[serde(default)]
    pub service: Vec<AlarmName>,
}

impl Decode for Alarms {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let blue = fields.defaulted_with("blue", |node| node.set_or_empty(), Vec::new);
            let green = fields.defaulted_with("green", |node| node.set_or_empty(), Vec::new);
            let service = fields.defaulted_with("service", |node| node.set_or_empty(), Vec::new);
            Some(Self { blue: blue?, green: green?, service: service? })
        })
    }
}

/// Requests that went wrong, and a limit on their share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BadRequests {
    /// Highest share of bad requests that the new version may have. 100 switches the check off,
    /// since no share is above it.
    #[serde(default = "defaults::bad_requests_limit")]
    pub limit: Percent,
    /// Which requests are bad.
    #[serde(default = "defaults::bad_requests_are")]
    pub are: BadRequestsAre,
}

impl Default for BadRequests {
    fn default() -> Self {
        Self { limit: defaults::bad_requests_limit(), are: defaults::bad_requests_are() }
    }
}

impl Decode for BadRequests {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let limit = fields.defaulted("limit", defaults::bad_requests_limit);
            let are = fields.defaulted("are", defaults::bad_requests_are);
            Some(Self { limit: limit?, are: are? })
        })
    }
}

impl Decode for BadRequestsAre {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[
            ("notAnsweredWell", Self::NotAnsweredWell),
            ("targetErrors", Self::TargetErrors),
        ])
    }
}

/// Requests that took too long. They are compared with the old version's, not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowRequests {
    /// A request is slow if its target took longer than this to begin its answer. Without it nobody
    /// asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than: Option<Span>,
}

impl Decode for SlowRequests {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let slower_than = fields.optional_with("slowerThan", |node| node.span_above_zero());
            Some(Self { slower_than: slower_than? })
        })
    }
}

/// What happens when the evidence is not enough for a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inconclusive {
    /// How much longer than its bake a stage may take to gather enough.
    #[serde(default = "defaults::extend_up_to")]
    pub extend_up_to: Span,
    /// What happens when that was not enough either.
    #[serde(default = "defaults::on_inconclusive")]
    pub then: OnInconclusive,
}

impl Default for Inconclusive {
    fn default() -> Self {
        Self { extend_up_to: defaults::extend_up_to(), then: defaults::on_inconclusive() }
    }
}

impl Decode for Inconclusive {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let extend_up_to = fields.defaulted("extendUpTo", defaults::extend_up_to);
            let then = fields.defaulted("then", defaults::on_inconclusive);
            Some(Self { extend_up_to: extend_up_to?, then: then? })
        })
    }
}

impl Decode for OnInconclusive {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[
            ("hold", Self::Hold),
            ("rollback", Self::Rollback),
            ("continue", Self::Continue),
        ])
    }
}
