//! Deployments in words, for a person under stress and for programs. Pure: what is shown depends on
//! nothing but the arguments. No text and no JSON ever holds a task token.

mod detail;
mod doctor;
mod history;
mod moment;
mod overview;
mod state;
mod table;
mod timeline;
mod tree;
mod view;

use anstyle::{AnsiColor, Style};

pub(crate) use detail::{detail, failure};
pub(crate) use doctor::{rows, rows_as_json};
pub(crate) use history::{Entry, history};
pub(crate) use overview::overview;
pub(crate) use state::{Doing, waits_for_a_person, words};
pub(crate) use timeline::followed;
pub(crate) use tree::{Size, Tree, height, tree};
pub(crate) use view::{View, frozen_view};

/// Of headings and of what is named.
const STRONG: Style = Style::new().bold();

/// Of what only helps to read the rest.
const FAINT: Style = Style::new().dimmed();

/// How a state is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It goes as planned.
    Plain,
    /// It has gone well.
    Good,
    /// It waits for something or somebody.
    Waiting,
    /// It went wrong.
    Bad,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Waiting => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}
