//! Programs that take a while and whose output nobody reads unless they fail.

use std::collections::VecDeque;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::error::{Doing, LabError, LabResult};
use crate::process_group::ProcessGroup;
use crate::progress::Waiting;

const KEPT_LINES: usize = 20;
const LINES_UNDER_WAY: usize = 64;
const CHUNK: usize = 4 * 1024;
/// How every program says that a disk is full.
const FULL_DISK: &str = "No space left on device";

/// Runs a program to its end. `read` gets every line, and says whether it would explain a failure.
pub(crate) async fn run(
    mut command: Command,
    doing: &str,
    mut read: impl FnMut(&str) -> bool,
) -> LabResult<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // With everything it starts: a compiler would go on after an interrupted cargo.
        .process_group(0)
        .spawn()
        .doing(doing)?;
    let mut group = ProcessGroup::led_by(child.id());
    let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(LabError::new(format!("{doing}: no output to read")));
    };
    let (sender, mut lines) = mpsc::channel(LINES_UNDER_WAY);
    let reading = async { tokio::join!(split(output, sender.clone()), split(errors, sender)) };
    let mut tail = VecDeque::new();
    let keeping = async {
        while let Some(line) = lines.recv().await {
            if read(&line) {
                if tail.len() == KEPT_LINES {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
        }
    };
    tokio::join!(reading, keeping);
    let status = child.wait().await.doing(doing)?;
    group.forget();
    if status.success() {
        return Ok(());
    }
    if tail.iter().any(|line| line.contains(FULL_DISK)) {
        return Err(LabError::new(format!("{doing} failed: the disk is full"))
            .hint("make room, or set CARGO_TARGET_DIR to a directory of another disk"));
    }
    let tail: Vec<String> = tail.into();
    Err(LabError::new(format!("{doing} failed ({status}):\n{}", tail.join("\n"))))
}

/// Sends every line. What rewrites its last line, as progress bars do, ends it with a carriage
/// return.
async fn split(mut output: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut pending = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        // An output that cannot be read any more has ended.
        let length = output.read(&mut chunk).await.unwrap_or(0);
        pending.extend_from_slice(&chunk[..length]);
        while let Some(end) = pending.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let line: Vec<u8> = pending.drain(..=end).collect();
            send(&line, &lines).await;
        }
        if length == 0 {
            send(&pending, &lines).await;
            return;
        }
    }
}

async fn send(line: &[u8], lines: &mpsc::Sender<String>) {
    let line = anstream::adapter::strip_bytes(line).into_vec();
    let line = String::from_utf8_lossy(&line);
    let line = line.trim();
    if !line.is_empty() {
        // Nobody reads any more only when the whole is given up.
        let _ = lines.send(line.to_owned()).await;
    }
}

/// What cargo says while it builds.
#[derive(Debug, Default)]
pub(crate) struct Build {
    far: String,
}

impl Build {
    /// Shows how far it is; whether the line would explain a failure.
    pub(crate) fn read(&mut self, line: &str, waiting: &Waiting) -> bool {
        match how_far(line) {
            Some(far) => {
                if self.far != far {
                    waiting.detail(&far);
                    self.far = far;
                }
                false
            }
            None => !line.starts_with("Compiling "),
        }
    }
}

/// `120 of 213` from cargo's own bar: `Building [====>   ] 120/213: aws-sdk-ecs`.
fn how_far(line: &str) -> Option<String> {
    let (done, rest) = line.strip_prefix("Building [")?.split_once("] ")?.1.split_once('/')?;
    let all: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("{} of {all} crates", done.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_bar_says_how_far_it_is() {
        let bar = "Building [======>                  ] 120/213: aws-sdk-ecs, ring";
        assert_eq!(how_far(bar).as_deref(), Some("120 of 213 crates"));
        assert_eq!(how_far("Compiling ring v0.17.14"), None);
        assert_eq!(how_far("error: could not compile `x`"), None);
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn lines_come_from_both_outputs_and_end_with_carriage_returns_too() {
        let mut lines = Vec::new();
        let script = r"printf 'one\rtwo\n'; printf '\033[31mthree\033[0m' >&2";
        let ran = run(shell(script), "trying", |line| {
            lines.push(line.to_owned());
            true
        });
        ran.await.unwrap();
        lines.sort_unstable();
        assert_eq!(lines, ["one", "three", "two"]);
    }

    #[tokio::test]
    async fn a_failure_says_what_was_printed_last_and_a_full_disk_in_one_line() {
        let failed = run(shell("echo because; exit 3"), "trying", |_| true).await.unwrap_err();
        assert_eq!(failed.to_string(), "trying failed (exit status: 3):\nbecause");
        let script = "echo 'error: No space left on device (os error 28)'; echo more; exit 1";
        let full = run(shell(script), "trying", |_| true).await.unwrap_err().to_string();
        assert!(full.starts_with("trying failed: the disk is full\nhint: "), "{full}");
    }
}
