//! What is allowed, and how sure one has to be.

/// What is allowed, and how sure one has to be; unchecked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// `r`: the canary may have this many times stable's proportion. At least 1.
    pub ratio: f64,
    /// `a`: the proportion that is allowed whatever stable has. Above 0, at most 0.5.
    pub floor: f64,
    /// `alpha`: the probability of rolling back a release that keeps within both. Above 0, at most
    /// 0.5.
    pub alpha: f64,
    /// `m`: how many cells have to speak against the canary. At least 1.
    pub witnesses: u32,
}

impl Default for Terms {
    /// A quarter more than stable, or 0.2 %; wrong 1 time in 100; three cells.
    fn default() -> Self {
        Self { ratio: 1.25, floor: 0.002, alpha: 0.01, witnesses: 3 }
    }
}

/// Terms that can be tested, for a plan with a number of stages and metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    terms: Terms,
    stages: usize,
    metrics: usize,
}

/// Terms that make no test.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// The canary would have to be better than stable.
    #[error("the ratio {0} is not a number from 1 to 1000")]
    Ratio(f64),
    /// A proportion of nothing, or of most.
    #[error("the floor {0} is not a proportion above 0 and up to 0.5")]
    Floor(f64),
    /// Never wrong, or wrong more often than not.
    #[error("alpha {0} is not a probability above 0 and up to 0.5")]
    Alpha(f64),
    /// Nobody could be convinced.
    #[error("{0} witnesses are not a number from 1 to 100")]
    Witnesses(u32),
}

impl Parameters {
    /// For `stages` compared stages (J) and `metrics` metrics (M), both fixed when the plan is made;
    /// at least one each.
    pub fn new(terms: Terms, stages: usize, metrics: usize) -> Result<Self, ParameterError> {
        let Terms { ratio, floor, alpha, witnesses } = terms;
        if !(1.0..=1000.0).contains(&ratio) {
            return Err(ParameterError::Ratio(ratio));
        }
        // The negation also refuses what is no number.
        if !(floor > 0.0 && floor <= 0.5) {
            return Err(ParameterError::Floor(floor));
        }
        if !(alpha > 0.0 && alpha <= 0.5) {
            return Err(ParameterError::Alpha(alpha));
        }
        if !(1..=100).contains(&witnesses) {
            return Err(ParameterError::Witnesses(witnesses));
        }
        Ok(Self { terms, stages: stages.max(1), metrics: metrics.max(1) })
    }

    /// `r`.
    pub const fn ratio(&self) -> f64 {
        self.terms.ratio
    }

    /// `a`.
    pub const fn floor(&self) -> f64 {
        self.terms.floor
    }

    /// `alpha`.
    pub const fn alpha(&self) -> f64 {
        self.terms.alpha
    }

    /// `m`.
    pub const fn witnesses(&self) -> u32 {
        self.terms.witnesses
    }

    /// `J`.
    pub const fn stages(&self) -> usize {
        self.stages
    }

    /// `M`.
    pub const fn metrics(&self) -> usize {
        self.metrics
    }

    /// ln(1/alpha): from here on E fails.
    pub fn bound(&self) -> f64 {
        -self.terms.alpha.ln()
    }

    /// What one pair of one stage and metric has to reach for E to fail by it alone:
    /// `ln 1/alpha + ln 25 + ln J + ln M`.
    pub fn whole(&self) -> f64 {
        self.bound()
            + (super::grid::PAIRS as f64).ln()
            + (self.stages as f64).ln()
            + (self.metrics as f64).ln()
    }

    /// The most that one cell can add: the m-th part of the whole.
    pub fn cap(&self) -> f64 {
        self.whole() / f64::from(self.terms.witnesses)
    }
}
