//! What a deployment's requests said, minute by minute, for a person: as text, as a drawing, and on the page on which
//! people decide. Pure: what is shown depends on nothing but records, cells and the clock that is handed in.

mod counted;
mod drawing;
mod of_deployment;
pub mod page;
mod sparkline;
mod table;
mod text;
mod words;

pub use counted::{
    Because, End, Report, Row, StageName, Times, first_failing, interval, rows, total, total_of,
};
pub use drawing::drawing;
pub use of_deployment::report;
pub use table::write_rows;
pub use text::by_stage;
pub use words::percent;

#[cfg(test)]
mod tests;
