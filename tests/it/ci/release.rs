//! A release as the workflow makes it, and a server that has it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use super::runners::{Environment, Job, repository, run, yaml};

pub(super) const REPOSITORY: &str = "acme/glidepath";
pub(super) const VERSION: &str = "v1.2.3";
pub(super) const ARCHIVE: &str = "glidepath-linux-x86_64.tar.gz";

/// Files of one release, at an address until the tests end.
pub(super) struct Release {
    pub(super) files: PathBuf,
    /// In place of `https://github.com`.
    pub(super) server: String,
}

impl Release {
    /// Packs this command line and writes the sums by the workflow's own steps.
    pub(super) async fn of(command_line: &Path, directory: &Path) -> Self {
        let job =
            Job::new(directory, &[("GITHUB_REF_NAME", VERSION), ("GITHUB_REPOSITORY", REPOSITORY)]);
        let built = job.workspace.join("target/release");
        std::fs::create_dir_all(&built).unwrap();
        std::os::unix::fs::symlink(command_line, built.join("glidepath")).unwrap();
        std::fs::copy(repository().join("LICENSE"), job.workspace.join("LICENSE")).unwrap();
        let packs = BTreeMap::from([("NAME".to_owned(), ARCHIVE.replace(".tar.gz", ""))]);
        step(&job, "command-line", "Pack", &packs).await;
        let files = job.workspace.join("files");
        std::fs::create_dir(&files).unwrap();
        std::fs::rename(job.workspace.join(ARCHIVE), files.join(ARCHIVE)).unwrap();
        // Nobody uploads anything here.
        std::os::unix::fs::symlink("/bin/true", built.join("gh")).unwrap();
        let path = format!("{}:{}", built.display(), job.environment["PATH"]);
        let drafts = BTreeMap::from([("PATH".to_owned(), path)]);
        step(&job, "release", "A draft with sums", &drafts).await;
        let server = serve(files.clone());
        Self { files, server }
    }

    /// What is before version and file in an address.
    pub(super) fn downloads(&self) -> String {
        format!("{}/{REPOSITORY}/releases/download", self.server)
    }

    /// The sum of the archive, as the release says it.
    pub(super) fn sum(&self) -> String {
        let sums = std::fs::read_to_string(self.files.join("SHA256SUMS")).unwrap();
        sums.lines().find_map(|line| line.strip_suffix(&format!("  {ARCHIVE}"))).unwrap().to_owned()
    }
}

/// Plays one step of the release workflow.
async fn step(job: &Job, of: &str, name: &str, environment: &Environment) {
    let workflow = yaml(".github/workflows/release.yml");
    let steps = workflow["jobs"][of]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    let ran = run(job, &["bash", "-e"], step["run"].as_str().unwrap(), environment).await;
    assert_eq!(ran.code, 0, "{}", ran.log);
}

fn serve(files: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // Whoever asks may go before the answer.
        for stream in listener.incoming().flatten() {
            answer(stream, &files).ok();
        }
    });
    server
}

fn answer(mut stream: TcpStream, files: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    // The whole request: a connection that is closed on what nobody has read is reset.
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let prefix = format!("GET /{REPOSITORY}/releases/download/{VERSION}/");
    let file = asked.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let body = file.and_then(|file| std::fs::read(files.join(file)).ok());
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}
