//! The pieces that several use cases share: a transition that is decided again on conflict, and
//! sending everything back to stable.

use std::sync::Arc;

use glidepath_core::plan::{Plan, RoutePlan, Slot};
use glidepath_core::protocol::{Refused, RegistryWrite, Whose};
use glidepath_core::record::{Deployment, Intent, Phase, RecordedHealth};
use glidepath_core::route::Role;
use glidepath_core::time::Timestamp;

use crate::advance::{Claiming, wanted_route};
use crate::bounds::Mistake;
use crate::call::{Attempt, Call};
use crate::example::{SLOTS, Who, green_share, group};
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};

/// Reads a deployment, decides, and writes the decision if nobody wrote in between.
#[derive(Clone, Debug)]
pub(crate) enum Transit {
    Load,
    /// What was read, and when it was decided.
    Commit(Arc<Deployment>, Timestamp),
    /// The transaction conflicted: has an alarm fired?
    Quiet(Arc<Deployment>),
}

pub(crate) enum Transited<Value> {
    On(Transit),
    Done(Value),
    Refused(Refused),
}

impl Transit {
    pub(crate) fn step<Value>(
        self,
        call: &mut Call<'_>,
        who: Who,
        decide: impl Fn(&Deployment, Timestamp) -> Result<(Value, Vec<RegistryWrite>), Refused>,
    ) -> Transited<Value> {
        match self {
            Self::Load => {
                let read = call.load(who).expect("transitions are made of existing deployments");
                let now = call.now();
                match decide(&read, now) {
                    Ok(_) if call.bounds.fused => Self::Commit(read, now).step(call, who, decide),
                    Ok(_) => Transited::On(Self::Commit(read, now)),
                    Err(refused) => Transited::Refused(refused),
                }
            }
            Self::Commit(read, at) => match decide(&read, at) {
                Ok((value, writes)) => {
                    if call.commit(writes) {
                        Transited::Done(value)
                    } else if read.phase == Phase::Open {
                        Transited::On(Self::Quiet(read))
                    } else {
                        Transited::On(Self::Load)
                    }
                }
                Err(refused) => Transited::Refused(refused),
            },
            Self::Quiet(read) => {
                let alarms = call.alarms(&read.alarms);
                match alarms.iter().find(|alarm| !alarm.quiet_since(read.started_at)) {
                    Some(alarm) => Transited::Refused(Refused::Fired(alarm.arn.clone())),
                    None => Transited::On(Self::Load),
                }
            }
        }
    }
}

impl Mark for Transit {
    fn mark(&self, marks: &mut Marks<'_>) {
        match self {
            Self::Load => marks.word(0),
            Self::Commit(read, at) => {
                marks.word(1);
                marks.deployment(read);
                marks.time(*at);
            }
            Self::Quiet(read) => {
                marks.word(2);
                marks.deployment(read);
            }
        }
    }
}

/// Whether the route is in a state of somebody else's.
pub(crate) fn foreign(call: &Call<'_>, deployment: &Deployment) -> bool {
    let observed = call.read_route();
    if call.mistaken(Mistake::AttachForgotten) && deployment.progress.shifted_at.is_none() {
        let heading = wanted_route(deployment, Claiming::Weight);
        return deployment.progress.verified.first() != Some(&observed) && observed != heading;
    }
    deployment.whose(the_route(&deployment.plan), &observed) == Whose::Theirs
}

/// The model's plans have one route.
pub(crate) fn the_route(plan: &Plan) -> &RoutePlan {
    plan.routes.first().expect("a plan has a route")
}

fn stable_slot(route: &RoutePlan) -> Slot {
    let stable = |slot: &Slot| group(*slot) == *route.group(Role::Stable);
    SLOTS.into_iter().find(stable).expect("a group belongs to a slot")
}

/// Sends everything back to stable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Restoring {
    /// A look first, if nobody vouches for stable.
    Begin,
    Write {
        clean: bool,
    },
}

pub(crate) enum Restored {
    On(Restoring),
    /// With what was seen.
    TooWeak(RecordedHealth),
    Attempted {
        wrote: Wrote,
        clean: bool,
    },
}

/// What attempts to write everything have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrote {
    Everything,
    /// The deadline has come.
    Nothing,
    /// The load balancer's API refuses it for now.
    PutOff,
}

/// What is known of stable before anybody looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vouched {
    pub(crate) health: RecordedHealth,
    pub(crate) needed: u32,
    pub(crate) forced: bool,
    /// Since when the rollback is throttled.
    pub(crate) throttled_since: Option<Timestamp>,
}

/// As the deployment vouches for stable.
pub(crate) fn vouched(read: &Deployment) -> Vouched {
    Vouched {
        health: read.vouching(),
        needed: read.plan.stable.desired_count,
        forced: read.forced().is_some(),
        throttled_since: read.progress.throttled.as_ref().map(|throttled| throttled.since),
    }
}

/// `engine::restore::write_stable`: an attempt; `None` if another one follows. `decided`: by a person
/// or by the plan, that the health of stable does not matter.
pub(crate) fn write_stable(
    call: &mut Call<'_>,
    who: Who,
    intent: &Intent,
    route: &RoutePlan,
    throttled_since: Option<Timestamp>,
    decided: bool,
) -> Option<Wrote> {
    if decided && call.mistaken(Mistake::ForceUnwritten) {
        return Some(Wrote::Everything);
    }
    let pauses = call.bounds.tick.times(call.bounds.budget.pauses.into());
    let dead = call.state.dead(stable_slot(route), intent, throttled_since, pauses);
    call.state.seen.onto_nothing |= dead && !decided;
    if call.throttled(intent) {
        let mistaken = call.mistaken(Mistake::ThrottledIsWritten);
        return Some(if mistaken { Wrote::Everything } else { Wrote::PutOff });
    }
    let effect = Effect::Route(green_share(&route.stable_only()));
    match call.attempt(Author::Deployment(who), intent, effect) {
        Attempt::Again => None,
        Attempt::Done => Some(Wrote::Everything),
        Attempt::Expired => Some(Wrote::Nothing),
    }
}

impl Restoring {
    pub(crate) fn step(
        self,
        call: &mut Call<'_>,
        who: Who,
        intent: &Intent,
        route: &RoutePlan,
        Vouched { health, needed, forced, throttled_since }: Vouched,
    ) -> Restored {
        let clean = match self {
            Self::Begin
                if !forced
                    && !call.mistaken(Mistake::RestoreWithoutLook)
                    && !health.vouches(needed, call.now()) =>
            {
                let healthy = call.healthy(stable_slot(route));
                return if healthy == 0 || healthy < needed {
                    Restored::TooWeak(RecordedHealth { healthy, at: call.now(), ..health })
                } else {
                    Restored::On(Self::Write { clean: true })
                };
            }
            Self::Begin => true,
            Self::Write { clean } => clean,
        };
        match write_stable(call, who, intent, route, throttled_since, forced) {
            None => Restored::On(Self::Write { clean: false }),
            Some(wrote) => Restored::Attempted { wrote, clean },
        }
    }
}

impl Mark for Restoring {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.word(match self {
            Self::Begin => 0,
            Self::Write { clean } => 1 + u64::from(*clean),
        });
    }
}
