//! What is otherwise than an ended deployment has left it: told once, for as long as it is the same.

use super::telling::notice;
use super::write::RegistryWrite;
use crate::record::{Deployment, Event, Lock, LockKey, Phase};
use crate::route::Role;
use crate::time::Timestamp;

const ROLES: [Role; 2] = [Role::Stable, Role::Canary];

impl Deployment {
    /// The locks of both slots' services, stable's first.
    pub fn slot_locks(&self) -> [LockKey; 2] {
        let plan = &self.plan;
        ROLES.map(|role| LockKey::service(&plan.cluster, &plan.slot(role).service))
    }

    /// Whether another deployment has a slot, or has had one since: then what is there is what that one has left. The
    /// locks are those of [`Self::slot_locks`].
    pub fn is_followed(&self, locks: &[Lock]) -> bool {
        ROLES.iter().zip(locks).any(|(role, lock)| self.is_overtaken(*role, lock))
    }
}

/// Records what a look at the service of an ended deployment has found, and whether that was told: nothing of what was
/// told already, and nothing while another deployment has the slots. What is in order again is forgotten without a
/// word, so that it is told anew should it come back.
pub fn drifted(
    deployment: &Deployment,
    differences: Vec<String>,
    now: Timestamp,
) -> (bool, Vec<RegistryWrite>) {
    if !matches!(deployment.phase, Phase::Closed(_)) || deployment.drift == differences {
        return (false, Vec::new());
    }
    let mut seen = deployment.revised(now, deployment.next_due_at);
    seen.drift.clone_from(&differences);
    if differences.is_empty() {
        return (false, vec![RegistryWrite::PutDeployment(Box::new(seen))]);
    }
    let notice = notice(&mut seen, now, Event::Drifted { differences });
    // Whoever has begun since the locks were read has moved it.
    let free = seen.slot_locks().map(RegistryWrite::RequireFree);
    let mut writes = vec![RegistryWrite::PutDeployment(Box::new(seen)), notice];
    writes.extend(free);
    (true, writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NOW, deployment};
    use crate::ids::DeploymentId;
    use crate::protocol::Items;
    use crate::record::{Notice, Outcome};

    fn ended(items: &mut Items) -> DeploymentId {
        let ended = Deployment { phase: Phase::Closed(Outcome::Succeeded), ..deployment() };
        let id = ended.id.clone();
        items.deployments.insert(id.clone(), ended);
        id
    }

    fn found(differences: &[&str]) -> Vec<String> {
        differences.iter().map(|found| (*found).to_owned()).collect()
    }

    /// What a look at it leads to, and how many writes that takes.
    fn look(items: &mut Items, id: &DeploymentId, differences: &[&str]) -> (Vec<Notice>, usize) {
        let (told, writes) = drifted(&items.deployments[id], found(differences), NOW);
        let count = writes.len();
        let notices = items.commit(writes).unwrap();
        assert_eq!(told, !notices.is_empty());
        (notices, count)
    }

    #[test]
    fn the_same_is_told_once_what_changes_again_and_what_is_gone_is_forgotten() {
        let mut items = Items::default();
        let id = ended(&mut items);
        assert_eq!(look(&mut items, &id, &[]), (Vec::new(), 0));
        let (told, _) = look(&mut items, &id, &["a weight"]);
        assert_eq!(told[0].event, Event::Drifted { differences: found(&["a weight"]) });
        assert_eq!(told[0].sequence, items.deployments[&id].notices);
        assert_eq!(look(&mut items, &id, &["a weight"]), (Vec::new(), 0));
        for changed in [&["a weight", "a version"][..], &["a version"]] {
            assert_eq!(look(&mut items, &id, changed).0.len(), 1);
        }
        assert_eq!(look(&mut items, &id, &[]), (Vec::new(), 1));
        assert_eq!(look(&mut items, &id, &[]), (Vec::new(), 0));
        assert_eq!(look(&mut items, &id, &["a version"]).0.len(), 1);
        // When it has ended is not moved by it.
        assert_eq!(items.deployments[&id].ended_at(), Some(NOW));
    }

    #[test]
    fn nothing_is_told_of_one_that_runs() {
        for phase in [Phase::Open, Phase::RollingBack, Phase::Held, Phase::Committed] {
            let running = Deployment { phase, ..deployment() };
            assert_eq!(drifted(&running, found(&["a weight"]), NOW), (false, Vec::new()));
        }
    }

    #[test]
    fn nothing_is_told_once_another_deployment_has_begun() {
        let mut items = Items::default();
        let id = ended(&mut items);
        let (told, writes) = drifted(&items.deployments[&id], found(&["a weight"]), NOW);
        assert!(told);
        let [stable, canary] = items.deployments[&id].slot_locks();
        for key in [stable, canary] {
            let holder = Some(DeploymentId::new("shop-43"));
            let held = Lock { holder, ..items.lock(&key) };
            items.locks.insert(key.clone(), held);
            assert_eq!(items.commit(writes.clone()), None, "{}", key.as_str());
            items.locks.remove(&key);
        }
        assert!(items.commit(writes).is_some());
    }

    #[test]
    fn whoever_has_had_either_slot_since_has_left_what_is_there() {
        let mut ended = deployment();
        ended.epochs = Some((7, 8));
        let locks = |stable, canary| {
            let [first, second] = ended.slot_locks();
            [
                Lock { epoch: stable, ..Lock::untaken(first) },
                Lock { epoch: canary, ..Lock::untaken(second) },
            ]
        };
        assert!(!ended.is_followed(&locks(7, 8)));
        assert!(ended.is_followed(&locks(8, 8)));
        assert!(ended.is_followed(&locks(7, 9)));
    }
}
