//! Judges a stage by thresholds. Every check adds its reason, the good ones too: a verdict without
//! all its reasons cannot be acted on.

use super::cells::Gap;
use super::evidence::{
    AlarmReading, AlarmSignal, Evidence, Reading, RouteTargets, StoppedTask, Watched,
};
use super::{hooks, metrics, probes};
use crate::ids::AlarmArn;
use crate::plan::{HealthPlan, Plan, StageIndex};
use crate::weight::Weight;

/// Stopped canary tasks that count as sickness. One may be a lost host or a spot interruption,
/// which holds the stage; the second within the same stage is no accident.
pub const STOPPED_TASKS_LIMIT: usize = 2;

/// What the evidence says. In order: the worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Nothing speaks against the canary.
    Pass,
    /// It cannot be said: no data is not health, and not sickness.
    Inconclusive,
    /// Something speaks against the canary, but not enough to end it. It holds as what is inconclusive
    /// does, and nobody can let it go on.
    Suspect,
    /// The canary is worse than the plan allows.
    Fail,
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Suspect => "suspect",
            Self::Fail => "fail",
        })
    }
}

/// One check and what it says, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What it says.
    pub judgement: Judgement,
    /// For a person, with numbers.
    pub text: String,
}

/// What all checks say together.
#[must_use = "an unread verdict stops nothing"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The worst of all reasons.
    pub judgement: Judgement,
    /// All of them, passes too, in the order of the checks.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Texts of the reasons that say this.
    pub fn texts(&self, says: impl Fn(Judgement) -> bool) -> Vec<String> {
        let matching = self.reasons.iter().filter(|reason| says(reason.judgement));
        matching.map(|reason| reason.text.clone()).collect()
    }

    fn of(reasons: Vec<Reason>) -> Self {
        let worst = reasons.iter().map(|reason| reason.judgement).max();
        // Without a single check nothing is known.
        Self { judgement: worst.unwrap_or(Judgement::Inconclusive), reasons }
    }
}

/// Judges a stage of a plan by one look at it.
pub fn judge(plan: &Plan, stage: StageIndex, evidence: &Evidence) -> Verdict {
    let mut reasons = Vec::new();
    let weight = plan.stage(stage).map(|stage| stage.weight);
    alarms(&plan.health, weight, &evidence.alarms, &mut reasons);
    targets(plan, &evidence.targets, &mut reasons);
    stopped_tasks(&evidence.stopped_tasks, &evidence.gaps, &mut reasons);
    metrics::judge(plan, stage, &evidence.metrics, &mut reasons);
    hooks::judge(&plan.health.hooks, &evidence.hooks, &mut reasons);
    probes::judge(&plan.health.probes, &evidence.probes, &mut reasons);
    Verdict::of(reasons)
}

pub(super) fn pass(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Pass, text: text.into() }
}

pub(super) fn inconclusive(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Inconclusive, text: text.into() }
}

pub(super) fn suspect(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Suspect, text: text.into() }
}

pub(super) fn fail(text: impl Into<String>) -> Reason {
    Reason { judgement: Judgement::Fail, text: text.into() }
}

/// The text of something that was read, or an inconclusive reason.
pub(super) fn read<'a, T>(
    what: &str,
    reading: &'a Reading<T>,
    reasons: &mut Vec<Reason>,
) -> Option<&'a T> {
    match reading {
        Reading::Read(value) => Some(value),
        Reading::Unreadable(why) => {
            reasons.push(inconclusive(format!("{what} could not be read: {why}")));
            None
        }
    }
}

fn alarms(
    health: &HealthPlan,
    weight: Option<Weight>,
    reading: &Reading<Vec<AlarmReading>>,
    reasons: &mut Vec<Reason>,
) {
    let planned = [
        (Watched::Canary, &health.alarms.canary),
        (Watched::Service, &health.alarms.service),
        (Watched::Stable, &health.alarms.stable),
    ];
    if planned.iter().all(|(_, alarms)| alarms.is_empty()) {
        return;
    }
    let Some(readings) = read("alarms", reading, reasons) else { return };
    for (watched, alarms) in planned {
        for alarm in alarms {
            let found = readings.iter().find(|reading| reading.alarm == *alarm);
            reasons.push(one_alarm(watched, alarm, weight, found));
        }
    }
}

fn one_alarm(
    watched: Watched,
    alarm: &AlarmArn,
    weight: Option<Weight>,
    found: Option<&AlarmReading>,
) -> Reason {
    let whose = match watched {
        Watched::Stable => "the stable slot's alarm",
        Watched::Canary => "the canary's alarm",
        Watched::Service => "the service's alarm",
    };
    let name = alarm.name();
    let Some(found) = found else {
        return inconclusive(format!("{whose} `{name}` was not among those read"));
    };
    match found.signal {
        AlarmSignal::Ok => pass(format!("{whose} `{name}` is OK")),
        // An alarm on errors that never happened has no data: it must not block, but it is said,
        // since it watches nothing for now.
        AlarmSignal::InsufficientData => {
            pass(format!("{whose} `{name}` has no data and says nothing"))
        }
        AlarmSignal::Missing => inconclusive(format!("{whose} `{name}` does not exist any more")),
        AlarmSignal::Unreadable => {
            inconclusive(format!("{whose} `{name}` could not be read: {}", found.reason))
        }
        AlarmSignal::Alarm if found.since_before => {
            let text = format!(
                "{whose} `{name}` has fired since before the deployment began, when its slot had no \
                 traffic, and counts from the moment it is OK: {}",
                found.reason
            );
            // It may speak of the slot as it was or of the canary: no data is not health.
            if weight == Some(Weight::NONE) { pass(text) } else { suspect(text) }
        }
        // Its slot has just been left: no requests, no data. Whether stable could take them back is
        // seen from its targets.
        AlarmSignal::Alarm if watched == Watched::Stable && weight == Some(Weight::ALL) => {
            pass(format!(
                "{whose} `{name}` is firing, which does not count while its slot has no traffic: {}",
                found.reason
            ))
        }
        AlarmSignal::Alarm => {
            let text = format!("{whose} `{name}` is firing: {}", found.reason);
            match watched {
                Watched::Canary | Watched::Service => fail(text),
                // Rolling back onto a slot that is ill itself would help nobody.
                Watched::Stable => inconclusive(text),
            }
        }
    }
}

fn targets(plan: &Plan, reading: &Reading<Vec<RouteTargets>>, reasons: &mut Vec<Reason>) {
    let Some(routes) = read("target health", reading, reasons) else { return };
    if routes.len() != plan.routes.len() {
        let (read, planned) = (routes.len(), plan.routes.len());
        reasons.push(inconclusive(format!("targets of {read} of {planned} routes were read")));
    }
    for (targets, route) in routes.iter().zip(&plan.routes) {
        let (healthy, needed) = (targets.canary_healthy, targets.canary_needed);
        let group = route.pair.canary.short();
        let text = format!("{healthy} of {needed} canary targets are healthy in `{group}`");
        let text = match &targets.canary_sick {
            Some(reason) if healthy < needed => format!("{text}: {}", route.sick(reason)),
            Some(_) | None => text,
        };
        reasons.push(if healthy >= needed {
            pass(text)
        } else if healthy == 0 {
            fail(text)
        } else {
            suspect(text)
        });
        if targets.stable_healthy == 0 {
            let group = route.pair.stable.short();
            // Not the canary's fault, but there would be nowhere to return to.
            reasons.push(inconclusive(format!("no stable target is healthy in `{group}`")));
        }
    }
}

fn stopped_tasks(reading: &Reading<Vec<StoppedTask>>, gaps: &[Gap], reasons: &mut Vec<Reason>) {
    let Some(tasks) = read("stopped tasks", reading, reasons) else { return };
    // They may have broken under traffic that nobody planned.
    let (foreign, tasks): (Vec<_>, Vec<_>) =
        tasks.iter().partition(|task| gaps.iter().any(|gap| gap.holds(task.at)));
    if !foreign.is_empty() {
        let count = counted(foreign.len());
        reasons.push(pass(format!(
            "{count} while somebody else's weights were on a route, which counts for no stage"
        )));
    }
    let Some(newest) = tasks.iter().max_by_key(|task| task.at) else {
        if foreign.is_empty() {
            reasons.push(pass("no canary task stopped"));
        }
        return;
    };
    let text =
        format!("{}; the newest, `{}`: {}", counted(tasks.len()), newest.task, newest.reason);
    // Whether one was an accident is for a person to say.
    reasons.push(if tasks.len() >= STOPPED_TASKS_LIMIT { fail(text) } else { inconclusive(text) });
}

fn counted(stopped: usize) -> String {
    match stopped {
        1 => "1 canary task stopped by itself".to_owned(),
        count => format!("{count} canary tasks stopped by themselves"),
    }
}

#[cfg(test)]
mod tests;
