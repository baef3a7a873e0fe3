//! A drawing in the terminal that takes the place of the one before. What is above it stays, and the last one
//! stays when it ends: neither an alternate screen nor a hidden cursor, so nothing has to be put right after
//! Ctrl-C.

use std::io::{IsTerminal, Write};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use glidepath_core::ids::DeploymentId;
use glidepath_core::record::{Deployment, Notice};
use glidepath_core::time::{Span, Timestamp};

use crate::ended::Ended;
use crate::live::Live;
use crate::next_command::Commands;
use crate::render::{Size, Tree, height, tree};
use crate::telling::{Seen, Telling, no_answer};

/// Of a terminal that does not say how large it is.
const USUAL: Size = Size { columns: 80, lines: 24 };

/// Somebody who looks at a terminal.
pub(crate) struct Screen<'a, W, S> {
    id: &'a DeploymentId,
    commands: &'a Commands,
    output: W,
    colours: bool,
    /// How large the terminal is now.
    size: S,
    /// Lines that the last drawing took, and the width it was made for.
    drawn: (usize, usize),
    deployment: Option<Deployment>,
    notices: Vec<Notice>,
    live: Live,
    seen_at: Timestamp,
    orphaned: Option<String>,
}

impl<'a> Screen<'a, std::io::Stdout, fn() -> Size> {
    /// Whether somebody sees it, in a terminal that can go back to a line.
    pub(crate) fn is_possible() -> bool {
        let term = std::env::var_os("TERM").filter(|term| !term.is_empty() && term != "dumb");
        term.is_some() && std::io::stdout().is_terminal()
    }

    pub(crate) fn of_terminal(id: &'a DeploymentId, commands: &'a Commands) -> Self {
        let output = std::io::stdout();
        // Without colours it is drawn in its place all the same.
        let colours = AutoStream::choice(&output) != ColorChoice::Never;
        let size: fn() -> Size = || {
            let found = console::Term::stdout().size_checked();
            found.map_or(USUAL, |(lines, columns)| Size {
                columns: columns.into(),
                lines: lines.into(),
            })
        };
        Self::new(id, commands, output, colours, size)
    }
}

impl<'a, W: Write, S: Fn() -> Size> Screen<'a, W, S> {
    const fn new(
        id: &'a DeploymentId,
        commands: &'a Commands,
        output: W,
        colours: bool,
        size: S,
    ) -> Self {
        Self {
            id,
            commands,
            output,
            colours,
            size,
            drawn: (0, 0),
            deployment: None,
            notices: Vec::new(),
            live: Live { shares: None, slots: Vec::new(), counted: None },
            seen_at: Timestamp::from_millis(0),
            orphaned: None,
        }
    }

    fn draw(&mut self, aside: Option<&str>, now: Timestamp) -> std::io::Result<()> {
        let size = (self.size)();
        let lines = tree(
            &Tree {
                id: self.id,
                deployment: self.deployment.as_ref(),
                notices: &self.notices,
                live: &self.live,
                commands: self.commands,
                aside: aside.or(self.orphaned.as_deref()),
                now,
            },
            size,
        );
        self.show(&lines, size)
    }

    /// In one write, so that nobody sees half of it.
    fn show(&mut self, lines: &[String], size: Size) -> std::io::Result<()> {
        let (above, width) = self.drawn;
        let mut text = match above {
            0 => String::new(),
            // A terminal of another width has laid out its lines anew.
            _ if width != size.columns => "\u{1b}[H\u{1b}[2J".to_owned(),
            above => format!("\r\u{1b}[{above}A\u{1b}[J"),
        };
        for line in lines {
            if self.colours {
                text.push_str(line);
            } else {
                text.push_str(&strip_str(line).to_string());
            }
            text.push('\n');
        }
        let drawn = lines.iter().map(|line| height(line, size.columns)).sum();
        self.drawn = (drawn, size.columns);
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }
}

impl<W: Write, S: Fn() -> Size> Telling for Screen<'_, W, S> {
    fn wants_live(&self) -> bool {
        true
    }

    fn seen(&mut self, seen: &Seen<'_>) -> std::io::Result<()> {
        self.deployment = seen.deployment.cloned();
        self.notices.extend_from_slice(seen.new);
        self.live = seen.live.clone();
        self.seen_at = seen.now;
        self.draw(None, seen.now)
    }

    fn silent(&mut self, silence: Span, why: Option<&str>) -> std::io::Result<()> {
        let aside = format!("{}; this is how it was then", no_answer(silence, why));
        self.draw(Some(&aside), self.seen_at + silence)
    }

    fn orphaned(&mut self, words: &str) -> std::io::Result<()> {
        self.orphaned = Some(words.to_owned());
        Ok(())
    }

    fn refused(&mut self, ended: &Ended) -> std::io::Result<()> {
        let (Ended::Refused { name, cause } | Ended::Failed { name, cause }) = ended else {
            return Ok(());
        };
        let size = (self.size)();
        let text = format!("{} was refused, and nothing was written: {name}\n{cause}", self.id);
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        self.show(&lines, size)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::fixtures::{self, NOW};

    /// What a terminal of this width shows after all that was written, as far as it is about lines: the
    /// cursor up, home, and everything below it erased.
    fn shown(written: &str, columns: usize) -> Vec<String> {
        let mut lines: Vec<String> = vec![String::new()];
        let mut rest = written;
        while let Some(next) = rest.chars().next() {
            if let Some(code) = rest.strip_prefix("\u{1b}[") {
                let end = code.find(|character: char| character.is_ascii_alphabetic()).unwrap();
                let (number, what) = (&code[..end], &code[end..=end]);
                match what {
                    "A" => lines.truncate(lines.len() - number.parse::<usize>().unwrap()),
                    "H" => lines.clear(),
                    "J" => lines.push(String::new()),
                    "m" => {}
                    other => panic!("{other}"),
                }
                if what == "H" {
                    rest = code[end..].strip_prefix("H\u{1b}[2J").unwrap();
                    lines.push(String::new());
                    continue;
                }
                if what == "A" {
                    lines.pop();
                }
                rest = &code[end + 1..];
                continue;
            }
            rest = &rest[next.len_utf8()..];
            match next {
                '\n' => lines.push(String::new()),
                '\r' => {}
                _ => {
                    let full = lines.last().unwrap().chars().count() == columns;
                    if full {
                        lines.push(String::new());
                    }
                    lines.last_mut().unwrap().push(next);
                }
            }
        }
        lines
    }

    #[test]
    fn each_drawing_stands_where_the_one_before_stood_whatever_its_height_and_colours() {
        for (colours, columns) in [(true, 40), (false, 40), (true, 100)] {
            let (id, commands) = (DeploymentId::new("shop-42"), Commands::elsewhere());
            let mut written = b"$ glidepath status shop-42 --watch\n".to_vec();
            let width = Cell::new(columns);
            let size = || Size { columns: width.get(), lines: 50 };
            let mut screen = Screen::new(&id, &commands, &mut written, colours, size);
            let (live, notices) = (Live::default(), fixtures::notices_of(&fixtures::baking()));
            let seen = |deployment, new| Seen { deployment, new, live: &live, now: NOW };
            screen.seen(&seen(None, &[])).unwrap();
            let (approving, baking) = (fixtures::approving(), fixtures::baking());
            screen.seen(&seen(Some(&approving), &notices)).unwrap();
            screen.silent(Span::from_secs(24), Some("throttled")).unwrap();
            screen.seen(&seen(Some(&baking), &[])).unwrap();
            let written = String::from_utf8(written).unwrap();
            assert_eq!(written.contains("\u{1b}[1m"), colours);
            let text = shown(&written, columns).join("\n");
            assert!(
                text.starts_with("$ glidepath status shop-42 --watch\nshop-42: shop:2"),
                "{text}"
            );
            assert_eq!(text.matches("bakes stage 1").count(), 1, "{text}");
            for gone in ["being planned", "waits for approval", "no answer"] {
                assert!(!text.contains(gone), "{gone}: {text}");
            }
        }
    }

    #[test]
    fn a_terminal_of_another_width_is_begun_anew() {
        let (id, commands) = (DeploymentId::new("shop-42"), Commands::default());
        let (mut written, width) = (Vec::new(), Cell::new(80));
        let size = || Size { columns: width.get(), lines: 50 };
        let mut screen = Screen::new(&id, &commands, &mut written, true, size);
        let (live, baking) = (Live::default(), fixtures::baking());
        let seen = Seen { deployment: Some(&baking), new: &[], live: &live, now: NOW };
        screen.seen(&seen).unwrap();
        width.set(40);
        screen.seen(&seen).unwrap();
        let text = shown(&String::from_utf8(written).unwrap(), 40).join("\n");
        assert_eq!(text.matches("bakes stage 1").count(), 1, "{text}");
    }
}
