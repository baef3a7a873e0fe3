//! What the containers of a version really run: a tag may stand for another image tomorrow.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One container of a running task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageDigest {
    pub container: String,
    /// As ECS shows it: as the task definition names it, or with the digest behind that or in place of the tag.
    pub image: String,
    /// Such as `sha256:…`; `None` where ECS does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The digests of a version, in order; none if one of its containers has none, which proves nothing.
pub fn build_of(images: &BTreeSet<ImageDigest>) -> Vec<String> {
    let digests: Option<BTreeSet<_>> = images.iter().map(|image| image.digest.clone()).collect();
    digests.unwrap_or_default().into_iter().collect()
}

/// What the task definition names, under its names. ECS puts containers of its own beside them, such as
/// GuardDuty's, which change when AWS likes.
pub fn named(seen: &BTreeSet<ImageDigest>, images: &[String]) -> BTreeSet<ImageDigest> {
    let named = seen.iter().filter_map(|seen| {
        let image = images.iter().find(|image| repository(image) == repository(&seen.image))?;
        Some(ImageDigest { image: image.clone(), ..seen.clone() })
    });
    named.collect()
}

/// `registry:5000/team/app` of `registry:5000/team/app:7@sha256:…`.
pub fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    // What follows a port is no tag.
    let tag = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    tag.map_or(image, |(repository, _)| repository)
}

/// What runs in a container and never ran there when the version served, in words. `serves` is what everybody
/// meets now, `answering` the containers that requests go to; empty where nobody says which they are.
///
/// A sidecar whose tag others move is no reason to stay with what is bad: it is let pass where a container that
/// requests go to told the two versions apart, and is back. Without such a witness nobody can tell it from an
/// application behind a proxy.
pub fn strayed(
    ran: &BTreeSet<ImageDigest>,
    serves: &BTreeSet<ImageDigest>,
    now: &BTreeSet<ImageDigest>,
    answering: &BTreeSet<String>,
) -> Vec<String> {
    let of = |images: &BTreeSet<ImageDigest>, container: &str| -> BTreeSet<String> {
        let same = images.iter().filter(|image| image.container == container);
        same.filter_map(|image| image.digest.clone()).collect()
    };
    let answers = |container: &str| answering.is_empty() || answering.contains(container);
    let containers: BTreeSet<_> = ran.iter().map(|image| image.container.as_str()).collect();
    let is_back = |container: &str| {
        let (then, now) = (of(ran, container), of(now, container));
        !now.is_empty() && now.is_subset(&then)
    };
    let witness = containers.iter().any(|container| {
        answers(container) && of(ran, container) != of(serves, container) && is_back(container)
    });
    let strayed = containers.into_iter().filter_map(|container| {
        let (then, now) = (of(ran, container), of(now, container));
        let known = !then.is_empty() && !now.is_empty();
        let excused = witness && !answers(container);
        let list = |digests: BTreeSet<String>| {
            let short: Vec<_> = digests.iter().map(|digest| short_digest(digest)).collect();
            short.join(", ")
        };
        (known && !now.is_subset(&then) && !excused)
            .then(|| format!("`{container}` ran {} and runs {}", list(then), list(now)))
    });
    strayed.collect()
}

/// As much of a digest as tells one from another.
pub fn short_digest(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(container: &str, digest: Option<&str>) -> ImageDigest {
        let digest = digest.map(str::to_owned);
        ImageDigest { container: container.to_owned(), image: "r/app:latest".to_owned(), digest }
    }

    #[test]
    fn a_build_is_known_by_all_of_its_digests() {
        let whole =
            BTreeSet::from([image("web", Some("sha256:b")), image("envoy", Some("sha256:a"))]);
        assert_eq!(build_of(&whole), ["sha256:a", "sha256:b"]);
        let half = BTreeSet::from([image("web", Some("sha256:b")), image("envoy", None)]);
        assert_eq!(build_of(&half), [""; 0]);
        assert_eq!(build_of(&BTreeSet::new()), [""; 0]);
    }

    #[test]
    fn what_ecs_shows_is_known_by_its_repository() {
        let seen = |image: &str| {
            let digest = Some("sha256:a".to_owned());
            ImageDigest { container: "web".to_owned(), image: image.to_owned(), digest }
        };
        let image = "registry:5000/team/app:7".to_owned();
        for shown in [
            "registry:5000/team/app:7",
            "registry:5000/team/app:7@sha256:a",
            "registry:5000/team/app@sha256:a",
        ] {
            let found = named(&[seen(shown)].into(), std::slice::from_ref(&image));
            assert_eq!(found, [seen(&image)].into(), "{shown}");
        }
        let agent = seen("593.dkr.ecr.eu-west-1.amazonaws.com/aws-guardduty-agent-fargate:v1");
        assert_eq!(named(&[agent].into(), &[image]), BTreeSet::new());
    }

    /// Of a version with these containers, by name and digest.
    fn runs(images: &[(&str, &str)]) -> BTreeSet<ImageDigest> {
        images.iter().map(|(container, digest)| image(container, Some(digest))).collect()
    }

    #[test]
    fn a_version_is_back_where_what_told_it_apart_is() {
        let (web, agent) = ("web", "agent");
        let answering = BTreeSet::from([web.to_owned()]);
        let ran = runs(&[(web, "1"), (agent, "a")]);
        let serves = runs(&[(web, "2"), (agent, "a")]);
        for (now, stray) in [
            (vec![(web, "1"), (agent, "a")], vec![]),
            // Others have moved the sidecar's tag.
            (vec![(web, "1"), (agent, "b")], vec![]),
            // The tag of the application: to what is left, or to something else.
            (vec![(web, "2"), (agent, "a")], vec!["`web` ran 1 and runs 2"]),
            (vec![(web, "3"), (agent, "a")], vec!["`web` ran 1 and runs 3"]),
            // Of two, where ECS could not settle on one.
            (vec![(web, "1"), (web, "3")], vec!["`web` ran 1 and runs 1, 3"]),
        ] {
            assert_eq!(strayed(&ran, &serves, &runs(&now), &answering), stray, "{now:?}");
        }
        // An application behind a proxy that is the same: the proxy proves nothing.
        let ran = runs(&[(web, "proxy"), ("app", "1")]);
        let serves = runs(&[(web, "proxy"), ("app", "2")]);
        let stray = strayed(&ran, &serves, &serves, &answering);
        assert_eq!(stray, ["`app` ran 1 and runs 2"]);
        assert_eq!(strayed(&ran, &serves, &ran, &answering), [""; 0]);
        // Nobody says which containers answer: all do.
        let both = runs(&[(web, "proxy"), ("app", "2")]);
        assert_eq!(strayed(&ran, &serves, &both, &BTreeSet::new()).len(), 1);
        // Nobody has written down what it ran, or says what it runs.
        assert_eq!(strayed(&BTreeSet::new(), &serves, &both, &answering), [""; 0]);
        let silent = BTreeSet::from([image(web, None), image("app", None)]);
        assert_eq!(strayed(&ran, &serves, &silent, &answering), [""; 0]);
    }
}
