//! One deployment for somebody who watches, drawn anew at every look: its stages as a tree, and below them
//! what it waits for, what to type and what happened last. Nothing is wider than the terminal but a command,
//! which has to be copied in one piece.

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use glidepath_core::health::SlotRequests;
use glidepath_core::ids::DeploymentId;
use glidepath_core::plan::{Stage, StageIndex};
use glidepath_core::protocol::next_look;
use glidepath_core::record::{Deployment, Notice};
use glidepath_core::said::is_unseen;
use glidepath_core::time::Timestamp;

use super::detail::{Detail, Row, in_words, labelled};
use super::moment::{clock, distance, length};
use super::state::{State, read_back_at, route_name, state};
use super::timeline::headline;
use super::{FAINT, STRONG, Tone};
use crate::live::{Live, StageCounted};
use crate::next_command::Commands;
use glidepath_report::percent;

/// Width of a label with the space behind it.
const LABEL: usize = 11;

/// Width of mark and weight before what is said of a stage: `▸   25 %  `.
const STAGE: usize = 10;

/// Newest entries of the timeline that are shown, where there is room.
const LATEST: usize = 8;

/// Narrower than this nothing is wrapped any more.
const NARROWEST: usize = 20;

/// What there is of a deployment to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) id: &'a DeploymentId,
    /// `None`: it is being planned.
    pub(crate) deployment: Option<&'a Deployment>,
    /// The whole timeline.
    pub(crate) notices: &'a [Notice],
    pub(crate) live: &'a Live,
    pub(crate) commands: &'a Commands,
    /// What somebody should know besides, such as that AWS does not answer.
    pub(crate) aside: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// A terminal's columns and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) lines: usize,
}

/// Draws it in lines, each with its colours. In a low window details of the stage are left out first: what to
/// type is needed more.
pub(crate) fn tree(tree: &Tree<'_>, size: Size) -> Vec<String> {
    let drawings = [ALL, 5, 1, 0].into_iter().map(|details| drawn(tree, size, details));
    let fits = |page: &Page| page.height() < size.lines;
    let mut fewest = Page { width: size.columns.max(NARROWEST), lines: Vec::new() };
    for page in drawings {
        if fits(&page) {
            return page.lines;
        }
        fewest = page;
    }
    fewest.cut(size.lines);
    fewest.lines
}

/// All that there is to know of the current stage.
const ALL: usize = usize::MAX;

fn drawn(tree: &Tree<'_>, size: Size, details: usize) -> Page {
    let Tree { id, deployment, commands, aside, .. } = *tree;
    let mut page = Page { width: size.columns.max(NARROWEST), lines: Vec::new() };
    let Some(deployment) = deployment else {
        page.text(STRONG, &format!("{id} is being planned; nothing has been written yet"));
        page.aside(aside);
        page.command(&("end it", commands.of("rollback", id, "--reason \"...\"")));
        return page;
    };
    let Tree { notices, live, now, .. } = *tree;
    let shown = Shown {
        detail: Detail { deployment, notices, live, commands, now },
        state: state(deployment, now),
    };
    shown.head(&mut page, aside);
    shown.stages(&mut page, details);
    page.blank();
    let below = [shown.detail.failure(), shown.waits(), shown.detail.undelivered()];
    for row in below.iter().flatten() {
        page.sentence(row);
    }
    for command in &shown.detail.commands() {
        page.command(command);
    }
    shown.latest(&mut page, size.lines);
    page
}

struct Shown<'a> {
    detail: Detail<'a>,
    state: State,
}

impl Shown<'_> {
    fn head(&self, page: &mut Page, aside: Option<&str>) {
        let Deployment { id, plan, .. } = self.detail.deployment;
        let (old, new) = (plan.stable.task_definition.short(), plan.task_definition.short());
        let title = format!(
            "{id}: {new} ({}) replaces {old} ({}) of {}",
            plan.canary.slot, plan.stable.slot, plan.service
        );
        page.text(STRONG, &title);
        let now = self.detail.now;
        let left = self.state.until.filter(|until| *until > now);
        let left =
            left.map(|until| format!(", {} left{}", length(until.since(now)), self.detail.then()));
        let words = format!("{}{}", self.state.words, left.unwrap_or_default());
        page.text(self.state.tone.style(), &words);
        page.aside(aside);
        page.blank();
    }

    fn stages(&self, page: &mut Page, details: usize) {
        let Deployment { plan, progress, .. } = self.detail.deployment;
        for (position, stage) in plan.stages.iter().enumerate() {
            let index = StageIndex(position);
            let current = index == progress.stage;
            let mark = self.detail.mark_of(index);
            let style = match mark {
                "✓" => Tone::Good.style(),
                "✗" => Tone::Bad.style(),
                _ => self.state.tone.style(),
            };
            let weight = stage.weight.to_string();
            let head = format!("{style}{mark}{style:#} {weight:>6}  ");
            let counted = self.detail.live.counted.as_ref().and_then(|counted| counted.at(index));
            let said = match counted.filter(|_| !current) {
                Some(counted) => format!("{}; {}", said(stage), self.bad_in_short(counted)),
                None => said(stage),
            };
            page.hanging(&head, STAGE, if current { STRONG } else { Style::new() }, &said);
            if current {
                self.current(page, counted, details);
            }
        }
    }

    fn bad_in_short(&self, counted: &StageCounted) -> String {
        let plan = &self.detail.deployment.plan;
        let of = |slot: SlotRequests| match slot.all {
            0 => "no requests".to_owned(),
            all => format!("{} of {all} bad", percent(slot.bad.min(all) as f64 / all as f64)),
        };
        format!(
            "{}, {} on {}",
            of(counted.canary),
            of(counted.stable),
            plan.stable.task_definition.short()
        )
    }

    /// Where its requests go: by the route only where there are several.
    fn traffic(&self) -> Vec<Row> {
        let Detail { deployment, live, now, .. } = &self.detail;
        let new = deployment.plan.task_definition.short();
        let shares = self.detail.shares();
        let several = shares.len() > 1;
        let mut rows: Vec<_> = shares
            .into_iter()
            .map(|(route, now, recorded)| {
                let mut value = format!("{} on {new}", in_words(now));
                if now != recorded {
                    value.push_str(&format!("; {} was written", in_words(recorded)));
                }
                if several {
                    value.push_str(&format!(", {}", route_name(route)));
                }
                value
            })
            .collect();
        if let Some(Err(error)) = &live.shares {
            rows.push(format!("as it was last read; now it cannot be read: {error}"));
        }
        let read_back = read_back_at(deployment);
        rows.extend(read_back.map(|at| format!("read back {}", distance(at, *now))));
        labelled("traffic", rows.into_iter())
    }

    /// What there is to know of the stage that it is at.
    fn current(&self, page: &mut Page, counted: Option<&StageCounted>, details: usize) {
        let Detail { deployment, live, now, .. } = &self.detail;
        let plan = &deployment.plan;
        let mut rows = self.traffic();
        if let Some(counted) = counted {
            let slots = [
                (plan.task_definition.short(), counted.canary),
                (plan.stable.task_definition.short(), counted.stable),
            ];
            rows.extend(labelled(
                "bad",
                slots.iter().map(|(name, slot)| share(name, slot.bad, slot.all)),
            ));
            let slow =
                slots.iter().filter_map(|(name, slot)| Some(share(name, slot.slow?, slot.all)));
            rows.extend(labelled("slow", slow));
        }
        let evidence = live.counted.as_ref().and_then(|counted| counted.evidence);
        rows.extend(evidence.map(|known| {
            let of = format!("{known}, {} of {} minutes", known.witnesses, known.needed);
            ("evidence", format!("{of} against {}", plan.task_definition.short()))
        }));
        rows.extend(labelled("tasks", live.slots.iter().cloned()));
        let until = live.counted.as_ref().map(|counted| clock(counted.until));
        rows.extend(until.map(|until| ("counted", format!("until {until}"))));
        rows.extend(next_look(deployment).map(|at| {
            let next =
                if at > *now { format!("in {}", length(at.since(*now))) } else { "now".to_owned() };
            ("next look", next)
        }));
        let last = plan.is_last(deployment.progress.stage);
        let rail = if last { "   " } else { "│  " };
        for row in rows.iter().take(details) {
            page.row(rail, row);
        }
    }

    /// Who must decide, and what was told about a wait.
    fn waits(&self) -> Vec<Row> {
        let who = self.detail.who_approves().map(|who| ("who", who));
        // Why it waits is said above.
        let why = |value: &str| {
            value.strip_prefix("Why: ").is_some_and(|why| self.state.words.contains(why))
        };
        let told = self.detail.what_now().into_iter().map(|(_, value)| value);
        let told = labelled("what now", told.filter(|value| !why(value)));
        who.into_iter().chain(told).collect()
    }

    /// As much of the end of the timeline as there is room for.
    fn latest(&self, page: &mut Page, lines: usize) {
        let Detail { deployment, notices, .. } = &self.detail;
        let mut entries: Vec<Vec<String>> = Vec::new();
        let mut room = lines.saturating_sub(page.height() + 2);
        for notice in notices.iter().rev().take(LATEST) {
            let mut entry = Page { width: page.width, lines: Vec::new() };
            let time = format!("{FAINT}{}{FAINT:#}  ", clock(notice.at));
            entry.hanging(&time, 7, Style::new(), &headline(notice, deployment));
            if entry.lines.len() > room {
                break;
            }
            room -= entry.lines.len();
            entries.push(entry.lines);
        }
        if !entries.is_empty() {
            page.blank();
            page.lines.extend(entries.into_iter().rev().flatten());
        }
    }
}

fn said(stage: &Stage) -> String {
    let asks = if stage.approval.is_some() { ", asks first" } else { "" };
    format!("bakes {}{asks}", stage.bake)
}

/// `shop:2: 1.2 % (12 of 1000)`
fn share(name: &str, part: u64, all: u64) -> String {
    match all {
        0 => format!("{name}: no requests"),
        all => {
            let part = part.min(all);
            format!("{name}: {} ({part} of {all})", percent(part as f64 / all as f64))
        }
    }
}

/// Lines of a width.
struct Page {
    width: usize,
    lines: Vec<String>,
}

impl Page {
    fn blank(&mut self) {
        if self.lines.last().is_none_or(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn text(&mut self, style: Style, text: &str) {
        self.hanging("", 0, style, text);
    }

    fn aside(&mut self, aside: Option<&str>) {
        if let Some(aside) = aside {
            self.text(Tone::Waiting.style(), aside);
        }
    }

    fn row(&mut self, rail: &str, (label, value): &Row) {
        let head = format!("{FAINT}{rail}{label:LABEL$}{FAINT:#}");
        let rest = format!("{FAINT}{rail}{FAINT:#}");
        let value = strip_str(value).to_string();
        self.under(&head, &rest, rail.chars().count() + LABEL, Style::new(), &value);
    }

    /// What is to be done; a command in it is not broken.
    fn sentence(&mut self, (label, value): &Row) {
        let value = strip_str(value).to_string();
        let command = ["`glidepath ", "`aws "].iter().find_map(|begins| value.find(begins));
        let command = command.and_then(|at| {
            let (before, rest) = value.split_at(at);
            let (command, after) = rest.strip_prefix('`')?.split_once('`')?;
            Some((before.trim_end().to_owned(), command.to_owned(), after.to_owned()))
        });
        let Some((before, command, after)) = command else {
            return self.row("", &(label, value));
        };
        self.row("", &(label, before));
        self.command(&("", command));
        if after.chars().any(char::is_alphanumeric) {
            self.sentence(&("", after.trim_start().to_owned()));
        }
    }

    /// A command, in a line of its own where it does not fit beside its label.
    fn command(&mut self, (label, command): &Row) {
        let style = AnsiColor::Cyan.on_default();
        let command = plain(command);
        if LABEL + width(&command) <= self.width {
            self.lines.push(format!("{FAINT}{label:LABEL$}{FAINT:#}{style}{command}{style:#}"));
            return;
        }
        if !label.is_empty() {
            self.lines.push(format!("{FAINT}{label}{FAINT:#}"));
        }
        self.lines.push(format!("{style}{command}{style:#}"));
    }

    /// A text below the end of its head, which takes so many columns.
    fn hanging(&mut self, head: &str, indent: usize, style: Style, text: &str) {
        self.under(head, "", indent, style, text);
    }

    fn under(&mut self, head: &str, rest: &str, indent: usize, style: Style, text: &str) {
        let after = indent - strip_str(rest).to_string().chars().count();
        for (number, line) in wrapped(&plain(text), self.width - indent).iter().enumerate() {
            self.lines.push(match number {
                0 => format!("{head}{style}{line}{style:#}"),
                _ => format!("{rest}{:after$}{style}{line}{style:#}", ""),
            });
        }
    }

    /// Lines of the terminal, of which a long command takes several.
    fn height(&self) -> usize {
        self.lines.iter().map(|line| height(line, self.width)).sum()
    }

    /// What does not fit is left out at the end, and said to be: what has scrolled away cannot be drawn anew.
    fn cut(&mut self, lines: usize) {
        let room = lines.saturating_sub(1).max(1);
        if self.height() <= room {
            return;
        }
        while self.height() >= room && self.lines.len() > 1 {
            self.lines.pop();
        }
        self.lines.push(format!("{FAINT}… (window too low){FAINT:#}"));
    }
}

/// How many lines of a terminal a line takes.
pub(crate) fn height(line: &str, columns: usize) -> usize {
    width(&strip_str(line).to_string()).div_ceil(columns.max(1)).max(1)
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A terminal must not take what somebody has written, such as a reason, for its own commands.
fn plain(text: &str) -> String {
    text.chars().map(|character| if is_unseen(character) { ' ' } else { character }).collect()
}

/// Lines of at most so many columns, cut between words where there is a place.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || width(line) + 1 + width(&word) <= columns);
        match line {
            Some(line) if line.is_empty() => line.push_str(&word),
            Some(line) => {
                line.push(' ');
                line.push_str(&word);
                continue;
            }
            None => lines.push(word.clone()),
        }
        // A word that is longer than a line, such as an ARN.
        while width(&word) > columns {
            let mut cut = word.len();
            for (at, _) in word.char_indices().skip(1) {
                if width(&word[..at]) > columns {
                    break;
                }
                cut = at;
            }
            let rest = word.split_off(cut);
            if let Some(line) = lines.last_mut() {
                *line = word;
            }
            lines.push(rest.clone());
            word = rest;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use glidepath_core::weight::Weight;
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{self, NOW, notices_of, same_as_file};

    fn live(percent: u16) -> Live {
        Live {
            shares: Some(Ok(vec![Weight::from_permille(percent * 10).ok()])),
            slots: vec![
                "shop:2: 1 of 3 tasks run, 0 of 1 targets healthy (Target.Timeout)".to_owned(),
                "shop:1: 3 of 3 tasks run, 3 of 3 targets healthy".to_owned(),
            ],
            counted: Some(fixtures::counted(&[(1_204, 12, 22_876, 70), (420, 9, 1_260, 4)])),
        }
    }

    fn drawn(deployment: &Deployment, live: &Live, size: Size) -> Vec<String> {
        let notices = notices_of(deployment);
        let commands = Commands::elsewhere();
        let seen = Tree {
            id: &deployment.id,
            deployment: Some(deployment),
            notices: &notices,
            live,
            commands: &commands,
            aside: None,
            now: NOW,
        };
        tree(&seen, size)
    }

    #[test]
    fn every_state_can_be_read_in_a_narrow_a_usual_and_a_wide_terminal() {
        for columns in [40, 80, 120] {
            let size = Size { columns, lines: 60 };
            let mut text = String::new();
            for (name, deployment, percent) in [
                ("bakes", fixtures::baking(), 5),
                ("starts tasks", fixtures::settling(), 5),
                ("asks", fixtures::approving(), 5),
                ("lacks something", fixtures::waiting(), 5),
                ("paused", fixtures::paused(), 5),
                ("outside its windows", fixtures::outside_windows(), 5),
                ("frozen", fixtures::frozen(), 5),
                ("somebody else", fixtures::held_by_others(), 50),
                ("rolls back", fixtures::rolling_back(), 5),
                ("rollback held", fixtures::held(), 5),
                ("hands over", fixtures::committed(), 100),
                ("succeeded", fixtures::succeeded(), 100),
                ("rolled back", fixtures::rolled_back(), 0),
                ("abandoned", fixtures::abandoned(), 0),
            ] {
                let lines = drawn(&deployment, &live(percent), size);
                text.push_str(&format!("# {name}\n{}\n\n", lines.join("\n")));
            }
            let (id, commands) = (DeploymentId::new("shop-42"), Commands::default());
            let planned = Tree {
                id: &id,
                deployment: None,
                notices: &[],
                live: &Live::default(),
                commands: &commands,
                aside: Some("no answer from AWS for 24s, trying on"),
                now: NOW,
            };
            text.push_str(&format!("# planned\n{}\n", tree(&planned, size).join("\n")));
            same_as_file(&format!("watched-{columns}.txt"), &text);
        }
    }

    #[test]
    fn in_a_low_window_it_is_still_said_what_to_type() {
        for (columns, lines) in [(80, 24), (80, 16), (40, 30)] {
            let size = Size { columns, lines };
            let text = drawn(&fixtures::approving(), &live(5), size).join("\n");
            let text = strip_str(&text).to_string();
            assert!(text.contains("glidepath approve shop-42"), "{text}");
            assert!(text.contains("glidepath rollback shop-42"), "{text}");
            assert!(text.contains("waits for approval"), "{text}");
        }
    }

    #[test]
    fn what_somebody_has_written_is_no_command_of_the_terminal() {
        let mut deployment = fixtures::held_by_others();
        let found = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n40 %".to_owned();
        deployment.progress.told = Some(glidepath_core::record::Event::ForeignChange { found });
        let lines = drawn(&deployment, &live(5), Size { columns: 80, lines: 60 });
        let text = strip_str(&lines.join("\n")).to_string();
        let bad: Vec<_> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(bad.is_empty(), "{text}");
        assert!(lines.iter().all(|line| !line.contains("\u{1b}[2J")), "{text}");
    }

    proptest! {
        /// More would wrap or scroll, and the next drawing would begin at the wrong place.
        #[test]
        fn a_drawing_never_is_larger_than_the_terminal(
            columns in 1usize..200, lines in 1usize..80, which in 0usize..12,
        ) {
            let deployment = &fixtures::all()[which];
            let size = Size { columns, lines };
            let drawn = drawn(deployment, &live(5), size);
            let columns = columns.max(NARROWEST);
            let height: usize = drawn.iter().map(|line| height(line, columns)).sum();
            prop_assert!(height < lines.max(3), "{height} of {lines}");
            let commands = ["glidepath ", "aws "];
            for line in drawn.iter().map(|line| strip_str(line).to_string()) {
                let free = commands.iter().any(|command| line.starts_with(command));
                prop_assert!(free || width(&line) <= columns, "{line}");
            }
        }

        #[test]
        fn wrapping_loses_nothing_and_keeps_the_width(text in "[a-zé漢 ]{0,80}", columns in 2usize..40) {
            let lines = wrapped(&text, columns);
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
            prop_assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
        }
    }
}
