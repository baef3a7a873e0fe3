//! Actions of rules and listeners, there and back without loss.

use aws_sdk_elasticloadbalancingv2::types::builders::ActionBuilder;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateCognitoActionConditionalBehaviorEnum,
    AuthenticateCognitoActionConfig, AuthenticateOidcActionConditionalBehaviorEnum,
    AuthenticateOidcActionConfig, ForwardActionConfig, JwtValidationActionAdditionalClaim,
    JwtValidationActionAdditionalClaimFormatEnum, JwtValidationActionConfig,
    TargetGroupStickinessConfig, TargetGroupTuple,
};
use glidepath_core::ids::TargetGroupArn;
use glidepath_core::route::{
    ActionKind, AuthenticateCognito, AuthenticateOidc, AuthenticateSession, Forward, JwtClaim,
    JwtValidation, RouteAction, RouteActions, Stickiness, WeightedGroup,
};
use glidepath_core::weight::AlbWeight;

/// What could not be written back unchanged, in words.
type Unsupported = String;

/// The weight of a group that a forward action names without one.
const PLAIN_WEIGHT: u16 = 1;

/// The largest weight that the load balancer knows.
const LARGEST_WEIGHT: u16 = 999;

/// Reads all actions of a route, in the order in which they are taken.
pub(crate) fn read(actions: &[Action]) -> Result<RouteActions, Unsupported> {
    let mut read = actions.iter().map(read_one).collect::<Result<Vec<_>, _>>()?;
    // The API does not promise to list them in their order.
    read.sort_by_key(|action| action.order);
    Ok(RouteActions(read))
}

fn read_one(action: &Action) -> Result<RouteAction, Unsupported> {
    let kind = match action.r#type() {
        Some(ActionTypeEnum::Forward) => ActionKind::Forward(read_forward(action)?),
        Some(ActionTypeEnum::AuthenticateOidc) => ActionKind::AuthenticateOidc(read_oidc(action)?),
        Some(ActionTypeEnum::AuthenticateCognito) => {
            ActionKind::AuthenticateCognito(read_cognito(action)?)
        }
        Some(ActionTypeEnum::JwtValidation) => ActionKind::JwtValidation(read_jwt(action)?),
        Some(other) => return Err(format!("an action of type `{}`", other.as_str())),
        None => return Err("an action without a type".to_owned()),
    };
    Ok(RouteAction { order: action.order(), kind })
}

fn read_forward(action: &Action) -> Result<Forward, Unsupported> {
    let plain = action.target_group_arn();
    let Some(config) = action.forward_config() else {
        let group = plain.ok_or("a forward action without a target group")?;
        let group = TargetGroupArn::new(group);
        let weight = AlbWeight::new(PLAIN_WEIGHT);
        return Ok(Forward::new(vec![WeightedGroup { group, weight }], None));
    };
    let groups: Vec<_> = config.target_groups().iter().map(read_group).collect::<Result<_, _>>()?;
    if plain.is_some_and(|plain| groups.iter().all(|entry| entry.group.as_str() != plain)) {
        return Err("a forward action whose `TargetGroupArn` is not among its groups".to_owned());
    }
    let stickiness = match config.target_group_stickiness_config() {
        Some(sticky) if sticky.enabled() == Some(true) => {
            let duration_seconds =
                sticky.duration_seconds().ok_or("group stickiness without `DurationSeconds`")?;
            Some(Stickiness { duration_seconds })
        }
        Some(_) | None => None,
    };
    Ok(Forward::new(groups, stickiness))
}

fn read_group(group: &TargetGroupTuple) -> Result<WeightedGroup, Unsupported> {
    let arn = group.target_group_arn().ok_or("a group of a forward action without an ARN")?;
    let weight = match group.weight() {
        None => PLAIN_WEIGHT,
        Some(weight) => u16::try_from(weight)
            .ok()
            .filter(|weight| *weight <= LARGEST_WEIGHT)
            .ok_or_else(|| format!("a group of weight {weight}"))?,
    };
    Ok(WeightedGroup { group: TargetGroupArn::new(arn), weight: AlbWeight::new(weight) })
}

fn read_oidc(action: &Action) -> Result<AuthenticateOidc, Unsupported> {
    let config = action.authenticate_oidc_config().ok_or_else(|| bare("authenticate-oidc"))?;
    let field = |name, value: Option<&str>| required("authenticate-oidc", name, value);
    Ok(AuthenticateOidc {
        issuer: field("Issuer", config.issuer())?,
        authorization_endpoint: field("AuthorizationEndpoint", config.authorization_endpoint())?,
        token_endpoint: field("TokenEndpoint", config.token_endpoint())?,
        user_info_endpoint: field("UserInfoEndpoint", config.user_info_endpoint())?,
        client_id: field("ClientId", config.client_id())?,
        session: AuthenticateSession {
            session_cookie_name: config.session_cookie_name.clone(),
            scope: config.scope.clone(),
            session_timeout: config.session_timeout,
            extra_parameters: sorted(config.authentication_request_extra_params.as_ref()),
            on_unauthenticated_request: config
                .on_unauthenticated_request()
                .map(|behavior| behavior.as_str().to_owned()),
        },
    })
}

fn read_cognito(action: &Action) -> Result<AuthenticateCognito, Unsupported> {
    let config =
        action.authenticate_cognito_config().ok_or_else(|| bare("authenticate-cognito"))?;
    let field = |name, value: Option<&str>| required("authenticate-cognito", name, value);
    Ok(AuthenticateCognito {
        user_pool_arn: field("UserPoolArn", config.user_pool_arn())?,
        user_pool_client_id: field("UserPoolClientId", config.user_pool_client_id())?,
        user_pool_domain: field("UserPoolDomain", config.user_pool_domain())?,
        session: AuthenticateSession {
            session_cookie_name: config.session_cookie_name.clone(),
            scope: config.scope.clone(),
            session_timeout: config.session_timeout,
            extra_parameters: sorted(config.authentication_request_extra_params.as_ref()),
            on_unauthenticated_request: config
                .on_unauthenticated_request()
                .map(|behavior| behavior.as_str().to_owned()),
        },
    })
}

fn read_jwt(action: &Action) -> Result<JwtValidation, Unsupported> {
    let config = action.jwt_validation_config().ok_or_else(|| bare("jwt-validation"))?;
    let field = |name, value: Option<&str>| required("jwt-validation", name, value);
    let claims = config.additional_claims().iter().map(|claim| {
        Ok::<_, Unsupported>(JwtClaim {
            name: field("AdditionalClaims.Name", claim.name())?,
            format: field("AdditionalClaims.Format", claim.format().map(|name| name.as_str()))?,
            values: claim.values().to_vec(),
        })
    });
    Ok(JwtValidation {
        jwks_endpoint: field("JwksEndpoint", config.jwks_endpoint())?,
        issuer: field("Issuer", config.issuer())?,
        additional_claims: claims.collect::<Result<_, _>>()?,
    })
}

fn bare(kind: &str) -> Unsupported {
    format!("an action of type `{kind}` without its settings")
}

fn required(kind: &str, field: &str, value: Option<&str>) -> Result<String, Unsupported> {
    value.map(str::to_owned).ok_or_else(|| format!("an action of type `{kind}` without `{field}`"))
}

fn sorted(
    parameters: Option<&std::collections::HashMap<String, String>>,
) -> std::collections::BTreeMap<String, String> {
    parameters.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// All actions as they are sent: the API takes the whole list or nothing.
pub(crate) fn write(actions: &RouteActions) -> Vec<Action> {
    actions.0.iter().map(write_one).collect()
}

fn write_one(action: &RouteAction) -> Action {
    let bare = Action::builder().set_order(action.order);
    match &action.kind {
        ActionKind::Forward(forward) => write_forward(bare, forward),
        ActionKind::AuthenticateOidc(oidc) => {
            bare.r#type(ActionTypeEnum::AuthenticateOidc).authenticate_oidc_config(write_oidc(oidc))
        }
        ActionKind::AuthenticateCognito(cognito) => bare
            .r#type(ActionTypeEnum::AuthenticateCognito)
            .authenticate_cognito_config(write_cognito(cognito)),
        ActionKind::JwtValidation(jwt) => {
            bare.r#type(ActionTypeEnum::JwtValidation).jwt_validation_config(write_jwt(jwt))
        }
    }
    .build()
}

/// `TargetGroupArn` is left out: together with several groups the API refuses it.
fn write_forward(bare: ActionBuilder, forward: &Forward) -> ActionBuilder {
    let groups = forward.groups().iter().map(|entry| {
        TargetGroupTuple::builder()
            .target_group_arn(entry.group.as_str())
            .weight(i32::from(entry.weight.get()))
            .build()
    });
    let stickiness = TargetGroupStickinessConfig::builder()
        .enabled(forward.stickiness().is_some())
        .set_duration_seconds(forward.stickiness().map(|sticky| sticky.duration_seconds))
        .build();
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(groups.collect()))
        .target_group_stickiness_config(stickiness)
        .build();
    bare.r#type(ActionTypeEnum::Forward).forward_config(config)
}

fn write_oidc(oidc: &AuthenticateOidc) -> AuthenticateOidcActionConfig {
    let session = &oidc.session;
    AuthenticateOidcActionConfig::builder()
        .issuer(&oidc.issuer)
        .authorization_endpoint(&oidc.authorization_endpoint)
        .token_endpoint(&oidc.token_endpoint)
        .user_info_endpoint(&oidc.user_info_endpoint)
        .client_id(&oidc.client_id)
        // The secret cannot be read, and the API demands one or this.
        .use_existing_client_secret(true)
        .set_session_cookie_name(session.session_cookie_name.clone())
        .set_scope(session.scope.clone())
        .set_session_timeout(session.session_timeout)
        .set_authentication_request_extra_params(extra(session))
        .set_on_unauthenticated_request(
            session
                .on_unauthenticated_request
                .as_deref()
                .map(AuthenticateOidcActionConditionalBehaviorEnum::from),
        )
        .build()
}

fn write_cognito(cognito: &AuthenticateCognito) -> AuthenticateCognitoActionConfig {
    let session = &cognito.session;
    AuthenticateCognitoActionConfig::builder()
        .user_pool_arn(&cognito.user_pool_arn)
        .user_pool_client_id(&cognito.user_pool_client_id)
        .user_pool_domain(&cognito.user_pool_domain)
        .set_session_cookie_name(session.session_cookie_name.clone())
        .set_scope(session.scope.clone())
        .set_session_timeout(session.session_timeout)
        .set_authentication_request_extra_params(extra(session))
        .set_on_unauthenticated_request(
            session
                .on_unauthenticated_request
                .as_deref()
                .map(AuthenticateCognitoActionConditionalBehaviorEnum::from),
        )
        .build()
}

fn write_jwt(jwt: &JwtValidation) -> JwtValidationActionConfig {
    let claims = jwt.additional_claims.iter().map(|claim| {
        JwtValidationActionAdditionalClaim::builder()
            .name(&claim.name)
            .format(JwtValidationActionAdditionalClaimFormatEnum::from(claim.format.as_str()))
            .set_values(Some(claim.values.clone()))
            .build()
    });
    let claims: Vec<_> = claims.collect();
    JwtValidationActionConfig::builder()
        .jwks_endpoint(&jwt.jwks_endpoint)
        .issuer(&jwt.issuer)
        .set_additional_claims((!claims.is_empty()).then_some(claims))
        .build()
}

fn extra(session: &AuthenticateSession) -> Option<std::collections::HashMap<String, String>> {
    let parameters = &session.extra_parameters;
    (!parameters.is_empty())
        .then(|| parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests;
