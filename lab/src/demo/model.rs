//! What the demo shows at a moment, made from the events so far.

use std::collections::BTreeMap;

use glidepath_lab::scenario::{Length, Scenario, Slot};
use glidepath_lab::{Event, Observed};
use serde_json::{Map, Value};

/// Everything on the screen.
pub(super) struct Model {
    plans: BTreeMap<String, Vec<StageView>>,
    /// The deployment that is shown: the last one started.
    pub(super) act: Option<Act>,
    /// How many acts have begun.
    pub(super) acts: usize,
    /// Percent on blue and green, as read back.
    pub(super) weights: (f64, f64),
    /// By slot.
    pub(super) slots: BTreeMap<Slot, SlotView>,
}

/// One deployment.
pub(super) struct Act {
    /// Its name in the scenario.
    pub(super) deployment: String,
    pub(super) stable: Slot,
    pub(super) stages: Vec<StageView>,
    /// Stages that were reached.
    pub(super) reached: usize,
    /// When the present stage was reached.
    pub(super) since: f64,
    /// The newest verdict and why.
    pub(super) verdict: String,
    /// Whether it is over, and how.
    pub(super) outcome: Option<bool>,
}

/// One stage of a plan.
#[derive(Clone)]
pub(super) struct StageView {
    /// Percent of the canary.
    pub(super) weight: f64,
    /// How long it bakes, in seconds.
    pub(super) bake: f64,
}

#[derive(Clone, Default)]
pub(super) struct SlotView {
    pub(super) version: String,
    pub(super) desired: u32,
    pub(super) running: u32,
    pub(super) requests: u64,
    pub(super) bad: u64,
}

impl Model {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let deployments = scenario.deployments().into_iter();
        let plans = deployments.map(|(name, request)| (name.to_owned(), stages(request))).collect();
        Self { plans, act: None, acts: 0, weights: (100.0, 0.0), slots: BTreeMap::new() }
    }

    pub(super) fn observe(&mut self, observed: &Observed) {
        match &observed.event {
            Event::Started { deployment, stable, .. } => {
                self.acts += 1;
                self.act = Some(Act {
                    deployment: deployment.clone(),
                    stable: stable.unwrap_or(Slot::Blue),
                    stages: self.plans.get(deployment).cloned().unwrap_or_default(),
                    reached: 0,
                    since: observed.at,
                    verdict: String::new(),
                    outcome: None,
                });
                for slot in self.slots.values_mut() {
                    (slot.requests, slot.bad) = (0, 0);
                }
            }
            Event::Stage { stage, .. } => {
                if let Some(act) = &mut self.act {
                    act.reached = *stage;
                    act.since = observed.at;
                }
            }
            Event::Verdict { summary, .. } => {
                if let Some(act) = &mut self.act {
                    act.verdict.clone_from(summary);
                }
            }
            Event::Execution { deployment, error, .. } => {
                if let Some(act) = self.act.as_mut().filter(|act| act.deployment == *deployment) {
                    act.outcome = Some(error.is_none());
                }
            }
            Event::WeightsRead { route: 1, blue, green, .. } => self.weights = (*blue, *green),
            Event::Tasks { slot, desired, running, version, .. } => {
                let view = self.slots.entry(*slot).or_default();
                (view.desired, view.running) = (*desired, *running);
                view.version.clone_from(version);
            }
            Event::Requests { answered, .. } => {
                for answered in answered.values() {
                    let Some(slot) = answered.slot else { continue };
                    let view = self.slots.entry(slot).or_default();
                    view.requests += answered.requests;
                    view.bad += answered.bad;
                }
            }
            Event::State { .. }
            | Event::WeightsWritten { .. }
            | Event::WeightsRead { .. }
            | Event::Notice { .. }
            | Event::Alarm { .. }
            | Event::Scaling { .. }
            | Event::FirstBadRequest { .. }
            | Event::Script { .. }
            | Event::TimeLimit { .. }
            | Event::Fault { .. }
            | Event::SweepFailed { .. } => {}
        }
    }
}

/// The stages that a request names.
fn stages(request: &Map<String, Value>) -> Vec<StageView> {
    let stages = request.get("strategy").and_then(|strategy| strategy.get("canary")?.get("stages"));
    let stages = stages.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let view = |stage: &Value| {
        let bake: Length = serde_json::from_value(stage.get("bake")?.clone()).ok()?;
        Some(StageView {
            weight: stage.get("weight")?.as_f64()?,
            bake: bake.duration().as_secs_f64(),
        })
    };
    stages.iter().filter_map(view).collect()
}
