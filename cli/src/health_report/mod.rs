//! What happened to a canary, minute by minute, for a person: as text and as a drawing. Pure: what
//! is shown depends on nothing but the cells and what is known of the stages.

mod counted;
mod drawing;
mod sparkline;
mod table;
mod text;
mod words;

use std::path::Path;

pub(crate) use counted::{
    Because, End, Report, Row, StageName, Times, first_failing, interval, rows, total, total_of,
};
pub(crate) use table::write_rows;
pub(crate) use text::by_stage;
pub(crate) use words::percent;

use crate::stopped::Stopped;

pub(crate) fn write_drawing(report: &Report, file: &Path) -> Result<(), Stopped> {
    let drawn = drawing::drawing(report)?;
    std::fs::write(file, drawn).map_err(|error| Stopped::Unusable {
        message: format!("cannot write `{}`: {error}", file.display()),
        hint: "--svg takes the name of a file in a directory that exists".to_owned(),
    })
}

#[cfg(test)]
mod tests;
