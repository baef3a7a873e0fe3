//! How somebody follows a deployment: in lines for a log, as JSON for a program, drawn anew in a terminal.

use std::io::Write;

use glidepath_core::ids::DeploymentId;
use glidepath_core::record::Revision;
use glidepath_core::time::Span;
use serde_json::json;

use crate::ended::Ended;
use crate::live::Live;
use crate::next_command::Commands;
use crate::render::{Doing, View, followed};
use crate::screen::Screen;
use crate::telling::{Seen, Telling, no_answer};

/// In which form somebody follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Lines,
    Json,
    Screen,
}

impl Form {
    pub(crate) fn of(json: bool) -> Self {
        match (json, Screen::is_possible()) {
            (true, _) => Self::Json,
            (false, true) => Self::Screen,
            (false, false) => Self::Lines,
        }
    }

    pub(crate) fn telling<'a>(
        self,
        id: &'a DeploymentId,
        commands: &'a Commands,
        output: &'a mut impl Write,
    ) -> Box<dyn Telling + 'a> {
        let aside = anstream::stderr();
        match self {
            Self::Json => Box::new(Json { id, output, aside, told: None, silent: false }),
            Self::Screen => Box::new(Screen::of_terminal(id, commands)),
            Self::Lines => Box::new(Lines::new(commands, output, aside)),
        }
    }
}

/// One line for each thing that happens.
#[derive(Debug)]
pub(crate) struct Lines<'a, W, A> {
    commands: &'a Commands,
    output: W,
    /// For what is not of the deployment.
    aside: A,
    silent: bool,
}

impl<'a, W: Write, A: Write> Lines<'a, W, A> {
    pub(crate) const fn new(commands: &'a Commands, output: W, aside: A) -> Self {
        Self { commands, output, aside, silent: false }
    }
}

impl<W: Write, A: Write> Telling for Lines<'_, W, A> {
    fn wants_live(&self) -> bool {
        false
    }

    fn seen(&mut self, seen: &Seen<'_>) -> std::io::Result<()> {
        self.silent = false;
        for notice in seen.new {
            if let Some(deployment) = seen.deployment {
                write!(self.output, "{}", followed(notice, deployment, self.commands))?;
            }
        }
        self.output.flush()
    }

    fn silent(&mut self, silence: Span, why: Option<&str>) -> std::io::Result<()> {
        silent_once(&mut self.silent, &mut self.aside, silence, why)
    }

    fn orphaned(&mut self, words: &str) -> std::io::Result<()> {
        writeln!(self.output, "{words}")
    }

    fn refused(&mut self, _ended: &Ended) -> std::io::Result<()> {
        Ok(())
    }
}

/// One object a line, whenever something has changed.
struct Json<'a, W, A> {
    id: &'a DeploymentId,
    output: W,
    aside: A,
    /// What the last line was about.
    told: Option<(Option<Revision>, Live)>,
    silent: bool,
}

impl<W: Write, A: Write> Telling for Json<'_, W, A> {
    fn wants_live(&self) -> bool {
        true
    }

    fn seen(&mut self, seen: &Seen<'_>) -> std::io::Result<()> {
        self.silent = false;
        let &Seen { deployment, new, live, now } = seen;
        let at = (deployment.map(|deployment| deployment.revision), live.clone());
        if self.told.as_ref() == Some(&at) && new.is_empty() {
            return Ok(());
        }
        match deployment {
            Some(deployment) => {
                writeln!(self.output, "{}", json!(View::whole(deployment, new, live, now)))?;
            }
            None => writeln!(self.output, "{}", unbegun(self.id, Doing::Planning, None))?,
        }
        self.told = Some(at);
        self.output.flush()
    }

    fn silent(&mut self, silence: Span, why: Option<&str>) -> std::io::Result<()> {
        silent_once(&mut self.silent, &mut self.aside, silence, why)
    }

    fn orphaned(&mut self, words: &str) -> std::io::Result<()> {
        writeln!(self.aside, "{words}")
    }

    fn refused(&mut self, ended: &Ended) -> std::io::Result<()> {
        let (Ended::Refused { name, cause } | Ended::Failed { name, cause }) = ended else {
            return Ok(());
        };
        writeln!(self.output, "{}", unbegun(self.id, Doing::Refused, Some((name, cause))))
    }
}

/// Says once for each gap that AWS does not answer: whoever reads a log wants no line every two seconds.
fn silent_once(
    said: &mut bool,
    aside: &mut impl Write,
    silence: Span,
    why: Option<&str>,
) -> std::io::Result<()> {
    if std::mem::replace(said, true) {
        return Ok(());
    }
    writeln!(aside, "{}", no_answer(silence, why))
}

/// One that the registry does not know or cannot read, for programs.
pub(crate) fn unbegun(
    id: &DeploymentId,
    state: Doing,
    failure: Option<(&String, &String)>,
) -> serde_json::Value {
    let failure = failure.map(|(name, cause)| json!({ "name": name, "cause": cause }));
    json!({ "deployment": id, "phase": state, "state": state, "failure": failure })
}

#[cfg(test)]
mod tests {
    use glidepath_core::record::Deployment;

    use super::*;
    use crate::fixtures::{self, NOW};
    use crate::telling::SILENCE;

    #[test]
    fn a_program_gets_a_line_for_each_change_and_a_person_in_a_log_for_each_entry() {
        let deployment = fixtures::baking();
        let notices = fixtures::notices_of(&deployment);
        let (live, commands) = (Live::default(), Commands::default());
        let seen = |deployment, new| Seen { deployment, new, live: &live, now: NOW };
        let (mut lines, mut objects, mut aside) = (Vec::new(), Vec::new(), Vec::new());
        let mut person = Lines::new(&commands, &mut lines, &mut aside);
        let mut program = Json {
            id: &deployment.id,
            output: &mut objects,
            aside: Vec::new(),
            told: None,
            silent: false,
        };
        let later = Deployment { revision: Revision(8), ..deployment.clone() };
        for look in [
            seen(None, &[]),
            seen(None, &[]),
            seen(Some(&deployment), &notices),
            seen(Some(&deployment), &[]),
            seen(Some(&later), &[]),
        ] {
            person.seen(&look).unwrap();
            program.seen(&look).unwrap();
            for told in [&mut person as &mut dyn Telling, &mut program] {
                told.silent(SILENCE, None).unwrap();
                told.silent(SILENCE.times(2), Some("throttled")).unwrap();
            }
        }
        let refused = Ended::Refused { name: "DeploymentRunning".into(), cause: "shop-41".into() };
        program.refused(&refused).unwrap();
        assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 2);
        let aside = String::from_utf8(aside).unwrap();
        assert_eq!(aside, "no answer from AWS for 20s, trying on\n".repeat(5));
        let objects = String::from_utf8(objects).unwrap();
        let objects: Vec<serde_json::Value> =
            objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let words: Vec<_> = objects.iter().map(|line| line["state"].as_str().unwrap()).collect();
        assert_eq!(words, ["planning", "baking", "baking", "refused"]);
        let entries = |line: usize| objects[line]["timeline"].as_array().unwrap().len();
        assert_eq!((entries(1), entries(2)), (2, 0));
    }
}
