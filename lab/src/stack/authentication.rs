//! Actions that ask who the client is.

use serde_json::{Value, json};

use crate::scenario::Authenticate;

/// The action before the forward action, with every field that AWS would fill in otherwise.
pub(super) fn authentication(kind: Authenticate) -> Value {
    match kind {
        Authenticate::Oidc => json!({
            "Type": "authenticate-oidc",
            "Order": 1,
            "AuthenticateOidcConfig": {
                "Issuer": "https://identity.example",
                "AuthorizationEndpoint": "https://identity.example/authorize",
                "TokenEndpoint": "https://identity.example/token",
                "UserInfoEndpoint": "https://identity.example/user",
                "ClientId": "example",
                "ClientSecret": "lab-only",
                "SessionCookieName": "session",
                "Scope": "openid email",
                "SessionTimeout": 3600,
                "AuthenticationRequestExtraParams": { "prompt": "login", "display": "page" },
                "OnUnauthenticatedRequest": "allow",
            },
        }),
        Authenticate::Cognito => json!({
            "Type": "authenticate-cognito",
            "Order": 1,
            "AuthenticateCognitoConfig": {
                "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_Example",
                "UserPoolClientId": "example",
                "UserPoolDomain": "example",
                "SessionTimeout": 7200,
                "AuthenticationRequestExtraParams": { "prompt": "login" },
                "OnUnauthenticatedRequest": "deny",
            },
        }),
        Authenticate::Jwt => json!({
            "Type": "jwt-validation",
            "Order": 1,
            "JwtValidationConfig": {
                "JwksEndpoint": "https://identity.example/keys",
                "Issuer": "https://identity.example",
                "AdditionalClaims": [
                    { "Name": "aud", "Format": "string-array", "Values": ["shop", "store"] },
                ],
            },
        }),
    }
}
