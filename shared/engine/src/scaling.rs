//! The settings of Application Auto Scaling: read, held against what they must be, and set under a claim.
//! Where the plan has found nothing that scales either slot, nobody is asked anything.

use glidepath_core::failure::Failure;
use glidepath_core::plan::Plan;
use glidepath_core::protocol::{
    Goal, NewSetting, Setting, claim_scaling, note_scaling, tell_of_scaling,
};
use glidepath_core::record::{Deployment, Intent, Purpose};
use glidepath_core::route::Role;
use glidepath_core::scaling::ScalableTarget;

use crate::Ambient;
use crate::attempt::{Patience, Urgency, attempt};
use crate::claim::Claim;
use crate::pace::FORWARD_LIFETIME;
use crate::ports::{Clock, PortError, PortResult, Ports, Registry, Scaling};
use crate::transition::{Stop, transition};

/// The scalable targets of both slots as they are; `None` for one that there is not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present {
    stable: Option<ScalableTarget>,
    canary: Option<ScalableTarget>,
}

impl Present {
    pub(crate) const fn of(self, role: Role) -> Option<ScalableTarget> {
        match role {
            Role::Stable => self.stable,
            Role::Canary => self.canary,
        }
    }
}

/// Both, in one call.
pub(crate) async fn present(
    ports: &impl Ports<Scaling: Scaling>,
    plan: &Plan,
) -> PortResult<Present> {
    if !plan.is_scaled() {
        return Ok(Present::default());
    }
    let services = [&plan.stable.service, &plan.canary.service];
    let mut found = ports.scaling().scalable_targets(&plan.cluster, &services).await?.into_iter();
    Ok(Present { stable: found.next().flatten(), canary: found.next().flatten() })
}

/// Brings the settings of a slot where they must be, if they are not. Whether they were written. What AWS
/// refuses for good is told once, and nothing waits for it: it has been done without for longer.
pub(crate) async fn bring<P>(
    ports: &P,
    deployment: &Deployment,
    present: Present,
    role: Role,
    goal: Goal,
) -> Result<bool, Stop>
where
    P: Ports<Registry: Registry, Scaling: Scaling, Ambient: Ambient>,
{
    let (id, slot) = (&deployment.id, deployment.plan.slot(role));
    let Some(found) = slot.scaling else { return Ok(false) };
    let Some(present) = present.of(role) else {
        let why = "its scalable target does not exist any more".to_owned();
        tell(ports, deployment, (role, goal), found, why).await?;
        return Ok(false);
    };
    let setting = Setting { role, present, goal };
    let Some(look) = deployment.scaling_look(&setting) else { return Ok(false) };
    let Some(to) = look.to else {
        if look.has_news() {
            let note =
                |deployment: &Deployment| note_scaling(deployment, &setting, ports.ambient().now());
            transition(ports, id, note).await?;
        }
        return Ok(false);
    };
    let claim = Claim::take(ports, id, |deployment, own, now, due| {
        let intent = Intent::new(Purpose::Scale, now, FORWARD_LIFETIME);
        claim_scaling(deployment, &NewSetting { setting, to }, own, intent, now, due)
    })
    .await?;
    let patience = Patience::Insist(Urgency::none(FORWARD_LIFETIME));
    let set = || ports.scaling().set_scalable_target(&deployment.plan.cluster, &slot.service, &to);
    let attempted = attempt(ports, claim.intent(), patience, set).await;
    match claim.after(attempted).await?.result {
        Ok(()) => Ok(true),
        Err(error @ PortError::Refused { .. }) => {
            tell(ports, deployment, (role, goal), to, error.to_string()).await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

async fn tell<P>(
    ports: &P,
    deployment: &Deployment,
    (role, goal): (Role, Goal),
    wanted: ScalableTarget,
    why: String,
) -> Result<(), Stop>
where
    P: Ports<Registry: Registry, Ambient: Clock>,
{
    if !deployment.tells_of_scaling(role, goal, wanted) {
        return Ok(());
    }
    transition(ports, &deployment.id, |deployment| {
        let now = ports.ambient().now();
        Ok(tell_of_scaling(deployment, (role, goal), wanted, why.clone(), now))
    })
    .await?;
    Ok(())
}

/// Both as they are, on the way out: `None` if nobody may read them, which is told and keeps nothing waiting.
pub(crate) async fn readable<P>(
    ports: &P,
    deployment: &Deployment,
    roles: &[Role],
) -> Result<Option<Present>, Stop>
where
    P: Ports<Registry: Registry, Scaling: Scaling, Ambient: Clock>,
{
    match present(ports, &deployment.plan).await {
        Ok(present) => Ok(Some(present)),
        Err(error @ PortError::Refused { .. }) => {
            for role in roles {
                if let Some(found) = deployment.plan.slot(*role).scaling {
                    let slot = (*role, Goal::Serving);
                    tell(ports, deployment, slot, found, error.to_string()).await?;
                }
            }
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the protocol refuses ends a turn; that Application Auto Scaling cannot be asked does not.
pub(crate) fn unless_it_failed<T>(
    deployment: &Deployment,
    done: Result<T, Stop>,
) -> Result<Option<T>, Stop> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(refused @ Stop::Refused(_)) => Err(refused),
        Err(Stop::Failed(failure)) => {
            let why = failure.cause;
            tracing::warn!(deployment.id = %deployment.id, why, "the bounds could not be held");
            Ok(None)
        }
    }
}

/// Holds what is not held any more, or was never: both slots while the deployment is at its weight. Whatever
/// goes wrong keeps nothing waiting: the next look asks again.
pub(crate) async fn hold<P>(ports: &P, deployment: &Deployment)
where
    P: Ports<Registry: Registry, Scaling: Scaling, Ambient: Ambient>,
{
    hold_these(ports, deployment, &deployment.held()).await;
}

/// The same of stable alone, on the way back.
pub(crate) async fn hold_stable<P>(ports: &P, deployment: &Deployment)
where
    P: Ports<Registry: Registry, Scaling: Scaling, Ambient: Ambient>,
{
    hold_these(ports, deployment, &[(Role::Stable, Goal::Held(deployment.needed()))]).await;
}

async fn hold_these<P>(ports: &P, deployment: &Deployment, slots: &[(Role, Goal)])
where
    P: Ports<Registry: Registry, Scaling: Scaling, Ambient: Ambient>,
{
    let held = async {
        let present = present(ports, &deployment.plan).await?;
        for (role, goal) in slots {
            bring(ports, deployment, present, *role, *goal).await?;
        }
        Ok::<_, Stop>(())
    };
    if let Err(stop) = held.await {
        let why = Failure::from(stop).cause;
        tracing::warn!(deployment.id = %deployment.id, why, "the bounds could not be held");
    }
}

/// Whether something of both slots is not held as it must be. What cannot be read is looked at again.
pub(crate) async fn is_let_go(
    ports: &impl Ports<Scaling: Scaling>,
    deployment: &Deployment,
) -> bool {
    let present = match present(ports, &deployment.plan).await {
        Ok(present) => present,
        Err(error) => {
            tracing::warn!(deployment.id = %deployment.id, %error, "the bounds could not be read");
            return false;
        }
    };
    deployment.held().into_iter().any(|(role, goal)| {
        let look = present
            .of(role)
            .and_then(|present| deployment.scaling_look(&Setting { role, present, goal }));
        look.is_some_and(|look| {
            look.has_news() || look.to.is_some_and(|to| deployment.tells_of_scaling(role, goal, to))
        })
    })
}
