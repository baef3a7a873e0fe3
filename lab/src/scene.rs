//! What the parts of a running scenario share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::behaviours::Behaviours;
use crate::clients::Clients;
use crate::control::Control;
use crate::scenario::{Scenario, Slot};
use crate::stack::{Glidepath, ServiceResources};
use crate::timeline::Timeline;

/// A scenario with everything it runs on.
pub(crate) struct Scene {
    pub scenario: Scenario,
    pub clients: Clients,
    pub glidepath: Glidepath,
    /// The example services by their names in the scenario.
    pub services: BTreeMap<String, ServiceResources>,
    pub behaviours: Behaviours,
    pub timeline: Timeline,
    /// The base URL of the local AWS.
    pub endpoint: String,
    pub control: Control,
    /// Its place among the scenarios of this lab, from 1.
    pub number: usize,
    pub state: Mutex<State>,
}

/// What is known at the moment.
#[derive(Default)]
pub(crate) struct State {
    /// Deployments that were started, by their names in the scenario.
    pub deployments: BTreeMap<String, Running>,
    /// Percent of the blue and the green slot on each route, as last read.
    pub weights: BTreeMap<(String, usize), (f64, f64)>,
    /// The slot in which an image tag was started last.
    pub slots_of_tags: BTreeMap<String, Slot>,
}

impl State {
    /// A deployment is about to be started.
    pub(crate) fn begins(
        &mut self,
        name: &str,
        execution: String,
        service: Option<String>,
        stable: Option<Slot>,
    ) {
        let number = self.deployments.len();
        let running = Running {
            number,
            execution,
            service,
            stable,
            highest_weight: 0.0,
            stages: 0,
            ended: false,
        };
        self.deployments.insert(name.to_owned(), running);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Its place in the order in which the scenario's deployments were started.
    pub number: usize,
    /// ARN of its execution.
    pub execution: String,
    /// The service it deploys, if it is one of the scenario.
    pub service: Option<String>,
    /// The slot that had the traffic when it was started.
    pub stable: Option<Slot>,
    /// The highest share of the canary that was written, in percent.
    pub highest_weight: f64,
    /// How many stages were reached.
    pub stages: usize,
    pub ended: bool,
}

impl Running {
    /// The deployment's id: the name of its execution.
    pub(crate) fn id(&self) -> &str {
        self.execution.rsplit(':').next().unwrap_or(&self.execution)
    }
}

impl Scene {
    /// What is known at the moment. Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn deployment_of(&self, execution: &str) -> Option<String> {
        let state = self.state();
        let mut found = state.deployments.iter();
        found.find(|(_, running)| running.execution == execution).map(|(name, _)| name.clone())
    }

    /// The deployment whose id a text mentions.
    pub(crate) fn deployment_in(&self, text: &str) -> Option<String> {
        let state = self.state();
        let named = state.deployments.iter().filter(|(_, running)| text.contains(running.id()));
        // The longest: the id of one may end with that of another.
        named.max_by_key(|(_, running)| running.id().len()).map(|(name, _)| name.clone())
    }

    /// The slot that has all the traffic of a service's first route.
    pub(crate) fn serving(&self, service: &str) -> Option<Slot> {
        let state = self.state();
        let (blue, green) = state.weights.get(&(service.to_owned(), 1)).copied()?;
        if green <= 0.0 {
            Some(Slot::Blue)
        } else if blue <= 0.0 {
            Some(Slot::Green)
        } else {
            None
        }
    }
}
