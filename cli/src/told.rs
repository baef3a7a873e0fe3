//! What a command that decides something has done: a sentence for people, an object for programs.

use std::io::Write;

use glidepath_core::ids::DeploymentId;
use glidepath_core::record::Deployment;
use glidepath_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::render::View;
use crate::stopped::{Stopped, written_as_json};

/// What a command has done in one word, for programs: `done` of `--json`. A word keeps its meaning; newer versions may
/// have further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Done {
    Started,
    Approved,
    Rejected,
    Promoted,
    Paused,
    Resumed,
    Frozen,
    Thawed,
    RolledBack,
    Retired,
    Nothing,
}

#[cfg(test)]
impl Done {
    /// What the word means, as the documentation has it.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Started => {
                "the deployment has been started, or is followed since an earlier start"
            }
            Self::Approved => "the approval of the stage is recorded",
            Self::Rejected => "the refusal of the stage is recorded: everything returns to stable",
            Self::Promoted => "it is recorded that the stage may go on",
            Self::Paused => "the pause is recorded",
            Self::Resumed => "its end is recorded",
            Self::Frozen => "the freeze is recorded",
            Self::Thawed => "its end is recorded, and what waited for it goes on",
            Self::RolledBack => {
                "all traffic is back on stable, and the load balancer has confirmed it"
            }
            Self::Retired => "the tasks of the old version stop within about a minute",
            Self::Nothing => "nothing was written, because it is so already",
        }
    }

    const ALL: [Self; 11] = [
        Self::Started,
        Self::Approved,
        Self::Rejected,
        Self::Promoted,
        Self::Paused,
        Self::Resumed,
        Self::Frozen,
        Self::Thawed,
        Self::RolledBack,
        Self::Retired,
        Self::Nothing,
    ];
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Told {
    text: String,
    view: Value,
}

impl Told {
    /// Of a deployment as it is afterwards.
    pub(crate) fn of(done: Done, deployment: &Deployment, now: Timestamp, text: String) -> Self {
        Self { text, view: json!(View::of(deployment, now)) }.with("done", json!(done))
    }

    /// Of one that cannot be shown.
    pub(crate) fn unseen(done: Done, id: &DeploymentId, text: String) -> Self {
        Self { text, view: json!({ "deployment": id, "done": done }) }
    }

    pub(crate) const fn new(text: String, view: Value) -> Self {
        Self { text, view }
    }

    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        if let Value::Object(fields) = &mut self.view {
            fields.insert(field.to_owned(), value);
        }
        self
    }

    pub(crate) fn in_words(mut self, change: impl FnOnce(String) -> String) -> Self {
        self.text = change(self.text);
        self
    }

    /// An object is a line, as those are that follow it where somebody waits.
    pub(crate) fn write(&self, json: bool, output: &mut impl Write) -> std::io::Result<()> {
        if json {
            writeln!(output, "{}", self.view)?;
        } else {
            writeln!(output, "{}", self.text)?;
        }
        // Before anything else is waited for.
        output.flush()
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    #[cfg(test)]
    pub(crate) const fn view(&self) -> &Value {
        &self.view
    }
}

/// The end of a command that has done one thing, or why it has not.
pub(crate) fn finished(
    json: bool,
    done: Result<Told, Stopped>,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    let written = done.and_then(|told| Ok(told.write(json, output)?));
    ended(json, written, output)
}

/// The end of a command, told in the form that was asked for: for programs it is an object, too, the last one.
pub(crate) fn ended(
    json: bool,
    ended: Result<(), Stopped>,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    match ended {
        Err(stopped) if json => Err(written_as_json(stopped, output)),
        ended => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW};

    /// Programs hold to these words: a new one is added, none is renamed.
    #[test]
    fn every_word_for_programs_is_documented_with_its_meaning() {
        let documented = include_str!("../../docs/command-line.md");
        for done in Done::ALL {
            let word = json!(done);
            let line = format!("| `{}` | {} |", word.as_str().unwrap(), done.meaning());
            assert!(documented.contains(&line), "docs/command-line.md lacks:\n{line}");
        }
    }

    #[test]
    fn what_was_done_is_one_line_in_either_form() {
        let approving = fixtures::approving();
        let told = Told::of(Done::Approved, &approving, NOW, "approved".to_owned());
        let told = told.with("seen", json!(true));
        let written = |json| {
            let mut output = Vec::new();
            told.write(json, &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        assert_eq!(written(false), "approved\n");
        let line = written(true);
        assert_eq!(line.lines().count(), 1, "{line}");
        let view: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&view["done"], &view["state"]),
            (&json!("approved"), &json!("awaitingApproval"))
        );
        assert!(!line.contains(fixtures::TOKEN));
    }
}
