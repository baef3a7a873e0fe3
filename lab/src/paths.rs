//! Where things are.

use std::path::{Path, PathBuf};

/// Directories and files of the checkout that the lab works on.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
    target: PathBuf,
}

impl Paths {
    /// The checkout that this crate was built from.
    pub fn new() -> Self {
        let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = lab.parent().unwrap_or(lab).to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            // Cargo reads it relative to where it is called.
            Some(directory) => std::path::absolute(&directory).unwrap_or(directory.into()),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// The checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where cargo puts the binaries of the profile `lab`, and the lab its own things.
    pub fn binaries(&self) -> PathBuf {
        self.target.join("lab")
    }

    /// The private virtual environment.
    pub fn environment(&self) -> PathBuf {
        self.binaries().join("venv")
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

    /// The example application.
    pub fn example_application(&self) -> PathBuf {
        self.root.join("lab/example/app.py")
    }

    /// The project's template.
    pub fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// Data directories of running labs.
    pub fn runs(&self) -> PathBuf {
        self.binaries().join("runs")
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}
