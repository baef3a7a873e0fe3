//! Texts within what a channel takes.

use super::line::{Line, with_whole_spans};

/// What stands where something was left out.
const CUT: &str = "…";

/// Longest line of what a message that is too long could do without, in characters: several short ones say more than a
/// long one.
const LONGEST_SPARE: usize = 300;

/// Shortest length to which lines are cut before whole ones are left out that no message should do without.
const SHORTEST: usize = 60;

/// The text in one line, of at most so many characters.
pub(super) fn line(text: &str, longest: usize) -> String {
    let mut characters = text.chars().map(|one| if one.is_control() { ' ' } else { one });
    let mut line: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        line.pop();
        line.push_str(CUT);
        // Its end was perhaps the end of a command.
        return with_whole_spans(line);
    }
    line
}

/// The lines in so much room, each of at most so many characters. `size`: how much one takes. What is too much is left out
/// in the middle, evidence from its end on, because what somebody is asked and what to type come after it.
pub(super) fn fitting(
    lines: &[Line],
    longest: usize,
    room: usize,
    size: impl Fn(&str) -> usize,
) -> Vec<String> {
    let shortened = |longest_spare: usize| -> Vec<Line> {
        let short = |from: &Line| {
            let longest = if from.spare { longest_spare.min(longest) } else { longest };
            Line { text: line(&from.text, longest), spare: from.spare }
        };
        lines.iter().map(short).collect()
    };
    let mut kept = shortened(longest);
    if total(&kept, &size) > room {
        kept = shortened(LONGEST_SPARE);
        leave_out(&mut kept, room, &size);
        cut_longest(&mut kept, room, longest, &size);
    }
    kept.into_iter().map(|line| line.text).collect()
}

fn total(lines: &[Line], size: &impl Fn(&str) -> usize) -> usize {
    lines.iter().map(|line| size(&line.text)).sum()
}

/// Without as many of those that can be spared as are too many, and with a line that says so.
fn leave_out(lines: &mut Vec<Line>, room: usize, size: &impl Fn(&str) -> usize) {
    let said = |left_out: usize| {
        let lines = if left_out == 1 { "line is" } else { "lines are" };
        format!("({left_out} more {lines} in the timeline.)")
    };
    let mut spent = total(lines, size);
    let most = size(&said(usize::MAX));
    let (mut left_out, mut place) = (0, 0);
    while spent > room.saturating_sub(if left_out > 0 { most } else { 0 }) {
        let Some(at) = lines.iter().rposition(|line| line.spare) else { break };
        spent -= size(&lines.remove(at).text);
        (left_out, place) = (left_out + 1, at);
    }
    if left_out > 0 {
        lines.insert(place, Line::new(&said(left_out)));
    }
}

/// With the longest ones cut, so that short ones stay whole: commands, a deadline.
fn cut_longest(
    lines: &mut Vec<Line>,
    room: usize,
    mut longest: usize,
    size: &impl Fn(&str) -> usize,
) {
    while total(lines, size) > room && longest > SHORTEST {
        longest = (longest / 4 * 3).max(SHORTEST);
        for one in lines.iter_mut() {
            one.text = line(&one.text, longest);
        }
    }
    let mut spent = total(lines, size);
    while spent > room && !lines.is_empty() {
        spent -= size(&lines.remove(lines.len() / 2).text);
    }
}

/// What a text takes in a list of JSON: with its quotes and a comma. Control characters are gone before.
pub(super) fn in_json(text: &str) -> usize {
    let escaped = text.chars().filter(|one| matches!(one, '"' | '\\')).count();
    text.len() + escaped + 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spare(text: &str) -> Line {
        Line { spare: true, ..Line::new(text) }
    }

    fn any_lines() -> impl Strategy<Value = Vec<Line>> {
        let one = (any::<String>(), any::<bool>()).prop_map(|(text, spare)| Line { text, spare });
        prop::collection::vec(one, 0..30)
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_is_allowed(lines in any_lines(), longest in 1usize..200, room in 0usize..600) {
            let kept = fitting(&lines, longest, room, in_json);
            for text in &kept {
                prop_assert!(text.chars().count() <= longest.max(60) && !text.contains(char::is_control));
            }
            let written = serde_json::to_string(&kept).unwrap();
            // The brackets.
            prop_assert!(written.len() <= room + 2, "{} in {room}", written.len());
        }

        #[test]
        fn what_can_be_spared_goes_first_and_from_its_end_on(seen in 0usize..60, room in 200usize..2_000) {
            let what = Line::new("shop:42 is healthy.");
            let to_do = ["To approve: `glidepath approve shop-42 --stage 3`", "Without an answer it returns."];
            let all = (0..seen).map(|at| spare(&format!("Seen: check {at} is good")));
            let lines: Vec<_> = [what.clone()].into_iter().chain(all.clone()).chain(to_do.map(Line::new)).collect();
            let kept = fitting(&lines, 500, room, in_json);
            prop_assert_eq!(&kept[0], &what.text);
            prop_assert_eq!(&kept[kept.len() - 2..], &to_do[..]);
            let middle = &kept[1..kept.len() - 2];
            let shown = middle.iter().filter(|line| line.starts_with("Seen: ")).count();
            prop_assert!(middle[..shown].iter().zip(all).all(|(kept, line)| *kept == line.text));
            match (seen - shown, &middle[shown..]) {
                (0, []) => {}
                (left_out, [said]) => prop_assert!(said.starts_with(&format!("({left_out} more line")), "{said}"),
                (left_out, more) => prop_assert!(false, "{left_out}: {more:?}"),
            }
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(line("shop: 5 %", 9), "shop: 5 %");
        assert_eq!(line("shop: 5 % now", 9), "shop: 5 …");
        let texts = ["one".to_owned(), "two".to_owned()];
        let lines = texts.each_ref().map(|text| spare(text));
        assert_eq!(fitting(&lines, 10, 12, in_json), texts);
        assert_eq!(fitting(&lines, 10, 11, in_json), [] as [&str; 0]);
    }

    #[test]
    fn a_command_stays_whole_where_something_else_is_long() {
        let command =
            "To end it: `glidepath rollback shop-42 --stack glidepath --region eu-west-1`";
        let lines = [Line::new(&"cause ".repeat(900)), Line::new(command)];
        let kept = fitting(&lines, 4_000, 1_000, in_json);
        assert!(kept[0].starts_with("cause cause") && kept[0].ends_with('…'), "{kept:?}");
        assert_eq!(kept[1], command);
        // A command that is cut is none.
        assert_eq!(line("To end it: `glidepath rollback`", 20), "To end it: 'glidepa…");
    }
}
