//! What a fresh machine needs before a lab can start. Everything lands under `target/`.

use std::fs::File;
use std::path::{Path, PathBuf};

use glidepath_machine::PYTHON;
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::child::{self, Build};
use crate::error::{Doing, LabError, LabResult};
use crate::paths::Paths;
use crate::progress::Waiting;

const STAMP: &str = "requirements.sha256";
/// The binaries that template.yaml deploys, one for each folder of `functions/`.
const FUNCTIONS: [&str; 12] = [
    "start", "plan", "advance", "gate", "validate", "decide", "complete", "rollback", "notify",
    "page", "sweep", "drift",
];
const COMMAND_LINE: &str = "glidepath";

/// Makes everything ready: checks the machine, makes the virtual environment and builds the
/// functions. Once in a process; cheap when there is nothing to do.
pub async fn prepare(paths: &Paths) -> LabResult<()> {
    static READY: OnceCell<()> = OnceCell::const_new();
    READY.get_or_try_init(|| prepare_once(paths)).await.copied()
}

async fn prepare_once(paths: &Paths) -> LabResult<()> {
    let _lock = lock(paths).await?;
    glidepath_machine::check(paths.target()).map_err(|lacks| LabError::new(lacks.to_string()))?;
    // Installing waits for the network and building does not.
    tokio::try_join!(make_environment(paths), build_functions(paths)).map(|_| ())
}

/// Builds the command line, for scenarios in which a person answers.
pub(crate) async fn prepare_command_line(paths: &Paths) -> LabResult<()> {
    static READY: OnceCell<()> = OnceCell::const_new();
    let ready = READY.get_or_try_init(|| async {
        let _lock = lock(paths).await?;
        build(paths, &[COMMAND_LINE], "Building the command line").await
    });
    ready.await.copied()
}

/// Two processes that start at once (two labs, say) would install over each other.
async fn lock(paths: &Paths) -> LabResult<File> {
    let directory = paths.own();
    std::fs::create_dir_all(&directory).doing(format!("cannot make {}", directory.display()))?;
    let path = directory.join("setup.lock");
    let doing = format!("cannot lock {}", path.display());
    let file = File::options().create(true).append(true).open(path).doing(&doing)?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    let _waiting = Waiting::new("Waiting for another lab that is setting up");
    let locking = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
    locking.await.doing(&doing)?.doing(&doing)
}

async fn build_functions(paths: &Paths) -> LabResult<()> {
    match paths.given_functions() {
        None => build(paths, &FUNCTIONS, "Building the functions").await,
        Some(directory) => {
            let missing = FUNCTIONS.iter().find(|name| !directory.join(name).exists());
            missing.map_or(Ok(()), |name| Err(no_function(directory, name)))
        }
    }
}

fn no_function(directory: &Path, name: &str) -> LabError {
    let place = directory.display();
    LabError::new(format!("{} names {place}, where there is no `{name}`", Paths::FUNCTIONS))
        .hint("build them there (cargo build --release -p glidepath-functions), or unset it")
}

/// Builds binaries with the features of the whole workspace, as `cargo test` does: the SDK is
/// compiled once for all of them.
async fn build(paths: &Paths, binaries: &[&str], doing: &str) -> LabResult<()> {
    let mut command = Command::from(glidepath_machine::cargo());
    command.arg("build").args(binaries.iter().flat_map(|binary| ["--bin", binary]));
    command.arg("--target-dir").arg(paths.target()).current_dir(paths.root());
    // How far it is, also where nobody has a terminal.
    command.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "80");
    let waiting = Waiting::new(doing);
    let mut build = Build::default();
    child::run(command, doing, |line| build.read(line, &waiting)).await
}

async fn make_environment(paths: &Paths) -> LabResult<()> {
    let (environment, requirements) = (paths.environment(), paths.requirements());
    make(&environment, &requirements, "the local AWS", &[]).await
}

/// A virtual environment of a test's own below `target/lab`, with these packages, which are all that they need: its
/// interpreter. Made once.
pub async fn python_environment(name: &str, requirements: &Path) -> LabResult<PathBuf> {
    let paths = Paths::new();
    let _lock = lock(&paths).await?;
    let environment = paths.own().join(name);
    make(&environment, requirements, name, &["--no-deps"]).await?;
    Ok(interpreter(&environment))
}

/// Runs a program of a test's own that sets something up below `target/lab`, and says so for as long as it takes.
pub async fn set_up(doing: &str, program: Command) -> LabResult<()> {
    let _lock = lock(&Paths::new()).await?;
    let waiting = Waiting::new(doing);
    let running = child::run(program, doing, |line| {
        waiting.detail(line);
        true
    });
    running.await
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

async fn make(
    environment: &Path,
    requirements: &Path,
    what: &str,
    options: &[&str],
) -> LabResult<()> {
    let content =
        std::fs::read(requirements).doing(format!("cannot read {}", requirements.display()))?;
    let wanted: String =
        Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let stamp = environment.join(STAMP);
    let is_there = interpreter(environment).exists();
    if is_there && std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    remove(environment)?;
    let made = install(environment, requirements, what, options).await;
    // Written last: an installation that was interrupted has no stamp and is made again.
    let made = made.and_then(|()| {
        std::fs::write(&stamp, wanted).doing(format!("cannot write {}", stamp.display()))
    });
    if made.is_err() {
        // Half of it helps nobody, least of all on a full disk.
        remove(environment)?;
    }
    made
}

fn remove(environment: &Path) -> LabResult<()> {
    if !environment.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(environment).doing(format!("cannot remove {}", environment.display()))
}

async fn install(
    environment: &Path,
    requirements: &Path,
    what: &str,
    options: &[&str],
) -> LabResult<()> {
    let text = format!("Installing {what} into {} (once)", environment.display());
    let waiting = Waiting::new(&text);
    let mut create = Command::new(PYTHON);
    create.args(["-m", "venv"]).arg(environment);
    child::run(create, "making the virtual environment", |_| false).await?;
    // The user's pip configuration stays in force: an index, a certificate, local wheels. Modules
    // are compiled when they are imported: most never are.
    let mut install = Command::new(interpreter(environment));
    install.args(["-m", "pip", "install", "--require-hashes", "--no-input", "--no-compile"]);
    install.args(options);
    install.args(["--disable-pip-version-check", "--progress-bar", "off", "-r"]).arg(requirements);
    let installing = child::run(install, "installing Python packages", |line| {
        waiting.detail(line);
        true
    });
    installing.await.map_err(|error| {
        error.hint("the packages come from PyPI, or from where your pip configuration says; is it reachable?")
    })
}
