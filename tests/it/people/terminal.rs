//! What somebody sees who watches a deployment in a terminal: the real program, and a terminal that lays out what it
//! writes.

use std::num::NonZero;
use std::time::Duration;

use glidepath_lab::Person;
use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::{Instant, timeout_at};

use super::Stage;
use crate::block_on;

const LINES: u16 = 40;
const PATIENCE: Duration = Duration::from_secs(120);

/// A terminal in which `glidepath` runs.
struct Terminal {
    reads: OwnedReadPty,
    writes: OwnedWritePty,
    seen: vt100::Parser,
    child: Child,
}

impl Terminal {
    async fn running(stage: &Stage, arguments: &[&str], columns: u16) -> Self {
        let command = stage.lab.command_as(&Person::root(), arguments).await.unwrap();
        let command = command.as_std();
        let (terminal, inside) = pty_process::open().unwrap();
        terminal.resize(Size::new(LINES, columns)).unwrap();
        let mut running = pty_process::Command::new(command.get_program()).env_clear();
        for (name, value) in command.get_envs() {
            running = running.env(name, value.unwrap_or_default());
        }
        running = running.args(command.get_args()).env("TERM", "xterm-256color");
        let child = running.kill_on_drop(true).spawn(inside).unwrap();
        let (reads, writes) = terminal.into_split();
        let seen = vt100::Parser::new(some(LINES), some(columns), 200);
        Self { reads, writes, seen, child }
    }

    fn resize(&mut self, columns: u16) {
        self.writes.resize(Size::new(LINES, columns)).unwrap();
        self.seen.screen_mut().set_size(some(LINES), some(columns));
    }

    /// What it shows, as soon as that is so. Whatever it shows until then is one drawing, and not the rest of another.
    async fn until(&mut self, is: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 65_536];
        loop {
            let shown = self.shown();
            if is(&shown) {
                return shown;
            }
            let read = timeout_at(deadline, self.reads.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("not within {PATIENCE:?}:\n{shown}"));
            // A terminal whose program has ended answers with an error.
            let read = read.unwrap_or_else(|error| panic!("{error}; it shows:\n{shown}"));
            self.seen.process(&buffer[..read]);
            let shown = self.shown();
            for once in ["watch-1: ", "▸", "end it"] {
                assert!(shown.matches(once).count() <= 1, "twice `{once}`:\n{shown}");
            }
        }
    }

    fn shown(&self) -> String {
        self.seen.screen().contents()
    }
}

fn some(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

#[test]
fn whoever_watches_in_a_terminal_sees_one_drawing_in_its_place() {
    block_on(async {
        let stage = Stage::asking(json!({ "timeout": "1h" })).await;
        let root = Person::root();
        let playing = async {
            stage.runs(&root, &["start", &stage.request, "--name", "watch-1"]).await;
            let mut terminal =
                Terminal::running(&stage, &["status", "watch-1", "--watch"], 40).await;
            let asked = terminal.until(|shown| shown.contains("glidepath approve")).await;
            // Only what is to be copied is longer than the terminal is wide.
            let mut long = asked.lines().filter(|line| line.chars().count() > 40);
            assert!(long.all(|line| line.starts_with("glidepath ")), "{asked}");
            assert!(asked.contains("▸   50 %") && asked.contains("traffic    10 %"), "{asked}");

            terminal.resize(80);
            stage.runs(&root, &["approve", "watch-1", "--stage", "2"]).await;
            let half = terminal.until(|shown| shown.contains("traffic    50 %")).await;
            assert!(!half.contains("glidepath approve"), "{half}");
            stage.runs(&root, &["rollback", "watch-1", "--reason", "seen"]).await;
            let all = ["rolled back: Aborted", "✗   50 %", "traffic    0 %"];
            terminal.until(|shown| all.iter().all(|text| shown.contains(text))).await;
            assert!(terminal.child.wait().await.unwrap().success());
        };
        tokio::select! {
            () = playing => {}
            ended = stage.keep_alive() => ended.unwrap(),
        }
    });
}
