//! Turns what happens in the lab into events of the timeline.

mod journal;
mod notices;
mod receivers;
mod verdicts;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::scene::Scene;

pub use journal::Call;
pub(crate) use journal::{read_breaches, read_calls};
pub use receivers::Hearing;
pub(crate) use receivers::{
    CHANNEL, KEY, ROUTING_KEY, Receivers, SIGNING_SECRET, TOKEN, slack_signature,
};

/// Starts every observer. They run until the set is dropped.
pub(crate) fn start(
    scene: &Arc<Scene>,
    journal: PathBuf,
    receivers: &Receivers,
    observers: &mut JoinSet<()>,
) {
    observers.spawn(journal::follow(scene.clone(), journal));
    observers.spawn(notices::follow_topic(scene.clone()));
    observers.spawn(notices::follow_bus(scene.clone()));
    observers.spawn(notices::follow_receivers(scene.clone(), receivers.subscribe()));
    for service in scene.services.keys() {
        observers.spawn(world::follow_weights(scene.clone(), service.clone()));
        observers.spawn(world::follow_tasks(scene.clone(), service.clone()));
        observers.spawn(world::follow_scaling(scene.clone(), service.clone()));
    }
}
