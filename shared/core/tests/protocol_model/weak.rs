//! `engine::rollback::weak`: stable is too weak to take everything.

use std::sync::Arc;

use glidepath_core::protocol::{Refused, RegistryWrite, StepBack, WeakLook, hold, step_back};
use glidepath_core::record::{Deployment, Intent, Purpose, RecordedHealth};
use glidepath_core::rollback::{Forced, WayBack};
use glidepath_core::time::Timestamp;
use glidepath_core::weight::Weight;

use crate::bounds::Mistake;
use crate::call::{Attempt, Call};
use crate::example::{HOLD_FOR, LIFETIME, NEVER, Who, green_share, overdue};
use crate::marks::{Mark, Marks};
use crate::state::{Author, Effect};
use crate::transit::{Transit, Transited, Wrote, the_route, vouched, write_stable};

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) enum Weakening {
    Begin,
    Whole { forced: Option<Forced>, clean: bool },
    Hold(Transit),
    Claim { keeps: Weight, above: bool, transit: Transit },
    Step { keeps: Weight, intent: Intent, clean: bool },
    FinishStep { written: bool },
}

/// What it has come to.
pub(crate) enum Weakened {
    On(Weakening),
    Whole {
        wrote: Wrote,
        clean: bool,
        /// Whose decision it was, if stable is too weak for it.
        forced: Option<Forced>,
    },
    /// Nothing more can be done for now.
    Waits,
    InPlace,
    Refused(Refused),
    /// A step was not answered in time.
    Failed,
}

/// What the rollback began with: the deployment as its fence left it, its intent, its look.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) read: Arc<Deployment>,
    pub(crate) intent: Intent,
    pub(crate) health: RecordedHealth,
}

impl Begun {
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        marks.deployment(&self.read);
        marks.intent(&self.intent);
        marks.health(self.health);
    }
}

impl Weakening {
    pub(crate) const fn attempts(&self) -> bool {
        matches!(self, Self::Whole { .. } | Self::Step { .. })
    }

    /// Whether the next call may write everything.
    pub(crate) const fn restores(&self) -> bool {
        matches!(self, Self::Begin | Self::Whole { .. })
    }

    pub(crate) fn step(self, call: &mut Call<'_>, who: Who, begun: &Begun) -> Weakened {
        let Begun { read, intent, health } = begun;
        let own = call.own();
        let route = the_route(&read.plan);
        let share = |call: &Call<'_>| {
            call.read_route().canary_share(&route.pair).expect("two groups share the route")
        };
        match self {
            Self::Begin => match way_back(call, begun) {
                WayBack::Whole(Some(Forced::Plan)) if call.mistaken(Mistake::ForceUnclaimed) => {
                    call.finish_deployment_intent(who, &own);
                    Weakened::On(Self::Whole { forced: Some(Forced::Plan), clean: true })
                }
                WayBack::Whole(forced) => {
                    Self::Whole { forced, clean: true }.step(call, who, begun)
                }
                WayBack::Stay if read.progress.restored_at.is_none() => {
                    Self::Hold(Transit::Load).step(call, who, begun)
                }
                WayBack::Stay if share(call) == Weight::NONE => Weakened::InPlace,
                WayBack::Stay => Weakened::On(Self::Hold(Transit::Load)),
                WayBack::Part(keeps) => {
                    let now = share(call);
                    if now == Weight::NONE {
                        return Weakened::InPlace;
                    }
                    let above = now > keeps;
                    Weakened::On(Self::Claim { keeps, above, transit: Transit::Load })
                }
            },
            Self::Whole { forced, clean } => {
                let throttled_since = vouched(read).throttled_since;
                let decided = forced.as_ref().is_some_and(|by| in_force(call, by, read));
                match write_stable(call, who, intent, route, throttled_since, decided) {
                    None => Weakened::On(Self::Whole { forced, clean: false }),
                    Some(wrote) => Weakened::Whole { wrote, clean, forced },
                }
            }
            Self::Hold(transit) => {
                let anew = call.mistaken(Mistake::WaitBeginsAnew);
                let held = transit.step(call, who, |deployment, now| {
                    let look = WeakLook { fenced: read, own: &own, health: *health, found: None };
                    let (held, writes) = hold(deployment, &look, now, overdue(now))?;
                    Ok((held, if anew { begun_anew(writes, now) } else { writes }))
                });
                match held {
                    Transited::On(transit) => Weakened::On(Self::Hold(transit)),
                    Transited::Done(_) => Weakened::Waits,
                    Transited::Refused(refused) => Weakened::Refused(refused),
                }
            }
            Self::Claim { keeps, above, transit } => {
                let lifetime = above.then_some(LIFETIME);
                let anew = call.mistaken(Mistake::WaitBeginsAnew);
                let crossing = call.mistaken(Mistake::StepsCross);
                let claimed = transit.step(call, who, |deployment, now| {
                    let mut current = deployment.clone();
                    if crossing {
                        current
                            .intents
                            .retain(|_, intent| !matches!(intent.purpose, Purpose::StepBack(_)));
                    }
                    let fenced = if crossing { &current } else { &**read };
                    let look = WeakLook { fenced, own: &own, health: *health, found: None };
                    let due = overdue(now);
                    let (step, writes) = step_back(&current, &look, keeps, lifetime, now, due)?;
                    Ok((step, if anew { begun_anew(writes, now) } else { writes }))
                });
                match claimed {
                    Transited::On(transit) => Weakened::On(Self::Claim { keeps, above, transit }),
                    Transited::Done((_, StepBack::Claimed(intent))) => {
                        Weakened::On(Self::Step { keeps, intent, clean: true })
                    }
                    Transited::Done((_, StepBack::Kept | StepBack::Overtaken)) => Weakened::Waits,
                    Transited::Refused(refused) => Weakened::Refused(refused),
                }
            }
            Self::Step { keeps, intent, clean } => {
                let wanted = route.original.with_canary(&route.pair, keeps);
                let effect = Effect::Route(green_share(&wanted));
                let before = share(call);
                let attempt = call.attempt(Author::Deployment(who), &intent, effect);
                call.state.seen.stepped_forward |=
                    attempt == Attempt::Done && before > Weight::NONE && keeps > before;
                let written = match attempt {
                    Attempt::Again => {
                        return Weakened::On(Self::Step { keeps, intent, clean: false });
                    }
                    Attempt::Done => true,
                    Attempt::Expired => false,
                };
                match (call.clean(clean), written) {
                    (true, written) => Weakened::On(Self::FinishStep { written }),
                    (false, true) => Weakened::Waits,
                    (false, false) => Weakened::Failed,
                }
            }
            Self::FinishStep { written } => {
                call.finish_deployment_intent(who, &own);
                if written { Weakened::Waits } else { Weakened::Failed }
            }
        }
    }
}

/// What may be written now.
fn way_back(call: &Call<'_>, Begun { read, health, .. }: &Begun) -> WayBack {
    if call.mistaken(Mistake::ForceAtOnce) {
        let needed = read.plan.stable.desired_count;
        let forced = read.forced();
        return read.plan.rollback.way_back(health.healthy, needed, forced.as_ref(), NEVER);
    }
    read.way_back(health.healthy, call.now())
}

/// Whether somebody has decided it, or the plan's time is over.
fn in_force(call: &Call<'_>, by: &Forced, read: &Deployment) -> bool {
    match by {
        Forced::Operator(_) => true,
        Forced::Plan => read.waited(call.now()) >= HOLD_FOR,
    }
}

/// The same writes, with a wait for stable that begins now.
fn begun_anew(mut writes: Vec<RegistryWrite>, now: Timestamp) -> Vec<RegistryWrite> {
    for write in &mut writes {
        if let RegistryWrite::PutDeployment(put) = write
            && let Some(weak) = &mut put.progress.weak
        {
            weak.since = now;
        }
    }
    writes
}

impl Mark for Weakening {
    fn mark(&self, marks: &mut Marks<'_>) {
        marks.hash(std::mem::discriminant(self));
        match self {
            Self::Begin => {}
            Self::Whole { forced, clean } => marks.hash((forced, clean)),
            Self::Hold(transit) => transit.mark(marks),
            Self::Claim { keeps, above, transit } => {
                marks.hash((keeps, above));
                transit.mark(marks);
            }
            Self::Step { keeps, intent, clean } => {
                marks.hash((keeps, clean));
                marks.intent(intent);
            }
            Self::FinishStep { written } => marks.flag(*written),
        }
    }
}
