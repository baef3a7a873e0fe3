//! What is told of the settings with which Application Auto Scaling scales the slots.

use super::{Lines, Told};
use crate::ids::EcsServiceName;
use crate::record::Phase;
use crate::scaling::ScalableTarget;

impl Told<'_> {
    pub(super) fn scaling_changed(
        &self,
        service: &EcsServiceName,
        found: &[String],
    ) -> (String, Lines) {
        let stable = &self.deployment.plan.stable.service;
        let mut lines = Lines::default();
        lines.spare(found.iter().map(|found| format!("Found: {found}.")));
        lines.push(if service == stable {
            format!(
                "It is kept. Until the deployment has ended no fewer than the {} tasks that all of the \
                 traffic needs can be left to `{service}`.",
                self.deployment.needed()
            )
        } else {
            "It is kept, and what the slot has once it serves; an idle slot has none of it.".to_owned()
        });
        lines.push(self.to_look());
        (format!("somebody else changed the scaling settings of `{service}`"), lines)
    }

    pub(super) fn scaling_not_set(
        &self,
        service: &EcsServiceName,
        wanted: ScalableTarget,
        why: &str,
    ) -> (String, Lines) {
        let plan = &self.deployment.plan;
        let what = match self.deployment.phase {
            Phase::Open => {
                "It goes on. Should `{}` be scaled in meanwhile, a rollback asks ECS for its tasks."
            }
            Phase::RollingBack | Phase::Held | Phase::Committed | Phase::Closed(_) => {
                "It is left as it is, and nothing waits for it."
            }
        };
        let suspended = wanted.suspended;
        (
            format!("the scaling settings of `{service}` could not be set"),
            vec![
                format!("Why: {why}"),
                what.replace("{}", service.as_str()),
                format!(
                    "To set them: `aws application-autoscaling register-scalable-target \
                     --service-namespace ecs --scalable-dimension ecs:service:DesiredCount \
                     --resource-id service/{}/{service} --min-capacity {} --max-capacity {} \
                     --suspended-state DynamicScalingInSuspended={},\
                     DynamicScalingOutSuspended={},ScheduledScalingSuspended={}`",
                    plan.cluster,
                    wanted.minimum,
                    wanted.maximum,
                    suspended.scale_in,
                    suspended.scale_out,
                    suspended.scheduled
                ),
            ]
            .into(),
        )
    }
}
