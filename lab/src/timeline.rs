//! Everything that was observed, in order, and waiting for more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::watch;

use crate::scenario::{AlarmName, AlarmState, ExecutionStatus, Slot};

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Seconds since the scenario began: everything stands and requests flow.
    pub at: f64,
    #[serde(flatten)]
    pub event: Event,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A deployment was started.
    Started {
        /// Its name in the scenario.
        deployment: String,
        /// Of which service; `None` if the request names none of the scenario.
        service: Option<String>,
        /// Name of the execution, which is the deployment's id.
        execution: String,
        /// The slot that had the traffic at that moment.
        stable: Option<Slot>,
    },
    /// The execution got a status.
    Execution {
        /// Its name in the scenario.
        deployment: String,
        status: ExecutionStatus,
        /// Of a failed one: the failure's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Of a failed one: what happened, in words.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// The execution entered a state.
    State {
        /// Its name in the scenario.
        deployment: String,
        state: String,
    },
    /// A function told the state machine what comes next and why.
    Verdict {
        /// Its name in the scenario.
        deployment: String,
        /// The state that called the function.
        state: String,
        next: String,
        /// The reasons, in words.
        summary: String,
    },
    /// A forward step wrote the weight of the next stage.
    Stage {
        /// Its name in the scenario.
        deployment: String,
        /// From 1.
        stage: usize,
        /// The canary's share in percent.
        weight: f64,
    },
    /// Somebody wrote weights.
    WeightsWritten {
        service: String,
        /// From 1.
        route: usize,
        /// Percent of the blue slot.
        blue: f64,
        /// Percent of the green slot.
        green: f64,
        principal: String,
    },
    /// The load balancer answers with other weights than before.
    WeightsRead {
        service: String,
        /// From 1.
        route: usize,
        /// Percent of the blue slot.
        blue: f64,
        /// Percent of the green slot.
        green: f64,
    },
    /// A notice arrived.
    Notice {
        /// Whose, by its name in the scenario.
        deployment: String,
        channel: String,
        /// Its kind, where the channel says.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its place in the deployment's timeline, where the channel says.
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence: Option<u64>,
        /// What a person reads.
        text: String,
    },
    /// An alarm changed.
    Alarm {
        service: String,
        alarm: AlarmName,
        state: AlarmState,
        /// CloudWatch's reason.
        reason: String,
    },
    /// An ECS service has other numbers than before.
    Tasks {
        service: String,
        slot: Slot,
        /// Tasks it is asked to run.
        desired: u32,
        /// Tasks that run.
        running: u32,
        /// The version that it is asked to run.
        version: String,
    },
    /// A slot has other scaling settings than before.
    Scaling {
        service: String,
        slot: Slot,
        /// Bounds, and what is suspended: `0-8 scaleIn scheduled`.
        settings: String,
    },
    /// Requests that clients sent within one second, by what answered them.
    Requests {
        service: String,
        /// By the version that answered; `none` if nothing or only the load balancer did.
        answered: BTreeMap<String, Answered>,
    },
    /// For the first time a version (or the load balancer) failed a request.
    FirstBadRequest {
        service: String,
        /// What answered.
        version: String,
    },
    /// The script did something.
    Script {
        /// Its place in the script, from 1.
        step: usize,
        /// What, as in the file.
        action: String,
        /// Why it did not succeed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The scenario took longer than it may.
    TimeLimit { seconds: u64 },
    /// A fault that the scenario asks for struck.
    Fault {
        /// Which: `fault N`, or `step N` if the script asked for it.
        fault: String,
        what: String,
    },
    /// The sweep answered with an error.
    SweepFailed { error: String },
}

/// Requests of one second that one version answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The slot that runs the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    pub requests: u64,
    /// Answered with a 5xx, by no task, or not at all.
    pub bad: u64,
    /// Of the bad ones: those that no task answered, by what the client got instead.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unanswered: BTreeMap<Cow<'static, str>, u64>,
}

/// All observations of a scenario so far.
pub(crate) struct Timeline {
    began: Instant,
    began_at: f64,
    events: Mutex<Vec<Observed>>,
    length: watch::Sender<usize>,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            began_at: epoch_seconds(),
            events: Mutex::new(Vec::new()),
            length: watch::Sender::new(0),
        }
    }

    /// Seconds since the beginning.
    pub(crate) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Seconds since the beginning of a moment in seconds since 1970.
    pub(crate) fn since_beginning(&self, epoch: f64) -> f64 {
        epoch - self.began_at
    }

    pub(crate) fn add(&self, event: Event) {
        self.add_at(self.now(), event);
    }

    /// Something was seen now that happened at this time.
    pub(crate) fn add_at(&self, at: f64, event: Event) {
        let mut events = self.lock();
        // To the millisecond: nothing here is more exact.
        events.push(Observed { at: (at * 1000.0).round() / 1000.0, event });
        let length = events.len();
        drop(events);
        self.length.send_replace(length);
    }

    pub(crate) fn all(&self) -> Vec<Observed> {
        self.lock().clone()
    }

    /// Looks at everything so far.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Observed]) -> T) -> T {
        look(&self.lock())
    }

    /// A reader that begins at the beginning.
    pub(crate) fn follow(&self) -> Follower<'_> {
        Follower { timeline: self, next: 0, length: self.length.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Observed>> {
        // A vector that was pushed to is whole, whoever panicked afterwards.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads a timeline event by event and waits for the next.
pub(crate) struct Follower<'a> {
    timeline: &'a Timeline,
    next: usize,
    length: watch::Receiver<usize>,
}

impl Follower<'_> {
    /// The next event, as soon as there is one.
    pub(crate) async fn next(&mut self) -> Observed {
        loop {
            if let Some(event) = self.ready() {
                return event;
            }
            // The sender lives in the timeline that this borrows, so it cannot be gone.
            let _ = self.length.changed().await;
        }
    }

    /// The next event, if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Observed> {
        self.length.mark_unchanged();
        let event = self.timeline.look(|events| events.get(self.next).cloned())?;
        self.next += 1;
        Some(event)
    }
}

/// Seconds since 1970.
pub(crate) fn epoch_seconds() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
