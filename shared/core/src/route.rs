//! What a listener rule does with a request, and how a weight is put into it without touching
//! anything else.

mod forward;

pub use forward::{Forward, Stickiness, WeightedGroup};
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
    pub kind: ActionKind,
}

/// The kinds of action that Glidepath can write back unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionKind {
    /// `authenticate-oidc`. The client secret cannot be read, so it is always written back with
    /// `UseExistingClientSecret`; without that the load balancer refuses the whole change.
    AuthenticateOidc(AuthenticateOidc),
    AuthenticateCognito(AuthenticateCognito),
    JwtValidation(JwtValidation),
    Forward(Forward),
}

/// Settings of an `authenticate-oidc` action, as ELBv2 names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateOidc {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub user_info_endpoint: String,
    pub client_id: String,
    #[serde(flatten)]
    pub session: AuthenticateSession,
}

/// Settings of an `authenticate-cognito` action, as ELBv2 names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateCognito {
    pub user_pool_arn: String,
    pub user_pool_client_id: String,
    pub user_pool_domain: String,
    #[serde(flatten)]
    pub session: AuthenticateSession,
}

/// What both authenticate actions have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticateSession {
    pub session_cookie_name: Option<String>,
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
    pub jwks_endpoint: String,
    pub issuer: String,
    /// `AdditionalClaims`: name, format and accepted values of each.
    pub additional_claims: Vec<JwtClaim>,
}

/// One claim that a `jwt-validation` action requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtClaim {
    pub name: String,
    pub format: String,
    pub values: Vec<String>,
}

/// The two groups between which a route is shifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolePair {
    pub stable: TargetGroupArn,
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
        self.forward().is_ok_and(|forward| forward.stickiness().is_some())
    }

    /// The same actions with the weights of the pair set to give the canary this share. A group
    /// that the action lacks is added.
    #[must_use]
    pub fn with_canary(&self, pair: &RolePair, canary: Weight) -> Self {
        let (stable_weight, canary_weight) = canary.alb_weights();
        self.map_groups(|groups| {
            for (group, weight) in [(&pair.stable, stable_weight), (&pair.canary, canary_weight)] {
                match groups.iter_mut().find(|entry| entry.group == *group) {
                    Some(entry) => entry.weight = weight,
                    None => groups.push(WeightedGroup { group: group.clone(), weight }),
                }
            }
        })
    }

    /// The same actions without group stickiness: weights alone decide.
    #[must_use]
    pub fn without_stickiness(&self) -> Self {
        self.map_forward(|forward| Forward::new(forward.groups().to_vec(), None))
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
        written.map_groups(|groups| groups.retain(|entry| entry.group != *removed))
    }

    /// The share that each of two groups has of the route.
    pub fn weights_of(
        &self,
        first: &TargetGroupArn,
        second: &TargetGroupArn,
    ) -> Result<(AlbWeight, AlbWeight), RouteError> {
        let forward = self.forward()?;
        let others: Vec<_> = forward
            .groups()
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
                .groups()
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

    fn map_groups(&self, change: impl Fn(&mut Vec<WeightedGroup>)) -> Self {
        self.map_forward(|forward| {
            let mut groups = forward.groups().to_vec();
            change(&mut groups);
            Forward::new(groups, forward.stickiness())
        })
    }

    fn map_forward(&self, change: impl Fn(&Forward) -> Forward) -> Self {
        let mut actions = self.clone();
        for action in &mut actions.0 {
            if let ActionKind::Forward(forward) = &mut action.kind {
                *forward = change(forward);
            }
        }
        actions
    }
}

/// The part a slot plays in a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    Stable,
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
mod tests;
