//! A deployment for programs. A form of its own, not the registry's: that one holds task tokens and
//! may change.

use glidepath_core::health::SlotRequests;
use glidepath_core::message::details;
use glidepath_core::plan::OnTimeout;
use glidepath_core::protocol::next_look;
use glidepath_core::record::{Decision, Deployment, Freeze, Notice, Phase, Step};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;
use serde::Serialize;

use super::detail::failure;
use super::state::{Doing, read_back_at, shares, state};
use super::timeline::headline;
use crate::live::{Evidence, Live, StageCounted};

/// A deployment as `--json` prints it. Times are RFC 3339 in UTC, shares in percent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    deployment: &'a str,
    service: &'a str,
    version: &'a str,
    replaces: &'a str,
    phase: &'static str,
    state: Doing,
    /// The state in words.
    text: String,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// When the state machine comes back by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_look_at: Option<String>,
    started_at: String,
    /// Whom AWS has recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    starter: Option<&'a str>,
    /// What the start said.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_by: Option<&'a str>,
    stage: StageView,
    traffic: Vec<TrafficView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_back_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalView>,
    /// What somebody has frozen of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen: Option<FreezeView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView<'a>>,
    execution: &'a str,
    /// `None` in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<EntryView>>,
    /// What AWS says, beside the record; `None` in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<NowView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NowView<'a> {
    /// Empty: it could not be read, or it has ended.
    traffic: Vec<TrafficView<'a>>,
    slots: &'a [String],
    last_look: Option<String>,
    /// What looks have counted, stage by stage.
    requests: Vec<RequestsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceView>,
}

/// A freeze for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FreezeView<'a> {
    services: &'a str,
    by: &'a str,
    at: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

pub(crate) fn frozen_view(freeze: &Freeze) -> FreezeView<'_> {
    let Freeze { services, by, at, reason, until, .. } = freeze;
    let until = until.map(|until| until.to_string());
    FreezeView { services, by, at: at.to_string(), reason, until }
}

#[derive(Debug, Serialize)]
struct RequestsView {
    /// From 1.
    stage: usize,
    canary: SlotRequests,
    stable: SlotRequests,
}

/// How much speaks against the new version, and how much ends the deployment: both numbers must be reached.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceView {
    #[serde(rename = "log10E")]
    log10_e: f64,
    log10_bound: f64,
    witnesses: u32,
    witnesses_needed: u32,
}

impl EvidenceView {
    fn of(known: Evidence) -> Self {
        Self {
            log10_e: known.ln_e / std::f64::consts::LN_10,
            log10_bound: known.bound / std::f64::consts::LN_10,
            witnesses: known.witnesses,
            witnesses_needed: known.needed,
        }
    }
}

impl<'a> NowView<'a> {
    fn of(deployment: &'a Deployment, live: &'a Live) -> Self {
        let shares = live.shares.as_ref().and_then(|shares| shares.as_ref().ok());
        let routes = deployment.plan.routes.iter().zip(shares.into_iter().flatten());
        let traffic = routes.map(|(route, share)| TrafficView {
            route: route.route.arn(),
            canary: share.map(percent),
        });
        let counted = live.counted.as_ref();
        let stages = counted.into_iter().flat_map(|counted| &counted.stages);
        let requests = stages.map(|StageCounted { stage, canary, stable }| RequestsView {
            stage: stage.next().0,
            canary: *canary,
            stable: *stable,
        });
        Self {
            traffic: traffic.collect(),
            slots: &live.slots,
            last_look: counted.and_then(|counted| counted.now(deployment)),
            requests: requests.collect(),
            evidence: counted.and_then(|counted| counted.evidence).map(EvidenceView::of),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageView {
    /// From 1.
    number: usize,
    of: usize,
    weight: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TrafficView<'a> {
    route: &'a str,
    /// `None`: it cannot be told.
    canary: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApprovalView {
    since: String,
    until: String,
    on_timeout: Option<OnTimeout>,
    /// How many more people must approve.
    lacking: u32,
    /// Before this instant the weight does not move.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    /// Who has approved so far.
    approvals: Vec<DecisionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DecisionView {
    approved: bool,
    by: String,
    at: String,
    reason: Option<String>,
}

impl DecisionView {
    fn of(decision: &Decision) -> Self {
        let Decision { approved, by, at, reason, .. } = decision;
        Self { approved: *approved, by: by.clone(), at: at.to_string(), reason: reason.clone() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureView<'a> {
    name: &'static str,
    cause: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView {
    sequence: u32,
    at: String,
    event: &'static str,
    text: String,
    details: Vec<String>,
}

impl<'a> View<'a> {
    /// One of a list.
    pub(crate) fn of(deployment: &'a Deployment, now: Timestamp) -> Self {
        let (plan, progress) = (&deployment.plan, &deployment.progress);
        let state = state(deployment, now);
        Self {
            deployment: deployment.id.as_str(),
            service: plan.service.as_str(),
            version: plan.task_definition.as_str(),
            replaces: plan.stable.task_definition.as_str(),
            phase: deployment.phase.name(),
            state: state.doing,
            text: state.words,
            since: state.since.to_string(),
            until: state.until.map(|until| until.to_string()),
            next_look_at: next_look(deployment).map(|at| at.to_string()),
            started_at: deployment.started_at.to_string(),
            starter: plan.starter.as_deref(),
            started_by: plan.started_by.as_deref(),
            stage: StageView {
                number: progress.stage.next().0,
                of: plan.stages.len(),
                weight: plan.stage(progress.stage).map(|stage| percent(stage.weight)),
            },
            traffic: shares(deployment)
                .map(|(route, share)| TrafficView {
                    route: route.route.arn(),
                    canary: share.map(percent),
                })
                .collect(),
            read_back_at: read_back_at(deployment).map(|at| at.to_string()),
            approval: approval(deployment, now),
            frozen: deployment
                .frozen(now)
                .filter(|_| deployment.phase == Phase::Open)
                .map(frozen_view),
            failure: failed(deployment, &[]),
            execution: deployment.execution.as_str(),
            timeline: None,
            now: None,
        }
    }

    /// With its timeline.
    pub(crate) fn whole(
        deployment: &'a Deployment,
        notices: &'a [Notice],
        live: &'a Live,
        now: Timestamp,
    ) -> Self {
        let timeline = notices.iter().map(|notice| EntryView {
            sequence: notice.sequence,
            at: notice.at.to_string(),
            event: notice.event.name(),
            text: headline(notice, deployment),
            details: details(&notice.event),
        });
        Self {
            failure: failed(deployment, notices),
            timeline: Some(timeline.collect()),
            now: Some(NowView::of(deployment, live)),
            ..Self::of(deployment, now)
        }
    }
}

fn percent(weight: Weight) -> f64 {
    f64::from(weight.permille()) / 10.0
}

fn failed<'a>(deployment: &'a Deployment, notices: &'a [Notice]) -> Option<FailureView<'a>> {
    let failure = failure(deployment, notices)?;
    Some(FailureView { name: failure.code.name(), cause: &failure.cause })
}

fn approval(deployment: &Deployment, now: Timestamp) -> Option<ApprovalView> {
    match &deployment.progress.step {
        Step::Approving { since, until, decision, .. } => {
            let index = deployment.progress.stage;
            let asked = deployment.plan.stage(index).and_then(|stage| stage.approval.as_ref());
            Some(ApprovalView {
                since: since.to_string(),
                until: until.to_string(),
                on_timeout: asked.map(|asked| asked.on_timeout),
                lacking: match decision {
                    Some(_) => 0,
                    None => deployment.approvals_lacking(index),
                },
                not_before: deployment
                    .goes_on_at(now)
                    .filter(|at| *at > now)
                    .map(|at| at.to_string()),
                approvals: deployment.approvals(index).map(DecisionView::of).collect(),
                decision: decision.as_ref().map(DecisionView::of),
            })
        }
        Step::Settling { .. } | Step::Baking { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW, notices_of, same_as_file};

    #[test]
    fn a_deployment_for_programs() {
        for (file, deployment) in [
            ("approving.json", fixtures::approving()),
            ("rolled-back.json", fixtures::rolled_back()),
        ] {
            let notices = notices_of(&deployment);
            let view =
                serde_json::to_value(View::whole(&deployment, &notices, &Live::default(), NOW))
                    .unwrap();
            same_as_file(file, &format!("{view:#}\n"));
        }
    }

    #[test]
    fn no_token_is_in_it() {
        for deployment in fixtures::all() {
            let view = serde_json::to_string(&View::of(&deployment, NOW)).unwrap();
            assert!(!view.contains(fixtures::TOKEN));
        }
    }
}
