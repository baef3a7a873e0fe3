//! The daily look for drift: what somebody changes after a deployment is told once, wherever the deployment told.

use std::time::Duration;

use glidepath_lab::{Lab, RouteResources};
use serde_json::json;

use crate::{block_on, scenario};

const HEADLINE: &str = "shop: it is not as d-1 has left it";
/// What is told without a state machine is delivered by the sweep, from the third second on.
const DELIVERED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn what_somebody_changes_after_a_deployment_is_told_once_and_anew_after_it_was_set_back() {
    block_on(async {
        let scenario = scenario("short-success");
        let mut lab = Lab::start(&Default::default()).await.unwrap();
        let services = lab.set_up(&scenario).await.unwrap();
        let resources = services.values().next().unwrap();
        let mut request = glidepath_lab::example_request(&scenario, resources);
        // Whoever is sent to the old slot is answered.
        request["retention"] = json!("1h");
        let file = lab.journal().with_file_name("drift.json").to_str().unwrap().to_owned();
        std::fs::write(&file, request.to_string()).unwrap();
        tokio::select! {
            () = play(&lab, &resources.routes[0], &file) => {}
            ended = lab.keep_alive(&scenario, &services) => ended.unwrap(),
        }
    });
}

async fn play(lab: &Lab, route: &RouteResources, request: &str) {
    lab.command_line(&["start", request, "--name", "d-1", "--wait"]).await.unwrap();
    let mut hearing = lab.hearing();
    let look = async || lab.look_for_drift().await.unwrap();
    let (told, untold) = (json!({ "services": 1, "told": 1 }), json!({ "services": 1, "told": 0 }));
    assert_eq!(look().await, untold);
    for _ in 0..2 {
        weigh(lab, route, [1, 9]).await;
        assert_eq!(look().await, told);
        let heard = hearing.with(&[HEADLINE]).await.unwrap();
        assert!(
            heard.contains(": 10 % of its requests go to blue, which was left idle."),
            "{heard}"
        );
        assert_eq!(look().await, untold);
        tokio::time::sleep(DELIVERED_WITHIN).await;
        assert_eq!(hearing.count(HEADLINE), 0);
        weigh(lab, route, [0, 1]).await;
        assert_eq!(look().await, untold);
    }
}

/// Gives the groups of blue and green these weights, as somebody does in the console.
async fn weigh(lab: &Lab, route: &RouteResources, [blue, green]: [i32; 2]) {
    let elb = &lab.clients().elb;
    let found = elb.describe_rules().rule_arns(&route.arn).send().await.unwrap();
    let mut actions = found.rules()[0].actions().to_vec();
    for action in &mut actions {
        // AWS refuses the short form beside two groups.
        action.target_group_arn = None;
        let forward = action.forward_config.iter_mut();
        for group in forward.flat_map(|forward| forward.target_groups.iter_mut().flatten()) {
            let is_blue = group.target_group_arn.as_deref() == Some(route.blue.as_str());
            group.weight = Some(if is_blue { blue } else { green });
        }
    }
    elb.modify_rule().rule_arn(&route.arn).set_actions(Some(actions)).send().await.unwrap();
}
