//! Numbers and findings in words.

use glidepath_core::health::evidence;
use glidepath_core::health::sequential::RateRatio;
use glidepath_core::time::{Span, Timestamp};

use super::counted::{Because, Metric, Report, Times, first_failing};

/// A proportion in percent, as exact as it is worth: `0 %`, `0.04 %`, `1.7 %`, `32 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.001 {
        "<0.001 %".to_owned()
    } else if percent < 0.0995 {
        format!("{percent:.2} %")
    } else if percent < 9.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// The time of day in UTC: `08:14`, with seconds where periods are shorter than a minute.
pub(super) fn clock(at: Timestamp, seconds: bool) -> String {
    let whole = at.to_string();
    // RFC 3339: the time stands behind the `T`.
    let time = whole.split_once('T').map_or(whole.as_str(), |(_, time)| time);
    time.chars().take(if seconds { 8 } else { 5 }).collect()
}

/// The day in UTC: `2027-01-15`.
pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take_while(|character| *character != 'T').collect()
}

impl Report {
    /// The verdict in one sentence.
    pub fn headline(&self) -> String {
        match self.finding() {
            Some(finding) => format!("{finding}; {}", self.outcome),
            None => self.outcome.clone(),
        }
    }

    /// How the versions compare, by the metric that speaks loudest against the canary.
    pub(super) fn finding(&self) -> Option<String> {
        let comparison = self.comparison.as_ref()?;
        let loudest = |metric: usize| {
            let metrics = comparison.points.iter().filter_map(|point| point.metrics.get(metric));
            metrics.copied().fold(f64::NEG_INFINITY, f64::max)
        };
        let slow = comparison.slow.as_ref().filter(|_| loudest(1) > loudest(0).max(1.0));
        Some(match slow {
            Some(slow) => compared(Metric::Slow, slow),
            None => compared(Metric::Bad, &comparison.bad),
        })
    }

    /// Why it rolls back, or why not, with the numbers of the test.
    pub fn reason(&self) -> Option<String> {
        let comparison = self.comparison.as_ref()?;
        let needed = evidence(comparison.parameters.bound());
        let witnesses = comparison.parameters.witnesses();
        let failing = first_failing(self);
        let point = match failing {
            Some((at, Because::Comparison)) => self.rows.get(at)?.point.as_ref(),
            Some((at, Because::Limit)) => return Some(self.over_the_limit(at)),
            Some((_, Because::GrossFailure)) | None => comparison.latest(),
        };
        let (sum, against) = point.map_or((0.0, 0), |point| (point.ln_e, point.witnesses));
        Some(format!(
            "evidence {} ({needed} are needed), and {against} minutes ({witnesses} are needed) speak \
             against the canary",
            evidence(sum)
        ))
    }

    /// The moment as this report names it.
    pub fn when(&self, at: Timestamp) -> String {
        let minute = at.since(self.begins()).as_millis() / self.period.as_millis().max(1) + 1;
        match &self.times {
            Times::Labels(labels) => {
                let row = self.rows.iter().position(|row| row.cell.from <= at && at < row.until());
                let label = row.and_then(|row| labels.get(row));
                label.map_or_else(|| format!("minute {minute}"), |label| format!("cell {label}"))
            }
            Times::Clock if self.by_the_minute() => {
                format!("minute {minute} ({} UTC)", clock(at, false))
            }
            Times::Clock => format!("{} UTC", clock(at, true)),
        }
    }

    pub(super) fn by_the_minute(&self) -> bool {
        self.period >= Span::from_secs(60)
    }
}

/// `canary fails 9.1 times as often as stable (at least 3.2 times)`
fn compared(metric: Metric, ratio: &RateRatio) -> String {
    let does = match metric {
        Metric::Bad => "fails",
        Metric::Slow => "is slow",
    };
    let sure = match ratio.upper {
        _ if ratio.lower > 1.0 => format!("at least {:.1} times", ratio.lower),
        Some(upper) if ratio.lower < 0.05 => format!("at most {upper:.1} times"),
        Some(upper) => format!("{:.1} to {upper:.1} times", ratio.lower),
        None if ratio.lower > 0.0 => format!("at least {:.1} times", ratio.lower),
        None => "nothing is ruled out".to_owned(),
    };
    match ratio.estimate {
        Some(estimate) => {
            format!("canary {does} {estimate:.1} times as often as stable ({sure})")
        }
        None if ratio.lower > 0.0 => format!(
            "canary {does} at least {:.1} times as often as stable, which has no {} request",
            ratio.lower,
            metric.word()
        ),
        None => format!("stable has no {} request to compare with", metric.word()),
    }
}
