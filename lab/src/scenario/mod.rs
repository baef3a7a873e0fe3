//! Scenario files: services, a request, a script of events, and expectations.

mod expectations;
mod fault;
mod happening;
mod length;
mod load;
mod placeholders;
mod receivers;
mod script;
mod service;
mod validate;
mod whole;

pub use expectations::{DeploymentExpectations, Expectations, ServiceExpectations};
pub use fault::{Again, CallError, Caller, FailCalls, Fault, KillInvocation, RepeatInvocation};
pub use happening::{AlarmState, ExecutionStatus, Happening, ScalingIs, TaskCount};
pub use length::Length;
pub use load::ScenarioError;
pub(crate) use placeholders::substituted;
pub use placeholders::{UnknownPlaceholder, complete_request};
pub use receivers::{Manner, Receiver};

pub use script::{
    Action, Behave, CommandLine, Decide, Image, ImageBecomes, Nothing, PlaceAtMost, RewriteRoute,
    Scale, SetAlarm, SetBounds, StartDeployment, Step, Which,
};

pub use service::{
    AlarmName, AlarmSettings, Authenticate, Bystanders, Route, RouteKind, Service, Slot, Version,
};
pub use whole::{AlarmsBy, AwsSettings, FIRST_DEPLOYMENT, Scenario};

#[cfg(test)]
mod tests;
