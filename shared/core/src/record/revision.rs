//! How often an item of the registry was written.

use serde::{Deserialize, Serialize};

/// How often an item was written. Whoever writes an item as a whole names the revision that it
/// read, and fails if somebody wrote in between.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
