//! Signs of life while the checks run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

/// Time between two signs of life.
const INTERVAL: Duration = Duration::from_secs(10);

/// Which checks still run.
pub(super) struct Progress {
    begun: Instant,
    running: RefCell<BTreeSet<&'static str>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        say("looking at the account; this takes up to two minutes");
        Self { begun: Instant::now(), running: RefCell::default() }
    }

    /// A check under a name that is shown while it runs.
    pub(super) async fn watch<Answer>(
        &self,
        name: &'static str,
        check: impl Future<Output = Answer>,
    ) -> Answer {
        self.running.borrow_mut().insert(name);
        let answer = check.await;
        self.running.borrow_mut().remove(name);
        answer
    }

    /// Tells what still runs, again and again.
    pub(super) async fn tell(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let running: Vec<_> = self.running.borrow().iter().copied().collect();
            let seconds = self.begun.elapsed().as_secs();
            say(&format!("still at it after {seconds} s: {}", running.join(", ")));
        }
    }
}

fn say(what: &str) {
    // A sign of life that nobody can be shown is none, and no reason to stop.
    let _shown = writeln!(anstream::stderr().lock(), "doctor: {what}");
}
