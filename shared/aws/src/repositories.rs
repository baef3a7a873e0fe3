//! Private repositories of container images, by Amazon ECR.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::Builder;
use aws_sdk_ecr::types::{
    DescribeImagesFilter, ImageDetail, ImageIdentifier, ImageStatus, ImageStatusFilter,
};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use futures_util::future::{join, join_all};
use glidepath_core::world::{PrivateImage, PrivateRepository, Stored, Which};
use glidepath_engine::ports::{PortResult, Repositories};

use crate::clients::Clients;
use crate::error::{code, port_error};

/// Longest time of one attempt of a call.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Longest time of a call with all its attempts: a plan waits for it, beside its other reads.
const OPERATION: Duration = Duration::from_secs(4);

/// Most images that one DescribeImages call takes.
const IMAGES_PER_CALL: usize = 100;

/// Regions in which no registry gets images from elsewhere (ECR user guide, `pull-through-cache`).
const WITHOUT_RULES: [&str; 4] = ["cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1"];

/// More rules than a registry may have.
const RULES: i32 = 1000;

/// The prefix of a rule for all repositories that have no other.
const ANY_REPOSITORY: &str = "ROOT";

/// [`Repositories`] by ECR.
#[derive(Clone, Debug)]
pub struct ElasticContainerRegistry {
    config: SdkConfig,
}

/// A registry: an account has one in every Region.
type Registry<'a> = (&'a str, &'a str);

impl ElasticContainerRegistry {
    pub fn new(clients: &Clients) -> Self {
        let patience = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION);
        let config = clients.reading().to_builder().timeout_config(patience.build()).build();
        Self { config }
    }

    /// An image may be in another Region than the tasks.
    fn in_region(&self, region: &str) -> Client {
        let region = Region::new(region.to_owned());
        Client::from_conf(Builder::from(&self.config).region(region).build())
    }

    /// Images of one repository, in one call; if one of them is missing, in one call for each, because that
    /// is all that ECR says then.
    async fn described(
        &self,
        repository: &PrivateRepository,
        images: &[&PrivateImage],
    ) -> Vec<Stored> {
        let client = self.in_region(&repository.region);
        match (of(&client, repository, images).await, images) {
            (Err(Stored::Gone), [_, _, ..]) => {
                let each = images.iter().map(|image| async {
                    let alone = of(&client, repository, &[image]).await;
                    alone.map_or_else(|same| same, |mut one| one.remove(0))
                });
                join_all(each).await
            }
            (Err(same), _) => vec![same; images.len()],
            (Ok(stored), _) => stored,
        }
    }

    /// The prefixes of the repositories in a registry that get images from elsewhere when they are pulled.
    async fn cached(&self, (account, region): Registry<'_>) -> PortResult<Vec<String>> {
        const OPERATION: &str = "ecr:DescribePullThroughCacheRules";
        if WITHOUT_RULES.contains(&region) {
            return Ok(Vec::new());
        }
        let call = self.in_region(region).describe_pull_through_cache_rules();
        match call.registry_id(account).max_results(RULES).send().await {
            Ok(found) => Ok(found
                .pull_through_cache_rules()
                .iter()
                .filter_map(|rule| rule.ecr_repository_prefix().map(str::to_owned))
                .collect()),
            Err(error) => Err(port_error(OPERATION, error)),
        }
    }
}

/// What one call says of images of one repository, or the same of all of them.
async fn of(
    client: &Client,
    repository: &PrivateRepository,
    images: &[&PrivateImage],
) -> Result<Vec<Stored>, Stored> {
    let ids = images.iter().map(|image| match &image.which {
        Which::Tag(tag) => ImageIdentifier::builder().image_tag(tag).build(),
        Which::Digest(digest) => ImageIdentifier::builder().image_digest(digest).build(),
    });
    // Otherwise one that is archived is not there.
    let any = DescribeImagesFilter::builder().image_status(ImageStatusFilter::Any).build();
    let call = client.describe_images().registry_id(&repository.account).filter(any);
    let call = call.repository_name(&repository.name).set_image_ids(Some(ids.collect()));
    match call.send().await {
        Ok(found) => {
            let details = found.image_details();
            Ok(images.iter().map(|image| among(details, image)).collect())
        }
        Err(error) => Err(match code(&error) {
            Some("ImageNotFoundException") => Stored::Gone,
            Some("RepositoryNotFoundException") => Stored::NoRepository,
            Some(_) | None => {
                let error = port_error("ecr:DescribeImages", error);
                if error.is_denied() { Stored::Denied } else { Stored::Unseen(error.to_string()) }
            }
        }),
    }
}

/// ECR promises no order, and says once what was asked for twice.
fn among(details: &[ImageDetail], image: &PrivateImage) -> Stored {
    let detail = details.iter().find(|detail| match &image.which {
        Which::Tag(tag) => detail.image_tags().contains(tag),
        Which::Digest(digest) => detail.image_digest() == Some(digest),
    });
    let Some((detail, digest)) = detail.and_then(|detail| Some((detail, detail.image_digest()?)))
    else {
        return Stored::Unseen("ecr:DescribeImages: the answer does not have it".to_owned());
    };
    match detail.image_status() {
        None | Some(ImageStatus::Active) => Stored::There {
            digest: digest.to_owned(),
            index: detail.image_manifest_media_type().map(is_index),
        },
        Some(ImageStatus::Archived) => Stored::Archived,
        Some(ImageStatus::Activating) => Stored::Restoring,
        Some(other) => Stored::Unseen(format!("ecr:DescribeImages: it is {other}")),
    }
}

fn is_index(media_type: &str) -> bool {
    media_type.contains("manifest.list.") || media_type.contains("image.index.")
}

/// Whether a pull from a repository may bring what it does not have.
fn covers(prefix: &str, repository: &str) -> bool {
    // There is always a slash after a prefix, written or not.
    let below = repository.strip_prefix(prefix.trim_end_matches('/'));
    prefix == ANY_REPOSITORY || below.is_some_and(|below| below.starts_with('/'))
}

impl Repositories for ElasticContainerRegistry {
    async fn look_up(&self, images: &[PrivateImage]) -> PortResult<Vec<Stored>> {
        let mut by_repository: BTreeMap<&PrivateRepository, Vec<&PrivateImage>> = BTreeMap::new();
        for image in images {
            by_repository.entry(&image.repository).or_default().push(image);
        }
        let calls = by_repository.iter().flat_map(|(repository, images)| {
            images.chunks(IMAGES_PER_CALL).map(|images| async {
                images.iter().copied().zip(self.described(repository, images).await).collect()
            })
        });
        let found: Vec<Vec<(&PrivateImage, Stored)>> = join_all(calls).await;
        let mut found: BTreeMap<_, _> = found.into_iter().flatten().collect();
        let lacking = found.iter().filter(|(_, stored)| match stored {
            Stored::Gone | Stored::NoRepository | Stored::Archived | Stored::Restoring => true,
            Stored::There { .. } | Stored::Cacheable | Stored::Denied | Stored::Unseen(_) => false,
        });
        let lacking: Vec<&PrivateImage> = lacking.map(|(image, _)| *image).collect();
        let registries: BTreeSet<Registry<'_>> =
            lacking.iter().map(|image| registry(image)).collect();
        // Only what is missing needs them.
        let rules = registries.into_iter().map(|one| join(async move { one }, self.cached(one)));
        let rules: BTreeMap<_, _> = join_all(rules).await.into_iter().collect();
        for image in lacking {
            let stored = match rules.get(&registry(image)) {
                Some(Ok(prefixes)) => prefixes
                    .iter()
                    .any(|prefix| covers(prefix, &image.repository.name))
                    .then_some(Stored::Cacheable),
                Some(Err(error)) => Some(Stored::Unseen(error.to_string())),
                None => None,
            };
            if let Some(stored) = stored {
                found.insert(image, stored);
            }
        }
        let unseen = || Stored::Unseen("nobody has asked".to_owned());
        Ok(images.iter().map(|image| found.get(image).cloned().unwrap_or_else(unseen)).collect())
    }
}

fn registry(image: &PrivateImage) -> Registry<'_> {
    (&image.repository.account, &image.repository.region)
}

#[cfg(test)]
mod tests;
