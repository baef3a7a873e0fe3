//! What happened, in numbers.

use std::collections::BTreeMap;
use std::fmt::Write;

use glidepath_lab::scenario::{AlarmState, Slot};
use glidepath_lab::{Event, Observed, Report};

const MOST_ACTIONS: usize = 6;

/// One paragraph for each deployment.
pub(super) fn write(report: &Report) -> String {
    let starts: Vec<(usize, f64, &str, Option<Slot>)> = report
        .events
        .iter()
        .enumerate()
        .filter_map(|(index, observed)| {
            started(observed).map(|(name, stable)| (index, observed.at, name, stable))
        })
        .collect();
    let mut text = String::new();
    for (act, (_, from, name, stable)) in starts.iter().enumerate() {
        let until = starts.get(act + 1).map_or(f64::INFINITY, |next| next.1);
        let mut events: Vec<&Observed> =
            report.events.iter().filter(|observed| (*from..until).contains(&observed.at)).collect();
        events.sort_by(|one, other| one.at.total_cmp(&other.at));
        let mut summary = Summary {
            report,
            name,
            from: *from,
            until,
            stable: *stable,
            events,
            text: String::new(),
        };
        summary.write(act + 1);
        text.push_str(&summary.text);
    }
    text
}

fn started(observed: &Observed) -> Option<(&str, Option<Slot>)> {
    if let Event::Started { deployment, stable, .. } = &observed.event {
        return Some((deployment, *stable));
    }
    None
}

struct Summary<'a> {
    report: &'a Report,
    name: &'a str,
    from: f64,
    until: f64,
    stable: Option<Slot>,
    /// In order of time.
    events: Vec<&'a Observed>,
    text: String,
}

impl Summary<'_> {
    fn write(&mut self, act: usize) {
        let name = self.name;
        let ended = self.find(|event| {
            let Event::Execution { deployment, status, error, cause } = event else { return None };
            let ours = deployment == name;
            ours.then(|| (format!("{status:?}"), error.clone(), cause.clone()))
        });
        let (after, error, cause) = match ended {
            Some((end, (status, error, cause))) => {
                (format!("{status} after {:.1} s", end - self.from), error, cause)
            }
            None => ("not ended".to_owned(), None, None),
        };
        self.line(format_args!("\nAct {act}, deployment `{name}`: {after}"));
        if let Some(error) = error {
            self.row("failure", &error);
        }
        if let Some(cause) = cause {
            self.row("cause", &cause);
        }
        let stages: Vec<String> = self.all(|event| {
            let Event::Stage { weight, .. } = event else { return None };
            Some(format!("{weight} %"))
        });
        self.row("stages", &stages.join(", "));
        self.recovery();
        let (requests, bad) = self.requests();
        self.row("requests", &format!("{requests}, of which {bad} bad ones reached users"));
        let transitions = self.all(|event| {
            matches!(event, Event::State { deployment, .. } if deployment == name).then_some(())
        });
        self.row("state transitions", &transitions.len().to_string());
        self.calls();
        self.slots();
    }

    /// How fast traffic was back, if it had to be.
    fn recovery(&mut self) {
        let canary = self.stable.map(Slot::other);
        let decided = self.find(|event| {
            if matches!(event, Event::Alarm { state: AlarmState::Alarm, .. }) {
                return Some("alarm");
            }
            let Event::Verdict { next, .. } = event else { return None };
            (next == "rollback").then_some("verdict")
        });
        let first_bad =
            self.find(|event| matches!(event, Event::FirstBadRequest { .. }).then_some(()));
        let Some((decided, by)) = decided else { return };
        let restored = self.events.iter().find(|observed| {
            let canary_share = match (&observed.event, canary) {
                (Event::WeightsRead { blue, .. }, Some(Slot::Blue)) => *blue,
                (Event::WeightsRead { green, .. }, Some(Slot::Green)) => *green,
                _ => return false,
            };
            observed.at >= decided && canary_share <= 0.0
        });
        let Some(restored) = restored.map(|observed| observed.at) else { return };
        if let Some((first_bad, ())) = first_bad {
            self.row(
                "first bad request",
                &format!("{:.1} s before all traffic was back on stable", restored - first_bad),
            );
        }
        self.row(by, &format!("{:.1} s before all traffic was back on stable", restored - decided));
    }

    fn requests(&self) -> (u64, u64) {
        let counted = self.all(|event| {
            let Event::Requests { answered, .. } = event else { return None };
            let requests: u64 = answered.values().map(|answered| answered.requests).sum();
            let bad: u64 = answered.values().map(|answered| answered.bad).sum();
            Some((requests, bad))
        });
        counted.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    fn calls(&mut self) {
        let mut actions: BTreeMap<&str, usize> = BTreeMap::new();
        let span = self.from..self.until;
        for call in
            self.report.calls.iter().filter(|call| span.contains(&(call.time - self.report.began)))
        {
            *actions.entry(&call.action).or_default() += 1;
        }
        let total: usize = actions.values().sum();
        let mut most: Vec<(&str, usize)> = actions.into_iter().collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let most: Vec<String> = most
            .iter()
            .take(MOST_ACTIONS)
            .map(|(action, count)| format!("{count} {action}"))
            .collect();
        let row = format!("{total} ({}, ...)", most.join(", "));
        self.row("AWS calls", &row);
    }

    fn slots(&mut self) {
        let mut last = BTreeMap::new();
        for observed in &self.events {
            if let Event::Tasks { slot, running, version, .. } = &observed.event {
                last.insert(*slot, (*running, version.clone()));
            }
        }
        let words: Vec<String> = last
            .into_iter()
            .map(|(slot, (running, version))| format!("{slot} runs {running} tasks of {version}"))
            .collect();
        self.row("in the end", &words.join(", "));
    }

    fn find<T>(&self, mut look: impl FnMut(&Event) -> Option<T>) -> Option<(f64, T)> {
        self.events
            .iter()
            .find_map(|observed| look(&observed.event).map(|found| (observed.at, found)))
    }

    fn all<T>(&self, look: impl FnMut(&Event) -> Option<T>) -> Vec<T> {
        self.events.iter().map(|observed| &observed.event).filter_map(look).collect()
    }

    fn row(&mut self, name: &str, value: &str) {
        self.line(format_args!("  {name:<18} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}
