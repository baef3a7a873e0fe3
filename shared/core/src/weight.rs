//! Shares of traffic.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Share of a route that the canary gets, in permille, 0 to 1000.
///
/// In requests: percent with at most one decimal. In the registry: permille.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// A share that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} permille is more than everything")]
pub struct TooMuch(u16);

impl Weight {
    /// All traffic on stable.
    pub const NONE: Self = Self(0);
    /// All traffic on the canary.
    pub const ALL: Self = Self(1000);

    pub const fn from_permille(permille: u16) -> Result<Self, TooMuch> {
        if permille <= 1000 { Ok(Self(permille)) } else { Err(TooMuch(permille)) }
    }

    /// Permille, 0 to 1000.
    pub const fn permille(self) -> u16 {
        self.0
    }

    /// What stable keeps.
    pub const fn rest(self) -> Self {
        Self(1000 - self.0)
    }

    /// Reads percent with at most one decimal; `None` for anything finer, negative or over 100.
    pub fn from_percent(percent: f64) -> Option<Self> {
        let permille = percent * 10.0;
        let rounded = permille.round();
        // The tolerance absorbs the binary form of decimals such as 0.7, and nothing a person would type.
        let exact = (permille - rounded).abs() < 1e-6;
        if exact && (0.0..=1000.0).contains(&rounded) {
            // In range, as just checked.
            Some(Self(rounded as u16))
        } else {
            None
        }
    }

    /// The ALB weights that give this share: `(stable, canary)`.
    ///
    /// An ALB weight is 0 to 999. 1 to 999 permille are exact; everything and nothing are written
    /// as 999 against 0.
    pub const fn alb_weights(self) -> (AlbWeight, AlbWeight) {
        match self.0 {
            0 => (AlbWeight(999), AlbWeight(0)),
            1000 => (AlbWeight(0), AlbWeight(999)),
            permille => (AlbWeight(1000 - permille), AlbWeight(permille)),
        }
    }
}

impl TryFrom<u16> for Weight {
    type Error = TooMuch;
    fn try_from(permille: u16) -> Result<Self, TooMuch> {
        Self::from_permille(permille)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(10) {
            write!(formatter, "{} %", self.0 / 10)
        } else {
            write!(formatter, "{}.{} %", self.0 / 10, self.0 % 10)
        }
    }
}

/// A weight as the load balancer holds it: 0 to 999, relative to the other groups of the action.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct AlbWeight(u16);

impl AlbWeight {
    pub const NONE: Self = Self(0);

    /// What a group that stands alone in its action counts as: it gets every request.
    pub const ALONE: Self = Self(1);

    /// As read from the load balancer.
    pub const fn new(weight: u16) -> Self {
        Self(weight)
    }

    /// The number that the API takes.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether any request goes there.
    pub const fn carries(self) -> bool {
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_slots_always_share_everything(permille in 0u16..=1000) {
            let weight = Weight::from_permille(permille).unwrap();
            let (stable, canary) = weight.alb_weights();
            prop_assert!(stable.get() <= 999 && canary.get() <= 999);
            let sum = u32::from(stable.get()) + u32::from(canary.get());
            // Exact: canary / sum == permille / 1000.
            prop_assert_eq!(u32::from(canary.get()) * 1000, u32::from(permille) * sum);
        }

        #[test]
        fn one_decimal_of_percent_is_exact(permille in 0u16..=1000) {
            let percent: f64 = format!("{}.{}", permille / 10, permille % 10).parse().unwrap();
            prop_assert_eq!(Weight::from_percent(percent).map(Weight::permille), Some(permille));
        }
    }

    #[test]
    fn finer_than_one_decimal_is_refused() {
        for percent in [0.01, 5.55, -1.0, 100.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Weight::from_percent(percent), None, "{percent}");
        }
    }
}
