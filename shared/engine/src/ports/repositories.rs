//! Repositories of container images.

use std::future::Future;

use glidepath_core::world::{PrivateImage, Stored};

use super::PortResult;

/// Private repositories of container images.
pub trait Repositories: Sync {
    /// What they say of these images, in the order asked, each for itself: what one of them does not tell
    /// keeps none of the others from being known. Bounded in time: a plan waits for it, and goes on without.
    fn look_up(
        &self,
        images: &[PrivateImage],
    ) -> impl Future<Output = PortResult<Vec<Stored>>> + Send;
}
