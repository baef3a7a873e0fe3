//! Stages that fit a service's own traffic: each gets the requests that a verdict needs, and it is said
//! what each can find and what nobody can find at that traffic.

use std::fmt;

use super::forecast::{UNCOUNTED, all, bad, percent, typical};
use crate::health::Periods;
use crate::health::sequential::{Expected, ExpectedStage, Parameters, Terms, found_after};
use crate::plan::Plan;
use crate::time::Span;
use crate::weight::Weight;

/// The ladder, in percent; its first steps are left out where they would take too long.
const LADDER: [u16; 4] = [5, 10, 25, 50];

/// Bakes are in steps of this, and at least this long.
const STEP: Span = Span::from_secs(300);

/// Longest bake of a stage before the last: a team should see the end of it on the same day.
const LONGEST: Span = Span::from_secs(2 * 3_600);

/// How long everything is watched at 100 %, where nothing is compared any more.
const LAST: Span = Span::from_secs(30 * 60);

/// Requests that a verdict about a stage needs: with fewer, a single bad one is a high share.
const MINIMUM: [u64; 3] = [200, 100, 50];

/// How many times the requests that are needed a stage is planned for: traffic has quiet hours.
const RESERVE: u64 = 2;

/// How many times as many bad requests are tried, from hard to easy to find.
const TIMES: [f64; 8] = [1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// A stage and what it is good for.
#[derive(Clone, Debug, PartialEq)]
pub struct SuggestedStage {
    pub weight: Weight,
    pub bake: Span,
    /// Requests that the new version typically gets in it.
    pub requests: u64,
    /// The smallest factor of bad requests that is found by its end, on average.
    pub finds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// Requests a minute of the service, typically.
    pub per_minute: u64,
    /// Share of them that is bad, 0 to 1.
    pub bad: f64,
    /// Share that is always allowed, 0 to 1.
    pub floor: f64,
    /// `minimumRequests`.
    pub minimum: u64,
    /// The stages; empty: there is too little traffic to judge by.
    pub stages: Vec<SuggestedStage>,
}

/// Stages for a service with these requests.
pub fn suggest(plan: &Plan, days: &Periods) -> Suggestion {
    let length = days.length.as_millis().max(1);
    let typical = typical(days);
    let (requests, errors) =
        days.counts.iter().fold((0_u64, 0_u64), |(requests, errors), period| {
            (requests.saturating_add(all(period)), errors.saturating_add(bad(period)))
        });
    let share = errors as f64 / requests.max(1) as f64;
    let terms = plan.health.comparison.as_ref().map_or(Terms::default(), |plan| plan.terms());
    let (minimum, weights) = ladder(typical, length);
    let mut suggestion = Suggestion {
        per_minute: typical.saturating_mul(60_000) / length,
        bad: share,
        floor: terms.floor,
        minimum,
        stages: Vec::new(),
    };
    let compared = weights.len();
    let mut expected = Vec::new();
    for weight in weights {
        let bake = bake(typical, weight, minimum, length);
        let periods = bake.as_millis() / length;
        let counted = u32::try_from(periods.saturating_sub(UNCOUNTED)).unwrap_or(u32::MAX);
        let canary = f64::from(weight.permille()) / 1000.0;
        expected.push(ExpectedStage { share: canary, minutes: counted });
        let finds = TIMES
            .into_iter()
            .find(|times| is_found(terms, compared, typical, share, *times, &expected));
        let requests = of_weight(typical, weight).saturating_mul(periods) / 1000;
        suggestion.stages.push(SuggestedStage { weight, bake, requests, finds });
    }
    if !suggestion.stages.is_empty() {
        let bake = bake(typical, Weight::ALL, minimum, length).max(LAST);
        let requests = typical.saturating_mul(bake.as_millis() / length);
        suggestion.stages.push(SuggestedStage { weight: Weight::ALL, bake, requests, finds: None });
    }
    suggestion
}

/// Requests of a thousand periods.
fn of_weight(typical: u64, weight: Weight) -> u64 {
    typical.saturating_mul(u64::from(weight.permille()))
}

/// How many requests are needed, and the weights that get them in time.
fn ladder(typical: u64, length: u64) -> (u64, Vec<Weight>) {
    for minimum in MINIMUM {
        let fits = |weight: &Weight| bake(typical, *weight, minimum, length) <= LONGEST;
        let weights =
            LADDER.into_iter().filter_map(|percent| Weight::from_permille(percent * 10).ok());
        let weights: Vec<_> = weights.filter(fits).collect();
        // At least a step before the half: what is wrong should not meet every second user first.
        if weights.len() > 1 || (minimum == MINIMUM[MINIMUM.len() - 1] && !weights.is_empty()) {
            return (minimum, weights);
        }
    }
    (MINIMUM[0], Vec::new())
}

/// How long it takes until the canary has its requests, with a reserve.
fn bake(typical: u64, weight: Weight, minimum: u64, length: u64) -> Span {
    let per_period = of_weight(typical, weight);
    if per_period == 0 {
        return LONGEST.plus(STEP);
    }
    let periods = (minimum * RESERVE * 1000).div_ceil(per_period) + UNCOUNTED;
    let steps = periods.saturating_mul(length).div_ceil(STEP.as_millis()).max(1);
    STEP.times(steps.min(LONGEST.as_millis() / STEP.as_millis() + 1))
}

fn is_found(
    terms: Terms,
    compared: usize,
    typical: u64,
    share: f64,
    times: f64,
    stages: &[ExpectedStage],
) -> bool {
    // A share of nothing cannot be multiplied: below the floor, the floor counts.
    let proportion = share.clamp(1e-9, 1.0);
    let regressed = (times * proportion.max(terms.floor)).min(1.0);
    let Ok(parameters) = Parameters::new(terms, compared, 1) else { return false };
    let expected =
        Expected { requests_per_minute: typical as f64, proportion, times: regressed / proportion };
    found_after(&parameters, &expected, stages).is_some()
}

impl Suggestion {
    fn regression(&self, times: f64) -> String {
        percent((times * self.bad.max(self.floor)).min(1.0))
    }
}

impl fmt::Display for Suggestion {
    /// Fields of a request, with comments.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_minute, bad, minimum, stages, .. } = self;
        writeln!(
            formatter,
            "# typically {per_minute} requests a minute, of which {} are bad",
            percent(*bad)
        )?;
        if stages.is_empty() {
            return writeln!(
                formatter,
                "# too few to judge a version by: let an alarm, a check or a hook judge, and a person \
                 approve\nstrategy: {{ blueGreen: {{ idleBake: 5m, bake: 30m, approval: {{}} }} }}\n\
                 health: {{ onInconclusive: {{ extendUpTo: 5m, then: continue }} }}"
            );
        }
        writeln!(formatter, "strategy:\n  canary:\n    stages:")?;
        for SuggestedStage { weight, bake, requests, finds } in stages {
            let found = match finds {
                Some(times) => format!("; finds {} bad by its end", self.regression(*times)),
                None => String::new(),
            };
            let percent = f64::from(weight.permille()) / 10.0;
            writeln!(
                formatter,
                "      - {{ weight: {percent}, bake: {bake} }}   # about {requests} requests{found}"
            )?;
        }
        writeln!(formatter, "health: {{ minimumRequests: {minimum} }}")?;
        let least = stages.iter().filter_map(|stage| stage.finds).reduce(f64::min);
        match least {
            Some(times) => writeln!(
                formatter,
                "# less than {} bad cannot be told from chance at this traffic: only an alarm, a check \
                 or a person finds it",
                self.regression(times)
            ),
            None => writeln!(
                formatter,
                "# the comparison finds no regression at this traffic: only the limit, an alarm, a \
                 check or a person does"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW};
    use crate::health::{Period, SlotRequests};
    use crate::preflight::{LastDay, forecast, preflight};
    use crate::request::decode;
    use serde_json::json;

    const MINUTE: Span = Span::from_secs(60);

    fn days(requests: u64, bad_every: u64) -> Periods {
        let counts = (0..3 * 1440_u64).map(|minute| Period {
            from: NOW - MINUTE.times(3 * 1440 - minute),
            canary: SlotRequests::default(),
            stable: SlotRequests {
                all: requests,
                bad: u64::from(minute.is_multiple_of(bad_every)),
                slow: None,
            },
        });
        Periods { length: MINUTE, counts: counts.collect() }
    }

    fn suggested(requests: u64) -> Suggestion {
        let request = decode(&fixtures::document()).unwrap();
        let plan = preflight(&request, &fixtures::found()).unwrap().plan;
        suggest(&plan, &days(requests, 10))
    }

    /// What is proposed is a request that neither holds nor is warned about for too few requests.
    #[test]
    fn what_is_suggested_gets_its_requests() {
        for requests in [2, 5, 10, 40, 115, 500, 5_000, 1_000_000] {
            let suggestion = suggested(requests);
            let mut document = fixtures::document();
            let stages = suggestion.stages.iter().map(|stage| {
                let weight = f64::from(stage.weight.permille()) / 10.0;
                json!({ "weight": weight, "bake": stage.bake.to_string() })
            });
            document["strategy"] = json!({ "canary": { "stages": stages.collect::<Vec<_>>() } });
            document["health"]["minimumRequests"] = json!(suggestion.minimum);
            let request = decode(&document).unwrap_or_else(|found| panic!("{requests}: {found}"));
            let plan = preflight(&request, &fixtures::found()).unwrap().plan;
            let day = LastDay { counted: days(requests, 10), target_errors: None };
            let told = forecast(&request, &plan, &day).to_string();
            assert!(!told.contains("requests it needs"), "{requests}: {suggestion}{told}");
            // More weight and more time never find less.
            let finds: Vec<_> = suggestion.stages.iter().filter_map(|stage| stage.finds).collect();
            assert!(finds.is_sorted_by(|one, other| one >= other), "{suggestion}");
        }
    }

    #[test]
    fn too_little_traffic_is_said_to_be_too_little() {
        let told = suggested(0).to_string();
        assert!(told.contains("too few to judge a version by"), "{told}");
    }

    #[test]
    fn a_suggestion_is_read_by_a_person() {
        fixtures::same_as_file(
            "src/preflight/suggested.txt",
            &[5, 40, 500].map(|requests| suggested(requests).to_string()).join("\n"),
        );
    }

    #[test]
    fn the_defaults_hold_where_most_services_are_and_the_plan_says_so() {
        let mut document = fixtures::document();
        document.as_object_mut().unwrap().remove("strategy");
        let request = decode(&document).unwrap();
        let plan = preflight(&request, &fixtures::found()).unwrap().plan;
        let told = |requests| {
            let day = LastDay { counted: days(requests, 10), target_errors: None };
            forecast(&request, &plan, &day).to_string()
        };
        let warned = told(40);
        assert!(
            warned.contains(
                "stage 1 gets about 70 of the 200 requests it needs in 35m: it will hold until a \
                 person decides at $.strategy.canary.stages[0].bake"
            ),
            "{warned}"
        );
        assert!(!told(115).contains("requests it needs"));
    }
}
