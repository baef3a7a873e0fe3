//! What a person who waits sees, on standard error: standard output belongs to the results.

use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

const DIM: Style = AnsiColor::BrightBlack.on_default();

/// Writes one line.
pub fn say(text: impl std::fmt::Display) {
    // Nobody to tell is no reason to stop.
    let _ = writeln!(anstream::stderr(), "{DIM}lab:{DIM:#} {text}");
}

/// A line that moves while something takes time; gone when dropped.
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    /// Says what is being waited for. Without a terminal it is one plain line.
    pub(crate) fn new(text: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if bar.is_hidden() {
            say(text);
        }
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// The newest detail.
    pub(crate) fn detail(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
