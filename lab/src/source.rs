//! The versions of the product that a lab deploys.

use std::path::{Path, PathBuf};

use crate::paths::Paths;

/// What a stack is deployed from: a template with the definition that it names, and built functions.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub template: PathBuf,
    pub functions: PathBuf,
}

impl Source {
    /// This checkout.
    fn own(paths: &Paths) -> Self {
        Self { template: paths.template(), functions: paths.functions() }
    }

    /// Another commit, as `.ci/upgrade-from` lays it out.
    fn elsewhere(directory: &Path) -> Self {
        let template = directory.join("source/template.yaml");
        Self { template, functions: directory.join("functions") }
    }
}

/// Which version a lab begins with, and which one an update of the stack brings.
#[derive(Clone, Debug, Default)]
pub enum Upgrade {
    /// Both are made of this checkout: all code is other code, and does the same.
    #[default]
    Within,
    /// From the version in a directory to this checkout.
    From(PathBuf),
    /// From this checkout to the version in a directory: an update that is taken back.
    To(PathBuf),
}

impl Upgrade {
    pub(crate) fn begin(&self, paths: &Paths) -> Source {
        match self {
            Self::Within | Self::To(_) => Source::own(paths),
            Self::From(directory) => Source::elsewhere(directory),
        }
    }

    pub(crate) fn end(&self, paths: &Paths) -> Source {
        match self {
            Self::Within | Self::From(_) => Source::own(paths),
            Self::To(directory) => Source::elsewhere(directory),
        }
    }
}
