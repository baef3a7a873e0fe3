use proptest::prelude::*;

use super::*;

fn pair() -> RolePair {
    RolePair { stable: TargetGroupArn::new("blue"), canary: TargetGroupArn::new("green") }
}

fn weighted(groups: &[(&str, u16)]) -> Vec<WeightedGroup> {
    let entry = |(group, weight): &(&str, u16)| WeightedGroup {
        group: TargetGroupArn::new(*group),
        weight: AlbWeight::new(*weight),
    };
    groups.iter().map(entry).collect()
}

fn route(groups: &[(&str, u16)], sticky: bool) -> RouteActions {
    let authenticate = AuthenticateCognito {
        user_pool_arn: "pool".into(),
        user_pool_client_id: "client".into(),
        user_pool_domain: "domain".into(),
        session: AuthenticateSession {
            session_cookie_name: None,
            scope: None,
            session_timeout: Some(60),
            extra_parameters: std::collections::BTreeMap::new(),
            on_unauthenticated_request: None,
        },
    };
    let stickiness = sticky.then_some(Stickiness { duration_seconds: 60 });
    let forward = Forward::new(weighted(groups), stickiness);
    RouteActions(vec![
        RouteAction { order: Some(1), kind: ActionKind::AuthenticateCognito(authenticate) },
        RouteAction { order: Some(2), kind: ActionKind::Forward(forward) },
    ])
}

fn names(actions: &RouteActions) -> Vec<&str> {
    let groups = actions.forward().unwrap().groups();
    groups.iter().map(|entry| entry.group.as_str()).collect()
}

proptest! {
    #[test]
    fn writing_a_weight_changes_nothing_but_the_weight(
        before in 0u16..=1000, after in 0u16..=1000, sticky: bool,
    ) {
        let original = route(&[("blue", 1000 - before), ("green", before)], sticky);
        let weight = Weight::from_permille(after).unwrap();
        let written = original.with_canary(&pair(), weight);
        prop_assert_eq!(written.canary_share(&pair()), Ok(weight));
        prop_assert_eq!(names(&written), names(&original));
        // Put the old weights back: nothing else may differ.
        let restored = written.map_groups(|groups| {
            *groups = weighted(&[("blue", 1000 - before), ("green", before)]);
        });
        prop_assert_eq!(restored, original);
    }

    /// Whatever is written of a route, forward, back and at commit, is equal to itself in every
    /// order of its groups and with every weight of a lone one: as read, and as stored.
    #[test]
    fn no_order_and_no_lone_weight_tells_two_routes_apart(
        permille in 0u16..=1000, lone in 0u16..=999, sticky: bool, attached: bool, swapped: bool,
    ) {
        let pair = if swapped {
            RolePair { stable: pair().canary, canary: pair().stable }
        } else {
            pair()
        };
        let stable = pair.stable.as_str();
        let all = [(stable, 999), (pair.canary.as_str(), 0)];
        let original = route(if attached { &all } else { &all[..1] }, sticky);
        let weight = Weight::from_permille(permille).unwrap();
        let ours = [
            original.clone(),
            original.with_canary(&pair, weight),
            original.only(&pair, Role::Stable),
            original.only(&pair, Role::Canary),
        ];
        for actions in ours {
            let answered = actions.map_groups(|groups| {
                groups.reverse();
                if let [alone] = groups.as_mut_slice() {
                    alone.weight = AlbWeight::new(lone);
                }
            });
            prop_assert_eq!(&answered, &actions);
            prop_assert_eq!(answered.canary_share(&pair), actions.canary_share(&pair));
            let mut stored = serde_json::to_value(&actions).unwrap();
            let groups = stored[1]["kind"]["forward"]["groups"].as_array_mut().unwrap();
            groups.reverse();
            if let [alone] = groups.as_mut_slice() {
                alone["weight"] = lone.into();
            }
            prop_assert_eq!(serde_json::from_value::<RouteActions>(stored).unwrap(), actions);
        }
    }
}

#[test]
fn a_missing_group_counts_as_weight_zero_and_is_added() {
    let original = route(&[("blue", 1)], false);
    assert_eq!(original.canary_share(&pair()), Ok(Weight::NONE));
    let shifted = original.with_canary(&pair(), Weight::from_permille(50).unwrap());
    assert_eq!(
        shifted.weights_of(&pair().stable, &pair().canary),
        Ok((AlbWeight::new(950), AlbWeight::new(50)))
    );
}

#[test]
fn a_sticky_route_loses_the_group_that_must_get_nothing() {
    let sticky = route(&[("blue", 900), ("green", 100)], true);
    assert_eq!(names(&sticky.only(&pair(), Role::Stable)), ["blue"]);
    assert_eq!(names(&sticky.only(&pair(), Role::Canary)), ["green"]);
    let plain = route(&[("green", 100), ("blue", 900)], false);
    assert_eq!(names(&plain.only(&pair(), Role::Stable)), ["blue", "green"]);
}

#[test]
fn further_groups_and_dead_routes_are_refused() {
    let others = route(&[("blue", 1), ("other", 1)], false);
    assert_eq!(
        others.canary_share(&pair()),
        Err(RouteError::OtherGroups(vec![TargetGroupArn::new("other")]))
    );
    let dead = route(&[("blue", 0), ("green", 0)], false);
    assert_eq!(dead.canary_share(&pair()), Err(RouteError::NoWeight));
    assert_eq!(RouteActions(vec![]).forward(), Err(RouteError::DoesNotForward));
}
