//! Images in private repositories of Amazon ECR, as task definitions name them and as their repositories
//! have them.

/// The image of a container, as its task definition names both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerImage {
    pub container: String,
    pub image: String,
    /// Whether the others go on without it (`essential: false`).
    pub optional: bool,
}

/// An image in a private repository of Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrivateImage {
    pub repository: PrivateRepository,
    pub which: Which,
}

/// A private repository of Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrivateRepository {
    pub account: String,
    pub region: String,
    pub name: String,
}

/// One image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    Tag(String),
    /// Such as `sha256:…`. A tag beside it counts for nothing: what is pulled is what the digest says.
    Digest(String),
}

/// What a repository says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    There {
        digest: String,
        /// Whether it is an index of images for several platforms; `None`: the repository does not say.
        index: Option<bool>,
    },
    /// It is kept where nobody can pull it.
    Archived,
    /// It comes back from the archive, and cannot be pulled yet.
    Restoring,
    Gone,
    NoRepository,
    /// A pull-through cache lacks it, and may get it with the first pull.
    Cacheable,
    /// The caller may not see it.
    Denied,
    /// Why nobody knows.
    Unseen(String),
}

/// How the hosts of private registries end, by partition and by kind of endpoint.
const SUFFIXES: [&str; 5] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    // The endpoints for IPv6.
    "on.aws",
    "on.amazonwebservices.com.cn",
];

impl PrivateImage {
    /// The image of this name; `None`: it is in no private repository of ECR.
    pub fn of(image: &str) -> Option<Self> {
        let (host, path) = image.split_once('/')?;
        let (account, rest) = host.split_once('.')?;
        if account.len() != 12 || !account.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // `dkr.ecr`, `dkr.ecr-fips`, `dkr-ecr` and `dkr-ecr-fips`.
        let rest = rest.strip_prefix("dkr.ecr").or_else(|| rest.strip_prefix("dkr-ecr"))?;
        let rest = rest.strip_prefix("-fips").unwrap_or(rest).strip_prefix('.')?;
        let (region, suffix) = rest.split_once('.')?;
        if region.is_empty() || !SUFFIXES.contains(&suffix) {
            return None;
        }
        let (named, digest) = match path.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (path, None),
        };
        let (name, tag) = named.rsplit_once(':').unwrap_or((named, "latest"));
        let repository = PrivateRepository {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        };
        let which = match digest {
            Some(digest) => Which::Digest(digest.to_owned()),
            None => Which::Tag(tag.to_owned()),
        };
        Some(Self { repository, which })
    }

    /// What the same repository has under this digest.
    pub fn by_digest(&self, digest: &str) -> Self {
        let which = Which::Digest(digest.to_owned());
        Self { repository: self.repository.clone(), which }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACCOUNT: &str = "123456789012";

    fn image(region: &str, name: &str, which: Which) -> PrivateImage {
        let (account, region) = (ACCOUNT.to_owned(), region.to_owned());
        PrivateImage {
            repository: PrivateRepository { account, region, name: name.to_owned() },
            which,
        }
    }

    proptest! {
        /// However a task definition writes it: host, repository, tag and digest are told apart.
        #[test]
        fn an_image_is_known_by_its_parts(
            host in prop::sample::select(vec![
                ("dkr.ecr.", ".amazonaws.com"), ("dkr.ecr.", ".amazonaws.com.cn"),
                ("dkr.ecr.", ".amazonaws.eu"), ("dkr.ecr-fips.", ".amazonaws.com"),
                ("dkr-ecr.", ".on.aws"), ("dkr-ecr-fips.", ".on.aws"),
                ("dkr-ecr.", ".on.amazonwebservices.com.cn"),
            ]),
            region in "[a-z]{2}(-gov)?-[a-z]{4,9}-[1-9]",
            name in "[a-z0-9]{2,8}([._/-][a-z0-9]{1,8}){0,3}",
            tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,20}"),
            digest in prop::option::of("sha256:[0-9a-f]{64}"),
        ) {
            let (before, after) = host;
            let mut text = format!("{ACCOUNT}.{before}{region}{after}/{name}");
            if let Some(tag) = &tag {
                text = format!("{text}:{tag}");
            }
            if let Some(digest) = &digest {
                text = format!("{text}@{digest}");
            }
            let which = digest.map_or_else(
                || Which::Tag(tag.unwrap_or_else(|| "latest".to_owned())),
                Which::Digest,
            );
            prop_assert_eq!(PrivateImage::of(&text), Some(image(&region, &name, which)));
        }
    }

    #[test]
    fn what_is_elsewhere_is_none() {
        for elsewhere in [
            "nginx",
            "library/nginx:1.27",
            "public.ecr.aws/nginx/nginx:1.27",
            "registry:5000/team/app:7",
            "repository/app:0a1b2c3",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com/app:7",
            "1234567890ab.dkr.ecr.eu-west-1.amazonaws.com/app:7",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil/app:7",
            "123456789012.dkr.ecr..amazonaws.com/app:7",
            "123456789012.s3.eu-west-1.amazonaws.com/app:7",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(PrivateImage::of(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn the_same_repository_may_have_it_under_a_digest() {
        let tagged = image("eu-west-1", "team/app", Which::Tag("7".to_owned()));
        let pinned = image("eu-west-1", "team/app", Which::Digest("sha256:a".to_owned()));
        assert_eq!(tagged.by_digest("sha256:a"), pinned);
    }
}
