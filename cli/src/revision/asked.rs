//! The images that somebody asks for, held against the containers there are and what their repositories have.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use glidepath_core::document::{Findings, nearest};
use glidepath_core::plan::repository;
use glidepath_core::world::{ContainerImage, PrivateImage, Stored, Which};

/// Most characters of a tag.
const LONGEST_TAG: usize = 128;

/// `CONTAINER=TAG-OR-DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageOf {
    container: String,
    which: Which,
}

impl FromStr for ImageOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split_once('=').filter(|(container, _)| !container.is_empty());
        let Some((container, which)) = named else {
            return Err("write CONTAINER=TAG or CONTAINER=sha256:..., such as web=1.4.2".to_owned());
        };
        let container = container.to_owned();
        if let Some(hex) = which.strip_prefix("sha256:") {
            let whole = hex.len() == 64
                && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            if !whole {
                return Err("a digest is `sha256:` and 64 hexadecimal digits".to_owned());
            }
            return Ok(Self { container, which: Which::Digest(which.to_owned()) });
        }
        if which.contains(['/', ':', '@']) {
            return Err(
                "give the tag or the digest alone: the repository stays the one that serves"
                    .to_owned(),
            );
        }
        let begins = which.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
        let mut rest = which.chars();
        let goes_on = rest.all(|one| one.is_ascii_alphanumeric() || "._-".contains(one));
        if !begins || !goes_on || which.len() > LONGEST_TAG {
            return Err(format!("`{which}` can be no tag"));
        }
        Ok(Self { container, which: Which::Tag(which.to_owned()) })
    }
}

/// An image that takes the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) container: String,
    /// As the version that serves names it.
    from: String,
    which: Which,
    /// The same in ECR, if its repository is there.
    pub(super) private: Option<PrivateImage>,
}

/// As findings name it.
fn option(container: &str) -> String {
    format!("--image {container}")
}

/// What is asked for, if every container is there and every image can be found.
pub(super) fn wanted(
    asked: &[ImageOf],
    containers: &[ContainerImage],
    findings: &mut Findings,
) -> Vec<Wanted> {
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for ImageOf { container, which } in asked {
        let at = option(container);
        if !seen.insert(container) {
            findings.error(at, "this container is given twice", "give it one image");
            continue;
        }
        let Some(found) = containers.iter().find(|found| found.container == *container) else {
            let names: Vec<_> = containers.iter().map(|found| found.container.as_str()).collect();
            let hint = match nearest(container, names.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are: {}", names.join(", ")),
            };
            let message = format!("the version that serves has no container `{container}`");
            findings.error(at, message, hint);
            continue;
        };
        let from = found.image.clone();
        let private = PrivateImage::of(&from)
            .map(|image| PrivateImage { repository: image.repository, which: which.clone() });
        if let (None, Which::Tag(tag)) = (&private, which) {
            let repository = repository(&from);
            findings.error(
                at,
                format!("what `{repository}:{tag}` stands for is not known: only ECR's private repositories are asked"),
                format!("give its digest: `docker buildx imagetools inspect {repository}:{tag}` shows it"),
            );
            continue;
        }
        wanted.push(Wanted { container: container.clone(), from, which: which.clone(), private });
    }
    wanted
}

/// The images by their containers' names, each by its digest.
pub(super) fn resolved(
    wanted: &[Wanted],
    stored: &BTreeMap<PrivateImage, Stored>,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let mut images = BTreeMap::new();
    for Wanted { container, from, which, private } in wanted {
        let stored = private.as_ref().and_then(|image| stored.get(image));
        let repository = repository(from);
        let digest = match (which, stored) {
            (_, Some(Stored::There { digest, .. })) => digest,
            // Of another account's repository nobody may see it; a task finds out.
            (Which::Digest(digest), None | Some(Stored::Denied | Stored::Unseen(_))) => digest,
            (_, stored) => {
                let shown = match which {
                    Which::Tag(tag) => format!("{repository}:{tag}"),
                    Which::Digest(digest) => format!("{repository}@{digest}"),
                };
                let (message, hint) = lack(&shown, stored);
                findings.error(option(container), message, hint);
                continue;
            }
        };
        images.insert(container.clone(), format!("{repository}@{digest}"));
    }
    images
}

/// Why an image cannot be named by its digest, and the way out.
fn lack(shown: &str, stored: Option<&Stored>) -> (String, &'static str) {
    const DIGEST: &str = "give its digest instead of its tag";
    let denied = "allow ecr:DescribeImages on the repository, its own policy too if it is another account's; or \
                  give the digest";
    match stored {
        Some(Stored::Gone) => {
            (format!("ECR has no image `{shown}`"), "push it, or give one that is there")
        }
        Some(Stored::NoRepository) => {
            (format!("ECR has no repository for `{shown}`"), "create it and push the image")
        }
        Some(Stored::Archived) => (
            format!("ECR has archived its image `{shown}`: no task can pull it"),
            "push it again, which restores it at once",
        ),
        Some(Stored::Restoring) => (
            format!("ECR is still restoring its image `{shown}`"),
            "try again once it is back, typically within 20 minutes",
        ),
        Some(Stored::Cacheable) => (
            format!("ECR has not got `{shown}` from where it caches it yet"),
            "pull it once, or give its digest",
        ),
        Some(Stored::Denied) => (format!("you may not see what `{shown}` stands for"), denied),
        Some(Stored::Unseen(why)) => {
            (format!("what `{shown}` stands for could not be seen: {why}"), DIGEST)
        }
        Some(Stored::There { .. }) | None => {
            (format!("what `{shown}` stands for is not known"), DIGEST)
        }
    }
}

/// Says which other containers may start with another image than they run: those that are named by a tag, which ECS
/// looks up anew.
pub(super) fn floating(
    images: &BTreeMap<String, String>,
    containers: &[ContainerImage],
    findings: &mut Findings,
) {
    let others = containers.iter().filter(|other| !images.contains_key(&other.container));
    for ContainerImage { container, image, .. } in others.filter(|other| !other.image.contains('@'))
    {
        findings.warning(
            option(container),
            format!("`{container}` stays `{image}`, and ECS starts it with what that tag stands for by then"),
            format!("add `--image {container}=sha256:...` to hold it at one image"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn digest(of: char) -> String {
        format!("sha256:{}", of.to_string().repeat(64))
    }

    fn containers() -> Vec<ContainerImage> {
        let container = |container: &str, image: String| ContainerImage {
            container: container.to_owned(),
            image,
            optional: false,
        };
        vec![
            container("web", format!("{REGISTRY}/team/web:1.3")),
            container("envoy", "registry:5000/envoy:v1".to_owned()),
            container("agent", format!("public.ecr.aws/agent@{}", digest('a'))),
        ]
    }

    /// What comes of it if ECR says the same of every image.
    fn asked(texts: &[&str], stored: &Stored) -> (BTreeMap<String, String>, String) {
        let asked: Vec<ImageOf> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut findings = Findings::default();
        let wanted = wanted(&asked, &containers(), &mut findings);
        let known = wanted.iter().filter_map(|wanted| wanted.private.clone());
        let known = known.map(|image| (image, stored.clone())).collect();
        let images = resolved(&wanted, &known, &mut findings);
        (images, findings.to_string())
    }

    fn there() -> Stored {
        Stored::There { digest: digest('b'), index: Some(false) }
    }

    #[test]
    fn a_tag_becomes_the_digest_that_ecr_has_for_it() {
        let (images, findings) = asked(&["web=1.4"], &there());
        let web = format!("{REGISTRY}/team/web@{}", digest('b'));
        assert_eq!((images, findings.as_str()), (BTreeMap::from([("web".to_owned(), web)]), ""));
        // Elsewhere a digest is taken at its word.
        let (images, _) = asked(&[&format!("envoy={}", digest('c'))], &there());
        assert_eq!(images["envoy"], format!("registry:5000/envoy@{}", digest('c')));
        let (images, _) = asked(&[&format!("agent={}", digest('c'))], &there());
        assert_eq!(images["agent"], format!("public.ecr.aws/agent@{}", digest('c')));
        for unseen in [Stored::Denied, Stored::Unseen("busy".to_owned())] {
            let (images, findings) = asked(&[&format!("web={}", digest('c'))], &unseen);
            assert_eq!(images["web"], format!("{REGISTRY}/team/web@{}", digest('c')), "{findings}");
        }
    }

    #[test]
    fn what_cannot_be_named_by_its_digest_is_refused_with_the_way_out() {
        for (stored, why) in [
            (Stored::Gone, "ECR has no image `"),
            (Stored::NoRepository, "ECR has no repository for"),
            (Stored::Archived, "ECR has archived its image"),
            (Stored::Restoring, "still restoring"),
            (Stored::Cacheable, "pull it once"),
            (Stored::Denied, "allow ecr:DescribeImages"),
            (Stored::Unseen("busy".to_owned()), "could not be seen: busy"),
        ] {
            let (images, findings) = asked(&["web=1.4"], &stored);
            assert!(images.is_empty(), "{images:?}");
            assert!(findings.contains(why) && findings.contains("team/web:1.4`"), "{findings}");
        }
        // A digest of an image that no task can pull helps nobody.
        for stored in [Stored::Gone, Stored::NoRepository, Stored::Archived, Stored::Restoring] {
            let (images, findings) = asked(&[&format!("web={}", digest('c'))], &stored);
            assert!(images.is_empty() && findings.contains("@sha256:ccc"), "{findings}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let (images, findings) =
            asked(&["envoi=1", "web=1", "web=2", "envoy=v2", "xyz=1"], &there());
        assert_eq!(images.len(), 1);
        for told in [
            "no container `envoi`",
            "did you mean `envoy`?",
            "given twice",
            "`registry:5000/envoy:v2` stands for is not known",
            "imagetools inspect registry:5000/envoy:v2",
            "there are: web, envoy, agent",
        ] {
            assert!(findings.contains(told), "{told}: {findings}");
        }
    }

    #[test]
    fn only_a_tag_or_a_digest_is_taken() {
        for wrong in [
            "web",
            "=1",
            "web=",
            "web=-1",
            "web=a b",
            "web=repository/web:1",
            "web=sha256:abc",
            "web=sha512:00",
            &format!("web=sha256:{}", "A".repeat(64)),
            &format!("web={}", "1".repeat(129)),
        ] {
            assert!(wrong.parse::<ImageOf>().is_err(), "{wrong}");
        }
        for right in
            ["web=1.4.2", "web=_x", "a-b=main-0a1b2c3", &format!("web={}", "1".repeat(128))]
        {
            assert!(right.parse::<ImageOf>().is_ok(), "{right}");
        }
    }

    #[test]
    fn sidecars_that_are_named_by_a_tag_float() {
        let mut findings = Findings::default();
        let images = BTreeMap::from([("web".to_owned(), "new".to_owned())]);
        floating(&images, &containers(), &mut findings);
        let told = findings.to_string();
        assert!(
            !findings.has_errors() && told.contains("`envoy` stays `registry:5000/envoy:v1`"),
            "{told}"
        );
        assert!(!told.contains("agent") && !told.contains("web"), "{told}");
    }
}
