//! A browser from packages of npm and PyPI, for a machine that has none.

use std::path::PathBuf;

use glidepath_lab::{LabError, LabResult, python_environment, say, set_up};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::page::tools::own;

/// A driver and its browser, set up once in a process. `None`: it cannot be, and why is said.
pub(super) async fn programs() -> Option<(PathBuf, PathBuf)> {
    static READY: OnceCell<Option<(PathBuf, PathBuf)>> = OnceCell::const_new();
    let ready = READY.get_or_init(|| async {
        let told = |error: LabError| {
            // It ends with its reason, or with what to do.
            let error = error.to_string();
            say(format!("no browser from packages: {}", error.lines().last().unwrap_or(&error)));
        };
        unpacked().await.map_err(told).ok()
    });
    ready.await.clone()
}

async fn unpacked() -> LabResult<(PathBuf, PathBuf)> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(LabError::new("they have one for Linux on x86-64 only"));
    }
    let python = python_environment("browser", &own("browser/requirements.txt")).await?;
    let home = python.ancestors().nth(2).unwrap().join("chromium");
    let doing = format!("Preparing a browser in {} (70 MB the first time)", home.display());
    let mut unpack = Command::new(python);
    unpack.arg(own("browser/packages.py")).arg(&home);
    set_up(&doing, unpack).await?;
    Ok((home.join("chromedriver"), home.join("chromium")))
}
