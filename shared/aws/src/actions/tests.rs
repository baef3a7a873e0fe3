//! Conversion there and back is the identity; what cannot come back is refused by name.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{FixedResponseActionConfig, RedirectActionConfig};
use proptest::option::of;
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "[a-z:/.]{1,12}"
}

fn session() -> impl Strategy<Value = AuthenticateSession> {
    let parameters = proptest::collection::btree_map(text(), text(), 0..3);
    let behavior = prop_oneof!["deny", "allow", "authenticate", "something-new"];
    (of(text()), of(text()), of(1i64..=604_800), parameters, of(behavior)).prop_map(
        |(session_cookie_name, scope, session_timeout, extra_parameters, behavior)| {
            AuthenticateSession {
                session_cookie_name,
                scope,
                session_timeout,
                extra_parameters: BTreeMap::from_iter(extra_parameters),
                on_unauthenticated_request: behavior,
            }
        },
    )
}

fn oidc() -> impl Strategy<Value = ActionKind> {
    (text(), text(), text(), text(), text(), session()).prop_map(
        |(
            issuer,
            authorization_endpoint,
            token_endpoint,
            user_info_endpoint,
            client_id,
            session,
        )| {
            ActionKind::AuthenticateOidc(AuthenticateOidc {
                issuer,
                authorization_endpoint,
                token_endpoint,
                user_info_endpoint,
                client_id,
                session,
            })
        },
    )
}

fn cognito() -> impl Strategy<Value = ActionKind> {
    (text(), text(), text(), session()).prop_map(
        |(user_pool_arn, user_pool_client_id, user_pool_domain, session)| {
            ActionKind::AuthenticateCognito(AuthenticateCognito {
                user_pool_arn,
                user_pool_client_id,
                user_pool_domain,
                session,
            })
        },
    )
}

fn jwt() -> impl Strategy<Value = ActionKind> {
    let claim = (text(), text(), proptest::collection::vec(text(), 1..3))
        .prop_map(|(name, format, values)| JwtClaim { name, format, values });
    (text(), text(), proptest::collection::vec(claim, 0..3)).prop_map(
        |(jwks_endpoint, issuer, additional_claims)| {
            ActionKind::JwtValidation(JwtValidation { jwks_endpoint, issuer, additional_claims })
        },
    )
}

fn forward() -> impl Strategy<Value = ActionKind> {
    let group = (text(), 0u16..=999).prop_map(|(arn, weight)| WeightedGroup {
        group: TargetGroupArn::new(arn),
        weight: AlbWeight::new(weight),
    });
    let sticky = of((1i32..=604_800).prop_map(|seconds| Stickiness { duration_seconds: seconds }));
    (proptest::collection::vec(group, 1..5), sticky)
        .prop_map(|(groups, stickiness)| ActionKind::Forward(Forward::new(groups, stickiness)))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_as_it_was(
        kinds in proptest::collection::vec(prop_oneof![oidc(), cognito(), jwt(), forward()], 1..5)
    ) {
        let actions = RouteActions(
            (1..).zip(kinds).map(|(order, kind)| RouteAction { order: Some(order), kind }).collect(),
        );
        prop_assert_eq!(read(&write(&actions)), Ok(actions));
    }
}

proptest! {
    /// The load balancer promises neither the order of groups nor the weight of a lone one.
    #[test]
    fn every_order_and_every_lone_weight_of_an_answer_is_the_same_route(
        groups in proptest::collection::btree_map(text(), 0u16..=999, 1..5),
        sticky in of(1i32..=604_800),
        lone in of(0i32..=999),
        turned in 0usize..5,
        reversed: bool,
    ) {
        let groups = groups.into_iter().map(|(arn, weight)| WeightedGroup {
            group: TargetGroupArn::new(arn),
            weight: AlbWeight::new(weight),
        });
        let sticky = sticky.map(|seconds| Stickiness { duration_seconds: seconds });
        let kind = ActionKind::Forward(Forward::new(groups.collect(), sticky));
        let actions = RouteActions(vec![RouteAction { order: Some(1), kind }]);
        let mut answered = write(&actions);
        let config = answered[0].forward_config.as_mut().unwrap();
        let groups = config.target_groups.as_mut().unwrap();
        let turned = turned % groups.len();
        groups.rotate_left(turned);
        if reversed {
            groups.reverse();
        }
        if let [alone] = groups.as_mut_slice() {
            alone.weight = lone;
        }
        prop_assert_eq!(read(&answered), Ok(actions));
    }
}

#[test]
fn a_group_named_without_a_forward_config_is_a_forward_to_one_group() {
    let plain = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("blue").build();
    let group = TargetGroupTuple::builder().target_group_arn("blue").weight(1).build();
    let off = TargetGroupStickinessConfig::builder().enabled(false).duration_seconds(60).build();
    let config = ForwardActionConfig::builder()
        .target_groups(group)
        .target_group_stickiness_config(off)
        .build();
    let both = Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .target_group_arn("blue")
        .forward_config(config)
        .build();
    let read_plain = read(&[plain]).unwrap();
    assert_eq!(read_plain, read(&[both]).unwrap());
    let written = write(&read_plain);
    assert_eq!(written[0].target_group_arn(), None);
    assert_eq!(written[0].forward_config().unwrap().target_groups().len(), 1);
}

#[test]
fn the_client_secret_is_always_the_existing_one() {
    let settings = AuthenticateOidcActionConfig::builder()
        .issuer("i")
        .authorization_endpoint("a")
        .token_endpoint("t")
        .user_info_endpoint("u")
        .client_id("c")
        .build();
    let action = Action::builder()
        .r#type(ActionTypeEnum::AuthenticateOidc)
        .authenticate_oidc_config(settings)
        .build();
    let written = write(&read(&[action]).unwrap());
    let oidc = written[0].authenticate_oidc_config().unwrap();
    assert_eq!((oidc.use_existing_client_secret(), oidc.client_secret()), (Some(true), None));
}

#[test]
fn what_cannot_be_written_back_is_named() {
    let redirect = Action::builder()
        .r#type(ActionTypeEnum::Redirect)
        .redirect_config(RedirectActionConfig::builder().build())
        .build();
    assert_eq!(read(&[redirect]), Err("an action of type `redirect`".to_owned()));
    let fixed = Action::builder()
        .r#type(ActionTypeEnum::FixedResponse)
        .fixed_response_config(FixedResponseActionConfig::builder().build())
        .build();
    assert_eq!(read(&[fixed]), Err("an action of type `fixed-response`".to_owned()));
    let new = Action::builder().r#type(ActionTypeEnum::from("teleport")).build();
    assert_eq!(read(&[new]), Err("an action of type `teleport`".to_owned()));
    let heavy = TargetGroupTuple::builder().target_group_arn("blue").weight(1000).build();
    let heavy = Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .forward_config(ForwardActionConfig::builder().target_groups(heavy).build())
        .build();
    assert_eq!(read(&[heavy]), Err("a group of weight 1000".to_owned()));
}
