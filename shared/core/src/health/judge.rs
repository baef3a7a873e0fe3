//! Judges a stage by thresholds. Every check adds its reason, the good ones too: a verdict without
//! all its reasons cannot be acted on.

use super::reading::Reading;
use super::readings::{AlarmReading, AlarmSignal, Readings, RouteTargets, StoppedTask, Watched};
use super::verdict::{Reason, Verdict, fail, inconclusive, pass, read, suspect};
use super::{hooks, metrics, probes};
use crate::ids::AlarmArn;
use crate::plan::{HealthPlan, Plan, StageIndex};
use crate::record::Gap;
use crate::weight::Weight;

/// So many stopped tasks of a canary of this size are no accident: the second one of a few, more than one
/// in twenty of many. A task that Spot takes away, or whose host is lost, may end as if it had failed by
/// itself.
pub fn stopped_tasks_limit(tasks: u32) -> usize {
    (tasks / 20 + 1).max(2) as usize
}

/// So many stopped tasks of a canary of this size are told and hold nothing: one in a hundred.
fn stray_tasks(tasks: u32) -> usize {
    (tasks / 100) as usize
}

/// Judges a stage of a plan by one look at it.
pub fn judge(plan: &Plan, stage: StageIndex, readings: &Readings) -> Verdict {
    let mut reasons = Vec::new();
    let weight = plan.stage(stage).map(|stage| stage.weight);
    alarms(&plan.health, weight, &readings.alarms, &mut reasons);
    targets(plan, &readings.targets, &mut reasons);
    stopped_tasks(size(&readings.targets), &readings.stopped_tasks, &readings.gaps, &mut reasons);
    metrics::judge(plan, stage, &readings.metrics, &mut reasons);
    hooks::judge(&plan.health.hooks, &readings.hooks, &mut reasons);
    probes::judge(&plan.health.probes, &readings.probes, &mut reasons);
    Verdict::of(reasons)
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
        let text = if healthy > needed {
            format!("{healthy} canary targets are healthy in `{group}`, {needed} needed")
        } else {
            format!("{healthy} of {needed} canary targets are healthy in `{group}`")
        };
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

/// How many tasks the canary has to have; unknown where its targets cannot be read.
fn size(targets: &Reading<Vec<RouteTargets>>) -> Option<u32> {
    match targets {
        Reading::Read(routes) => routes.iter().map(|route| route.canary_needed).max(),
        Reading::Unreadable(_) => None,
    }
}

fn stopped_tasks(
    size: Option<u32>,
    reading: &Reading<Vec<StoppedTask>>,
    gaps: &[Gap],
    reasons: &mut Vec<Reason>,
) {
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
    reasons.push(match size {
        Some(size) if tasks.len() <= stray_tasks(size) => {
            pass(format!("{text} ({size} are needed)"))
        }
        Some(size) if tasks.len() >= stopped_tasks_limit(size) => fail(text),
        // Whether it was an accident is for a person to say, and of how many nobody knows.
        Some(_) | None => inconclusive(text),
    });
}

fn counted(stopped: usize) -> String {
    match stopped {
        1 => "1 canary task stopped by itself".to_owned(),
        count => format!("{count} canary tasks stopped by themselves"),
    }
}

#[cfg(test)]
mod tests;
