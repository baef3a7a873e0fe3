//! Reads a request as YAML or JSON. Both are read by the same rules, because JSON is YAML too: what
//! is sent to AWS must be what a person reads in the file.

mod bytes;
mod mistake;
mod tree;
mod values;
mod variables;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use glidepath_core::document::{Findings, Place, member};
use glidepath_core::request::{Asked, Request, asked, schema};
use mistake::Mistake;
use serde_json::Value;

use crate::stopped::Stopped;

/// What a file says, and where it says it.
#[derive(Debug)]
pub(crate) struct Document {
    /// As it is sent.
    pub(crate) value: Value,
    /// Where each value of the request is in the file, by its path.
    places: BTreeMap<String, Place>,
    /// Variables that could not be filled in.
    unfilled: Findings,
}

/// Whether a path is in what another one names.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Document {
    /// Reads the document of a file, or of the standard input for `-`.
    pub(crate) fn read(file: &Path) -> Result<Self, Stopped> {
        let standard_input = file == Path::new("-");
        let name = if standard_input {
            "the standard input".to_owned()
        } else {
            format!("`{}`", file.display())
        };
        let mut bytes = Vec::new();
        let read = if standard_input {
            std::io::stdin().read_to_end(&mut bytes)
        } else {
            std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
        };
        read.map_err(|error| Stopped::Unusable {
            message: format!("cannot read {name}: {error}"),
            hint: "give the path of a request as YAML or JSON, or `-` for the standard input"
                .to_owned(),
        })?;
        let document =
            bytes::text(&bytes).and_then(|text| Self::parse(text, &variables::of_environment));
        document.map_err(|mistake| mistake.in_file(&name))
    }

    /// One that no file says.
    pub(crate) fn of(value: Value) -> Self {
        Self { value, places: BTreeMap::new(), unfilled: Findings::default() }
    }

    fn parse(text: &str, variables: variables::Lookup<'_>) -> Result<Self, Mistake> {
        let spot = tree::parse(text)?;
        let (value, places, unfilled) = values::of(&spot, &schema(), variables);
        Ok(Self { value, places, unfilled })
    }

    /// What it asks for, or every mistake in it with its place in the file.
    pub(crate) fn asked(&self) -> Result<Asked, Stopped> {
        // What else is wrong nobody can tell before.
        if self.unfilled.has_errors() {
            return Err(self.refused(self.unfilled.clone()));
        }
        asked(&self.value).map_err(|findings| self.refused(findings))
    }

    /// The same of one that releases a version, with all that is said of it.
    pub(crate) fn request(&self) -> Result<Request, Stopped> {
        match self.asked()? {
            Asked::Release(request) => Ok(*request),
            Asked::WayBack(_) => Err(Stopped::Unusable {
                message: "this request only brings a version back, and says nothing more"
                    .to_owned(),
                hint: "give the request that releases a version".to_owned(),
            }),
        }
    }

    /// The end of a command by findings about this document.
    pub(crate) fn refused(&self, findings: Findings) -> Stopped {
        Stopped::Findings(self.located(findings))
    }

    /// Findings with their places in the file. What is missing is told where it belongs.
    pub(crate) fn located(&self, findings: Findings) -> Findings {
        findings.located(|path| {
            let ends = path.rmatch_indices(['.', '[']).map(|(end, _)| end);
            std::iter::once(path.len())
                .chain(ends)
                .find_map(|end| self.places.get(&path[..end]).copied())
        })
    }

    /// Writes a value over what the file says, as `release.taskDefinition=shop:43` asks for it.
    pub(crate) fn set(&mut self, assignment: &Assignment) -> Result<(), Stopped> {
        let Assignment { path, text } = assignment;
        let unusable = |message: String| Stopped::Unusable {
            message: format!("--set {}={text}: {message}", path.join(".")),
            hint: "name a field by its way through the request, such as \
                   --set strategy.canary.stages.0.bake=10m"
                .to_owned(),
        };
        let mut at = "$".to_owned();
        let mut found = &mut self.value;
        for name in path {
            found = match found {
                Value::Array(entries) => {
                    let length = entries.len();
                    let index = name.parse::<usize>().ok();
                    at = format!("{at}[{name}]");
                    index.and_then(|index| entries.get_mut(index)).ok_or_else(|| {
                        unusable(format!("`{name}` is none of the {length} entries, from 0"))
                    })?
                }
                Value::Object(fields) => {
                    at = member(&at, name);
                    fields.entry(name).or_insert_with(|| Value::Object(serde_json::Map::new()))
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(unusable(format!("{at} has no fields")));
                }
            };
        }
        *found = values::given(text, &at, &schema());
        self.places.retain(|place, _| !is_within(place, &at));
        self.unfilled.retain(|finding| !is_within(&finding.path, &at));
        Ok(())
    }
}

/// A file of texts, each under one of the known names.
pub(crate) fn settings(
    bytes: &[u8],
    file: &str,
    known: &[&str],
) -> Result<BTreeMap<String, String>, Stopped> {
    let read = || -> Result<_, Mistake> {
        let text = bytes::text(bytes)?;
        let nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(nothing) {
            return Ok(BTreeMap::new());
        }
        tree::parse(text)?.settings(known)
    };
    read().map_err(|mistake| mistake.in_file(file))
}

/// A field and what it shall be: `release.taskDefinition=shop:43`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    path: Vec<String>,
    text: String,
}

impl Assignment {
    /// The version to release.
    pub(crate) fn task_definition(version: &str) -> Self {
        let path = ["release", "taskDefinition"].map(str::to_owned).to_vec();
        Self { path, text: version.to_owned() }
    }
}

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((path, text)) = text.split_once('=') else {
            return Err("write PATH=VALUE, such as release.taskDefinition=shop:43".to_owned());
        };
        let path = path.strip_prefix("$.").unwrap_or(path).replace('[', ".").replace(']', "");
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("the path has an empty name in it".to_owned());
        }
        Ok(Self { path, text: text.to_owned() })
    }
}

/// Where the request is, and what is written over it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Source {
    /// The request as YAML or JSON; `-` reads it from the standard input
    file: std::path::PathBuf,
    /// The version to release instead of the file's, as `family:revision` or ARN
    #[arg(long, value_name = "VERSION")]
    task_definition: Option<String>,
    /// Write a value over the file's, such as `release.taskDefinition=shop:43` or
    /// `strategy.canary.stages.0.bake=10m`; may be given more than once
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<Assignment>,
}

impl Source {
    /// The document with everything that was given beside it.
    pub(crate) fn read(&self) -> Result<Document, Stopped> {
        let mut document = Document::read(&self.file)?;
        let version = self.task_definition.as_deref().map(Assignment::task_definition);
        for assignment in self.set.iter().chain(&version) {
            document.set(assignment)?;
        }
        Ok(document)
    }
}
