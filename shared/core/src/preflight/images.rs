//! The images of the version: what its repositories do not have no task can start with, and a tag that was
//! moved brings another build. Only what is certain refuses anything: tasks find out the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::found::{Before, Found};
use super::slots::Services;
use crate::document::Findings;
use crate::ids::TaskDefinition;
use crate::plan::{ImageDigest, Slot, repository, strayed};
use crate::world::{
    ContainerImage, EcsService, PrivateImage, PrivateRepository, RegisteredVersion, Rollout,
    Stored, Which,
};

/// What has to be looked up of a version: the images that its containers name, and what they ran.
pub fn wanted_images(version: &RegisteredVersion, before: &Before) -> Vec<PrivateImage> {
    let mut wanted = BTreeSet::new();
    for ContainerImage { container, image, .. } in &version.containers {
        let Some(named) = PrivateImage::of(image) else { continue };
        let ran = before.ran_in(container);
        wanted.extend(ran.into_iter().map(|digest| named.by_digest(digest)));
        wanted.insert(named);
    }
    wanted.into_iter().collect()
}

/// Those of these versions that could start tasks, as far as anybody can see.
pub fn takeable(
    versions: Vec<RegisteredVersion>,
    stored: &BTreeMap<PrivateImage, Stored>,
) -> Vec<TaskDefinition> {
    let starts = |version: &RegisteredVersion| {
        version.active
            && version.containers.iter().all(|container| {
                if container.optional {
                    return true;
                }
                let named = PrivateImage::of(&container.image);
                let stored = named.as_ref().and_then(|named| stored.get(named).zip(Some(named)));
                let lacks = stored.and_then(|(stored, named)| Lack::of(stored, named, version));
                lacks.is_none()
            })
    };
    versions.into_iter().filter(starts).map(|version| version.arn).collect()
}

/// The digests of the version's images, in order, if every one of them is known.
pub(super) fn build(version: &RegisteredVersion, found: &Found) -> Vec<String> {
    let digests = version.containers.iter().map(|container| {
        if let Some((_, digest)) = container.image.split_once('@') {
            return Some(digest.to_owned());
        }
        match found.stored.get(&PrivateImage::of(&container.image)?)? {
            Stored::There { digest, .. } => Some(digest.clone()),
            Stored::Archived
            | Stored::Restoring
            | Stored::Gone
            | Stored::NoRepository
            | Stored::Cacheable
            | Stored::Denied
            | Stored::Unseen(_) => None,
        }
    });
    digests.collect::<Option<BTreeSet<_>>>().unwrap_or_default().into_iter().collect()
}

/// Why an image cannot be pulled.
#[derive(Clone, Copy)]
enum Lack {
    Gone,
    Archived,
    Restoring,
    NoRepository,
}

impl Lack {
    fn of(stored: &Stored, image: &PrivateImage, version: &RegisteredVersion) -> Option<Self> {
        match stored {
            Stored::Gone => Some(Self::Gone),
            Stored::Archived => Some(Self::Archived),
            Stored::Restoring => Some(Self::Restoring),
            // What another account says of what nobody may see is not documented.
            Stored::NoRepository if is_own(&image.repository, version) => Some(Self::NoRepository),
            Stored::NoRepository
            | Stored::There { .. }
            | Stored::Cacheable
            | Stored::Denied
            | Stored::Unseen(_) => None,
        }
    }

    fn in_words(self, image: &str, repository: &PrivateRepository) -> String {
        match self {
            Self::Gone => format!("ECR has no image `{image}`"),
            Self::Archived => format!("ECR has archived its image `{image}`"),
            Self::Restoring => format!("ECR is still restoring its image `{image}`"),
            Self::NoRepository => {
                let PrivateRepository { account, region, name } = repository;
                format!("ECR has no repository `{name}` in account {account}, {region}")
            }
        }
    }

    /// What makes it one that can be pulled.
    fn remedy(self, PrivateImage { repository, which }: &PrivateImage) -> String {
        let PrivateRepository { account, region, name } = repository;
        let id = match which {
            Which::Tag(tag) => format!("imageTag={tag}"),
            Which::Digest(digest) => format!("imageDigest={digest}"),
        };
        match self {
            Self::Gone | Self::NoRepository => {
                "push the image, or wait until it is replicated".to_owned()
            }
            Self::Archived => format!(
                "push the image again, which restores it at once, or have it restored, typically within 20 \
                 minutes: `aws ecr update-image-storage-class \
                 --region {region} --registry-id {account} --repository-name {name} --image-id {id} \
                 --target-storage-class STANDARD`"
            ),
            Self::Restoring => "try again once it is back, typically within 20 minutes".to_owned(),
        }
    }
}

/// Whether a repository is in the version's own account.
fn is_own(repository: &PrivateRepository, version: &RegisteredVersion) -> bool {
    version.arn.as_str().split(':').nth(4) == Some(repository.account.as_str())
}

/// What the idle slot has of the version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Nothing: ECS deploys it anew, and asks its repositories what its tags stand for now.
    Not,
    /// It is only asked for tasks, and ECS starts those by the digests that it has known since it deployed it.
    WithoutTasks,
    /// The same, and tasks run.
    Running,
}

impl Held {
    fn of(idle: Option<&EcsService>, version: &RegisteredVersion) -> Self {
        let Some(idle) = idle.filter(|idle| idle.task_definition == version.arn) else {
            return Self::Not;
        };
        match idle.rollout {
            Rollout::Failed(_) => Self::Not,
            Rollout::Completed if idle.deployments <= 1 && idle.running_count > 0 => Self::Running,
            Rollout::Completed | Rollout::InProgress { .. } => Self::WithoutTasks,
        }
    }
}

/// Images of the version that its tasks cannot be started with, and tags that stand for another build than
/// the one that served.
pub(super) fn check(
    found: &Found,
    services: Option<Services<'_>>,
    serving: Option<Slot>,
    findings: &mut Findings,
) {
    let Some(version) = &found.task_definition else { return };
    let idle = services.zip(serving).map(|(services, serving)| services.of(serving.other()));
    let looked = Looked { found, version, held: Held::of(idle, version) };
    for container in &version.containers {
        looked.at(container, findings);
    }
    if looked.held == Held::Not {
        looked.moved(idle, findings);
    }
}

struct Looked<'a> {
    found: &'a Found,
    version: &'a RegisteredVersion,
    held: Held,
}

impl Looked<'_> {
    /// Where the request names the version.
    const fn path(&self) -> &'static str {
        if self.found.way_back.is_some() {
            "$.release.rollbackTo"
        } else {
            "$.release.taskDefinition"
        }
    }

    fn insists(&self) -> bool {
        self.found.way_back.as_ref().is_some_and(|back| back.skips_validation)
    }

    fn at(&self, container: &ContainerImage, findings: &mut Findings) {
        let ContainerImage { container, image, optional } = container;
        let Some(named) = PrivateImage::of(image) else { return };
        let ran = self.found.before.ran_in(container);
        let by_tag = matches!(named.which, Which::Tag(_));
        let resolved = self.held != Held::Not && by_tag;
        let certain = !resolved || !ran.is_empty();
        let pulled: Vec<_> = if resolved && certain {
            ran.iter().map(|digest| named.by_digest(digest)).collect()
        } else {
            vec![named.clone()]
        };
        let stored = |image| self.found.stored.get(image);
        let tagged = stored(&named);
        if pulled.iter().any(|image| matches!(stored(image), Some(Stored::There { .. }))) {
            return;
        }
        let known = pulled.iter().filter_map(|image| Some((image, stored(image)?)));
        // Of several, one that nobody can see may be there.
        let in_doubt = |(image, stored): &(&PrivateImage, &Stored)| {
            Lack::of(stored, image, self.version).is_none()
        };
        let Some((pulled, stored)) = known.max_by_key(in_doubt) else { return };
        let Some(lack) = Lack::of(stored, pulled, self.version) else {
            return self.unseen(stored, pulled, image, findings);
        };
        let shown = match &pulled.which {
            Which::Digest(digest) => format!("{}@{digest}", repository(image)),
            Which::Tag(_) => image.clone(),
        };
        let (short, what) = (self.version.arn.short(), lack.in_words(&shown, &pulled.repository));
        let hint = self.way_out(lack, pulled, &named, image, &ran);
        if self.held == Held::Running {
            let told = format!("`{short}` has running tasks, but no other one could start: {what}");
            return findings.warning(self.path(), told, hint);
        }
        // Where ECS resolves no tags (`versionConsistency: disabled`, after failed attempts, with old agents) it
        // pulls by the tag all the same.
        let by_tag_after_all =
            resolved && matches!(tagged, Some(Stored::There { .. } | Stored::Cacheable));
        if certain && !optional && !by_tag_after_all && !self.insists() {
            let told = format!("`{container}` of `{short}` cannot start: {what}");
            return findings.error(self.path(), told, hint);
        }
        findings.warning(
            self.path(),
            format!("`{container}` of `{short}` may not start: {what}"),
            hint,
        );
    }

    /// Nobody can say whether it is there, which holds nothing up. Of another account's repository that is
    /// nothing new: only its owner can change it.
    fn unseen(&self, stored: &Stored, pulled: &PrivateImage, image: &str, findings: &mut Findings) {
        let (why, hint) = match stored {
            Stored::Denied if is_own(&pulled.repository, self.version) => (
                "not allowed (ecr:DescribeImages)",
                "allow it, so that an image that is gone is found before anything is written",
            ),
            Stored::Unseen(why) => {
                (why.as_str(), "nothing waits for it: a task that cannot pull it does not start")
            }
            Stored::Denied
            | Stored::NoRepository
            | Stored::There { .. }
            | Stored::Archived
            | Stored::Restoring
            | Stored::Gone
            | Stored::Cacheable => return,
        };
        let told = format!("whether ECR has `{image}` could not be seen: {why}");
        findings.warning(self.path(), told, hint);
    }

    fn way_out(
        &self,
        lack: Lack,
        pulled: &PrivateImage,
        named: &PrivateImage,
        image: &str,
        ran: &BTreeSet<&str>,
    ) -> String {
        let remedy = lack.remedy(pulled);
        if self.found.way_back.is_none() {
            return format!("{remedy}; or release a version whose images are there");
        }
        let is_there = |digest: &&&str| {
            let stored = self.found.stored.get(&named.by_digest(digest));
            matches!(stored, Some(Stored::There { .. }))
        };
        if let Some(digest) = ran.iter().find(is_there) {
            return format!(
                "what it ran is there without that tag: register the version with `{}@{digest}`, and \
                 release that one",
                repository(image)
            );
        }
        self.found.before.or_another(&remedy)
    }

    /// A way back would bring what never served under this name. The digests of repositories are held against
    /// those of tasks only where both speak of the same: an index is not one of the images in it.
    fn moved(&self, idle: Option<&EcsService>, findings: &mut Findings) {
        let before = &self.found.before;
        if self.found.way_back.is_none() || before.ran.is_empty() {
            return;
        }
        let now: BTreeSet<_> =
            self.version.containers.iter().filter_map(|container| self.now(container)).collect();
        let answers = idle.into_iter().flat_map(|idle| &idle.target_groups);
        let answering: BTreeSet<_> =
            answers.filter_map(|group| Some(group.answers.as_ref()?.0.clone())).collect();
        let known = |container: &str| now.iter().any(|now| now.container == container);
        let mut ran = before.ran.clone();
        if !ran.iter().all(|ran| known(&ran.container)) {
            // Whether a sidecar is excused depends on containers that nobody knows yet.
            ran.retain(|ran| answering.is_empty() || answering.contains(&ran.container));
        }
        let strayed = strayed(&ran, &before.serves, &now, &answering);
        if strayed.is_empty() {
            return;
        }
        findings.error(
            self.path(),
            format!(
                "`{}` would not start with what it ran when it served: {}. Its tags have been moved since",
                self.version.arn.short(),
                strayed.join("; ")
            ),
            self.way_to_what_ran(),
        );
    }

    /// What the container would run, if that can be held against what it ran.
    fn now(&self, ContainerImage { container, image, .. }: &ContainerImage) -> Option<ImageDigest> {
        let runs = |digest: &str| ImageDigest {
            container: container.clone(),
            image: image.clone(),
            digest: Some(digest.to_owned()),
        };
        let named = PrivateImage::of(image)?;
        if let Which::Digest(digest) = &named.which {
            return Some(runs(digest));
        }
        let Some(Stored::There { digest, index }) = self.found.stored.get(&named) else {
            return None;
        };
        let ran = self.found.before.ran_in(container);
        let is_of_a_kind = |ran: &&str| match self.found.stored.get(&named.by_digest(ran)) {
            Some(Stored::There { index: before, .. }) => before.is_some() && before == index,
            // What is in an index is there as long as the index is.
            Some(Stored::Gone) => true,
            Some(
                Stored::Archived
                | Stored::Restoring
                | Stored::NoRepository
                | Stored::Cacheable
                | Stored::Denied
                | Stored::Unseen(_),
            )
            | None => false,
        };
        let comparable = ran.contains(digest.as_str()) || ran.iter().all(is_of_a_kind);
        comparable.then(|| runs(digest))
    }

    fn way_to_what_ran(&self) -> String {
        const AS_IT_IS: &str = "to bring it back as it is now, add `--skip-validation` to the command, or \
                                `skipValidation: true` to the request's release";
        let kept = self.version.containers.iter().find_map(
            |ContainerImage { container, image, .. }| {
                let named = PrivateImage::of(image)?;
                let ran = self.found.before.ran_in(container);
                let kept = ran.into_iter().find(|digest| {
                    let stored = self.found.stored.get(&named.by_digest(digest));
                    matches!(stored, Some(Stored::There { .. }))
                })?;
                let other = self.found.stored.get(&named).is_some_and(
                    |now| !matches!(now, Stored::There { digest, .. } if digest == kept),
                );
                other.then(|| format!("{}@{kept}", repository(image)))
            },
        );
        match kept {
            Some(kept) => format!(
                "what it ran is still there: register the version with `{kept}`, and release that one; {AS_IT_IS}"
            ),
            None => AS_IT_IS.to_owned(),
        }
    }
}
