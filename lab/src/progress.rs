//! What a person who waits sees, on standard error: standard output belongs to the results.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::error::{Doing, LabResult};

const DIM: Style = AnsiColor::BrightBlack.on_default();
/// Without a terminal, whatever takes longer says so again and again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Writes one line.
pub fn say(text: impl std::fmt::Display) {
    // Nobody to tell is no reason to stop.
    let _ = writeln!(anstream::stderr(), "{DIM}lab:{DIM:#} {text}");
}

/// The one place that writes results.
pub fn print(line: &str) -> LabResult<()> {
    writeln!(anstream::stdout(), "{line}").doing("writing to standard output")
}

/// A line that moves while something takes time; gone when dropped.
pub(crate) struct Waiting {
    bar: ProgressBar,
    detail: Arc<Mutex<String>>,
    /// Writes lines where no terminal shows the bar.
    telling: Option<JoinHandle<()>>,
}

impl Waiting {
    /// Says what is being waited for. Without a terminal it is a plain line, and another every ten
    /// seconds.
    pub(crate) fn new(text: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        let detail = Arc::default();
        let telling = bar.is_hidden().then(|| {
            say(text);
            tokio::spawn(keep_telling(text.to_owned(), Arc::clone(&detail)))
        });
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, detail, telling }
    }

    /// The newest detail.
    pub(crate) fn detail(&self, text: &str) {
        text.clone_into(&mut self.detail.lock().unwrap_or_else(PoisonError::into_inner));
        self.bar.set_message(text.to_owned());
    }
}

async fn keep_telling(text: String, detail: Arc<Mutex<String>>) {
    let begun = Instant::now();
    loop {
        sleep(SIGN_OF_LIFE).await;
        let seconds = begun.elapsed().as_secs();
        let detail = detail.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        say(format_args!("{text} ({seconds} s){detail}"));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(telling) = &self.telling {
            telling.abort();
        }
        self.bar.finish_and_clear();
    }
}
