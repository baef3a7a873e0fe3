//! What the tests of the page are made with, from PyPI: an issuer, and what looks for obstacles.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use glidepath_lab::{Lab, python_environment};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::browser::Browser;

const SECRET: &str = "of the client: & all";

/// A file beside these.
pub(super) fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/page").join(name)
}

async fn python() -> PathBuf {
    python_environment("page", &own("requirements.txt")).await.unwrap()
}

/// Where people sign in, until it is dropped.
pub(super) struct Issuer {
    pub(super) url: String,
    process: Child,
}

impl Issuer {
    /// One at which the lab's stack is a client, which has a secret.
    pub(super) async fn of(lab: &mut Lab) -> Self {
        let redirect = lab.glidepath().outputs()["SignInRedirectUri"].clone();
        let mut process = Command::new(python().await)
            .arg(own("issuer.py"))
            .args(["glidepath", SECRET, &redirect])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.next_line().await.unwrap().unwrap();
        let parameters = vec![
            ("OidcIssuer", url.clone()),
            ("OidcClientId", "glidepath".to_owned()),
            ("OidcClientSecret", secret(lab).await),
        ];
        lab.set_parameters(parameters).await.unwrap();
        Self { url, process }
    }

    pub(super) async fn end(&mut self) {
        self.process.kill().await.unwrap();
    }
}

/// ARN of a secret that the user of the stack has made.
async fn secret(lab: &Lab) -> String {
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": { "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": { "Name": "sign-in/client", "SecretString": SECRET },
        } },
        "Outputs": { "Arn": { "Value": { "Ref": "Secret" } } },
    });
    let cloudformation = &lab.clients().cloudformation;
    let create =
        cloudformation.create_stack().stack_name("client").template_body(template.to_string());
    create.send().await.unwrap();
    loop {
        let found = cloudformation.describe_stacks().stack_name("client").send().await.unwrap();
        let output = found.stacks().iter().flat_map(|stack| stack.outputs()).next();
        if let Some(arn) = output.and_then(|output| output.output_value()) {
            return arn.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// axe-core finds no obstacle for anybody. The page forbids scripts, its own and others'; a driver's it cannot.
pub(super) async fn has_no_obstacle(browser: &Browser, what: &str) {
    let environment = python().await;
    let library = environment.parent().unwrap().parent().unwrap().join("lib");
    let version = std::fs::read_dir(library).unwrap().next().unwrap().unwrap().path();
    let axe = version.join("site-packages/axe_playwright_python/axe.min.js");
    browser.evaluate(&std::fs::read_to_string(axe).unwrap()).await;
    let run = "const done = arguments[0];
        axe.run(document).then(
            found => done([found.passes.length, ...found.violations.map(one =>
                [one.id, one.help, ...one.nodes.map(node => node.html + ' ' + node.failureSummary)])]),
            error => done([0, String(error)]));";
    let found = browser.client.execute_async(run, Vec::new()).await.unwrap();
    let found = found.as_array().unwrap();
    assert!(found[0].as_u64().unwrap() > 5, "{what}: {found:?}");
    assert!(found.len() == 1, "{what}: {:#?}", &found[1..]);
}
