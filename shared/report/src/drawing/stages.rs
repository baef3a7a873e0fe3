//! Where stages begin, above the panels: as many labels as there is room for.

use super::page::width;

/// Rows of labels that may stand above one another.
const MOST_ROWS: usize = 3;

/// A label and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// The left end, in pixels.
    pub(super) x: f64,
    /// 0 is the lowest row.
    pub(super) row: usize,
    pub(super) text: String,
}

/// Places labels that begin at their stage: the longer form where it has room before the next stage,
/// or else the shorter one, in the lowest row where nothing is in the way. Long stages choose first.
/// What has no room at all is left out; its line stays.
pub(super) fn place(stages: &[(f64, [String; 2])], size: f64, end: f64) -> Vec<Placed> {
    let room = |number: usize, x: f64| stages.get(number + 1).map_or(end, |(next, _)| *next) - x;
    let mut by_room: Vec<_> = stages
        .iter()
        .enumerate()
        .map(|(number, (x, forms))| (room(number, *x), *x, forms))
        .collect();
    by_room.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    let gap = size * 0.6;
    let mut placed: Vec<Placed> = Vec::new();
    for (room, x, [long, short]) in by_room {
        let text = if width(long, size) + gap <= room { long } else { short };
        // What would reach beyond the edge ends there.
        let x = x.min(end - width(text, size)).max(0.0);
        let right = |label: &Placed| label.x + width(&label.text, size) + gap;
        let until = x + width(text, size) + gap;
        let covers = |label: &Placed| x < right(label) && label.x < until;
        let free = |row: &usize| !placed.iter().any(|label| label.row == *row && covers(label));
        if let Some(row) = (0..MOST_ROWS).find(free) {
            placed.push(Placed { x, row, text: text.clone() });
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(x: f64, number: usize) -> (f64, [String; 2]) {
        (x, [format!("stage {number}: 25 %"), "25 %".to_owned()])
    }

    #[test]
    fn labels_never_cover_one_another() {
        let wide: Vec<_> = (0..4).map(|number| stage(number as f64 * 200.0, number)).collect();
        assert!(place(&wide, 12.0, 800.0).iter().all(|placed| placed.row == 0));
        let narrow: Vec<_> = (0..40).map(|number| stage(number as f64 * 6.0, number)).collect();
        let placed = place(&narrow, 12.0, 640.0);
        assert!(placed.len() < narrow.len());
        for (number, one) in placed.iter().enumerate() {
            for other in placed.iter().skip(number + 1).filter(|other| other.row == one.row) {
                let (left, right) = if one.x < other.x { (one, other) } else { (other, one) };
                assert!(left.x + width(&left.text, 12.0) <= right.x, "{one:?} {other:?}");
            }
        }
        let long_after_short = [stage(0.0, 0), stage(5.0, 1), stage(10.0, 2), stage(15.0, 3)];
        let placed = place(&long_after_short, 12.0, 640.0);
        assert!(placed.iter().any(|placed| placed.text == "stage 3: 25 %"), "{placed:?}");
    }
}
