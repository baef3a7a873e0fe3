//! The order in which a stage settles: the routes are ours, the canary's group is in them, the tasks run and are
//! healthy, what they run is known, a person has approved, the weight moves. A turn looks at one thing after
//! the other and no further than it must.

use super::reply::NextStep;
use crate::failure::{Failure, FailureCode};
use crate::pace::tick;
use crate::plan::{Approval, Stage};
use crate::record::{Deployment, Event, Step};
use crate::route::RouteActions;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;
use crate::world::EcsService;

/// What a turn has looked at so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// The routes, in the plan's order.
    pub routes: Vec<Option<RouteActions>>,
    /// The canary's tasks, once they were brought up as far as they could be.
    pub tasks: Option<Readiness>,
    /// Whether it is known what they run, once that was asked.
    pub images: Option<bool>,
}

/// How far the canary's tasks have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Every one that the stage needs is healthy.
    Ready,
    /// Something is missing still, in words.
    Lacks(String),
}

/// What a turn does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settling {
    /// Nothing: a route is somebody else's.
    Foreign(Foreign),
    /// The canary's group goes into every route, at weight 0, so that its targets are health-checked.
    Attach,
    /// Its tasks are brought to what the stage needs.
    BringUp,
    /// It looks again later; why, in words.
    Wait(String),
    /// The time is over, and this is missing still.
    NotReady(String),
    /// It looks at what the tasks run, before the first request meets them.
    LookAtImages,
    /// A person is asked.
    Ask(Approval),
    /// Nothing, and nothing is begun: it is outside its windows, or frozen.
    Held {
        /// In words.
        why: String,
        /// What somebody is told, once.
        tell: Event,
    },
    /// Nothing, and it is looked at like a bake: the weight would move, and somebody has paused it; in words.
    Paused(String),
    /// The weight moves.
    Shift(Weight),
}

/// What somebody else's change of a route comes to while a stage settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Nothing moves; what was found, in words.
    Hold(String),
    /// It was left so for too long.
    GoBack(Failure),
}

/// What comes next for a stage that settles, after what was looked at so far.
pub fn settling(
    deployment: &Deployment,
    stage: &Stage,
    looked: &Looked,
    now: Timestamp,
) -> Settling {
    if let Some(found) = deployment.foreign(&looked.routes) {
        return Settling::Foreign(deployment.holds(found, now));
    }
    // What was begun is finished: half of it would be traffic of which the record knows nothing. Its clock does not stand,
    // either.
    let is_begun = deployment.is_begun(&looked.routes, stage.weight);
    if let Some(held) = deployment.held_back(now).filter(|_| !is_begun) {
        let (why, tell) = (held.in_words(), held.event(deployment.progress.stage));
        return Settling::Held { why, tell };
    }
    // Only possible before the first shift: every later state has both groups.
    if !deployment.is_attached(&looked.routes) {
        return Settling::Attach;
    }
    let in_time = if is_begun {
        deployment.settles_by_the_clock(now)
    } else {
        deployment.settles_in_time(now)
    };
    match &looked.tasks {
        None => return Settling::BringUp,
        Some(Readiness::Lacks(missing)) if in_time => return Settling::Wait(missing.clone()),
        Some(Readiness::Lacks(missing)) => return Settling::NotReady(missing.clone()),
        Some(Readiness::Ready) => {}
    }
    match looked.images {
        None if deployment.lacks_digests() => return Settling::LookAtImages,
        // Whoever goes back does not wait for a proof that AWS cannot give just now.
        Some(false) if in_time && deployment.plan.way_back.is_none() => {
            return Settling::Wait("what the tasks run is not known yet".to_owned());
        }
        None | Some(_) => {}
    }
    let unasked = stage.approval.as_ref().filter(|_| !deployment.progress.step.is_approved());
    match (unasked, &deployment.progress.paused) {
        (Some(approval), _) => Settling::Ask(approval.clone()),
        // As above.
        (None, Some(pause)) if !is_begun => Settling::Paused(pause.in_words()),
        (None, Some(_) | None) => Settling::Shift(stage.weight),
    }
}

impl Deployment {
    /// Whether a stage that settles has time left for it; while it is paused, frozen or outside its windows, its
    /// clock stands.
    pub fn settles_in_time(&self, now: Timestamp) -> bool {
        self.settles_within(|since| self.open_time(since, now))
    }

    /// The same, with the time outside its windows.
    fn settles_by_the_clock(&self, now: Timestamp) -> bool {
        self.settles_within(|since| now.since(since))
    }

    fn settles_within(&self, taken: impl FnOnce(Timestamp) -> Span) -> bool {
        match self.progress.step {
            Step::Settling { since, .. } => {
                self.progress.paused.is_some() || taken(since) <= self.plan.settle_within
            }
            Step::Approving { .. } | Step::Baking { .. } => true,
        }
    }

    /// What this change of somebody else's comes to: nothing moves, and if it stays so, everything goes back.
    pub fn holds(&self, found: String, now: Timestamp) -> Foreign {
        if self.settles_in_time(now) {
            return Foreign::Hold(found);
        }
        let within = self.plan.settle_within;
        let cause = format!("somebody else changed a route and left it so for {within}: {found}");
        Foreign::GoBack(Failure::new(FailureCode::RouteChanged, cause))
    }

    /// How many tasks all of the traffic needs, if stable shows that it is more than anybody knew. A stage that
    /// is about to end for want of time does not end for growing.
    pub fn grows_to(&self, stable: Option<&EcsService>, now: Timestamp) -> Option<u32> {
        let needed = self.demand(stable);
        (needed > self.needed() && self.settles_in_time(now)).then_some(needed)
    }

    /// Where a stage goes on whose weight has just been read back, and after which wait.
    pub fn bakes(&self, stage: &Stage, now: Timestamp) -> (NextStep, Span) {
        match tick(self, now).min(stage.bake) {
            Span::ZERO => (NextStep::Validate, Span::ZERO),
            wait => (NextStep::Gate, wait),
        }
    }

    /// Whether the canary's group is in every route, so that its targets are health-checked.
    fn is_attached(&self, observed: &[Option<RouteActions>]) -> bool {
        let mut routes = self.plan.routes.iter().zip(observed);
        routes.all(|(route, observed)| {
            observed.as_ref().is_some_and(|observed| route.is_attached(observed))
        })
    }
}

impl Step {
    /// Whether nobody has to be asked any more before the stage's weight moves.
    const fn is_approved(&self) -> bool {
        match self {
            Self::Settling { approved, .. } => *approved,
            Self::Approving { .. } => false,
            Self::Baking { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::ids::DeploymentId;
    use crate::plan::{OnTimeout, Opening, Openings, StageIndex, WayBack};
    use crate::record::{Digests, Pause};
    use crate::route::{ActionKind, Forward, RouteAction, WeightedGroup};
    use crate::weight::AlbWeight;
    use proptest::prelude::*;

    const APPROVAL: Approval = Approval::anybody(Span::from_secs(60), OnTimeout::Rollback);

    /// A turn at the first stage, and what can be seen of the world meanwhile.
    #[derive(Clone, Debug)]
    struct Case {
        foreign: bool,
        attached: bool,
        ready: bool,
        known: bool,
        way_back: bool,
        in_time: bool,
        paused: bool,
        window: Window,
        /// Whether the weight is in the route already, and not recorded.
        begun: bool,
        approved: Option<bool>,
    }

    /// What the plan says of the time of the turn.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Window {
        Any,
        Opened,
        Closed,
    }

    fn case() -> impl Strategy<Value = Case> {
        let window = prop_oneof![Just(Window::Any), Just(Window::Opened), Just(Window::Closed)];
        (any::<[bool; 8]>(), window, any::<Option<bool>>()).prop_map(|(flags, window, approved)| {
            let [foreign, attached, ready, known, way_back, in_time, paused, begun] = flags;
            Case {
                foreign,
                attached,
                ready,
                known,
                way_back,
                in_time,
                paused,
                window,
                begun,
                approved,
            }
        })
    }

    impl Case {
        fn deployment(&self) -> (Deployment, Stage) {
            let mut deployment = deployment();
            let approved = self.approved.unwrap_or(true);
            deployment.progress.step = Step::Settling { since: NOW, approved };
            if self.way_back {
                let version = deployment.plan.stable.task_definition.clone();
                let from = DeploymentId::new("d");
                deployment.plan.way_back = Some(WayBack { from, version, skips_validation: false });
            }
            let pause = Pause { by: "ada".to_owned(), at: NOW, reason: None };
            deployment.progress.paused = self.paused.then_some(pause);
            let approval = self.approved.map(|_| APPROVAL);
            let stage = Stage { approval, ..deployment.plan.stages[0].clone() };
            (deployment, stage)
        }

        /// The routes as a turn reads them.
        fn routes(&self, deployment: &mut Deployment) -> Vec<Option<RouteActions>> {
            let route = &deployment.plan.routes[0];
            let alone = || {
                let group = route.pair.stable.clone();
                let groups = vec![WeightedGroup { group, weight: AlbWeight::ALONE }];
                let kind = ActionKind::Forward(Forward::new(groups, None));
                RouteActions(vec![RouteAction { order: Some(1), kind }])
            };
            let observed = match (self.foreign, self.attached) {
                (true, _) => route.at(Weight::from_permille(777).unwrap()),
                (false, true) => route.at(Weight::NONE),
                (false, false) => alone(),
            };
            if !self.foreign {
                deployment.progress.verified = vec![observed.clone()];
            }
            if self.is_begun() {
                return vec![Some(route.at(deployment.plan.stages[0].weight))];
            }
            vec![Some(observed)]
        }

        /// Only a weight that may move is ever written.
        fn is_begun(&self) -> bool {
            self.begun && !self.foreign && self.approved != Some(false)
        }

        /// Everything that the turn does until it ends, by what it is told.
        fn goes(&self) -> Vec<Settling> {
            let (mut deployment, stage) = self.deployment();
            let late = deployment.plan.settle_within.plus(Span::from_millis(1));
            let now = if self.in_time { NOW } else { NOW + late };
            let opening =
                |from, until| Openings { open: vec![Opening { from, until }], known_until: until };
            let soon = now + Span::from_secs(3_600);
            deployment.plan.windows = match self.window {
                Window::Any => None,
                // Just now: whatever it is late for, it could not do before.
                Window::Opened => Some(opening(now, soon)),
                Window::Closed => Some(opening(soon, soon + Span::from_secs(1))),
            };
            let mut looked = Looked { routes: self.routes(&mut deployment), ..Looked::default() };
            let mut did = Vec::new();
            loop {
                let next = settling(&deployment, &stage, &looked, now);
                did.push(next.clone());
                match next {
                    Settling::BringUp => {
                        let lacks = Readiness::Lacks("1 of 3".to_owned());
                        looked.tasks = Some(if self.ready { Readiness::Ready } else { lacks });
                    }
                    Settling::LookAtImages => looked.images = Some(self.known),
                    Settling::Foreign(_)
                    | Settling::Attach
                    | Settling::Wait(_)
                    | Settling::NotReady(_)
                    | Settling::Ask(_)
                    | Settling::Held { .. }
                    | Settling::Paused(_)
                    | Settling::Shift(_) => return did,
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_turn_does_one_thing_after_the_other_and_ends_where_something_is_missing(case in case()) {
            let did = case.goes();
            let before = did[..did.len() - 1].to_vec();
            // While it is paused, or before its window opened, its clock stands.
            let stands = case.paused || case.window != Window::Any && !case.is_begun();
            let in_time = case.in_time || stands;
            let attached = case.attached || case.is_begun();
            let may_begin = case.window != Window::Closed || case.is_begun();
            let (tasks, images) = (Settling::BringUp, Settling::LookAtImages);
            match did.last().unwrap() {
                Settling::Foreign(Foreign::Hold(_)) => prop_assert!(case.foreign && in_time),
                Settling::Foreign(Foreign::GoBack(failure)) => {
                    prop_assert!(case.foreign && !in_time);
                    prop_assert_eq!(failure.code, FailureCode::RouteChanged);
                }
                Settling::Held { tell, .. } => {
                    let waits = matches!(tell, Event::OutsideWindows { opens_at: Some(_), .. });
                    prop_assert!(!case.foreign && !may_begin && waits);
                    prop_assert_eq!(before, vec![]);
                }
                Settling::Attach => {
                    prop_assert!(!case.foreign && !attached && may_begin);
                    prop_assert_eq!(before, vec![]);
                }
                Settling::NotReady(_) => {
                    prop_assert!(!case.ready && !in_time);
                    prop_assert_eq!(before, vec![tasks]);
                }
                Settling::Wait(_) if before.len() == 1 => {
                    prop_assert!(!case.ready && in_time);
                    prop_assert_eq!(before, vec![tasks]);
                }
                Settling::Wait(_) => {
                    prop_assert!(!case.known && in_time && !case.way_back);
                    prop_assert_eq!(before, vec![tasks, images]);
                }
                Settling::Ask(_) => {
                    prop_assert!(may_begin);
                    prop_assert_eq!(case.approved, Some(false));
                    prop_assert_eq!(before, vec![tasks, images]);
                }
                Settling::Shift(_) => {
                    prop_assert!(!case.foreign && attached && case.ready);
                    prop_assert!(case.known || case.way_back || !in_time);
                    prop_assert!(case.is_begun() || !case.paused && may_begin);
                    prop_assert_ne!(case.approved, Some(false));
                    prop_assert_eq!(before, vec![tasks, images]);
                }
                // All that comes before the weight has come.
                Settling::Paused(_) => {
                    prop_assert!(case.paused && !case.foreign && attached && case.ready);
                    prop_assert!(!case.is_begun() && may_begin);
                    prop_assert_ne!(case.approved, Some(false));
                    prop_assert_eq!(before, vec![tasks, images]);
                }
                Settling::BringUp | Settling::LookAtImages => prop_assert!(false, "{did:?}"),
            }
        }
    }

    #[test]
    fn what_the_tasks_run_is_asked_once() {
        let mut deployment = deployment();
        deployment.progress.digests = Some(Digests::default());
        let stage = deployment.plan.stages[0].clone();
        let route = &deployment.plan.routes[0];
        let looked = Looked {
            routes: vec![Some(route.at(Weight::NONE))],
            tasks: Some(Readiness::Ready),
            images: None,
        };
        let next = settling(&deployment, &stage, &looked, NOW);
        assert_eq!(next, Settling::Shift(stage.weight));
    }

    #[test]
    fn a_stage_that_has_no_time_left_does_not_grow() {
        let deployment = deployment();
        let more = deployment.needed() + 1;
        let version = deployment.plan.stable.task_definition.clone();
        let stable = EcsService::rolled_out(version, more);
        let last = NOW + deployment.plan.settle_within;
        assert_eq!(deployment.grows_to(None, NOW), None);
        assert_eq!(deployment.grows_to(Some(&stable), last), Some(more));
        assert_eq!(deployment.grows_to(Some(&stable), last.just_after()), None);
    }

    #[test]
    fn a_stage_without_a_bake_is_judged_at_once() {
        let deployment = deployment();
        let stage = |bake| Stage { bake, ..deployment.plan.stages[0].clone() };
        let bakes = |bake| deployment.bakes(&stage(bake), NOW);
        assert_eq!(bakes(Span::ZERO), (NextStep::Validate, Span::ZERO));
        assert_eq!(bakes(Span::from_secs(7)), (NextStep::Gate, Span::from_secs(7)));
        let interval = deployment.plan.health.interval;
        assert_eq!(bakes(Span::from_secs(86_400)), (NextStep::Gate, interval));
    }

    #[test]
    fn only_a_stage_that_settles_can_be_late() {
        let mut deployment = deployment();
        let late = NOW + deployment.plan.settle_within.plus(Span::from_secs(1));
        assert!(!deployment.settles_in_time(late));
        deployment.progress.stage = StageIndex(1);
        deployment.progress.step = Step::Baking { since: NOW, promoted: None };
        assert!(deployment.settles_in_time(late));
    }
}
