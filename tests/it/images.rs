//! `--image`: a revision is registered from the one that serves, by whom the stack's policies let, and deployed.

use std::collections::BTreeMap;

use glidepath_lab::{Lab, Person, ServiceResources};
use serde_json::{Value, json};

use crate::{block_on, scenario, user};

/// What a service answers to root, with members that no SDK here knows.
async fn asked(lab: &Lab, service: &str, target: &str, request: &Value) -> Value {
    let scope = format!("{}/20260101/eu-west-1/{service}/aws4_request", Person::root().key);
    let signature = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    );
    let output = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--data", &request.to_string()])
        .args(["--header", &format!("X-Amz-Target: {target}"), "--header", &signature])
        .args(["--header", "Content-Type: application/x-amz-json-1.1", lab.endpoint()])
        .output()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer.get("__type").is_none(), "{target}: {answer}");
    answer
}

async fn ecs(lab: &Lab, operation: &str, request: &Value) -> Value {
    let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
    asked(lab, "ecs", &target, request).await
}

async fn described(lab: &Lab, name: &str) -> Value {
    let request = json!({ "taskDefinition": name, "include": ["TAGS"] });
    ecs(lab, "DescribeTaskDefinition", &request).await
}

struct Stage {
    lab: Lab,
    resources: ServiceResources,
    request: String,
    /// Of the version that serves at the beginning.
    family: String,
    /// By version.
    tags: BTreeMap<&'static str, String>,
    repository: String,
}

impl Stage {
    /// With these arguments as this person: the exit code and everything that was printed.
    async fn types(&self, person: &Person, arguments: &[&str]) -> (i32, String) {
        let output = self.lab.command_as(person, arguments).await.unwrap().output().await.unwrap();
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code().unwrap(), format!("{stdout}{stderr}"))
    }

    #[track_caller]
    fn ends(&self, (code, told): (i32, String), wanted: i32, says: &[&str]) -> String {
        assert_eq!(code, wanted, "{told}");
        for text in says {
            assert!(told.contains(text), "{text}: {told}");
        }
        told
    }

    async fn revisions(&self) -> usize {
        let request = json!({ "familyPrefix": self.family });
        let listed = ecs(&self.lab, "ListTaskDefinitions", &request).await;
        listed["taskDefinitionArns"].as_array().unwrap().len()
    }
}

#[test]
fn a_revision_with_another_image_is_registered_once_and_deployed() {
    block_on(async {
        let scenario = scenario("gone-image");
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let mut services = lab.set_up(&scenario).await.unwrap();
        let resources = services.pop_first().unwrap().1;
        let mut tags = BTreeMap::new();
        let mut repository = String::new();
        for version in ["v1", "v2", "v4", "v5"] {
            let found = described(&lab, &resources.task_definitions[version]).await;
            let image =
                found["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap();
            let (named, tag) = image.rsplit_once(':').unwrap();
            named.clone_into(&mut repository);
            tags.insert(version, tag.to_owned());
        }
        let serving = described(&lab, &resources.task_definitions["v1"]).await;
        let family = serving["taskDefinition"]["family"].as_str().unwrap().to_owned();
        let mut request = glidepath_lab::example_request(&scenario, &resources);
        // The file's is never looked at.
        request["release"] = json!({ "taskDefinition": "somebody-forgot-this:1" });
        request["strategy"] = json!({ "canary": { "stages": [
            { "weight": 50, "bake": "1s" },
            { "weight": 100, "bake": "1s", "approval": { "timeout": "4h", "onTimeout": "rollback" } },
        ] } });
        let file = lab.journal().with_file_name("images.json").to_str().unwrap().to_owned();
        std::fs::write(&file, request.to_string()).unwrap();
        let services = BTreeMap::from([(resources.name.clone(), resources.clone())]);
        let stage = Stage { lab, resources, request: file, family, tags, repository };
        tokio::select! {
            () = play(&stage) => {}
            ended = stage.lab.keep_alive(&scenario, &services) => ended.unwrap(),
        }
    });
}

async fn play(stage: &Stage) {
    let (lab, request) = (&stage.lab, stage.request.as_str());
    let ci = user(lab, "image-ci").await;
    let attach = async |policy: &str| {
        let attach = lab.clients().iam.attach_user_policy().user_name("image-ci");
        attach.policy_arn(&lab.glidepath().outputs()[policy]).send().await.unwrap();
    };
    attach("ViewerPolicyArn").await;
    attach("DeployerPolicyArn").await;
    let image = |version: &str| format!("web={}", stage.tags[version]);
    let serves = stage.resources.task_definitions["v1"].rsplit('/').next().unwrap().to_owned();
    // Each version of the scenario is one.
    let versions = stage.resources.task_definitions.len();
    let request_of_ecr =
        json!({ "repositoryName": "example", "imageIds": [{ "imageTag": stage.tags["v2"] }] });
    let target = "AmazonEC2ContainerRegistry_V20150921.DescribeImages";
    let found = asked(lab, "ecr", target, &request_of_ecr).await;
    let digest = found["imageDetails"][0]["imageDigest"].as_str().unwrap();
    let pinned = format!("{}@{digest}", stage.repository);

    // A look registers nothing, and who may not register hears what to attach.
    let new = format!("{}:{}", stage.family, versions + 1);
    let planned = stage.types(&ci, &["plan", request, "--image", &image("v2")]).await;
    let would_be =
        format!("a new revision of {serves}, which serves ({new}, if nobody is faster):");
    stage.ends(
        planned,
        0,
        &[&would_be, &pinned, &format!("{new} in the green slot replaces {serves}")],
    );
    let start =
        ["start", request, "--image", &image("v2"), "--name", "i-1", "--wait", "--until-person"];
    let denied = stage.types(&ci, &start).await;
    stage.ends(
        denied,
        3,
        &["ecs:RegisterTaskDefinition", "RegistrarPolicy", "nothing was started"],
    );
    // Nor does what cannot be deployed.
    let misspelt = image("v2").replace("web", "wep");
    for (asked, says) in
        [("web=nobody-pushed-it", "ECR has no image"), (misspelt.as_str(), "did you mean `web`?")]
    {
        let refused = stage.types(&ci, &["start", request, "--image", asked]).await;
        stage.ends(refused, 2, &[says]);
    }
    assert_eq!(stage.revisions().await, versions);

    // It begins, and the same again goes on with what is registered: while it waits, and after the end.
    attach("RegistrarPolicyArn").await;
    let begins = stage.types(&ci, &start).await;
    let waits = "i-1 waits for approval of stage 2";
    let begins = stage.ends(begins, 4, &[&format!("registered {new}"), waits]);
    assert!(begins.contains(&format!("i-1 has begun: {new} replaces {serves}")), "{begins}");
    let exists =
        format!("{new} is {serves} with these images already: no other revision is registered");
    let again = stage.types(&ci, &start).await;
    stage.ends(again, 4, &[&exists, waits]);
    let other = ["start", request, "--image", &image("v4"), "--name", "i-1"];
    let other = stage.types(&ci, &other).await;
    stage.ends(other, 2, &["a deployment named `i-1` exists", "nothing was registered"]);
    let second = ["start", request, "--image", &image("v4"), "--name", "i-2"];
    let second = stage.types(&ci, &second).await;
    stage.ends(second, 2, &["i-1"]);
    lab.command_line(&["approve", "i-1", "--stage", "2"]).await.unwrap();
    let follow = ["start", request, "--image", &image("v2"), "--name", "i-1", "--wait"];
    let ended = stage.types(&ci, &follow).await;
    stage.ends(ended, 0, &[&exists]);
    let after = stage.types(&ci, &start).await;
    stage.ends(after, 0, &[&exists, "i-1 ended before, and"]);
    assert_eq!(stage.revisions().await, versions + 1);

    // Nothing else is another.
    let [before, after] = [described(lab, &serves).await, described(lab, &new).await];
    let [mut before, after] = [before, after].map(|answer| answer["taskDefinition"].clone());
    before["containerDefinitions"][0]["image"] = json!(pinned);
    for name in
        ["taskDefinitionArn", "revision", "registeredAt", "registeredBy", "requiresAttributes"]
    {
        before[name] = after[name].clone();
    }
    let container = before["containerDefinitions"][0].as_object_mut().unwrap();
    container.entry("cpu").or_insert_with(|| json!(0));
    for name in ["environment", "mountPoints", "systemControls", "volumesFrom"] {
        container.entry(name).or_insert_with(|| json!([]));
    }
    assert_eq!(before, after);

    // What serves has the image already.
    let same = stage.types(&ci, &["plan", request, "--image", &image("v2")]).await;
    let already = format!("{new} serves with these images already: no revision is registered");
    stage.ends(same, 0, &[&already, "already serves"]);

    keeps_what_no_sdk_knows(stage, &new).await;
}

/// An isolated task must not run shared because its image was changed.
async fn keeps_what_no_sdk_knows(stage: &Stage, serves: &str) {
    let (lab, request, root) = (&stage.lab, stage.request.as_str(), Person::root());
    let mut isolated = described(lab, serves).await["taskDefinition"].clone();
    for name in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        isolated.as_object_mut().unwrap().remove(name);
    }
    let secret = json!({ "isolationMode": "ISOLATED_SANDBOX", "inventedTomorrow": [9_007_199_254_740_993_i64] });
    isolated["trustedExecutionConfiguration"] = secret.clone();
    isolated["tags"] = json!([{ "key": "team", "value": "payments" }]);
    let registered = ecs(lab, "RegisterTaskDefinition", &isolated).await;
    let arn = registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap();
    let at_once = ["--set", r#"strategy={"allAtOnce": {"bake": "1s"}}"#, "--wait"];
    let deploy =
        [&["start", request, "--task-definition", arn, "--name", "i-3"], &at_once[..]].concat();
    let deployed = stage.types(&root, &deploy).await;
    stage.ends(deployed, 0, &[]);

    let image = format!("web={}", stage.tags["v5"]);
    let start = [&["start", request, "--image", &image, "--name", "i-4"], &at_once[..]].concat();
    let started = stage.types(&root, &start).await;
    let new = format!("{}:{}", stage.family, stage.resources.task_definitions.len() + 3);
    stage.ends(started, 0, &[&format!("registered {new}")]);
    let found = described(lab, &new).await;
    assert_eq!(found["taskDefinition"]["trustedExecutionConfiguration"], secret);
    assert_eq!(found["tags"], isolated["tags"]);
    let slots = ["blue", "green"].map(|slot| format!("{}-{slot}", stage.resources.prefix));
    let request = json!({ "cluster": stage.resources.cluster, "services": slots });
    let found = ecs(lab, "DescribeServices", &request).await;
    let services = found["services"].as_array().unwrap();
    let runs = services.iter().any(|service| {
        let version = service["taskDefinition"].as_str().unwrap();
        version.ends_with(&format!("/{new}")) && service["runningCount"].as_u64() > Some(0)
    });
    assert!(runs, "{found}");
}
