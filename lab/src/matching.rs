//! Whether an observation is a happening that a scenario speaks of.

use crate::scenario::{AlarmState, Happening, Slot};
use crate::timeline::{Event, Observed};
use std::collections::BTreeMap;

/// Which of the two observations of a weight counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightIs {
    /// The read-back: what comes next finds it in place. For the script.
    ReadBack,
    /// The write: the load balancer knows its exact moment, while a read-back is seen a poll later
    /// and would come after things that it caused. For expectations, which compare moments.
    Written,
}

/// Watches observations one by one until the happening has been seen often enough.
pub(crate) struct Matcher<'a> {
    happening: &'a Happening,
    weight_is: WeightIs,
    seen: usize,
    bad_requests: u64,
    /// The slot that was stable when the newest deployment of a service began.
    stable: BTreeMap<String, Slot>,
    /// Notices seen, because each arrives on several channels.
    notices: Vec<(String, String, Option<u64>)>,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(happening: &'a Happening, weight_is: WeightIs) -> Self {
        let (stable, notices) = (BTreeMap::new(), Vec::new());
        Self { happening, weight_is, seen: 0, bad_requests: 0, stable, notices }
    }

    /// Whether this is the observation that was waited for.
    pub(crate) fn sees(&mut self, observed: &Observed) -> bool {
        if !self.sees_any(observed) {
            return false;
        }
        self.seen += 1;
        self.seen == self.happening.time.unwrap_or(1)
    }

    /// Whether this is the happening, whichever time it is.
    pub(crate) fn sees_any(&mut self, observed: &Observed) -> bool {
        self.matches(&observed.event)
    }

    fn matches(&mut self, event: &Event) -> bool {
        let wanted = self.happening;
        match event {
            Event::Started { deployment: _, service, execution: _, stable } => {
                if let (Some(service), Some(stable)) = (service, stable) {
                    self.stable.insert(service.clone(), *stable);
                }
                false
            }
            Event::Execution { deployment, status, .. } => {
                wanted.execution == Some(*status) && is(&wanted.deployment, deployment)
            }
            Event::State { deployment, state } => {
                wanted.state.as_ref() == Some(state) && is(&wanted.deployment, deployment)
            }
            Event::Stage { deployment, stage, .. } => {
                wanted.stage == Some(*stage) && is(&wanted.deployment, deployment)
            }
            Event::WeightsRead { service, blue, green, .. } => {
                self.weight_is == WeightIs::ReadBack && self.is_weight(service, *blue, *green)
            }
            Event::WeightsWritten { service, blue, green, .. } => {
                self.weight_is == WeightIs::Written && self.is_weight(service, *blue, *green)
            }
            Event::Notice { deployment, name, sequence, .. } => {
                self.is_new_notice(deployment, name.as_deref(), *sequence)
            }
            Event::Alarm { service, alarm, state, .. } => {
                wanted.alarm == Some(*alarm)
                    && wanted.is.unwrap_or(AlarmState::Alarm) == *state
                    && is(&wanted.service, service)
            }
            Event::Tasks { service, slot, desired, running, .. } => {
                is(&wanted.service, service)
                    && wanted.tasks.is_some_and(|tasks| {
                        tasks.slot == *slot
                            && tasks.desired.is_none_or(|wanted| wanted == *desired)
                            && tasks.running.is_none_or(|wanted| wanted == *running)
                    })
            }
            Event::Scaling { service, slot, settings } => {
                is(&wanted.service, service)
                    && wanted.scaling.as_ref().is_some_and(|scaling| {
                        scaling.slot == *slot && scaling.settings == *settings
                    })
            }
            Event::Requests { service, answered } => {
                let Some(limit) = wanted.bad_requests else { return false };
                if !is(&wanted.service, service) {
                    return false;
                }
                let before = self.bad_requests;
                self.bad_requests += answered.values().map(|answered| answered.bad).sum::<u64>();
                before < limit && self.bad_requests >= limit
            }
            Event::Fault { fault, .. } => {
                wanted.fault.is_some_and(|number| *fault == format!("fault {number}"))
            }
            Event::Script { step, action: _, error } => {
                error.is_none() && wanted.step == Some(*step)
            }
            Event::Verdict { .. }
            | Event::TimeLimit { .. }
            | Event::FirstBadRequest { .. }
            | Event::SweepFailed { .. } => false,
        }
    }

    fn is_weight(&self, service: &str, blue: f64, green: f64) -> bool {
        let canary = match self.stable.get(service) {
            Some(Slot::Green) => blue,
            Some(Slot::Blue) | None => green,
        };
        is(&self.happening.service, service)
            && self.happening.weight.is_some_and(|weight| (weight - canary).abs() < 0.05)
    }

    /// Whether it is a wanted notice that no other channel has delivered already.
    fn is_new_notice(
        &mut self,
        deployment: &str,
        name: Option<&str>,
        sequence: Option<u64>,
    ) -> bool {
        let wanted = self.happening;
        let Some(name) = name.filter(|name| wanted.notice.as_deref() == Some(name)) else {
            return false;
        };
        let notice = (deployment.to_owned(), name.to_owned(), sequence);
        if !is(&wanted.deployment, deployment) || self.notices.contains(&notice) {
            return false;
        }
        self.notices.push(notice);
        true
    }
}

fn is(wanted: &Option<String>, found: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted == found)
}
