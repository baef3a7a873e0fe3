//! What becomes of ECR's answers, and what it is asked.

use aws_smithy_http_client::test_util::StaticReplayClient;
use serde_json::{Value, json};

use super::*;
use crate::replay::{answering, error_of, json as answer, silent, watched};

const ACCOUNT: &str = "123456789012";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn image(region: &str, repository: &str) -> PrivateImage {
    let host = format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com");
    PrivateImage::of(&format!("{host}/{repository}")).unwrap()
}

fn shop(which: &str) -> PrivateImage {
    image("eu-west-1", &format!("shop{which}"))
}

fn detail(digest: &str, tags: &[&str], status: Option<&str>, media_type: &str) -> Value {
    json!({
        "registryId": ACCOUNT, "repositoryName": "shop", "imageDigest": digest, "imageTags": tags,
        "imageSizeInBytes": 1, "imagePushedAt": 1_787_109_743.563, "imageStatus": status,
        "imageManifestMediaType": media_type,
    })
}

fn there(digest: &str, index: bool) -> Stored {
    Stored::There { digest: digest.to_owned(), index: Some(index) }
}

fn asked(replay: &StaticReplayClient) -> Vec<(String, Value)> {
    let requests = replay.actual_requests().map(|request| {
        let target = request.headers().get("x-amz-target").unwrap();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let body = request.body().bytes().unwrap();
        (operation, serde_json::from_slice(body).unwrap())
    });
    requests.collect()
}

/// As ECR wrote it for a tag that had expired.
fn no_image() -> crate::replay::Answer {
    let message = "The image with imageId {imageDigest:'null', imageTag:'8'} does not exist within the \
                   repository with name 'shop' in the registry with id '123456789012'";
    error_of(400, "ImageNotFoundException", message)
}

fn rules(prefixes: &[&str]) -> crate::replay::Answer {
    let rules = prefixes.iter().map(|prefix| json!({ "ecrRepositoryPrefix": prefix }));
    answer(&json!({ "pullThroughCacheRules": rules.collect::<Vec<_>>() }))
}

#[tokio::test]
async fn the_images_of_a_repository_are_one_call_in_any_order_and_status() {
    let details = [
        detail("sha256:c", &["5"], Some("ACTIVATING"), MANIFEST),
        detail("sha256:a", &["7", "latest"], Some("ACTIVE"), INDEX),
        detail("sha256:b", &["6"], Some("ARCHIVED"), MANIFEST),
        detail("sha256:d", &["4"], Some("FROZEN"), MANIFEST),
        detail("sha256:e", &["3"], None, MANIFEST),
    ];
    let (clients, replay) = watched(vec![answer(&json!({ "imageDetails": details })), rules(&[])]);
    let images = ["", ":7", ":6", ":5", ":4", ":3", "@sha256:a", ":2"].map(shop);
    let stored = ElasticContainerRegistry::new(&clients).look_up(&images).await.unwrap();
    let (known, unseen) = (there("sha256:a", true), |text: &str| Stored::Unseen(text.to_owned()));
    assert_eq!(
        stored,
        [
            known.clone(),
            known.clone(),
            Stored::Archived,
            Stored::Restoring,
            unseen("ecr:DescribeImages: it is FROZEN"),
            there("sha256:e", false),
            known,
            unseen("ecr:DescribeImages: the answer does not have it"),
        ]
    );
    let asked = asked(&replay);
    let tag = |tag: &str| json!({ "imageTag": tag });
    let digest = json!({ "imageDigest": "sha256:a" });
    let ids =
        json!([tag("latest"), tag("7"), tag("6"), tag("5"), tag("4"), tag("3"), digest, tag("2")]);
    let images = json!({
        "registryId": ACCOUNT, "repositoryName": "shop", "imageIds": ids,
        "filter": { "imageStatus": "ANY" },
    });
    assert_eq!(asked[0], ("DescribeImages".to_owned(), images));
    // What is archived may come back by a rule.
    let registry = json!({ "registryId": ACCOUNT, "maxResults": 1000 });
    assert_eq!(asked[1..], [("DescribePullThroughCacheRules".to_owned(), registry)]);
}

#[tokio::test]
async fn one_that_is_missing_hides_no_other() {
    let seven = json!({ "imageDetails": [detail("sha256:a", &["7"], Some("ACTIVE"), MANIFEST)] });
    let answers = vec![no_image(), answer(&seven), no_image(), rules(&["shopping", "other/shop"])];
    let (clients, replay) = watched(answers);
    let repositories = ElasticContainerRegistry::new(&clients);
    let stored = repositories.look_up(&[shop(":7"), shop(":8")]).await.unwrap();
    assert_eq!(stored, [there("sha256:a", false), Stored::Gone]);
    assert_eq!(asked(&replay).len(), 4);
}

#[tokio::test]
async fn every_repository_is_asked_in_its_own_region() {
    let none = || answer(&json!({ "imageDetails": [] }));
    let (clients, replay) = watched(vec![none(), none()]);
    let images = [image("eu-west-1", "shop:7"), image("us-east-1", "shop:7")];
    ElasticContainerRegistry::new(&clients).look_up(&images).await.unwrap();
    let hosts: BTreeSet<_> =
        replay.actual_requests().map(|request| request.uri().to_owned()).collect();
    let expected =
        ["eu-west-1", "us-east-1"].map(|region| format!("https://api.ecr.{region}.amazonaws.com/"));
    assert_eq!(hosts, expected.into());
}

/// An image that a cache has not got yet comes with the first pull.
#[tokio::test]
async fn what_a_pull_brings_is_not_gone() {
    let missing = || error_of(400, "RepositoryNotFoundException", "The repository does not exist");
    for (prefix, covered) in [
        ("mirror", true),
        ("mirror/", true),
        ("mirror/library", true),
        ("ROOT", true),
        ("mirr", false),
        ("library", false),
    ] {
        let repositories =
            ElasticContainerRegistry::new(&answering(vec![missing(), rules(&[prefix])]));
        let image = image("eu-west-1", "mirror/library/nginx:1.27");
        let stored = repositories.look_up(&[image]).await.unwrap();
        let expected = if covered { Stored::Cacheable } else { Stored::NoRepository };
        assert_eq!(stored, [expected], "{prefix}");
    }
}

#[tokio::test]
async fn what_nobody_says_is_not_gone_either() {
    let denied = || error_of(400, "AccessDeniedException", "not authorized to perform");
    let look = async |answers| {
        ElasticContainerRegistry::new(&answering(answers))
            .look_up(&[shop(":7")])
            .await
            .unwrap()
            .remove(0)
    };
    assert_eq!(look(vec![denied()]).await, Stored::Denied);
    let throttled = error_of(400, "ThrottlingException", "Rate exceeded");
    let unseen = look(vec![throttled]).await;
    assert!(matches!(unseen, Stored::Unseen(_)), "{unseen:?}");
    // Whether a pull would bring it may not be seen.
    let unseen = look(vec![no_image(), denied()]).await;
    assert!(matches!(unseen, Stored::Unseen(_)), "{unseen:?}");
    let unknown = error_of(400, "ValidationException", "of another account");
    let unseen = look(vec![no_image(), unknown]).await;
    assert!(matches!(unseen, Stored::Unseen(_)), "{unseen:?}");
    // In a Region without such rules there is nothing to be asked.
    let repositories = ElasticContainerRegistry::new(&answering(vec![no_image()]));
    let image = image("us-gov-east-1", "shop:7");
    assert_eq!(repositories.look_up(&[image]).await.unwrap(), [Stored::Gone]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_it() {
    let begun = tokio::time::Instant::now();
    let stored = ElasticContainerRegistry::new(&silent()).look_up(&[shop(":7")]).await.unwrap();
    let timed_out = "ecr:DescribeImages: no answer (timed out)".to_owned();
    assert_eq!(stored, [Stored::Unseen(timed_out)]);
    assert!(begun.elapsed() <= OPERATION, "{:?}", begun.elapsed());
}
