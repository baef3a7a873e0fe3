use super::*;
use crate::fixtures::deployment;

fn version(number: u32) -> TaskDefinition {
    TaskDefinition::new(format!("arn:aws:ecs:eu-west-1:1:task-definition/shop:{number}"))
}

/// `shop-N` brought version N in place of another one.
fn of(number: u32, before: u32, phase: Phase) -> Deployment {
    let mut found = deployment();
    found.id = DeploymentId::new(format!("shop-{number}"));
    found.phase = phase;
    found.plan.task_definition = version(number);
    found.plan.stable.task_definition = version(before);
    found.plan.images = vec![format!("repository/app:tag{number}")];
    found
}

fn id(text: &str) -> DeploymentId {
    DeploymentId::new(text)
}

const GOOD: Phase = Phase::Closed(Outcome::Succeeded);
const BAD: Phase = Phase::Closed(Outcome::RolledBack);

fn to(known: &[Deployment], subject: &str, to: &str) -> Result<String, NoWayBack> {
    let to = if to == "previous" { To::Previous } else { To::Named(to.to_owned()) };
    let found = back(known, subject, &to, Some("ada"), "checkout is slow")?;
    Ok(found.request.release.task_definition.short().to_owned())
}

#[test]
fn previous_is_what_served_before_whatever_failed_between() {
    let known = [of(5, 3, BAD), of(3, 2, GOOD), of(2, 1, GOOD)];
    assert_eq!(to(&known, "shop", "previous"), Ok("shop:2".to_owned()));
    // After the way back the previous one is what was left.
    let back = of(2, 3, GOOD);
    let known = [Deployment { id: DeploymentId::new("back"), ..back }, of(3, 2, GOOD)];
    // By the service's name it would go back and forth: two people may have typed the same.
    assert_eq!(to(&known, "shop", "previous"), Err(NoWayBack::WentBack(id("back"))));
    assert_eq!(to(&known, "shop", "shop:3"), Ok("shop:3".to_owned()));
    assert_eq!(to(&known, "back", "previous"), Ok("shop:3".to_owned()));
    assert_eq!(to(&known, "shop-3", "previous"), Err(NoWayBack::Replaced(id("back"))));
}

#[test]
fn what_a_version_is_by_now() {
    let mut elsewhere = of(9, 8, GOOD);
    elsewhere.plan.stable.service = crate::ids::EcsServiceName::new("other-blue");
    let known = [
        of(6, 3, Phase::Open),
        of(5, 3, BAD),
        elsewhere,
        of(3, 2, GOOD),
        of(2, 1, GOOD),
        of(1, 0, GOOD),
    ];
    let standings: Vec<_> = known.iter().map(|one| standing(&known, one)).collect();
    let expected = [
        None,
        Some(Standing::NeverServed),
        Some(Standing::Serves),
        Some(Standing::Serves),
        Some(Standing::Left(&known[3])),
        Some(Standing::Served),
    ];
    assert_eq!(standings, expected);
    // Somebody has gone back: what they left is what served before.
    let again = Deployment { id: DeploymentId::new("back"), ..of(2, 3, GOOD) };
    let known = [again, of(3, 2, GOOD), of(2, 1, GOOD)];
    assert_eq!(standing(&known, &known[1]), Some(Standing::Left(&known[0])));
    assert_eq!(standing(&known, &known[2]), Some(Standing::Serves));
    // Somebody tried to go back, and that was rolled back: the version has served all the same.
    let tried = Deployment { id: DeploymentId::new("back"), ..of(1, 3, BAD) };
    let known = [tried, of(3, 2, GOOD), of(2, 1, GOOD), of(1, 0, GOOD)];
    assert_eq!(standing(&known, &known[0]), Some(Standing::Served));
    // Everything is on the new version, which is being completed.
    let known = [of(4, 3, Phase::Committed), of(3, 2, GOOD)];
    assert_eq!(standing(&known, &known[1]), Some(Standing::Left(&known[0])));
    // By its name, or by its ARN.
    let mut named = of(3, 2, GOOD);
    named.plan.cluster = crate::ids::ClusterName::new("arn:aws:ecs:eu-west-1:1:cluster/x");
    let mut other = of(2, 1, GOOD);
    other.plan.cluster = crate::ids::ClusterName::new("x");
    let known = [named, other];
    assert_eq!(standing(&known, &known[1]), Some(Standing::Left(&known[0])));
}

#[test]
fn a_version_has_many_names_and_must_have_served() {
    let known = [of(5, 3, BAD), of(3, 2, GOOD), of(2, 1, GOOD)];
    for name in ["shop-2", "shop:2", version(2).as_str(), "tag2"] {
        assert_eq!(to(&known, "shop", name), Ok("shop:2".to_owned()), "{name}");
    }
    // It was there before the first deployment that is known.
    assert_eq!(to(&known, "shop", "shop:1"), Ok("shop:1".to_owned()));
    assert_eq!(to(&known, "shop", "shop:3"), Err(NoWayBack::Serves(version(3))));
    for name in ["shop-5", "shop:5", "tag5", "shop:4", ""] {
        let others = NoWayBack::Unknown(vec![version(2), version(1)]);
        assert_eq!(to(&known, "shop", name), Err(others), "{name}");
    }
}

#[test]
fn what_was_rolled_back_is_back_already() {
    let known = [of(5, 3, BAD), of(3, 2, GOOD)];
    let already = Err(NoWayBack::BackAlready(id("shop-3")));
    assert_eq!(to(&known, "shop-5", "previous"), already);
}

#[test]
fn a_tag_that_several_versions_have_names_none() {
    let mut known = [of(4, 3, GOOD), of(3, 2, GOOD), of(2, 1, GOOD)];
    for deployment in &mut known {
        deployment.plan.images.push("repository/proxy:stable@sha256:1234".to_owned());
    }
    let all = NoWayBack::Tagged(vec![version(4), version(3), version(2)]);
    assert_eq!(to(&known, "shop", "stable"), Err(all));
    known[2].plan.images = vec!["registry:5000/app:old@sha256:5678".to_owned()];
    assert_eq!(to(&known, "shop", "old"), Ok("shop:2".to_owned()));
    assert_eq!(tag("registry:5000/app"), None);
}

#[test]
fn what_runs_is_not_passed_over_and_nothing_is_guessed() {
    let known = [of(4, 3, Phase::Committed), of(3, 2, GOOD)];
    let completing = Err(NoWayBack::Completing(id("shop-4")));
    assert_eq!(to(&known, "shop", "previous"), completing);
    let known = [of(4, 3, Phase::Open), of(3, 2, GOOD)];
    for subject in ["shop", "shop-3", "shop-4"] {
        assert_eq!(
            to(&known, subject, "previous"),
            Err(NoWayBack::Running(id("shop-4"))),
            "{subject}"
        );
    }
    assert_eq!(to(&[of(4, 3, BAD)], "shop", "previous"), Err(NoWayBack::NeverDeployed));
    assert_eq!(to(&[of(4, 3, GOOD)], "cart", "previous"), Err(NoWayBack::NeverDeployed));
    let mut elsewhere = of(7, 6, GOOD);
    elsewhere.plan.cluster = crate::ids::ClusterName::new("staging");
    let both = NoWayBack::Ambiguous(vec![id("shop-4"), id("shop-7")]);
    let known = [of(4, 3, GOOD), elsewhere];
    assert_eq!(to(&known, "shop", "previous"), Err(both));
    assert_eq!(to(&known, "shop-7", "previous"), Ok("shop:6".to_owned()));
}

#[test]
fn the_request_is_one_that_a_person_could_have_written() {
    let known = [of(3, 2, GOOD)];
    let found = back(&known, "shop", &To::Previous, None, "checkout is slow").unwrap();
    assert_eq!(found.way_back.from.as_str(), "shop-3");
    let written = serde_json::to_value(&found.request).unwrap();
    assert_eq!(crate::request::decode(&written), Ok(found.request.clone()));
    let Target { slots, .. } = &found.request.target;
    let plan = &known[0].plan;
    assert_eq!(slots.of(plan.stable.slot), &plan.stable.service);
    assert_eq!(slots.of(plan.canary.slot), &plan.canary.service);
}

#[test]
fn each_service_has_its_newest() {
    let mut other = of(9, 8, BAD);
    other.plan.stable.service = crate::ids::EcsServiceName::new("other-blue");
    let known = [of(5, 3, GOOD), of(3, 2, BAD), other];
    assert_eq!(newest_of_each(known.iter()), [&known[0], &known[2]]);
}
