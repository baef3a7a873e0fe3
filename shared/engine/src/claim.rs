//! A claimed write of a deployment: claimed, attempted, finished. A claim that is not finished lives until
//! its deadline, and holds up whoever must know that nothing can land any more.

use glidepath_core::ids::{DeploymentId, IntentId};
use glidepath_core::protocol::{Refused, RegistryWrite};
use glidepath_core::record::{Deployment, Intent};
use glidepath_core::time::{Span, Timestamp};

use crate::Ambient;
use crate::attempt::Attempted;
use crate::pace::{self, overdue};
use crate::ports::{Clock, Ports, Registry};
use crate::transition::{Stop, transition};

/// One that stands in the registry.
pub(crate) struct Claim<'a, P> {
    ports: &'a P,
    deployment: &'a DeploymentId,
    own: IntentId,
    intent: Intent,
}

impl<'a, P: Ports<Registry: Registry>> Claim<'a, P> {
    /// Claims what `decide` makes of the deployment, a new id, now, and when the sweep is to look.
    pub(crate) async fn take(
        ports: &'a P,
        deployment: &'a DeploymentId,
        mut decide: impl FnMut(
            &Deployment,
            &IntentId,
            Timestamp,
            Timestamp,
        ) -> Result<(Intent, Vec<RegistryWrite>), Refused>,
    ) -> Result<Self, Stop>
    where
        P: Ports<Ambient: Ambient>,
    {
        let ambient = ports.ambient();
        let own = pace::intent_id(ambient);
        let intent = transition(ports, deployment, |deployment| {
            let now = ambient.now();
            decide(deployment, &own, now, overdue(&deployment.plan, now, Span::ZERO))
        })
        .await?;
        Ok(Self { ports, deployment, own, intent })
    }

    /// The one that a rollback's fence has carried.
    pub(crate) const fn of_fence(
        ports: &'a P,
        deployment: &'a DeploymentId,
        own: IntentId,
        intent: Intent,
    ) -> Self {
        Self { ports, deployment, own, intent }
    }

    pub(crate) const fn id(&self) -> &IntentId {
        &self.own
    }

    /// Within which attempts may be made.
    pub(crate) const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Ends it: nothing of it can land any more.
    pub(crate) async fn finish(&self) -> Result<(), Stop> {
        let registry = self.ports.registry();
        Ok(registry.finish_deployment_intent(self.deployment, &self.own).await?)
    }

    /// Ends it if every attempt was answered; how the attempts ended.
    pub(crate) async fn after(&self, attempted: Attempted) -> Result<Attempted, Stop> {
        self.finish_if(attempted.clean).await?;
        Ok(attempted)
    }

    /// What was read under it before anything was attempted: where that could not be read, it ends, or it would
    /// hold up the next turn, and a rollback, for nothing.
    pub(crate) async fn holding<Read, Error: Into<Stop>>(
        &self,
        read: Result<Read, Error>,
    ) -> Result<Read, Stop> {
        self.finish_if(read.is_err()).await?;
        read.map_err(Into::into)
    }

    /// Ends it if nothing of it can land any more; otherwise it lives until its deadline.
    pub(crate) async fn finish_if(&self, clean: bool) -> Result<(), Stop> {
        if clean { self.finish().await } else { Ok(()) }
    }
}
