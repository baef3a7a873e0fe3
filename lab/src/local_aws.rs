//! One running local AWS: a process, its data directory, and how to reach it.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::error::{Doing, LabError, LabResult};
use crate::paths::Paths;
use crate::process_group::ProcessGroup;
use crate::scenario::AwsSettings;

/// Region of every lab.
pub const REGION: &str = "eu-west-1";
/// Account of every lab.
pub const ACCOUNT: &str = "111122223333";
/// Key and secret of the lab's root user, who may do everything.
pub const ROOT_KEY: &str = "test";

const START_LIMIT: Duration = Duration::from_secs(300);
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How the server begins what it says to whoever started it.
const SAYS: &str = "local_aws: ";
const ALARM_TICK_SECONDS: &str = "0.5";
/// As long as the periods of all metrics: a service that scales itself does so within a scenario.
const SCALING_MINUTE_SECONDS: &str = "1";

/// A running local AWS. Dropping it ends it with everything it started, and removes its data.
pub struct LocalAws {
    // Dropped in this order: the process must be gone before its directory goes.
    process: Server,
    directory: RunDirectory,
    endpoint: String,
}

#[derive(Deserialize)]
struct Announcement {
    endpoint: String,
}

impl LocalAws {
    /// Starts one and waits until it answers.
    pub async fn start(paths: &Paths, settings: &AwsSettings) -> LabResult<Self> {
        let directory = RunDirectory::create(&paths.runs())?;
        let images = directory.path().join("images.json");
        let application = json!({ "example": [paths.python(), paths.example_application()] });
        std::fs::write(&images, application.to_string())
            .doing("cannot write the list of images")?;
        let mut command = command(paths, &directory, &images, settings)?;
        let mut child = command.spawn().doing("cannot start the local AWS")?;
        let output = child.stdout.take();
        let process = Server { child };
        let Some(output) = output else {
            return Err(LabError::new("the local AWS has no output to read"));
        };
        let output = tokio::process::ChildStdout::from_std(output)
            .doing("cannot read from the local AWS")?;
        let mut line = String::new();
        let mut reader = BufReader::new(output);
        let read = tokio::time::timeout(START_LIMIT, reader.read_line(&mut line)).await;
        let announcement: Option<Announcement> = match read {
            Ok(Ok(_)) => serde_json::from_str(&line).ok(),
            Ok(Err(_)) | Err(_) => None,
        };
        let Some(Announcement { endpoint }) = announcement else {
            return Err(directory.why_nothing_started());
        };
        Ok(Self { process, directory, endpoint })
    }

    /// Its base URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The file that all its events go to.
    pub fn journal(&self) -> PathBuf {
        self.directory.path().join("journal.jsonl")
    }

    /// The file that says how versions behave.
    pub fn behaviours(&self) -> PathBuf {
        self.directory.path().join("behaviours.json")
    }

    /// Everything it writes.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Why it is no longer there, if it ended by itself.
    pub fn ended(&mut self) -> Option<LabError> {
        match self.process.child.try_wait() {
            Ok(Some(status)) => Some(LabError::new(format!(
                "the local AWS ended ({status})\n{}",
                self.directory.tails()
            ))),
            Ok(None) | Err(_) => None,
        }
    }

    /// Copies its logs and the journal.
    pub fn keep_logs(&self, into: &Path) -> LabResult<()> {
        std::fs::create_dir_all(into).doing(format!("cannot make {}", into.display()))?;
        for name in ["server.log", "server.errors", "journal.jsonl"] {
            let from = self.directory.path().join(name);
            if from.exists() {
                std::fs::copy(&from, into.join(name)).doing(format!("cannot keep {name}"))?;
            }
        }
        Ok(())
    }
}

fn command(
    paths: &Paths,
    directory: &RunDirectory,
    images: &Path,
    settings: &AwsSettings,
) -> LabResult<Command> {
    let data = directory.path();
    let errors = File::create(data.join("server.errors")).doing("cannot write the server's log")?;
    let mut command = Command::new(paths.python());
    command
        .args(["-m", "local_aws", "--port", "0", "--region", REGION, "--account", ACCOUNT])
        .args(["--alarm-tick", ALARM_TICK_SECONDS])
        .args(["--scaling-minute", SCALING_MINUTE_SECONDS])
        .args(["--routing-delay", &settings.routing_delay.duration().as_secs_f64().to_string()])
        // As when tests end: labs that wait for the next scenario are dropped by nobody.
        .args(["--remove-orphaned-data", "--data-dir"])
        .arg(data)
        .arg("--journal")
        .arg(data.join("journal.jsonl"))
        .arg("--behaviours")
        .arg(data.join("behaviours.json"))
        .arg("--images")
        .arg(images);
    if settings.elb_throttling {
        command.arg("--elb-throttling");
    }
    if let Some(seed) = settings.order_seed {
        command.args(["--order-seed", &seed.to_string()]);
    }
    for (option, length) in [
        ("--sub-minute-retention", settings.sub_minute_retention),
        ("--service-deployment-retention", settings.service_deployment_retention),
        ("--execution-name-retention", settings.execution_name_retention),
    ] {
        if let Some(length) = length {
            command.args([option, &length.duration().as_secs_f64().to_string()]);
        }
    }
    command
        // Credentials and settings of the person at the keyboard have no business in the lab.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", data)
        .env("LANG", "C.UTF-8")
        .env("PYTHONPATH", paths.python_path())
        .env("PYTHONPYCACHEPREFIX", paths.own().join("pycache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        // A group of its own: Ctrl-C is for the runner, which ends the lab in good order.
        .process_group(0);
    Ok(command)
}

struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let mut group = ProcessGroup::led_by(Some(self.child.id()));
        // Its supervisor ends everything that the server started. If this process is killed instead
        // of dropping, the supervisor notices that too.
        group.terminate();
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                group.forget();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(group);
        let _ = self.child.wait();
    }
}

/// A directory that goes with its lab. If the runner ends without dropping it, the local AWS removes
/// it, and if both are killed, the next lab.
struct RunDirectory {
    path: PathBuf,
    // Held as long as the directory is in use.
    _lock: File,
}

impl RunDirectory {
    fn create(parent: &Path) -> LabResult<Self> {
        let doing = format!("cannot make a directory in {}", parent.display());
        std::fs::create_dir_all(parent).doing(&doing)?;
        let entrance = lock_file(&parent.join("lock")).doing(&doing)?;
        entrance.lock().doing(&doing)?;
        remove_abandoned(parent);
        let path = tempfile::Builder::new().prefix("lab-").tempdir_in(parent).doing(&doing)?.keep();
        let lock = lock_file(&path.join("lock")).doing(&doing)?;
        lock.lock().doing(&doing)?;
        Ok(Self { path, _lock: lock })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// What the server itself said in one line, if it refused to start; all that it wrote otherwise.
    fn why_nothing_started(&self) -> LabError {
        let errors = tail(&self.path.join("server.errors"));
        match errors.strip_prefix(SAYS).filter(|refusal| !refusal.contains('\n')) {
            Some(refusal) => LabError::new(format!("the local AWS cannot start: {refusal}")),
            None => LabError::new(format!("the local AWS did not start\n{}", self.tails())),
        }
    }

    /// The ends of its logs.
    fn tails(&self) -> String {
        ["server.errors", "server.log"].map(|name| tail(&self.path.join(name))).join("\n")
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn lock_file(path: &Path) -> std::io::Result<File> {
    File::options().create(true).append(true).open(path)
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for directory in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let abandoned =
            lock_file(&directory.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}

fn tail(path: &Path) -> String {
    const KEPT: usize = 3_000;
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        let _ = file.read_to_string(&mut text);
    }
    let start = text.char_indices().rev().nth(KEPT).map_or(0, |(index, _)| index);
    text[start..].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(errors: &str) -> String {
        let parent = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(parent.path()).unwrap();
        std::fs::write(directory.path().join("server.errors"), errors).unwrap();
        directory.why_nothing_started().to_string()
    }

    #[test]
    fn a_server_that_refuses_to_start_is_quoted_in_one_line_and_a_broken_one_in_full() {
        let refusal = "local_aws: every loopback block is taken; end the other labs\n";
        let told = "the local AWS cannot start: every loopback block is taken; end the other labs";
        assert_eq!(why(refusal), told);
        let broken = why("Traceback (most recent call last):\n  ...\nValueError: no\n");
        assert!(broken.starts_with("the local AWS did not start\nTraceback"), "{broken}");
    }
}
