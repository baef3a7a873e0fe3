//! Everything outside the registry, in memory. Tasks start and become healthy at once, unless the
//! version is said to be broken.

mod containers;
mod scaling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use glidepath_core::audit::Document;
use glidepath_core::failure::Failure;
use glidepath_core::health::{
    AlarmSignal, ConnectionErrors, LoadBalancerErrors, Period, Periods, Series, SlotRequests,
    StoppedTask,
};
use glidepath_core::ids::{
    ChannelName, DeploymentId, EcsServiceName, ExecutionArn, TargetGroupArn, TaskDefinition,
    TaskToken,
};
use glidepath_core::message::Trial;
use glidepath_core::message::alert::{Action, Alert, Key};
use glidepath_core::plan::{ImageDigest, Measure, Number};
use glidepath_core::record::Notice;
use glidepath_core::route::{RouteActions, RouteRef};
use glidepath_core::scaling::ScalableTarget;
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::urgency::Listening;
use glidepath_core::world::{FoundScaling, PrivateImage, Stored};
use serde_json::Value;

pub use self::containers::GivingUp;
use crate::ports::{
    Alarm, Archive, Begun, Channels, CheckAnswer, Clock, Counted, Due, EcsService, FoundRoute,
    Functions, Handover, Hooks, LoadBalancer, Metrics, MetricsQuery, Monitoring, NotTaken,
    Orchestration, PortError, PortResult, PostedMessage, ProbeAnswer, Probing, Random, Reaching,
    Repositories, ScaleTo, Starting, TargetGroup, TargetGroups, TargetHealth, Woken,
};

/// A call that changed the world or somebody's mind, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A route was read.
    ReadRoute(RouteRef),
    /// A route was written.
    WriteRoute(RouteRef, RouteActions),
    /// Targets were looked at.
    LookAtTargets(TargetGroupArn),
    /// A service was scaled.
    Scale(EcsServiceName, ScaleTo),
    /// A scalable target was set.
    SetBounds(EcsServiceName, ScalableTarget),
    /// A gate was ended well, by its token.
    OpenGate(String),
    /// A gate was ended with a failure, by its token.
    FailGate(String, Failure),
    /// Another function was started.
    Start(Due),
    /// What serves after the end of a deployment was to be asked.
    Validate(DeploymentId),
    /// A notice was handed to a channel.
    Deliver(ChannelName, Notice),
}

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Executions that run, with their input.
    pub executions: BTreeMap<DeploymentId, Value>,
    /// Routes with their actions.
    pub routes: BTreeMap<RouteRef, RouteActions>,
    /// ECS services.
    pub services: BTreeMap<EcsServiceName, EcsService>,
    /// What scales the services.
    pub scaling: BTreeMap<EcsServiceName, FoundScaling>,
    /// Why no scalable target can be set.
    pub no_bounds: Option<PortError>,
    /// Versions whose tasks never become healthy.
    pub broken: BTreeSet<TaskDefinition>,
    /// Task roles of versions; one that is not here has none.
    pub task_roles: BTreeMap<TaskDefinition, String>,
    /// Groups whose targets are sick, whatever version they run.
    pub sick: BTreeSet<TargetGroupArn>,
    /// Groups of which no more targets than this are healthy.
    pub weak: BTreeMap<TargetGroupArn, u32>,
    /// Groups whose clients stick to their targets.
    pub sticky: BTreeSet<TargetGroupArn>,
    /// Versions that ECS gives up on, and what it does then.
    pub given_up: BTreeMap<TaskDefinition, GivingUp>,
    /// ECS does not say which deployments the services are at.
    pub forgotten: bool,
    /// Nobody says how targets are.
    pub blind: bool,
    /// Alarms by name.
    pub alarms: BTreeMap<String, Alarm>,
    /// What the canary and stable answered since the shift.
    pub requests: Option<(SlotRequests, SlotRequests)>,
    /// The periods instead, minute by minute, if there are any; or why nobody knows.
    pub history: Option<PortResult<Vec<Period>>>,
    /// Connections that failed.
    pub connection_errors: ConnectionErrors,
    /// What the load balancers answered themselves.
    pub load_balancer_errors: Vec<LoadBalancerErrors>,
    /// The newest points of every measure, oldest first and a minute apart; one that is not here
    /// has none.
    pub measures: Vec<(Measure, PortResult<Vec<Number>>)>,
    /// What URLs answer.
    pub pages: BTreeMap<String, PortResult<ProbeAnswer>>,
    /// What hooks answer, in order; the last one goes for every further invocation.
    pub answers: BTreeMap<String, Vec<PortResult<Value>>>,
    /// Which hooks were asked, with their events, in order.
    pub asked: Vec<(String, Value)>,
    /// What the containers of a version run, where ECS says it.
    pub images: BTreeMap<TaskDefinition, BTreeSet<ImageDigest>>,
    /// What repositories have; all other images are gone.
    pub stored: BTreeMap<PrivateImage, Stored>,
    /// Why no repository says anything.
    pub no_repositories: Option<PortError>,
    /// Tasks that stopped.
    pub stopped_tasks: Vec<StoppedTask>,
    /// Channels that are down.
    pub down: BTreeSet<ChannelName>,
    /// How long they ask to be left alone.
    pub retry_after: Option<Span>,
    /// How channels listen; to everything where nothing is said.
    pub listening: BTreeMap<ChannelName, Listening>,
    /// What channels that ring were to do with which alert, in this order.
    pub rung: Vec<(ChannelName, (Action, Key))>,
    /// Channels that have one message for each deployment.
    pub editing: BTreeSet<ChannelName>,
    /// Whether they refuse to edit the one that they have.
    pub edits_refused: bool,
    /// Where each had its message when it was handed a notice.
    pub edited: Vec<(ChannelName, Option<PostedMessage>)>,
    /// Notices that were not told, and which only changed what a channel shows.
    pub seen: Vec<(ChannelName, &'static str)>,
    /// The number of the notice that each was handed last, and therefore shows if it edits.
    pub shows: BTreeMap<ChannelName, u32>,
    /// Notices that came with what was counted.
    pub counted: Vec<(ChannelName, &'static str)>,
    /// Notices that came without it, because it could not be read.
    pub unread: Vec<(ChannelName, &'static str)>,
    /// Channels that refuse notices, each by its number; with none given every one.
    pub refusing: BTreeMap<ChannelName, Option<u32>>,
    /// What the audit bucket holds, by key; `None`: the stack has none.
    pub archive: Option<BTreeMap<String, String>>,
    /// Why it takes nothing.
    pub archive_refuses: Option<PortError>,
    /// Errors that the next writes of a route end with, the first first. `false`: no effect.
    pub write_errors: Vec<(PortError, bool)>,
    /// What was called, in order.
    pub calls: Vec<Call>,
}

impl State {
    fn measured(&self, measure: &Measure, now: Timestamp, since: Timestamp) -> PortResult<Series> {
        let found = self.measures.iter().find(|(known, _)| known == measure);
        let Some((_, points)) = found else { return Ok(Series::new()) };
        let newest_first = points.clone()?.into_iter().rev().zip(1_u64..);
        let points = newest_first.map(|(value, age)| (now - MINUTE.times(age), value));
        Ok(points.filter(|(at, _)| *at >= since).collect())
    }
}

/// A third of the requests; the first has what is left over.
fn third(requests: SlotRequests, part: u64) -> SlotRequests {
    let of = |count: u64| count / 3 + if part == 0 { count % 3 } else { 0 };
    SlotRequests { all: of(requests.all), bad: of(requests.bad), slow: requests.slow.map(of) }
}

/// The length of a period.
const MINUTE: Span = Span::from_secs(60);

/// A world in memory.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    now: AtomicI64,
    numbers: AtomicU64,
}

impl World {
    /// Nothing, at this instant.
    pub fn at(now: Timestamp) -> Self {
        Self::holding(State::default(), now)
    }

    /// What there is in the end.
    pub fn into_state(self) -> State {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// This, at this instant.
    pub fn holding(state: State, now: Timestamp) -> Self {
        Self {
            state: Mutex::new(state),
            now: AtomicI64::new(now.as_millis()),
            numbers: AtomicU64::new(1),
        }
    }

    /// What there is, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass.
    pub fn pass(&self, span: Span) {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    /// The calls so far; forgotten afterwards.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    fn called(&self, call: Call) {
        self.state().calls.push(call);
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    async fn sleep(&self, span: Span) {
        self.pass(span);
    }
}

impl Random for World {
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }
}

impl LoadBalancer for World {
    async fn routes(&self, routes: &[RouteRef]) -> PortResult<Vec<FoundRoute>> {
        let mut state = self.state();
        state.calls.extend(routes.iter().cloned().map(Call::ReadRoute));
        let found = routes.iter().map(|route| match state.routes.get(route) {
            Some(actions) => FoundRoute::Found {
                actions: actions.clone(),
                load_balancer: "app/example/1".to_owned(),
            },
            None => FoundRoute::Missing,
        });
        Ok(found.collect())
    }

    async fn write_route(&self, route: &RouteRef, actions: &RouteActions) -> PortResult<()> {
        self.called(Call::WriteRoute(route.clone(), actions.clone()));
        let mut state = self.state();
        let error = (!state.write_errors.is_empty()).then(|| state.write_errors.remove(0));
        if error.as_ref().is_none_or(|(_, effect)| *effect) {
            state.routes.insert(route.clone(), actions.clone());
        }
        error.map_or(Ok(()), |(error, _)| Err(error))
    }

    async fn target_health(&self, group: &TargetGroupArn) -> PortResult<TargetHealth> {
        self.called(Call::LookAtTargets(group.clone()));
        let state = self.state();
        if state.blind {
            return Err(PortError::Throttled { operation: "DescribeTargetHealth" });
        }
        let owner = state.services.values().find(|service| service.registers_with(group));
        let Some(owner) = owner else { return Ok(TargetHealth::default()) };
        let tasks = owner.running_count;
        if state.broken.contains(&owner.task_definition) || state.sick.contains(group) {
            let sick = Some("Target.Timeout: Request timed out".to_owned());
            return Ok(TargetHealth { healthy: 0, unused: 0, other: tasks, sick });
        }
        let attached = state
            .routes
            .values()
            .any(|actions| actions.forward().is_ok_and(|forward| forward.contains(group)));
        Ok(if attached {
            let healthy = state.weak.get(group).map_or(tasks, |most| tasks.min(*most));
            TargetHealth { healthy, other: tasks - healthy, ..TargetHealth::default() }
        } else {
            TargetHealth { unused: tasks, ..TargetHealth::default() }
        })
    }
}

impl TargetGroups for World {
    async fn target_groups(
        &self,
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Option<TargetGroup>>> {
        let state = self.state();
        let found = |group: &TargetGroupArn| {
            Some(TargetGroup {
                protocol: "HTTP".to_owned(),
                sticky: state.sticky.contains(group),
                health_check_path: Some("/health".to_owned()),
            })
        };
        Ok(groups.iter().map(found).collect())
    }

    async fn reaching(
        &self,
        _: &[RouteRef],
        groups: &[TargetGroupArn],
    ) -> PortResult<Vec<Reaching>> {
        let state = self.state();
        let found = state.routes.iter().filter_map(|(route, actions)| {
            let forward = actions.forward().ok()?;
            let carrying = forward.groups().iter().filter(|entry| entry.weight.carries());
            let own = carrying.filter(|entry| groups.contains(&entry.group));
            let shares: Vec<_> =
                own.map(|entry| (entry.group.clone(), entry.weight.get())).collect();
            (!shares.is_empty()).then(|| Reaching { route: route.clone(), shares })
        });
        Ok(found.collect())
    }
}

impl Repositories for World {
    async fn look_up(&self, images: &[PrivateImage]) -> PortResult<Vec<Stored>> {
        let state = self.state();
        if let Some(error) = &state.no_repositories {
            return Err(error.clone());
        }
        let stored = |image| state.stored.get(image).cloned().unwrap_or(Stored::Gone);
        Ok(images.iter().map(stored).collect())
    }
}

impl Monitoring for World {
    async fn alarms(&self, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
        let state = self.state();
        let by_name = |name: &String| {
            let short = name.split_once(":alarm:").map_or(name.as_str(), |(_, short)| short);
            state.alarms.get(short).cloned()
        };
        Ok(names.iter().map(by_name).collect())
    }

    async fn metrics(&self, query: &MetricsQuery) -> PortResult<Option<Metrics>> {
        let state = self.state();
        let shifted = query.shifts.last().map_or(query.now, |shift| shift.at);
        let checks = query.checks.iter().map(|check| {
            let series = |measure: &Measure| state.measured(measure, query.now, query.checks_since);
            CheckAnswer {
                canary: series(&check.canary),
                stable: check.stable.as_ref().map(series),
                period: MINUTE,
                until: query.now,
            }
        });
        let checks: Vec<_> = checks.collect();
        // Without routes only checks are asked for, and they are there without requests too.
        let counted = match query.routes.as_slice() {
            [] => Some(<(SlotRequests, SlotRequests)>::default()),
            [..] => state.requests,
        };
        Ok(counted.map(|(canary, stable)| Metrics {
            requests: match state.history.clone() {
                Some(history) => history.map(|counts| Periods { length: MINUTE, counts }),
                // In parts: one period alone decides nothing.
                None => {
                    let length = Span::from_millis(query.now.since(shifted).as_millis() / 3);
                    let counts = [0, 1, 2].map(|part| Period {
                        from: shifted + length.times(part),
                        canary: third(canary, part),
                        stable: third(stable, part),
                    });
                    Ok(Periods { length, counts: counts.to_vec() })
                }
            },
            connection_errors: Ok(state.connection_errors),
            load_balancer_errors: Ok(state.load_balancer_errors.clone()),
            checks,
        }))
    }
}

impl Hooks for World {
    async fn ask(&self, function: &str, event: &Value) -> PortResult<Value> {
        let mut state = self.state();
        state.asked.push((function.to_owned(), event.clone()));
        let mut answers = state.answers.get(function).cloned().unwrap_or_default();
        // The last one goes for every further invocation.
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        state.answers.insert(function.to_owned(), answers);
        answer
    }
}

impl Probing for World {
    async fn get(&self, url: &str, _: Span) -> PortResult<ProbeAnswer> {
        self.state().pages.get(url).cloned().unwrap_or_else(|| {
            let detail = "nobody is there".to_owned();
            Err(PortError::Unanswered { operation: "probe", detail })
        })
    }
}

impl Orchestration for World {
    async fn open_gate(&self, token: &TaskToken) -> PortResult<Woken> {
        self.called(Call::OpenGate(token.expose().to_owned()));
        Ok(Woken::Yes)
    }

    async fn fail_gate(&self, token: &TaskToken, failure: &Failure) -> PortResult<Woken> {
        self.called(Call::FailGate(token.expose().to_owned(), failure.clone()));
        Ok(Woken::Yes)
    }
}

impl Starting for World {
    async fn start(&self, name: &DeploymentId, request: &Value) -> PortResult<Option<Begun>> {
        let runs = self.state().executions.entry(name.clone()).or_insert(request.clone()).clone();
        let arn = format!("arn:aws:states:x:1:execution:glidepath:{name}");
        Ok((runs == *request).then(|| Begun { execution: ExecutionArn::new(arn) }))
    }
}

impl Functions for World {
    async fn start_rollback(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.called(Call::Start(Due::Deployment(deployment.clone())));
        Ok(())
    }

    async fn start_completion(&self, due: &Due) -> PortResult<()> {
        self.called(Call::Start(due.clone()));
        Ok(())
    }

    async fn start_validation(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.called(Call::Validate(deployment.clone()));
        Ok(())
    }

    async fn start_delivery(&self, deployment: &DeploymentId) -> PortResult<()> {
        self.called(Call::Start(Due::Notices(deployment.clone())));
        Ok(())
    }
}

impl Channels for World {
    fn listening(&self, channel: &ChannelName) -> Listening {
        self.state().listening.get(channel).copied().unwrap_or(Listening::EVERYTHING)
    }

    async fn deliver(
        &self,
        channel: &ChannelName,
        handover: Handover<'_>,
    ) -> Result<Option<PostedMessage>, NotTaken> {
        let notice = handover.notice;
        let read = handover.deployment.notices;
        assert!(
            read >= notice.sequence,
            "handed over with a record from before it: {read} {notice:?}"
        );
        if self.state().down.contains(channel) {
            let retry_after = self.state().retry_after;
            return Err(NotTaken {
                error: PortError::Throttled { operation: "deliver" },
                retry_after,
            });
        }
        let refused = self.state().refusing.get(channel).copied();
        if refused.is_some_and(|which| which.is_none_or(|which| which == notice.sequence)) {
            let detail = "status 404".to_owned();
            return Err(PortError::Refused { operation: "deliver", detail }.into());
        }
        match handover.counted {
            Counted::Nothing => {}
            Counted::Unread => self.state().unread.push((channel.clone(), notice.event.name())),
            Counted::Cells(_) => self.state().counted.push((channel.clone(), notice.event.name())),
        }
        self.state().shows.insert(channel.clone(), notice.sequence);
        if !handover.heard {
            assert!(handover.posted.is_some(), "there is nothing to edit: {notice:?}");
            self.state().seen.push((channel.clone(), notice.event.name()));
            return Ok(None);
        }
        let actions = handover.rung.actions(Alert::of(&notice.event));
        self.state().rung.extend(actions.into_iter().map(|done| (channel.clone(), done)));
        self.called(Call::Deliver(channel.clone(), notice.clone()));
        let mut state = self.state();
        state.edited.push((channel.clone(), handover.posted.cloned()));
        let has = handover.posted.filter(|_| !state.edits_refused);
        let posts = state.editing.contains(channel) && has.is_none();
        Ok(posts.then(|| PostedMessage(format!("{channel}/{}", notice.sequence))))
    }

    async fn try_out(&self, channel: &ChannelName, _: &Trial) -> PortResult<()> {
        if self.state().down.contains(channel) {
            return Err(PortError::Throttled { operation: "try out" });
        }
        Ok(())
    }
}

impl Archive for World {
    fn keeps(&self) -> bool {
        self.state().archive.is_some()
    }

    async fn keep(&self, document: &Document) -> PortResult<()> {
        let mut state = self.state();
        if let Some(error) = &state.archive_refuses {
            return Err(error.clone());
        }
        let bucket = state.archive.get_or_insert_default();
        bucket.entry(document.key("glidepath")).or_insert_with(|| document.text().to_owned());
        Ok(())
    }
}

impl State {
    /// Sets what an alarm says.
    pub fn signal(&mut self, name: &str, signal: AlarmSignal) {
        if let Some(alarm) = self.alarms.get_mut(name) {
            alarm.signal = signal;
        }
    }
}
