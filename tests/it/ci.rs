//! What CI does with `action.yml` and with the examples in `ci/`: their own lines, played as the runners of GitHub,
//! GitLab and Jenkins play them, against a release that the release workflow's own lines have packed.

mod release;
mod runners;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glidepath_lab::{ACCOUNT, Lab, Person, REGION};
use serde_json::{Value, json};

use self::release::{ARCHIVE, REPOSITORY, Release, VERSION};
use self::runners::{Acted, Job, Origin, Ran, act, evaluated, gitlab, jenkins, repository, yaml};
use crate::{block_on, scenario};

const AT_A_TAG: Origin<'_> = Origin { repository: REPOSITORY, reference: VERSION };
const AT_A_COMMIT: Origin<'_> =
    Origin { repository: REPOSITORY, reference: "11bd71901bbe5b1630ceea73d27597364c9af683" };

const COMMIT: &str = "5f3a9c1de8b7426f0a1b2c3d4e5f60718293a4b5";

/// An empty directory of this test's.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ci-{name}"));
    if directory.exists() {
        std::fs::remove_dir_all(&directory).unwrap();
    }
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn on_github<'a>(release: &'a Release, run: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("GITHUB_SERVER_URL", &release.server),
        ("GITHUB_REPOSITORY", "acme/petswipe"),
        ("GITHUB_SHA", COMMIT),
        ("GITHUB_RUN_ID", run),
        ("RUNNER_OS", "Linux"),
        ("RUNNER_ARCH", "X64"),
    ]
}

/// A command line that says how it was called, on both streams, and ends as its request says.
const ECHO: &str = r#"#!/bin/sh
[ "$1" != schema ] || exit 0
for argument in "$@"; do printf '<%s>' "$argument"; done
echo
echo "why, and" >&2
echo "  what to do" >&2
exit "$2"
"#;

async fn echoing(directory: &Path) -> Release {
    let program = directory.join("glidepath");
    std::fs::write(&program, ECHO).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Release::of(&program, &directory.join("release")).await
}

#[test]
fn only_an_archive_with_the_sum_that_is_pinned_or_published_is_installed() {
    block_on(async {
        let directory = directory("install");
        let release = echoing(&directory).await;
        let sum = release.sum();
        let job = Job::new(&directory.join("job"), &on_github(&release, "1"));
        let install = async |origin: &Origin<'_>, version: &str, sha256: &str| {
            act(&job, origin, &[("request", "0"), ("version", version), ("sha256", sha256)]).await
        };
        let refused = |acted: &Acted, why: &str| {
            assert_eq!(acted.code, 2, "{acted:?}");
            assert!(acted.log.contains(why) && acted.log.contains("::error title="), "{acted:?}");
            // Nothing was started.
            assert!(!acted.log.contains("<start>"), "{acted:?}");
        };
        for (origin, version, sha256) in
            [(&AT_A_TAG, "", ""), (&AT_A_COMMIT, VERSION, ""), (&AT_A_COMMIT, VERSION, &sum)]
        {
            let acted = install(origin, version, sha256).await;
            assert_eq!(
                (acted.code, acted.outputs["state"].as_str()),
                (0, "succeeded"),
                "{acted:?}"
            );
        }
        refused(&install(&AT_A_COMMIT, "", "").await, "say which release with the input version");
        refused(&install(&AT_A_TAG, "v9.9.9", "").await, "cannot download http://");
        let wrong = "0".repeat(64);
        refused(&install(&AT_A_TAG, "", &wrong).await, "has another sum than 0000");
        // Somebody has changed the archive, and not the sums.
        let archive = release.files.join(ARCHIVE);
        let mut bytes = std::fs::read(&archive).unwrap();
        bytes.push(0);
        std::fs::write(&archive, bytes).unwrap();
        refused(&install(&AT_A_TAG, "", "").await, "has another sum than ");
        refused(&install(&AT_A_TAG, "", &sum).await, "has another sum than ");
        std::fs::write(release.files.join("SHA256SUMS"), format!("{sum}  another\n")).unwrap();
        refused(&install(&AT_A_TAG, "", "").await, "has no sum of glidepath-linux-x86_64.tar.gz");
        let job = Job::new(
            &directory.join("job"),
            &[&on_github(&release, "1")[..], &[("RUNNER_ARCH", "ARM")]].concat(),
        );
        refused(&act(&job, &AT_A_TAG, &[("request", "0")]).await, "no release for Linux on ARM");
    });
}

#[test]
fn the_action_takes_what_its_workflow_gives_and_says_how_it_ended() {
    block_on(async {
        let directory = directory("action");
        let release = echoing(&directory).await;
        let job = Job::new(&directory.join("job"), &on_github(&release, "17"));
        let name = format!("petswipe-{}-17", &COMMIT[..8]);

        // The example's own inputs.
        let workflow = yaml("ci/github/workflow.yml");
        let steps = workflow["jobs"]["deploy"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["id"] == "glidepath").unwrap();
        let known = [("github.actor", "$(exit 9) ada"), ("github.sha", COMMIT)];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let known = BTreeMap::from(known);
        let given: Vec<_> = step["with"].as_object().unwrap().iter().collect();
        let given: Vec<_> = given
            .into_iter()
            .map(|(name, value)| (name.as_str(), evaluated(value.as_str().unwrap(), &known)))
            .collect();
        let mut given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let acted = act(&job, &AT_A_COMMIT, &given).await;
        let called = format!(
            "<start><deploy/request.yaml><--name><{name}><--wait><--until-person>\
             <--timeout><50m><--image><web={COMMIT}><--set><startedBy=$(exit 9) ada>\n"
        );
        assert!(acted.log.contains(&called), "{}", acted.log);

        // How the command line ends, what the state is, and how the step ends.
        given.retain(|(name, _)| *name == "version");
        for (ends, state, code) in [
            ("0", "succeeded", 0),
            ("1", "failed", 1),
            ("2", "refused", 2),
            ("3", "unknown", 3),
            ("4", "waits", 0),
            ("5", "running", 5),
            ("130", "unknown", 130),
        ] {
            let mut given = given.clone();
            given.extend([
                ("request", ends),
                ("set", "a=1\n\nb=x y"),
                ("task-definition", "shop:43"),
                ("until-person", "false"),
                ("name", "mine"),
            ]);
            let acted = act(&job, &AT_A_COMMIT, &given).await;
            let called = format!(
                "<start><{ends}><--name><mine><--wait><--task-definition><shop:43><--set><a=1><--set><b=x y>\n"
            );
            assert!(acted.log.contains(&called), "{}", acted.log);
            assert_eq!(acted.code, code, "{acted:?}");
            let expected = [
                ("deployment", "mine"),
                ("exit-code", ends),
                ("message", "why, and\n  what to do"),
                ("state", state),
            ];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(acted.outputs, BTreeMap::from(expected));
            let shown = format!("### Glidepath: mine: {state}\n\n    why, and\n      what to do\n");
            assert!(acted.summary.starts_with(&shown), "{}", acted.summary);
        }
    });
}

#[test]
fn who_waits_for_a_person_is_no_failure_to_any_of_them() {
    let pipeline = yaml("ci/gitlab/gitlab-ci.yml");
    assert_eq!(pipeline["deploy"]["allow_failure"], json!({ "exit_codes": [4] }));
    let pipeline = include_str!("../../ci/jenkins/Jenkinsfile");
    assert!(
        pipeline.contains("if (code == 4) {\n                            unstable "),
        "{pipeline}"
    );
}

#[test]
fn the_page_names_every_input_output_and_state() {
    let page = include_str!("../../docs/ci.md");
    let action = yaml("action.yml");
    let script = include_str!("../../ci/github/start");
    let named = ["inputs", "outputs"].map(|of| action[of].as_object().unwrap().keys());
    let named = named.into_iter().flatten().map(String::as_str);
    let states = script.split("state=").skip(1).filter_map(|rest| rest.split([' ', '"']).next());
    let states = states.filter(|state| !state.starts_with('$'));
    let names: Vec<_> = named.chain(states).collect();
    assert!(names.contains(&"refused") && names.contains(&"until-person"), "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    for policy in page.split("```json\n").skip(1) {
        let policy = policy.split("```").next().unwrap();
        let policy: Value = serde_json::from_str(policy).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
    }
}

/// A lab with a service, and jobs of all three that deploy it.
struct Stage {
    lab: Lab,
    release: Release,
    directory: PathBuf,
    versions: BTreeMap<String, String>,
    request: Value,
    /// The role that GitLab's jobs may assume.
    role: String,
}

impl Stage {
    fn job(&self, name: &str, request: &Value, environment: &[(&str, &str)]) -> Job {
        let Person { key, secret, .. } = Person::root();
        let keys =
            [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", secret.as_str())];
        self.job_without_keys(name, request, &[environment, &keys].concat())
    }

    fn job_without_keys(&self, name: &str, request: &Value, environment: &[(&str, &str)]) -> Job {
        let of_aws = [("AWS_ENDPOINT_URL", self.lab.endpoint()), ("AWS_REGION", REGION)];
        let job = Job::new(&self.directory.join(name), &[environment, &of_aws].concat());
        std::fs::create_dir_all(job.workspace.join("deploy")).unwrap();
        std::fs::write(job.workspace.join("deploy/request.yaml"), request.to_string()).unwrap();
        job
    }

    async fn github(&self, run: &str, request: &Value, inputs: &[(&str, &str)]) -> Acted {
        let job = self.job(&format!("github-{run}"), request, &on_github(&self.release, run));
        let inputs = [inputs, &[("request", "deploy/request.yaml")]].concat();
        act(&job, &AT_A_TAG, &inputs).await
    }

    async fn gitlab(&self, run: &str, request: &Value) -> Ran {
        let (downloads, sum) = (self.release.downloads(), self.release.sum());
        let environment = [
            ("GLIDEPATH_RELEASES", downloads.as_str()),
            ("GLIDEPATH_SHA256", &sum),
            ("CI_PROJECT_NAME", "petswipe"),
            ("CI_COMMIT_SHORT_SHA", &COMMIT[..8]),
            ("CI_PIPELINE_ID", run),
            ("CI_JOB_ID", "4711"),
            ("GITLAB_USER_LOGIN", "bob"),
            ("AWS_ROLE_ARN", &self.role),
            ("AWS_ID_TOKEN", &id_token()),
        ];
        gitlab(&self.job_without_keys("gitlab", request, &environment)).await
    }

    async fn jenkins(&self, run: &str, request: &Value) -> Ran {
        let (downloads, sum) = (self.release.downloads(), self.release.sum());
        let name = format!("petswipe-{}-{run}", &COMMIT[..8]);
        let environment = [
            ("GLIDEPATH_RELEASES", downloads.as_str()),
            ("GLIDEPATH_SHA256", &sum),
            ("JOB_BASE_NAME", "petswipe%2Fmain"),
            ("GIT_COMMIT", COMMIT),
            ("BUILD_NUMBER", "3"),
            // It goes on with what another build has started.
            ("DEPLOYMENT", &name),
        ];
        jenkins(&self.job("jenkins", request, &environment)).await
    }
}

/// What GitLab gives a job of the branch that the page's trust policy names. The local AWS reads it and looks at no
/// signature.
fn id_token() -> String {
    let claims = json!({
        "iss": "https://gitlab.com", "aud": "sts.amazonaws.com",
        "sub": "project_path:GROUP/PROJECT:ref_type:branch:ref:main",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmVk", part(&json!({ "alg": "RS256" })), part(&claims))
}

/// A role that GitLab's jobs may assume as docs/ci.md says, and that may deploy and nothing else.
async fn role_of_gitlab(lab: &Lab) -> String {
    let page = std::fs::read_to_string(repository().join("docs/ci.md")).unwrap();
    let policy = page.split("## GitLab").nth(1).unwrap().split("```json\n").nth(1).unwrap();
    let policy = policy.split("```").next().unwrap().replace("123456789012", ACCOUNT);
    let clients = lab.clients();
    let created = clients.iam.create_role().role_name("gitlab");
    let created = created.assume_role_policy_document(policy).send().await.unwrap();
    for policy in ["DeployerPolicyArn", "ViewerPolicyArn"] {
        let attach = clients.iam.attach_role_policy().role_name("gitlab");
        attach.policy_arn(&lab.glidepath().outputs()[policy]).send().await.unwrap();
    }
    created.role().unwrap().arn().to_owned()
}

#[test]
fn all_three_deploy_wait_for_a_person_go_on_and_hear_of_a_rollback() {
    block_on(async {
        let directory = directory("lab");
        let scenario = scenario("short-success");
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let services = lab.set_up(&scenario).await.unwrap();
        let resources = services.values().next().unwrap();
        let command_line = lab.command_line_path().await.unwrap();
        let release = Release::of(&command_line, &directory.join("release")).await;
        let request = glidepath_lab::example_request(&scenario, resources);
        let versions = resources.task_definitions.clone();
        let role = role_of_gitlab(&lab).await;
        let stage = Stage { lab, release, directory, versions, request, role };
        tokio::select! {
            () = play(&stage) => {}
            ended = stage.lab.keep_alive(&scenario, &services) => ended.unwrap(),
        }
    });
}

async fn play(stage: &Stage) {
    let mut request = stage.request.clone();
    request["strategy"] = json!({ "canary": { "stages": [
        { "weight": 50, "bake": "2s" },
        { "weight": 100, "bake": "2s", "approval": { "timeout": "4h", "onTimeout": "rollback" } },
    ] } });
    let name = format!("petswipe-{}-1", &COMMIT[..8]);

    // It begins, and somebody is asked.
    let acted = stage.github("1", &request, &[("set", "startedBy=ada")]).await;
    assert_eq!(acted.code, 0, "{acted:?}");
    let outputs = &acted.outputs;
    assert_eq!((outputs["state"].as_str(), outputs["exit-code"].as_str()), ("waits", "4"));
    assert_eq!(outputs["deployment"], name);
    let waits = format!("{name} waits for approval of stage 2 (100 %)");
    assert!(outputs["message"].contains(&waits), "{acted:?}");
    assert!(acted.log.contains(&format!("{name} has begun: ")), "{acted:?}");
    assert!(acted.summary.contains(&format!("    {waits}")), "{}", acted.summary);
    // The same for whoever goes on with it, and for who has no more time.
    let still = [("until-person", "false"), ("timeout", "1s"), ("set", "startedBy=carol")];
    let (again, on_gitlab, on_jenkins) = tokio::join!(
        stage.github("1", &request, &still),
        stage.gitlab("1", &request),
        stage.jenkins("1", &request),
    );
    assert_eq!((again.code, again.outputs["state"].as_str()), (5, "running"), "{again:?}");
    for ran in [on_gitlab, on_jenkins] {
        assert!(ran.code == 4 && ran.log.contains(&waits), "{ran:?}");
    }

    // After the decision the same job ends well.
    let approve = ["approve", &name, "--stage", "2", "--reason", "seen"];
    stage.lab.command_line(&approve).await.unwrap();
    let (ends, on_gitlab, on_jenkins) = tokio::join!(
        stage.github("1", &request, &[]),
        stage.gitlab("1", &request),
        stage.jenkins("1", &request),
    );
    assert_eq!((ends.code, ends.outputs["state"].as_str()), (0, "succeeded"), "{ends:?}");
    let drift = stage.lab.command_line(&["drift"]).await.unwrap();
    assert_eq!(drift.trim(), format!("shop: as {name} has left it"));
    for ran in [on_gitlab, on_jenkins] {
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    // The other version, which is rolled back while they wait.
    request["release"]["taskDefinition"] = json!(stage.versions["v1"]);
    request["strategy"] = json!({ "canary": { "stages": [{ "weight": 50, "bake": "5m" }, { "weight": 100, "bake": "5m" }] } });
    let name = format!("petswipe-{}-2", &COMMIT[..8]);
    let rolling_back = async {
        // Each of them may be the one that starts it.
        let rollback = ["rollback", &name, "--reason", "the wrong one"];
        for _ in 0..120 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let status = stage.lab.command_line(&["status", &name, "--json"]).await;
            let status = status.ok().and_then(|told| serde_json::from_str::<Value>(&told).ok());
            if status.is_some_and(|status| status["now"]["traffic"][0]["canary"] == 50.0) {
                return stage.lab.command_line(&rollback).await.map(drop).unwrap();
            }
        }
        panic!("{name} has not shifted");
    };
    let (ends, on_gitlab, on_jenkins, ()) = tokio::join!(
        stage.github("2", &request, &[]),
        stage.gitlab("2", &request),
        stage.jenkins("2", &request),
        rolling_back,
    );
    assert_eq!((ends.code, ends.outputs["state"].as_str()), (1, "failed"), "{ends:?}");
    assert!(
        ends.outputs["message"].contains("Aborted: ")
            && ends.outputs["message"].contains("the wrong one")
    );
    for ran in [on_gitlab, on_jenkins] {
        assert!(ran.code == 1 && ran.log.contains("the wrong one"), "{ran:?}");
    }
    // Run once more it deploys nothing.
    let again = stage.github("2", &request, &[]).await;
    assert_eq!((again.code, again.outputs["state"].as_str()), (2, "refused"), "{again:?}");
    assert!(again.outputs["message"].contains("failed before"), "{again:?}");
}
