//! What a listener rule does with a request, and how a weight is put into it without touching
//! anything else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::TargetGroupArn;
use crate::weight::{AlbWeight, Weight};

/// A listener rule, or a listener's default action, by its ARN.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Route")]
pub enum RouteRef {
    /// A listener rule that is not the default one.
    Rule(#[schemars(regex(pattern = r"^arn:.*:listener-rule/app/"))] String),
    /// A listener; its default action is the route.
    Listener(#[schemars(regex(pattern = r"^arn:.*:listener/app/"))] String),
}

impl RouteRef {
    /// The ARN.
    pub fn arn(&self) -> &str {
        match self {
            Self::Rule(arn) | Self::Listener(arn) => arn,
        }
    }
}

impl std::fmt::Display for RouteRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.arn())
    }
}

/// All actions of a route, in the order in which the load balancer takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteActions(pub Vec<RouteAction>);

/// One action with its place among the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteAction {
    /// `Order` as the API gives it; `None` where it gives none.
    pub order: Option<i32>,
    /// What is done.
    pub kind: ActionKind,
}

/// The kinds of action that Glidepath can write back unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionKind {
    /// `authenticate-oidc`. The client secret cannot be read, so it is always written back with
    /// `UseExistingClientSecret`; without that the load balancer refuses the whole change.
    AuthenticateOidc(AuthenticateOidc),
    /// `authenticate-cognito`.
    AuthenticateCognito(AuthenticateCognito),
    /// `jwt-validation`.
    JwtValidation(JwtValidation),
    /// `forward`.
    Forward(Forward),
}

/// Settings of an `authenticate-oidc` action, as ELBv2 names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateOidc {
    /// `Issuer`.
    pub issuer: String,
    /// `AuthorizationEndpoint`.
    pub authorization_endpoint: String,
    /// `TokenEndpoint`.
    pub token_endpoint: String,
    /// `UserInfoEndpoint`.
    pub user_info_endpoint: String,
    /// `ClientId`.
    pub client_id: String,
    /// The rest.
    #[serde(flatten)]
    pub session: AuthenticateSession,
}

/// Settings of an `authenticate-cognito` action, as ELBv2 names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateCognito {
    /// `UserPoolArn`.
    pub user_pool_arn: String,
    /// `UserPoolClientId`.
    pub user_pool_client_id: String,
    /// `UserPoolDomain`.
    pub user_pool_domain: String,
    /// The rest.
    #[serde(flatten)]
    pub session: AuthenticateSession,
}

/// What both authenticate actions have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateSession {
    /// `SessionCookieName`.
    pub session_cookie_name: Option<String>,
    /// `Scope`.
    pub scope: Option<String>,
    /// `SessionTimeout`, in seconds.
    pub session_timeout: Option<i64>,
    /// `AuthenticationRequestExtraParams`.
    pub extra_parameters: std::collections::BTreeMap<String, String>,
    /// `OnUnauthenticatedRequest`: `deny`, `allow` or `authenticate`.
    pub on_unauthenticated_request: Option<String>,
}

/// Settings of a `jwt-validation` action, as ELBv2 names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtValidation {
    /// `JwksEndpoint`.
    pub jwks_endpoint: String,
    /// `Issuer`.
    pub issuer: String,
    /// `AdditionalClaims`: name, format and accepted values of each.
    pub additional_claims: Vec<JwtClaim>,
}

/// One claim that a `jwt-validation` action requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtClaim {
    /// `Name`.
    pub name: String,
    /// `Format`.
    pub format: String,
    /// `Values`.
    pub values: Vec<String>,
}

/// A forward action: its groups in the order of the API, and group stickiness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// Weighted groups.
    pub groups: Vec<WeightedGroup>,
    /// Group stickiness, when the action has it switched on.
    pub stickiness: Option<Stickiness>,
}

/// One group of a forward action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedGroup {
    /// Which group.
    pub group: TargetGroupArn,
    /// Its weight.
    pub weight: AlbWeight,
}

/// Group stickiness that is switched on: a cookie then outranks the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stickiness {
    /// `DurationSeconds`.
    pub duration_seconds: i32,
}

/// The two groups between which a route is shifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolePair {
    /// Group of the slot that serves today.
    pub stable: TargetGroupArn,
    /// Group of the slot that holds the new version.
    pub canary: TargetGroupArn,
}

/// Why a route cannot be shifted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Nothing is forwarded.
    #[error("the route does not forward")]
    DoesNotForward,
    /// The action has groups that belong to neither slot.
    #[error("the route also forwards to {}", .0.iter().map(TargetGroupArn::short).collect::<Vec<_>>().join(", "))]
    OtherGroups(Vec<TargetGroupArn>),
    /// Neither slot carries weight.
    #[error("no group of the route carries weight")]
    NoWeight,
}

impl RouteActions {
    /// The forward action, which a shiftable route has exactly once.
    pub fn forward(&self) -> Result<&Forward, RouteError> {
        self.0
            .iter()
            .find_map(|action| match &action.kind {
                ActionKind::Forward(forward) => Some(forward),
                ActionKind::AuthenticateOidc(_)
                | ActionKind::AuthenticateCognito(_)
                | ActionKind::JwtValidation(_) => None,
            })
            .ok_or(RouteError::DoesNotForward)
    }

    /// Whether cookies outrank weights on this route.
    pub fn sticky(&self) -> bool {
        self.forward().is_ok_and(|forward| forward.stickiness.is_some())
    }

    /// The same actions with the weights of the pair set to give the canary this share. A group
    /// that the action lacks is added at the end.
    #[must_use]
    pub fn with_canary(&self, pair: &RolePair, canary: Weight) -> Self {
        let (stable_weight, canary_weight) = canary.alb_weights();
        self.map_forward(|forward| {
            for (group, weight) in [(&pair.stable, stable_weight), (&pair.canary, canary_weight)] {
                match forward.groups.iter_mut().find(|entry| entry.group == *group) {
                    Some(entry) => entry.weight = weight,
                    None => forward.groups.push(WeightedGroup { group: group.clone(), weight }),
                }
            }
        })
    }

    /// The same actions with everything on one group of the pair.
    ///
    /// On a sticky route the other group is removed: at weight 0 its cookies would still be
    /// honoured, and its users would be sent to tasks that are about to stop.
    #[must_use]
    pub fn only(&self, pair: &RolePair, serving: Role) -> Self {
        let (everything, removed) = match serving {
            Role::Stable => (Weight::NONE, &pair.canary),
            Role::Canary => (Weight::ALL, &pair.stable),
        };
        let written = self.with_canary(pair, everything);
        if !self.sticky() {
            return written;
        }
        written.map_forward(|forward| forward.groups.retain(|entry| entry.group != *removed))
    }

    /// The share that each of two groups has of the route.
    pub fn weights_of(
        &self,
        first: &TargetGroupArn,
        second: &TargetGroupArn,
    ) -> Result<(AlbWeight, AlbWeight), RouteError> {
        let forward = self.forward()?;
        let others: Vec<_> = forward
            .groups
            .iter()
            .map(|entry| &entry.group)
            .filter(|group| *group != first && *group != second)
            .cloned()
            .collect();
        if !others.is_empty() {
            return Err(RouteError::OtherGroups(others));
        }
        // A group that is not in the action gets nothing from it.
        let weight = |group: &TargetGroupArn| {
            forward
                .groups
                .iter()
                .find(|entry| entry.group == *group)
                .map_or(AlbWeight::NONE, |entry| entry.weight)
        };
        let (first, second) = (weight(first), weight(second));
        if !first.carries() && !second.carries() {
            return Err(RouteError::NoWeight);
        }
        Ok((first, second))
    }

    /// The canary's share, rounded to a permille, as far as the two groups share the route.
    pub fn canary_share(&self, pair: &RolePair) -> Result<Weight, RouteError> {
        let (stable, canary) = self.weights_of(&pair.stable, &pair.canary)?;
        let (stable, canary) = (u32::from(stable.get()), u32::from(canary.get()));
        let permille = (canary * 1000 + (stable + canary) / 2) / (stable + canary);
        // At most 1000, as canary <= stable + canary.
        Ok(Weight::from_permille(permille as u16).unwrap_or(Weight::ALL))
    }

    fn map_forward(&self, change: impl Fn(&mut Forward)) -> Self {
        let mut actions = self.clone();
        for action in &mut actions.0 {
            if let ActionKind::Forward(forward) = &mut action.kind {
                change(forward);
            }
        }
        actions
    }
}

/// The part a slot plays in a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Serves today.
    Stable,
    /// Holds the new version.
    Canary,
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair() -> RolePair {
        RolePair { stable: TargetGroupArn::new("blue"), canary: TargetGroupArn::new("green") }
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
        let forward = Forward {
            groups: groups
                .iter()
                .map(|(group, weight)| WeightedGroup {
                    group: TargetGroupArn::new(*group),
                    weight: AlbWeight::new(*weight),
                })
                .collect(),
            stickiness: sticky.then_some(Stickiness { duration_seconds: 60 }),
        };
        RouteActions(vec![
            RouteAction { order: Some(1), kind: ActionKind::AuthenticateCognito(authenticate) },
            RouteAction { order: Some(2), kind: ActionKind::Forward(forward) },
        ])
    }

    proptest! {
        #[test]
        fn writing_a_weight_changes_nothing_but_the_weight(
            before in 0u16..=1000, after in 0u16..=1000, sticky: bool, green_first: bool,
        ) {
            let mut groups = vec![("blue", 1000 - before), ("green", before)];
            if green_first { groups.reverse(); }
            let original = route(&groups, sticky);
            let weight = Weight::from_permille(after).unwrap();
            let written = original.with_canary(&pair(), weight);
            prop_assert_eq!(written.canary_share(&pair()), Ok(weight));
            let order: Vec<_> = written.forward().unwrap().groups.iter().map(|entry| entry.group.as_str()).collect();
            prop_assert_eq!(order, groups.iter().map(|(group, _)| *group).collect::<Vec<_>>());
            // Put the old weights back: nothing else may differ.
            let restored = written.map_forward(|forward| {
                for (entry, (_, weight)) in forward.groups.iter_mut().zip(&groups) {
                    entry.weight = AlbWeight::new(*weight);
                }
            });
            prop_assert_eq!(restored, original);
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
        let groups = |actions: RouteActions| {
            let forward = actions.forward().unwrap().clone();
            forward.groups.into_iter().map(|entry| entry.group.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(groups(sticky.only(&pair(), Role::Stable)), ["blue"]);
        assert_eq!(groups(sticky.only(&pair(), Role::Canary)), ["green"]);
        let plain = route(&[("blue", 900), ("green", 100)], false);
        assert_eq!(groups(plain.only(&pair(), Role::Stable)), ["blue", "green"]);
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
}
