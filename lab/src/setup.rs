//! What a fresh machine needs before a lab can start. Everything lands under `target/`.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::{Doing, LabError, LabResult};
use crate::paths::Paths;
use crate::process_group::ProcessGroup;
use crate::progress::{Waiting, say};

/// Prints the version if everything that is needed to make a virtual environment is there.
const PYTHON_PROBE: &str = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
const OLDEST_PYTHON: (u32, u32) = (3, 10);
const STAMP: &str = "requirements.sha256";

/// Makes everything ready: checks the machine, makes the virtual environment and builds the
/// functions. Cheap when there is nothing to do.
pub async fn prepare(paths: &Paths) -> LabResult<()> {
    let directory = paths.binaries();
    std::fs::create_dir_all(&directory).doing(format!("cannot make {}", directory.display()))?;
    // Two processes that start at once (two tests, say) would install over each other.
    let lock = lock(&directory.join("setup.lock")).await?;
    let python = find_python().await?;
    make_environment(paths, &python).await?;
    build(paths, "glidepath-functions", "Building the functions").await?;
    drop(lock);
    Ok(())
}

/// Builds the command line, for scenarios in which a person answers.
pub(crate) async fn prepare_command_line(paths: &Paths) -> LabResult<()> {
    let _lock = lock(&paths.binaries().join("setup.lock")).await?;
    build(paths, "glidepath-cli", "Building the command line").await
}

async fn lock(path: &Path) -> LabResult<File> {
    let doing = format!("cannot lock {}", path.display());
    let file = File::options().create(true).append(true).open(path).doing(&doing)?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    say("waiting for another lab that is setting up");
    let locking = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
    locking.await.doing(&doing)?.doing(&doing)
}

/// The interpreter to make the environment with.
async fn find_python() -> LabResult<String> {
    if !cfg!(target_os = "linux") {
        return Err(LabError::new(
            "the lab needs Linux (WSL will do): its tasks listen on addresses of 127.0.0.0/8",
        ));
    }
    let python = "python3".to_owned();
    let found =
        Command::new(&python).args(["-c", PYTHON_PROBE]).stdin(Stdio::null()).output().await;
    let missing = match found {
        Err(_) => "python3",
        Ok(output) if !output.status.success() => "python3-venv",
        Ok(output) if version(&output.stdout).is_some_and(|found| found >= OLDEST_PYTHON) => {
            return Ok(python);
        }
        Ok(_) => "python3 (3.10 or newer)",
    };
    Err(LabError::new(format!("missing: {missing}; install it with: {}", install_command())))
}

fn version(output: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(output).ok()?;
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The command for the package manager that this machine has.
fn install_command() -> &'static str {
    const MANAGERS: [(&str, &str); 5] = [
        ("apt-get", "sudo apt-get install -y python3 python3-venv"),
        ("dnf", "sudo dnf install -y python3"),
        ("pacman", "sudo pacman -S --noconfirm python"),
        ("zypper", "sudo zypper install -y python3"),
        ("apk", "sudo apk add python3"),
    ];
    let search = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = std::env::split_paths(&search).collect();
    let present = |program: &str| directories.iter().any(|place| place.join(program).exists());
    MANAGERS
        .into_iter()
        .find(|(manager, _)| present(manager))
        .map_or("your system's package manager (Python 3.10 or newer, with venv)", |(_, line)| line)
}

async fn make_environment(paths: &Paths, python: &str) -> LabResult<()> {
    let requirements = paths.requirements();
    let content =
        std::fs::read(&requirements).doing(format!("cannot read {}", requirements.display()))?;
    let wanted: String =
        Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let environment = paths.environment();
    let stamp = environment.join(STAMP);
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && paths.python().exists()
    {
        return Ok(());
    }
    let waiting = Waiting::new("Installing the local AWS into target/lab/venv (once)");
    if environment.exists() {
        std::fs::remove_dir_all(&environment)
            .doing(format!("cannot remove {}", environment.display()))?;
    }
    let mut create = Command::new(python);
    create.args(["-m", "venv"]).arg(&environment);
    run(create, "making the virtual environment", &waiting).await?;
    // The user's pip configuration stays in force: an index, a certificate, local wheels.
    let mut install = Command::new(paths.python());
    install
        .args([
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--no-input",
            "--progress-bar",
            "off",
            "-r",
        ])
        .arg(&requirements);
    run(install, "installing Python packages", &waiting).await.map_err(|error| {
        error.hint("the packages come from PyPI, or from where your pip configuration says; is it reachable?")
    })?;
    // Written last: an installation that was interrupted has no stamp and is made again.
    std::fs::write(&stamp, wanted).doing(format!("cannot write {}", stamp.display()))
}

async fn run(mut command: Command, doing: &str, waiting: &Waiting) -> LabResult<()> {
    const KEPT_LINES: usize = 20;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // With everything it starts: a compiler would go on after an interrupted cargo.
        .process_group(0)
        .spawn()
        .doing(doing)?;
    let mut group = ProcessGroup::led_by(child.id());
    let mut tail = std::collections::VecDeque::new();
    let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(LabError::new(format!("{doing}: no output to read")));
    };
    let (mut output, mut errors) = (BufReader::new(output).lines(), BufReader::new(errors).lines());
    let (mut output_open, mut errors_open) = (true, true);
    while output_open || errors_open {
        let line = tokio::select! {
            line = output.next_line(), if output_open => { let line = line.doing(doing)?; output_open = line.is_some(); line }
            line = errors.next_line(), if errors_open => { let line = line.doing(doing)?; errors_open = line.is_some(); line }
        };
        if let Some(line) = line {
            waiting.detail(line.trim());
            if tail.len() == KEPT_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
    let status = child.wait().await.doing(doing)?;
    group.forget();
    if status.success() {
        return Ok(());
    }
    let tail: Vec<String> = tail.into();
    Err(LabError::new(format!("{doing} failed ({status}):\n{}", tail.join("\n"))))
}

/// Builds one package, never the workspace: feature unification would bring what only the command
/// line needs into the functions.
async fn build(paths: &Paths, package: &str, doing: &str) -> LabResult<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--profile", "lab", "-p", package, "--target-dir"])
        .arg(paths.target())
        .current_dir(paths.root());
    let waiting = Waiting::new(doing);
    run(command, doing, &waiting).await
}
