//! A rollback under way: the deployment as its own fence left it, and the claim that the fence carried.

use glidepath_core::record::Deployment;

use crate::claim::Claim;

/// Who goes on with a rollback that was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The state machine, which gets the answer.
    StateMachine,
    /// The state machine as well if it lives, once it is woken; the sweep if it does not.
    Woken,
}

/// What every step of it works with.
pub(super) struct Claimed<'a, P> {
    pub(super) ports: &'a P,
    /// As the rollback's own fence left it.
    pub(super) deployment: &'a Deployment,
    /// The claim that the fence carried.
    pub(super) claim: &'a Claim<'a, P>,
    /// Who goes on with what is throttled.
    pub(super) carrier: Carrier,
}
