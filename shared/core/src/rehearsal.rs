//! What a plan writes to AWS if nothing goes wrong and nobody else changes anything, in order and by the same
//! decisions as the deployment makes.

use std::collections::BTreeMap;

use crate::ids::{DeploymentId, EcsServiceName, ExecutionArn};
use crate::plan::{Plan, RoutePlan, SlotPlan, Stage, StageIndex};
use crate::protocol::{Goal, Looked, Readiness, Setting, Settling, Tasks, settling};
use crate::record::{Deployment, Phase, Progress, RecordedHealth, Revision, Step};
use crate::route::{Role, RouteActions, RouteRef};
use crate::scaling::ScalableTarget;
use crate::time::{Span, Timestamp};
use crate::weight::Weight;
use crate::world::{EcsService, ScaleTo};

/// A write, and when it comes at the earliest; the start of tasks comes on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From the beginning of the deployment.
    pub after: Span,
    pub write: Write,
}

/// One call of AWS that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// All actions of a route.
    Route(RouteRef, RouteActions),
    Tasks(EcsServiceName, ScaleTo),
    Bounds(EcsServiceName, ScalableTarget),
}

/// Everything that a plan writes, up to the end of the old slot's tasks.
pub fn writes(plan: &Plan) -> Vec<Planned> {
    let mut rehearsal = Rehearsal::of(plan);
    for (index, stage) in plan.stages.iter().enumerate() {
        rehearsal.settle(StageIndex(index), stage);
        rehearsal.after = rehearsal.after.plus(stage.bake);
    }
    rehearsal.hand_over();
    rehearsal.writes
}

/// The world as it would be, and the record of the deployment that would be in it.
struct Rehearsal {
    deployment: Deployment,
    routes: Vec<RouteActions>,
    canary: EcsService,
    stable_bounds: Option<ScalableTarget>,
    canary_bounds: Option<ScalableTarget>,
    after: Span,
    writes: Vec<Planned>,
}

impl Rehearsal {
    fn of(plan: &Plan) -> Self {
        let now = Timestamp::from_millis(0);
        let canary = &plan.canary;
        Self {
            routes: plan.routes.iter().map(|route| route.original.clone()).collect(),
            canary: EcsService::rolled_out(canary.task_definition.clone(), canary.desired_count),
            stable_bounds: plan.stable.scaling,
            canary_bounds: plan.canary.scaling,
            after: Span::ZERO,
            writes: Vec::new(),
            deployment: Deployment {
                id: DeploymentId::new("rehearsal"),
                execution: ExecutionArn::new("rehearsal"),
                execution_start: None,
                revision: Revision::default(),
                phase: Phase::Open,
                fence: None,
                intents: BTreeMap::new(),
                started_at: now,
                // It begins at no time.
                plan: Plan { windows: None, ..plan.clone() },
                progress: Progress::at_start(plan, now),
                health: RecordedHealth { healthy: 0, at: now, fresh_for: Span::ZERO },
                traffic: None,
                gate: None,
                alarms: Vec::new(),
                warnings: Vec::new(),
                notices: 0,
                next_due_at: now,
                epochs: None,
                validating: None,
                freeze: None,
                drift: Vec::new(),
            },
        }
    }

    fn write(&mut self, after: Span, write: Write) {
        self.writes.push(Planned { after, write });
    }

    /// Everything up to the stage's weight, in the order of the deployment: what can go wrong goes well, and a
    /// person approves.
    fn settle(&mut self, index: StageIndex, stage: &Stage) {
        let since = Timestamp::from_millis(0);
        let progress = &mut self.deployment.progress;
        (progress.stage, progress.step) = (index, Step::Settling { since, approved: true });
        let mut looked = Looked::default();
        loop {
            looked.routes = self.routes.iter().cloned().map(Some).collect();
            match settling(&self.deployment, stage, &looked, since) {
                Settling::Attach => self.write_weight(Weight::NONE),
                Settling::BringUp => {
                    self.bring_up(stage.weight);
                    looked.tasks = Some(Readiness::Ready);
                }
                Settling::LookAtImages => looked.images = Some(true),
                Settling::Shift(weight) => return self.write_weight(weight),
                // Nobody changes or pauses anything, nothing is missing or asked, and there is no window.
                Settling::Foreign(_)
                | Settling::Wait(_)
                | Settling::NotReady(_)
                | Settling::Ask(_)
                | Settling::Held { .. }
                | Settling::Paused(_) => return,
            }
        }
    }

    /// A weight, on every route, which then reads back.
    fn write_weight(&mut self, weight: Weight) {
        self.write_routes(|route, _| route.at(weight));
        self.deployment.progress.verified.clone_from(&self.routes);
    }

    /// Tasks of the canary, and that nobody takes away those of either slot.
    fn bring_up(&mut self, weight: Weight) {
        self.bound(Role::Stable, Goal::Held(self.deployment.needed()));
        let canary = self.deployment.plan.canary.service.clone();
        if let Tasks::Ask(to) = self.deployment.tasks(weight, Some(&self.canary)) {
            self.deployment = self.deployment.asking(to.desired_count);
            self.canary.desired_count = to.desired_count;
            self.canary.running_count = to.desired_count;
            self.canary.task_definition = self.deployment.plan.task_definition.clone();
            self.write(self.after, Write::Tasks(canary, to));
        }
        let present = self.canary_bounds;
        self.bound(Role::Canary, self.deployment.hold_of_canary(weight, present, &self.canary));
    }

    /// What is not as it is to be, of every route.
    fn write_routes(&mut self, to: impl Fn(&RoutePlan, &RouteActions) -> RouteActions) {
        let routes = self.deployment.plan.routes.clone();
        for (place, route) in routes.iter().enumerate() {
            let wanted = to(route, &self.routes[place]);
            if self.routes[place] != wanted {
                self.routes[place] = wanted.clone();
                self.write(self.after, Write::Route(route.route.clone(), wanted));
            }
        }
    }

    /// Everything that comes after the last bake.
    fn hand_over(&mut self) {
        self.deployment.phase = Phase::Committed;
        self.write_routes(RoutePlan::handed_over);
        self.bound(Role::Stable, Goal::Held(self.deployment.needed()));
        self.bound(Role::Canary, Goal::Serving);
        let SlotPlan { service, .. } = &self.deployment.plan.stable;
        let (service, retention) = (service.clone(), self.deployment.plan.retention);
        let after = self.after.plus(retention);
        if let Some(present) = self.stable_bounds.filter(|present| !present.is_idle()) {
            self.write(after, Write::Bounds(service.clone(), present.idle()));
        }
        let nothing =
            ScaleTo { desired_count: 0, task_definition: None, force_new_deployment: false };
        self.write(after, Write::Tasks(service, nothing));
    }

    /// The bounds of a slot, as the deployment would set them.
    fn bound(&mut self, role: Role, goal: Goal) {
        let present = match role {
            Role::Stable => self.stable_bounds,
            Role::Canary => self.canary_bounds,
        };
        let Some(present) = present else { return };
        let setting = Setting { role, present, goal };
        let Some(look) = self.deployment.scaling_look(&setting) else { return };
        let Some(to) = look.to else { return };
        self.deployment = self.deployment.with_bounds(&setting, to);
        match role {
            Role::Stable => self.stable_bounds = Some(to),
            Role::Canary => {
                self.canary_bounds = Some(to);
                // Setting them moves the number of tasks into them.
                let tasks = self.canary.desired_count.max(to.minimum).min(to.maximum);
                self.canary.desired_count = tasks;
            }
        }
        let service = self.deployment.plan.slot(role).service.clone();
        self.write(self.after, Write::Bounds(service, to));
    }
}

impl Write {
    /// As a person looks for it in CloudTrail.
    pub fn in_words(&self, plan: &Plan) -> String {
        match self {
            Self::Route(route, actions) => {
                let call = match route {
                    RouteRef::Rule(_) => "ModifyRule",
                    RouteRef::Listener(_) => "ModifyListener",
                };
                let found = plan.routes.iter().find(|planned| planned.route == *route);
                let share = found.and_then(|found| actions.canary_share(&found.pair).ok());
                let (old, new) = (plan.stable.slot, plan.canary.slot);
                let shares = share.map_or_else(String::new, |canary| {
                    format!(": {canary} to {new}, {} to {old}", canary.rest())
                });
                format!("{call} {route}{shares}")
            }
            Self::Tasks(service, to) => {
                let version = to.task_definition.as_ref();
                let of =
                    version.map_or(String::new(), |version| format!(" of {}", version.short()));
                format!("UpdateService {service}: {} tasks{of}", to.desired_count)
            }
            Self::Bounds(service, to) => format!("RegisterScalableTarget {service}: {to}"),
        }
    }
}

impl Planned {
    /// With its time, in a line.
    pub fn in_words(&self, plan: &Plan) -> String {
        format!("after {}: {}", self.after, self.write.in_words(plan))
    }
}
