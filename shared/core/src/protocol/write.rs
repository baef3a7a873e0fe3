//! The pieces of a registry transaction.

use crate::ids::{AlarmArn, DeploymentId, EcsServiceName, IntentId, TaskDefinition};
use crate::record::{Binding, Deployment, LockKey, Notice, QuarantineChange, Retirement, Revision};
use crate::time::Timestamp;

/// One write of a transaction with its condition. All of a transaction happens, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryWrite {
    /// A deployment that must not exist yet.
    CreateDeployment(Box<Deployment>),
    /// The deployment as a whole, if it is still at the revision before the one it carries.
    PutDeployment(Box<Deployment>),
    /// Only a condition: the alarm has not fired since.
    RequireQuiet { alarm: AlarmArn, started_at: Timestamp },
    /// Binds an alarm that has not fired since the deployment's start.
    Bind { alarm: AlarmArn, deployment: DeploymentId, binding: Box<Binding> },
    /// Refreshes the recorded health of stable where the binding still exists and the alarm is
    /// quiet: a blind write would bring a deleted binding back.
    RefreshBinding {
        alarm: AlarmArn,
        deployment: DeploymentId,
        /// The binding with the new health.
        binding: Box<Binding>,
    },
    /// Removes a binding of an alarm that nobody wrote since it was read.
    Unbind {
        alarm: AlarmArn,
        deployment: DeploymentId,
        /// The revision that was read.
        expected: Revision,
        /// Intents that were dead then and that nobody has finished: their rollback died, or got no
        /// answer. They go with the binding, or they would stay for ever.
        dead: Vec<IntentId>,
    },
    /// Takes a free lock whose epoch is still the one that was read before the resources were.
    TakeLock {
        key: LockKey,
        deployment: DeploymentId,
        /// The epoch that was read.
        expected_epoch: u64,
        /// Versions in quarantine for so long that they are let go.
        forgotten: Vec<TaskDefinition>,
    },
    /// Releases a lock that is the deployment's own.
    ReleaseLock {
        key: LockKey,
        deployment: DeploymentId,
        /// Written with it, for nobody may plan between.
        quarantine: QuarantineChange,
    },
    /// Only a condition: nobody holds the lock.
    RequireFree(LockKey),
    /// A retirement that replaces whatever was due for the same ECS service.
    CreateRetirement(Box<Retirement>),
    /// The retirement as a whole, if it is still at the revision before the one it carries.
    PutRetirement(Box<Retirement>),
    /// The retirement has been carried out, or a new deployment takes the slot.
    DeleteRetirement {
        service: EcsServiceName,
        /// Its cluster and the key of its lock.
        key: LockKey,
        /// The revision that was read.
        expected: Revision,
    },
    /// An entry of the timeline, to be delivered.
    Notice(Box<Notice>),
}
