//! How a rollback goes back where stable is too weak to take everything: which share it may get, and
//! what ends the wait. Pure decisions; `protocol` records them, the engine carries them out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;
use crate::weight::Weight;

/// What a rollback does where stable is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPlan {
    /// With too few healthy targets.
    pub weak_stable: WeakStable,
    /// How long a rollback waits for stable before `then`, and between two reminders.
    pub hold_for: Span,
    pub then: AfterHold,
}

impl Default for RollbackPlan {
    /// Also for deployments that were recorded before a plan said it.
    fn default() -> Self {
        Self {
            weak_stable: WeakStable::default(),
            hold_for: Self::HOLD_FOR,
            then: AfterHold::default(),
        }
    }
}

/// What a rollback does with too few healthy targets on stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WeakStable {
    /// Stable gets what its healthy targets can carry, and more as targets become healthy.
    #[default]
    StepBack,
    /// Stable gets everything as soon as one target is healthy.
    AtOnce,
}

/// What happens when stable has not recovered in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AfterHold {
    /// The rest stays on the new version, and somebody is paged again.
    #[default]
    Hold,
    /// Stable gets everything, healthy or not.
    Force,
}

/// Who has everything sent to stable, whatever its health.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Forced {
    Operator(String),
    /// The plan: stable has not recovered in time.
    Plan,
}

/// What a rollback writes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// Everything to stable, and whose decision it is if stable is too weak for it.
    Whole(Option<Forced>),
    /// No more than this to the canary.
    Part(Weight),
    /// Nothing: traffic stays where it is.
    Stay,
}

impl RollbackPlan {
    /// How long a rollback waits for stable unless the request says so.
    pub const HOLD_FOR: Span = Span::from_secs(30 * 60);

    /// What may be written to stable with `healthy` targets of `needed`, where a rollback has waited
    /// for it for `waited`.
    pub fn way_back(
        &self,
        healthy: u32,
        needed: u32,
        forced: Option<&Forced>,
        waited: Span,
    ) -> WayBack {
        if let Some(forced) = forced {
            return WayBack::Whole(Some(forced.clone()));
        }
        if can_take(healthy, needed) {
            return WayBack::Whole(None);
        }
        match self.then {
            AfterHold::Force if waited >= self.hold_for => {
                return WayBack::Whole(Some(Forced::Plan));
            }
            AfterHold::Force | AfterHold::Hold => {}
        }
        if healthy == 0 {
            return WayBack::Stay;
        }
        match self.weak_stable {
            WeakStable::AtOnce => WayBack::Whole(None),
            WeakStable::StepBack => WayBack::Part(carried(healthy, needed).rest()),
        }
    }
}

/// Whether so many healthy targets can take everything, where it needs so many: the one rule for whoever writes
/// everything to stable. Nothing healthy takes nothing, also where nothing was counted before.
pub const fn can_take(healthy: u32, needed: u32) -> bool {
    healthy > 0 && healthy >= needed
}

/// The share of all requests that some of the needed targets can carry; rounded down, so that each
/// gets no more than its own.
fn carried(healthy: u32, needed: u32) -> Weight {
    let permille = u64::from(healthy) * 1000 / u64::from(needed.max(1));
    // More than everything is everything.
    u16::try_from(permille)
        .ok()
        .and_then(|share| Weight::from_permille(share).ok())
        .unwrap_or(Weight::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP_BACK: RollbackPlan = RollbackPlan {
        weak_stable: WeakStable::StepBack,
        hold_for: Span::from_secs(60),
        then: AfterHold::Hold,
    };

    /// What the canary keeps.
    fn kept(way: &WayBack) -> Weight {
        match way {
            WayBack::Whole(_) => Weight::NONE,
            WayBack::Part(weight) => *weight,
            WayBack::Stay => Weight::ALL,
        }
    }

    proptest! {
        #[test]
        fn stable_never_gets_more_than_its_healthy_targets_can_carry(
            healthy in 0u32..60, needed in 1u32..60, waited in 0u64..600,
        ) {
            let way = STEP_BACK.way_back(healthy, needed, None, Span::from_secs(waited));
            let stable = u64::from(kept(&way).rest().permille());
            prop_assert!(stable * u64::from(needed) <= u64::from(healthy) * 1000);
        }

        #[test]
        fn the_canary_keeps_less_the_more_targets_are_healthy(
            healthy in 0u32..60, more in 0u32..60, needed in 1u32..60, at_once: bool,
        ) {
            let weak_stable = if at_once { WeakStable::AtOnce } else { WeakStable::StepBack };
            let plan = RollbackPlan { weak_stable, ..STEP_BACK };
            let way = |healthy| plan.way_back(healthy, needed, None, Span::ZERO);
            prop_assert!(kept(&way(healthy + more)) <= kept(&way(healthy)));
            prop_assert_eq!(way(needed + more), WayBack::Whole(None));
        }

        #[test]
        fn nothing_goes_onto_nothing_unless_somebody_or_the_plan_says_so(
            needed in 0u32..60, at_once: bool, force: bool, waited in 0u64..600,
        ) {
            let plan = RollbackPlan {
                weak_stable: if at_once { WeakStable::AtOnce } else { WeakStable::StepBack },
                then: if force { AfterHold::Force } else { AfterHold::Hold },
                ..STEP_BACK
            };
            let way = plan.way_back(0, needed, None, Span::from_secs(waited));
            let expected = if force && waited >= 60 {
                WayBack::Whole(Some(Forced::Plan))
            } else {
                WayBack::Stay
            };
            prop_assert_eq!(way, expected);
            let ada = Forced::Operator("ada".to_owned());
            let way = plan.way_back(0, needed, Some(&ada), Span::ZERO);
            prop_assert_eq!(way, WayBack::Whole(Some(ada)));
        }
    }

    proptest! {
        #[test]
        fn what_can_take_everything_gets_everything(
            healthy in 0u32..9, needed in 0u32..9, hold in 0u64..600, at_once: bool,
        ) {
            let weak_stable = if at_once { WeakStable::AtOnce } else { WeakStable::StepBack };
            let plan = RollbackPlan { weak_stable, ..STEP_BACK };
            let way = plan.way_back(healthy, needed, None, Span::from_secs(hold));
            let whole = way == WayBack::Whole(None);
            prop_assert!(!can_take(healthy, needed) || whole);
            prop_assert!(at_once || whole == can_take(healthy, needed));
            prop_assert!(healthy > 0 || way == WayBack::Stay);
        }
    }

    #[test]
    fn two_of_three_targets_carry_two_thirds() {
        let way = STEP_BACK.way_back(2, 3, None, Span::ZERO);
        assert_eq!(way, WayBack::Part(Weight::from_permille(334).unwrap()));
    }
}
