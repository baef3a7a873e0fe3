//! Lines of cells under their titles.

use std::fmt::Write;

use anstyle::Style;

use super::STRONG;

/// A text and how it is shown.
pub(super) type Cell = (String, Style);

/// As wide as its widest cells; nothing where there are no rows.
pub(super) fn table<const COLUMNS: usize>(
    titles: [&str; COLUMNS],
    rows: &[[Cell; COLUMNS]],
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].0.chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or_default()
    });
    let mut text = String::new();
    for (column, title) in titles.iter().enumerate() {
        push(&mut text, title, STRONG, (column + 1 < COLUMNS).then_some(widths[column]));
    }
    for row in rows {
        text.push('\n');
        for (column, (cell, style)) in row.iter().enumerate() {
            push(&mut text, cell, *style, (column + 1 < COLUMNS).then_some(widths[column]));
        }
    }
    text.push('\n');
    text
}

/// Nothing follows the last cell of a line.
fn push(text: &mut String, cell: &str, style: Style, width: Option<usize>) {
    let padding = width.map_or(0, |width| width - cell.chars().count() + 2);
    // Writing to a text cannot fail.
    let _written = write!(text, "{style}{cell}{style:#}{:padding$}", "");
}

/// The beginning, with an ellipsis where something is left out.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(longest - 1).collect();
    format!("{}…", beginning.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(56), 56).chars().count(), 56);
        let cut = shortened(&"é".repeat(57), 56);
        assert_eq!(cut.chars().count(), 56);
        assert!(cut.ends_with('…'));
    }
}
