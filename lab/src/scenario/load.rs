//! Reading scenario files, with errors that say where.

use std::path::Path;

use serde_json::Value;

use super::validate;
use super::whole::Scenario;

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("cannot read {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// It is neither YAML nor JSON.
    #[error("{path} is neither YAML nor JSON: {reason}")]
    Syntax {
        path: String,
        /// Where and why.
        reason: String,
    },
    /// It has mistakes.
    #[error(
        "{path} is no scenario:\n{}\nhint: docs/scenarios.md describes every field",
        .findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
    )]
    Mistakes {
        path: String,
        /// Each with its path within the file.
        findings: Vec<String>,
    },
}

impl Scenario {
    /// Reads a scenario file, YAML or JSON.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Unreadable { path: name.clone(), source })?;
        Self::parse(&text, &name)
    }

    /// Reads a scenario; `name` names it in errors.
    pub fn parse(text: &str, name: &str) -> Result<Self, ScenarioError> {
        // JSON is YAML, so one reader does. It goes through a plain value because only there every
        // mistake has a path.
        let value: Value = serde_saphyr::from_str(text).map_err(|error| ScenarioError::Syntax {
            path: name.to_owned(),
            reason: error.to_string(),
        })?;
        let mistakes = |findings| ScenarioError::Mistakes { path: name.to_owned(), findings };
        let scenario: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            mistakes(vec![format!("{path}: {}", error.into_inner())])
        })?;
        let findings = validate::findings(&scenario);
        if findings.is_empty() { Ok(scenario) } else { Err(mistakes(findings)) }
    }
}
