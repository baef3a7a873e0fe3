//! What the service's last day says about a plan: whether the comparison can see a regression in the
//! time it has, and whether bad requests are counted so that they mean something.

use crate::document::Findings;
use crate::health::sequential::{Expected, ExpectedStage, Parameters, found_after};
use crate::health::{Period, Periods, is_compared};
use crate::plan::{BadRequestsAre, OnInconclusive, Plan, StageIndex};
use crate::request::Request;
use crate::strategy::Strategy;
use crate::time::Span;
use crate::weight::Weight;

/// How many times stable's share of bad requests a regression is taken to have. One that is smaller
/// harms few users for the time of a deployment; one that is larger is found sooner.
const TIMES: f64 = 5.0;

/// Periods of a bake that do not count: the one in which the weight moved, and the newest, which may
/// still be incomplete.
pub(super) const UNCOUNTED: u64 = 2;

/// Longest bake that is proposed.
const LONGEST_BAKE: Span = Span::from_secs(86_400);

/// Bakes are proposed in steps of this.
const BAKE_STEP: Span = Span::from_secs(300);

/// How many times what chance explains the variance of bad requests may be, from period to period.
const NOISY: f64 = 3.0;

/// Fewest bad requests of a day that are called noisy.
const FEWEST_BAD: u64 = 30;

/// The last day of the slot that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastDay {
    /// With bad requests as the plan counts them.
    pub counted: Periods,
    /// With bad requests as [`BadRequestsAre::TargetErrors`] counts them, where the plan counts
    /// otherwise.
    pub target_errors: Option<Periods>,
}

/// What somebody should know before the deployment begins; no errors among it.
pub fn forecast(request: &Request, plan: &Plan, day: &LastDay) -> Findings {
    let mut findings = Findings::default();
    too_few_requests(request, plan, &day.counted, &mut findings);
    unseen_regression(request, plan, &day.counted, &mut findings);
    if let Some(target_errors) = &day.target_errors {
        noisy_residue(plan, &day.counted, target_errors, &mut findings);
    }
    findings
}

/// Stages that will not have the requests that a verdict needs, however long they are extended.
fn too_few_requests(request: &Request, plan: &Plan, day: &Periods, findings: &mut Findings) {
    let per_period = typical(day);
    if per_period == 0 {
        return;
    }
    let health = &plan.health;
    if !health.judges_requests() {
        return;
    }
    for (index, stage) in plan.stages.iter().enumerate() {
        let time = stage.bake.plus(health.extend_up_to);
        let periods = time.as_millis() / day.length.as_millis().max(1);
        let all = u128::from(per_period) * u128::from(periods);
        let canary = all * u128::from(stage.weight.permille()) / 1000;
        if stage.weight == Weight::NONE || canary >= u128::from(health.minimum_requests) {
            continue;
        }
        let then = match health.on_inconclusive {
            OnInconclusive::Hold => "it will hold until a person decides",
            OnInconclusive::Rollback => "it will be rolled back",
            OnInconclusive::Continue => "it will go on without a verdict",
        };
        findings.warning(
            request.strategy.bake_path(index),
            format!(
                "stage {} gets about {canary} of the {} requests it needs in {time}: {then}",
                index + 1,
                health.minimum_requests
            ),
            "`glidepath plan --suggest` writes stages that fit this traffic",
        );
    }
}

/// Both slots together in a period.
pub(super) fn all(period: &Period) -> u64 {
    period.canary.all.saturating_add(period.stable.all)
}

pub(super) fn bad(period: &Period) -> u64 {
    period.canary.bad.saturating_add(period.stable.bad)
}

/// How many requests a period typically has: as many periods have more as have fewer. Periods without
/// any are not in the list, but count.
pub(super) fn typical(periods: &Periods) -> u64 {
    let (Some(first), Some(last)) = (periods.counts.first(), periods.counts.last()) else {
        return 0;
    };
    let length = periods.length.as_millis().max(1);
    let known = usize::try_from(last.from.since(first.from).as_millis() / length).unwrap_or(0) + 1;
    let mut counts: Vec<_> = periods.counts.iter().map(all).collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    counts.get(known / 2).copied().unwrap_or(0)
}

/// What of a plan would be changed.
#[derive(Clone, Copy)]
enum Changed {
    One(StageIndex),
    /// The steps of a linear strategy share one bake.
    Every,
}

impl Changed {
    fn contains(self, stage: usize) -> bool {
        match self {
            Self::One(one) => one.0 == stage,
            Self::Every => true,
        }
    }
}

/// A plan in the terms of the planner, and what is changed about it to find out what would help.
struct Course<'a> {
    parameters: Parameters,
    expected: Expected,
    period: Span,
    plan: &'a Plan,
}

impl Course<'_> {
    /// How many periods of a bake count.
    fn counted(&self, bake: Span) -> u32 {
        let periods = bake.as_millis() / self.period.as_millis().max(1);
        u32::try_from(periods.saturating_sub(UNCOUNTED)).unwrap_or(u32::MAX)
    }

    /// Whether the regression is found, with what differs about the stages changed.
    fn is_found(&self, changed: Changed, weight: Option<Weight>, bake: Span) -> bool {
        let stages = self.plan.stages.iter().enumerate().filter_map(|(index, stage)| {
            let (weight, bake) = match changed.contains(index) {
                true => (weight.unwrap_or(stage.weight), bake),
                false => (stage.weight, stage.bake),
            };
            let share = f64::from(weight.permille()) / 1000.0;
            is_compared(weight).then(|| ExpectedStage { share, minutes: self.counted(bake) })
        });
        let stages: Vec<_> = stages.collect();
        found_after(&self.parameters, &self.expected, &stages).is_some()
    }

    /// The shortest longer bake with which it is found.
    fn bake(&self, changed: Changed, bake: Span) -> Option<Span> {
        let steps = LONGEST_BAKE.as_millis() / BAKE_STEP.as_millis();
        let first = bake.as_millis() / BAKE_STEP.as_millis() + 1;
        // Longer is never worse: the evidence only grows.
        let found = |steps: &u64| self.is_found(changed, None, BAKE_STEP.times(*steps));
        (first..=steps).find(found).map(|steps| BAKE_STEP.times(steps))
    }

    /// The smallest higher weight of a stage, below that of the next one, with which it is found.
    fn weight(&self, stage: StageIndex, weight: Weight, bake: Span) -> Option<Weight> {
        let next = self.plan.stage(stage.next()).map_or(Weight::ALL, |next| next.weight);
        let percents = (weight.permille() / 10 + 1)..100;
        percents
            .filter_map(|percent| Weight::from_permille(percent * 10).ok())
            .take_while(|higher| *higher < next)
            .find(|higher| self.is_found(Changed::One(stage), Some(*higher), bake))
    }
}

fn unseen_regression(request: &Request, plan: &Plan, day: &Periods, findings: &mut Findings) {
    let Some(comparison) = &plan.health.comparison else { return };
    let compared = || plan.stages.iter().enumerate().filter(|(_, stage)| is_compared(stage.weight));
    // Without such a stage nothing is compared, and that is the strategy's choice.
    let Some((last, stage)) = compared().next_back() else { return };
    let typical = typical(day);
    if typical == 0 {
        findings.warning(
            "$.health.comparison",
            "the service had hardly any requests during the last day: the versions cannot be compared",
            "let an alarm, a check or a hook judge instead",
        );
        return;
    }
    let (requests, errors) =
        day.counts.iter().fold((0_u64, 0_u64), |(requests, errors), period| {
            (requests.saturating_add(all(period)), errors.saturating_add(bad(period)))
        });
    let terms = comparison.terms();
    // A share of nothing cannot be multiplied: below the floor, the floor counts.
    let share = (errors as f64 / requests.max(1) as f64).clamp(1e-9, 1.0);
    let regressed = (TIMES * share.max(terms.floor)).min(1.0);
    let metrics = if plan.health.slower_than.is_some() { 2 } else { 1 };
    let Ok(parameters) = Parameters::new(terms, compared().count(), metrics) else { return };
    let expected = Expected {
        requests_per_minute: typical as f64,
        proportion: share,
        times: regressed / share,
    };
    let course = Course { parameters, expected, period: day.length, plan };
    let index = StageIndex(last);
    if course.is_found(Changed::One(index), None, stage.bake) {
        return;
    }
    let total = compared().fold(Span::ZERO, |total, (_, stage)| total.plus(stage.bake));
    let number = last + 1;
    let (changed, bakes, weight) = match &request.strategy {
        // A larger step is another number of stages, each of which has its part of what is allowed.
        Strategy::Linear(_) => (Changed::Every, "let every step bake".to_owned(), None),
        Strategy::Canary(_) | Strategy::BlueGreen(_) | Strategy::AllAtOnce(_) => (
            Changed::One(index),
            format!("bake stage {number}"),
            course.weight(index, stage.weight, stage.bake),
        ),
    };
    let hint = match (course.bake(changed, stage.bake), weight) {
        (Some(bake), Some(weight)) => {
            format!("{bakes} for {bake}, or raise its weight to {weight}")
        }
        (Some(bake), None) => format!("{bakes} for {bake}"),
        (None, Some(weight)) => format!("raise the weight of stage {number} to {weight}"),
        (None, None) => {
            "no bake of a day would: let an alarm, a check or a hook judge instead, or begin with a \
             larger weight"
                .to_owned()
        }
    };
    let per_minute = typical.saturating_mul(60_000) / day.length.as_millis().max(1);
    findings.warning(
        request.strategy.bake_path(last),
        format!(
            "at {per_minute} requests a minute, {} bad requests instead of {} cannot be seen in {total}",
            percent(regressed),
            percent(errors as f64 / requests.max(1) as f64),
        ),
        hint,
    );
}

/// With two digits that count.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent >= 10.0 || percent == 0.0 {
        0
    } else if percent >= 1.0 {
        1
    } else {
        2
    };
    let text = format!("{percent:.digits$}");
    let text =
        if digits == 0 { text.as_str() } else { text.trim_end_matches('0').trim_end_matches('.') };
    format!("{text} %")
}

/// How many times what chance explains bad requests vary from period to period: the sum of
/// `(b - n p)^2 / (n p (1 - p))` over the periods, divided by their number less one. About 1 when
/// requests fail independently.
fn dispersion(periods: &Periods) -> f64 {
    let sum =
        |count: fn(&Period) -> u64| periods.counts.iter().map(|of| count(of) as f64).sum::<f64>();
    let share = sum(bad) / sum(all).max(1.0);
    let variance = share * (1.0 - share);
    let degrees = periods.counts.len().saturating_sub(1);
    if degrees == 0 || variance <= 0.0 {
        return 0.0;
    }
    let excess = |period: &Period| {
        let (bad, all) = (bad(period) as f64, all(period) as f64);
        if all > 0.0 { (bad - all * share).powi(2) / (all * variance) } else { 0.0 }
    };
    periods.counts.iter().map(excess).sum::<f64>() / degrees as f64
}

fn noisy_residue(plan: &Plan, counted: &Periods, target_errors: &Periods, findings: &mut Findings) {
    if !plan.health.judges_requests()
        || plan.health.bad_requests_are != BadRequestsAre::NotAnsweredWell
    {
        return;
    }
    let total = |periods: &Periods| periods.counts.iter().map(bad).fold(0, u64::saturating_add);
    let (residue, errors) = (total(counted), total(target_errors));
    let times = dispersion(counted);
    // Most of them are not the targets' errors, and they come in bursts.
    if residue < FEWEST_BAD || errors > residue / 2 || times < NOISY {
        return;
    }
    findings.warning(
        "$.health.badRequests.are",
        format!(
            "of the {residue} requests of the last day that were not answered well only {errors} were \
             errors of the targets; the others come in bursts ({times:.0} times the variance of \
             chance), as clients that go away and switches of protocol do"
        ),
        "count `targetErrors`, unless these are errors of yours",
    );
}

#[cfg(test)]
mod tests;
