//! Columns of text.

use std::fmt::Write;

/// Rows of cells, each column as wide as its widest cell and aligned to the right.
pub fn write_rows(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let aligned = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        // Writing to a text cannot fail.
        let _written = writeln!(text, "{}", aligned.collect::<Vec<_>>().join("  "));
    }
    text
}
