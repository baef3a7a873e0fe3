//! The sequential test over the cells of a deployment, as the judge, the command line and a report
//! read it.

use super::ceiling::breaks_ceiling;
use super::cells::Cell;
use super::sequential::{
    Observation, Pair, ParameterError, Parameters, Point, RateRatio, Tempering, assess, rate_ratio,
};
use crate::plan::{ComparisonPlan, Plan, StageIndex};
use crate::weight::Weight;

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What is allowed, and how sure one has to be.
    pub parameters: Parameters,
    /// The cells of compared stages, in order.
    pub cells: Vec<Cell>,
    /// What is known after each of them.
    pub points: Vec<Point>,
    /// How many times stable's proportion of bad requests the canary has.
    pub bad: RateRatio,
    /// The same for slow requests; `None` where the plan does not ask.
    pub slow: Option<RateRatio>,
}

impl Comparison {
    /// Of these cells, which all belong to compared stages. With two metrics the second one is the
    /// slow requests.
    pub fn of(parameters: Parameters, cells: Vec<Cell>) -> Self {
        let metrics: Vec<[Option<Pair>; 2]> =
            cells.iter().map(|cell| [Some(cell.bad()), cell.slow()]).collect();
        let observations: Vec<_> = cells
            .iter()
            .zip(&metrics)
            .map(|(cell, metrics)| Observation { stage: cell.stage.0, metrics })
            .collect();
        let ratio_of = |metric: usize| {
            let pairs: Vec<_> =
                metrics.iter().filter_map(|metrics| *metrics.get(metric)?).collect();
            rate_ratio(&parameters, Tempering::Adaptive, &pairs)
        };
        let points = assess(&parameters, Tempering::Adaptive, &observations);
        let (bad, slow) = (ratio_of(0), (parameters.metrics() > 1).then(|| ratio_of(1)));
        Self { parameters, cells, points, bad, slow }
    }

    /// As a plan compares.
    pub fn planned(
        plan: &Plan,
        comparison: &ComparisonPlan,
        cells: &[Cell],
    ) -> Result<Self, ParameterError> {
        let metrics = if plan.health.slower_than.is_some() { 2 } else { 1 };
        let stages = plan.stages.iter().filter(|stage| is_compared(stage.weight)).count();
        let parameters = Parameters::new(comparison.terms(), stages, metrics)?;
        let compared =
            |stage: StageIndex| plan.stage(stage).is_some_and(|stage| is_compared(stage.weight));
        let cells = cells.iter().filter(|cell| compared(cell.stage)).copied().collect();
        Ok(Self::of(parameters, cells))
    }

    pub fn latest(&self) -> Option<&Point> {
        self.points.last()
    }

    /// The first cell at which it would have rolled back, by its place among the cells.
    pub fn fails_at(&self) -> Option<usize> {
        self.points.iter().position(|point| point.fails)
    }

    /// The first cell that is a gross failure by itself, by its place among the cells.
    pub fn breaks_ceiling_at(&self) -> Option<usize> {
        self.cells.iter().position(|cell| breaks_ceiling(&cell.canary.bad_tally()))
    }
}

/// Whether both slots have requests at this weight.
pub fn is_compared(weight: Weight) -> bool {
    weight != Weight::NONE && weight != Weight::ALL
}

/// E for a person: of how much it is worth reading every digit.
pub fn evidence(ln_e: f64) -> String {
    let e = ln_e.exp();
    if ln_e >= 1e6_f64.ln() {
        "over a million".to_owned()
    } else if e >= 10.0 {
        format!("{e:.0}")
    } else {
        format!("{e:.2}")
    }
}

impl std::fmt::Display for RateRatio {
    /// `2.1 times stable's (0.8 to 5.3)`
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.estimate {
            Some(estimate) => write!(formatter, "{estimate:.1} times stable's")?,
            None => formatter.write_str("stable has none to compare with")?,
        }
        match self.upper {
            Some(upper) => write!(formatter, " ({:.1} to {upper:.1})", self.lower),
            None if self.lower > 0.0 => write!(formatter, " (at least {:.1})", self.lower),
            None => formatter.write_str(" (nothing is ruled out)"),
        }
    }
}
