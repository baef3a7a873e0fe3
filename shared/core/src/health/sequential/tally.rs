//! Requests and events of both slots.

/// Requests of one slot in one cell, and how many of them were bad (or slow).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u64,
    /// Those of interest; what is above `requests` is ignored.
    pub events: u64,
}

/// One metric of one cell: both slots over the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    pub canary: Tally,
    pub stable: Tally,
}

/// Requests and events of both slots as numbers: of a cell, of many, or as expected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) canary: f64,
    pub(super) canary_requests: f64,
    pub(super) stable: f64,
    pub(super) stable_requests: f64,
}

impl From<&Pair> for Sums {
    fn from(pair: &Pair) -> Self {
        let events = |tally: &Tally| tally.events.min(tally.requests) as f64;
        Self {
            canary: events(&pair.canary),
            canary_requests: pair.canary.requests as f64,
            stable: events(&pair.stable),
            stable_requests: pair.stable.requests as f64,
        }
    }
}

impl std::iter::Sum for Sums {
    fn sum<I: Iterator<Item = Self>>(cells: I) -> Self {
        cells.fold(Self::default(), |sums, cell| Self {
            canary: sums.canary + cell.canary,
            canary_requests: sums.canary_requests + cell.canary_requests,
            stable: sums.stable + cell.stable,
            stable_requests: sums.stable_requests + cell.stable_requests,
        })
    }
}

impl Sums {
    /// Whether both slots had requests: without a baseline nothing can be compared.
    pub(super) fn compares(&self) -> bool {
        self.canary_requests > 0.0 && self.stable_requests > 0.0
    }

    /// The canary's observed share of requests, 0 to 1; never the nominal weight.
    pub(super) fn share(&self) -> f64 {
        self.canary_requests / (self.canary_requests + self.stable_requests)
    }

    /// The canary's proportion over stable's, each with so many events more; `None` without
    /// requests, or where stable has no events.
    pub(super) fn ratio(&self, more: f64) -> Option<f64> {
        let stable = (self.stable + more) / self.stable_requests;
        let ratio = (self.canary + more) / self.canary_requests / stable;
        ratio.is_finite().then_some(ratio)
    }
}
