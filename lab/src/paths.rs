//! Where things are.

use std::path::{Path, PathBuf};

/// Directories and files of the checkout that the lab works on.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
    target: PathBuf,
    functions: Option<PathBuf>,
}

impl Paths {
    /// The checkout that this crate was built from.
    pub fn new() -> Self {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = lab.parent().unwrap_or(lab).to_path_buf();
        // Relative to where the lab is called, as cargo reads its own.
        let given = |name: &str| {
            let directory = std::env::var_os(name).filter(|directory| !directory.is_empty())?;
            Some(std::path::absolute(&directory).unwrap_or(directory.into()))
        };
        let target = given("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
        Self { root, target, functions: given(Self::FUNCTIONS) }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Names a directory of functions that are built already: those that ship, for example.
    pub const FUNCTIONS: &str = "GLIDEPATH_FUNCTIONS";

    /// Where the lab puts its own things.
    pub fn own(&self) -> PathBuf {
        self.target.join("lab")
    }

    /// Where cargo puts what it builds for the lab.
    fn built(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// The functions that somebody else has built, if the environment names them.
    pub(crate) fn given_functions(&self) -> Option<&Path> {
        self.functions.as_deref()
    }

    pub fn functions(&self) -> PathBuf {
        self.functions.clone().unwrap_or_else(|| self.built())
    }

    pub fn command_line(&self) -> PathBuf {
        self.built().join("glidepath")
    }

    /// The private virtual environment.
    pub fn environment(&self) -> PathBuf {
        self.own().join("venv")
    }

    /// The environment's interpreter.
    pub fn python(&self) -> PathBuf {
        self.environment().join("bin/python")
    }

    /// What the environment holds.
    pub fn requirements(&self) -> PathBuf {
        self.root.join("lab/local_aws/requirements.txt")
    }

    /// Parent of the Python package `local_aws`.
    pub fn python_path(&self) -> PathBuf {
        self.root.join("lab")
    }

    pub fn example_application(&self) -> PathBuf {
        self.root.join("lab/example/app.py")
    }

    pub fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// Data directories of running labs.
    pub fn runs(&self) -> PathBuf {
        self.own().join("runs")
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}
