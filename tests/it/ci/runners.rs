//! Runners of CI, as far as the action and the examples ask anything of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;

pub(super) type Environment = BTreeMap<String, String>;

pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(super) fn yaml(file: &str) -> Value {
    let text = std::fs::read_to_string(repository().join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// How a script ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) log: String,
}

/// Writes the script to a file of the job's and runs that, as every runner does, in its workspace.
pub(super) async fn run(job: &Job, shell: &[&str], script: &str, further: &Environment) -> Ran {
    let file = job.temporary("script");
    std::fs::write(&file, script).unwrap();
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(&file).current_dir(&job.workspace).env_clear();
    command.envs(&job.environment).envs(further).stdin(Stdio::null()).kill_on_drop(true);
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    let code = status.code().unwrap_or_else(|| panic!("{status}: {stderr}"));
    Ran { code, log: format!("{stdout}\n{stderr}") }
}

/// A job with a checkout of a service.
pub(super) struct Job {
    pub(super) workspace: PathBuf,
    pub(super) environment: Environment,
}

impl Job {
    pub(super) fn new(directory: &Path, environment: &[(&str, &str)]) -> Self {
        let workspace = directory.join("workspace");
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::create_dir_all(directory.join("temporary")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let home = workspace.to_str().unwrap();
        let own = [("PATH", path.as_str()), ("HOME", home)];
        let given = environment.iter().chain(&own);
        let environment =
            given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { workspace, environment }
    }

    /// A file's name outside of the workspace.
    fn temporary(&self, name: &str) -> PathBuf {
        self.workspace.with_file_name("temporary").join(name)
    }
}

/// How an action ended: the exit code of its last step, and its outputs by their names.
#[derive(Debug)]
pub(super) struct Acted {
    pub(super) code: i32,
    pub(super) log: String,
    pub(super) outputs: BTreeMap<String, String>,
    /// What the page of the run shows.
    pub(super) summary: String,
}

/// Where an action comes from.
pub(super) struct Origin<'a> {
    pub(super) repository: &'a str,
    pub(super) reference: &'a str,
}

/// Does with `action.yml` what GitHub's runner does with a composite action.
pub(super) async fn act(job: &Job, origin: &Origin<'_>, given: &[(&str, &str)]) -> Acted {
    let action = yaml("action.yml");
    let declared = action["inputs"].as_object().unwrap();
    let mut known: Environment = BTreeMap::from([
        ("github.action_repository".to_owned(), origin.repository.to_owned()),
        ("github.action_ref".to_owned(), origin.reference.to_owned()),
    ]);
    for (name, input) in declared {
        let value = given.iter().find(|(given, _)| given == name).map(|(_, value)| *value);
        let value = value.or_else(|| input["default"].as_str());
        let value = value.unwrap_or_else(|| panic!("the input `{name}` is required"));
        known.insert(format!("inputs.{name}"), value.to_owned());
    }
    for (name, _) in given {
        assert!(declared.contains_key(*name), "there is no input `{name}`");
    }
    let mut further = BTreeMap::from([
        ("GITHUB_ACTION_PATH".to_owned(), repository().to_str().unwrap().to_owned()),
        ("RUNNER_TEMP".to_owned(), job.temporary("").to_str().unwrap().to_owned()),
    ]);
    let files = ["GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"];
    let files = files.map(|name| (name, job.temporary(name)));
    let (mut code, mut log, mut summary) = (0, String::new(), String::new());
    for step in action["runs"]["steps"].as_array().unwrap() {
        for (name, file) in &files {
            std::fs::write(file, "").unwrap();
            further.insert((*name).to_owned(), file.to_str().unwrap().to_owned());
        }
        let mut environment = further.clone();
        for (name, value) in step["env"].as_object().unwrap() {
            environment.insert(name.clone(), evaluated(value.as_str().unwrap(), &known));
        }
        assert_eq!(step["shell"], "bash", "{step}");
        let script = step["run"].as_str().unwrap();
        assert!(
            !script.contains("${{"),
            "an expression in a script writes into the script: {script}"
        );
        let shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"];
        let ran = run(job, &shell, script, &environment).await;
        log.push_str(&ran.log);
        let [outputs, path, written] =
            files.each_ref().map(|(_, file)| std::fs::read_to_string(file).unwrap());
        summary.push_str(&written);
        if let Some(id) = step["id"].as_str() {
            for (name, value) in assignments(&outputs) {
                known.insert(format!("steps.{id}.outputs.{name}"), value);
            }
        }
        for directory in path.lines() {
            let before = further.get("PATH").unwrap_or(&job.environment["PATH"]);
            further.insert("PATH".to_owned(), format!("{directory}:{before}"));
        }
        code = ran.code;
        if code != 0 {
            break;
        }
    }
    let outputs = action["outputs"].as_object().unwrap().iter();
    let outputs = outputs.map(|(name, output)| {
        let value = output["value"].as_str().unwrap();
        let step = value.trim_start_matches("${{ ").trim_end_matches(" }}");
        (name.clone(), known.get(step).cloned().unwrap_or_default())
    });
    Acted { code, log, outputs: outputs.collect(), summary }
}

/// A text with the values of its expressions, each of which is one name.
pub(super) fn evaluated(text: &str, known: &Environment) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, expression)) = rest.split_once("${{ ") {
        let (name, after) = expression.split_once(" }}").unwrap();
        whole.push_str(before);
        whole.push_str(known.get(name).unwrap_or_else(|| panic!("nobody knows `{name}`")));
        rest = after;
    }
    whole + rest
}

/// `NAME=VALUE`, or `NAME<<MARK`, lines, `MARK`.
fn assignments(file: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = file.lines();
    while let Some(line) = lines.next() {
        if let Some((name, mark)) = line.split_once("<<") {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != mark).collect();
            found.push((name.to_owned(), value.join("\n")));
        } else {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

/// The example's job for GitLab: its commands are one script of bash.
pub(super) async fn gitlab(job: &Job) -> Ran {
    let pipeline = yaml("ci/gitlab/gitlab-ci.yml");
    let mut environment: Environment = BTreeMap::new();
    for (name, value) in pipeline["variables"].as_object().unwrap() {
        environment.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    for name in pipeline["deploy"]["id_tokens"].as_object().unwrap().keys() {
        environment.insert(name.clone(), "a token".to_owned());
    }
    // What a project or a person sets comes before what the file says.
    environment.extend(job.environment.clone());
    let commands = [&pipeline["deploy"]["before_script"], &pipeline["deploy"]["script"]];
    let script = commands.map(|commands| texts(commands).join("\n")).join("\n");
    let script = format!("set -eo pipefail\nset +o noclobber\n{script}\n");
    run(job, &["bash"], &script, &environment).await
}

/// What the example's Jenkinsfile runs by `sh`.
pub(super) async fn jenkins(job: &Job) -> Ran {
    let pipeline = std::fs::read_to_string(repository().join("ci/jenkins/Jenkinsfile")).unwrap();
    let script = pipeline.split("sh(script: '").nth(1).unwrap().split('\'').next().unwrap();
    let copy = job.workspace.join(script);
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    std::fs::copy(repository().join(script), copy).unwrap();
    run(job, &["sh", "-xe"], script, &BTreeMap::new()).await
}
