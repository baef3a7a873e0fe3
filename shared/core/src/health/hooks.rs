//! What the user's own functions say, by the contract of ECS lifecycle hooks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reading::Reading;
use super::verdict::{Reason, fail, inconclusive, pass};
use crate::document::shortened;
use crate::plan::{Hook, HookDetails, LifecycleStage};
use crate::record::{Deployment, HookRun, HookStatus};
use crate::request::LONGEST_DETAILS;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;

/// How long ECS waits before it asks again, unless the hook says.
const CALL_BACK_DELAY: Span = Span::from_secs(30);

/// Longest delay that is taken from a hook: a day, as long as ECS lets one take.
const LONGEST_DELAY_SECONDS: f64 = 86_400.0;

/// A hook at a stage, as of now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookReading {
    /// Which, by its place in the plan.
    pub hook: usize,
    pub at: LifecycleStage,
    /// What it says, or why it says nothing.
    pub run: Reading<HookRun>,
}

/// Hooks that have a say at this weight, each with what is known of it at this stage.
pub fn hooks_at<'a>(
    hooks: &'a [Hook],
    weight: Weight,
    runs: &'a [HookRun],
) -> impl Iterator<Item = (usize, LifecycleStage, Option<&'a HookRun>)> {
    hooks.iter().enumerate().flat_map(move |(place, hook)| {
        let stages = hook.stages.iter().copied().filter(move |stage| stage.is_at(weight));
        stages.map(move |at| (place, at, runs.iter().find(|run| run.hook == place && run.at == at)))
    })
}

/// What is to be remembered of the hooks: their newest answers, and what was known of those that
/// gave none.
pub fn hook_runs(readings: &[HookReading], before: &[HookRun]) -> Vec<HookRun> {
    let answered = readings.iter().filter_map(|reading| match &reading.run {
        Reading::Read(run) => Some(run),
        Reading::Unreadable(_) => {
            before.iter().find(|run| run.hook == reading.hook && run.at == reading.at)
        }
    });
    answered.cloned().collect()
}

impl HookRun {
    pub fn is_due(&self, now: Timestamp) -> bool {
        match self.status {
            HookStatus::InProgress => now >= self.again_at,
            HookStatus::Succeeded | HookStatus::Failed => false,
        }
    }

    /// After an answer; what is wrong with one that cannot be understood.
    pub fn answered(
        hook: usize,
        at: LifecycleStage,
        before: Option<&Self>,
        told: HookDetails,
        answer: &Value,
        now: Timestamp,
    ) -> Result<Self, String> {
        let said = &answer["hookStatus"];
        let status = serde_json::from_value::<HookStatus>(said.clone()).map_err(|_| {
            let found = if said.is_null() {
                "no hookStatus".to_owned()
            } else {
                format!("the hookStatus {}", shortened(&said.to_string()))
            };
            format!("it answered {found}, not SUCCEEDED, FAILED or IN_PROGRESS")
        })?;
        let delay = match Some(&answer["callBackDelay"]).filter(|delay| !delay.is_null()) {
            None => CALL_BACK_DELAY,
            Some(delay) => {
                let seconds = delay
                    .as_f64()
                    .filter(|seconds| (0.0..=LONGEST_DELAY_SECONDS).contains(seconds));
                let seconds = seconds.ok_or_else(|| {
                    let found = shortened(&delay.to_string());
                    format!("it answered the callBackDelay {found}, not seconds up to a day")
                })?;
                Span::from_millis((seconds * 1000.0).ceil() as u64)
            }
        };
        let mut details = told;
        match &answer["hookDetails"] {
            Value::Null => {}
            Value::Object(more) => details.extend(more.clone()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err("it answered hookDetails that are no object".to_owned());
            }
        }
        let length = Value::Object(details.clone()).to_string().len();
        if length > LONGEST_DETAILS {
            return Err(format!(
                "its hookDetails are {length} characters of JSON, at most {LONGEST_DETAILS} are kept"
            ));
        }
        let since = before.map_or(now, |before| before.since);
        Ok(Self { hook, at, status, details, since, again_at: now + delay })
    }
}

/// The ECS deployments of both slots, as a hook knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceDeployments {
    pub canary: ServiceDeployment,
    pub stable: ServiceDeployment,
}

/// The deployment that an ECS service is at, as far as ECS says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceDeployment {
    pub arn: Option<String>,
    /// The ARN of the service.
    pub service: Option<String>,
    /// The ARN of the revision that it deploys.
    pub revision: Option<String>,
}

/// The event of an invocation, as ECS sends it. What ECS does not say is left out: a hook that needs
/// it will say so, and one that does not must not wait for it.
pub fn hook_event(
    deployment: &Deployment,
    hook: usize,
    at: LifecycleStage,
    weight: Weight,
    details: &HookDetails,
    found: &ServiceDeployments,
) -> Value {
    let (canary, stable) = (&found.canary, &found.stable);
    let percent = |weight: Weight| {
        let permille = weight.permille();
        if permille.is_multiple_of(10) {
            json!(permille / 10)
        } else {
            json!(f64::from(permille) / 10.0)
        }
    };
    let shares = [(canary, percent(weight)), (stable, percent(weight.rest()))];
    let weights: Map<String, Value> = match at {
        LifecycleStage::ProductionTrafficShift => shares
            .into_iter()
            .filter_map(|(slot, share)| Some((slot.revision.clone()?, share)))
            .collect(),
        LifecycleStage::PostScaleUp
        | LifecycleStage::PostProductionTrafficShift
        | LifecycleStage::Rollback => Map::new(),
    };
    let mut event = json!({
        // The same for every invocation of this hook at this stage.
        "executionId": format!("{}-{}-{hook}-{}", deployment.id, deployment.progress.stage, at.name()),
        "lifecycleStage": at.name(),
        "executionDetails": { "testTrafficWeights": {}, "productionTrafficWeights": weights },
        "hookDetails": details,
    });
    let said = [
        (&["resourceArn"][..], &canary.arn),
        (&["executionDetails", "serviceArn"][..], &canary.service),
        (&["executionDetails", "targetServiceRevisionArn"][..], &canary.revision),
    ];
    for (path, value) in said {
        if let Some(value) = value {
            let place = path.iter().fold(&mut event, |at, name| &mut at[*name]);
            *place = json!(value);
        }
    }
    event
}

/// Adds a reason for every hook that has a say.
pub(super) fn judge(hooks: &[Hook], readings: &[HookReading], reasons: &mut Vec<Reason>) {
    for reading in readings {
        let name = hooks.get(reading.hook).map_or("", Hook::name);
        let of = format!("hook `{name}` at {}", reading.at.name());
        reasons.push(match &reading.run {
            Reading::Unreadable(why) => inconclusive(format!("{of} says nothing: {why}")),
            Reading::Read(run) => match run.status {
                HookStatus::Succeeded => pass(format!("{of} succeeded")),
                HookStatus::Failed => fail(format!("{of} failed")),
                HookStatus::InProgress => {
                    inconclusive(format!("{of} is in progress since {}", run.since))
                }
            },
        });
    }
}

#[cfg(test)]
mod tests;
