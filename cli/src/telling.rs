//! What is seen of a deployment, and somebody who is told of it while following.

use glidepath_core::record::{Deployment, Notice};
use glidepath_core::time::{Span, Timestamp};

use crate::ended::Ended;
use crate::live::Live;

/// A gap in the answers that somebody who follows should know of.
pub(crate) const SILENCE: Span = Span::from_secs(20);

/// What one look has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// `None`: it is being planned.
    pub(crate) deployment: Option<&'a Deployment>,
    /// What has been added to its timeline since the look before.
    pub(crate) new: &'a [Notice],
    /// Of whoever wants it the newest.
    pub(crate) live: &'a Live,
    pub(crate) now: Timestamp,
}

/// Somebody who is told.
pub(crate) trait Telling {
    /// Whether requests, weights and tasks are wanted, which cost further calls.
    fn wants_live(&self) -> bool;

    fn seen(&mut self, seen: &Seen<'_>) -> std::io::Result<()>;

    /// AWS has not answered for so long, and perhaps why.
    fn silent(&mut self, silence: Span, why: Option<&str>) -> std::io::Result<()>;

    /// It goes on although its execution has ended, in words.
    fn orphaned(&mut self, words: &str) -> std::io::Result<()>;

    /// It never began, and nothing else will be seen.
    fn refused(&mut self, ended: &Ended) -> std::io::Result<()>;
}

pub(crate) fn no_answer(silence: Span, why: Option<&str>) -> String {
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("no answer from AWS for {silence}, trying on{why}")
}
