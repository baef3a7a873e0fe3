//! Explorations of the engine as it is: no property may fail.

use glidepath_core::time::Span;

use crate::bounds::{Bounds, Budget, From, Successor};
use crate::example::{blue, plan};
use crate::explore::explore;

/// The canary gets everything in one stage, and nothing happens besides.
pub(crate) fn all_at_once() -> Bounds {
    Bounds {
        plan: Some(plan(&[1000])),
        from: From::Start,
        successor: Successor::Never,
        retirement: false,
        fused: true,
        copied: None,
        concurrent: 2,
        horizon: Span::from_secs(900),
        sickens: blue(),
        budget: Budget::default(),
        mistake: None,
    }
}

#[test]
fn nothing_happens() {
    explore("nothing", &all_at_once());
}

#[test]
fn an_alarm() {
    let budget = Budget { firings: 1, ..Budget::default() };
    explore("alarm", &Bounds { budget, ..all_at_once() });
}
