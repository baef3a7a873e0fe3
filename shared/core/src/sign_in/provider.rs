//! What an issuer says of itself.

use serde::Deserialize;

/// What is used of an issuer's `/.well-known/openid-configuration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where a code is exchanged.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// How a client that has a secret shows it.
    pub proof: Proof,
    /// Whether it says who it is wherever it sends somebody back (RFC 9207).
    pub names_itself: bool,
    /// Which scopes it has, where it says so.
    pub scopes: Vec<String>,
}

/// How a client that has a secret shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `client_secret_basic`.
    Header,
    /// `client_secret_post`.
    Form,
}

/// Why an issuer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitProvider {
    #[error("it does not describe itself as OpenID Connect has it")]
    Unknown,
    /// To the letter: with and without a slash at the end are two issuers.
    #[error("it calls itself `{0}`, and the stack's `OidcIssuer` is another")]
    OtherIssuer(String),
    #[error("its `{0}` is no URL of https")]
    Endpoint(&'static str),
    #[error("it does not take codes")]
    NoCode,
    #[error("it takes a client's secret neither in a header nor in a form")]
    Proof,
}

#[derive(Deserialize)]
struct Written {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    response_types_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

impl Provider {
    /// Reads the description of the issuer that is meant.
    pub fn read(json: &[u8], issuer: &str) -> Result<Self, UnfitProvider> {
        let written: Written = serde_json::from_slice(json).map_err(|_| UnfitProvider::Unknown)?;
        if written.issuer != issuer {
            let other = written.issuer.chars().filter(|character| !character.is_control());
            return Err(UnfitProvider::OtherIssuer(other.take(200).collect()));
        }
        for (name, url) in [
            ("authorization_endpoint", &written.authorization_endpoint),
            ("token_endpoint", &written.token_endpoint),
            ("jwks_uri", &written.jwks_uri),
        ] {
            if !is_safe_url(url) || (is_loopback(url) && !is_loopback(issuer)) {
                return Err(UnfitProvider::Endpoint(name));
            }
        }
        let kinds = written.response_types_supported;
        if kinds.is_some_and(|kinds| !kinds.iter().any(|kind| kind == "code")) {
            return Err(UnfitProvider::NoCode);
        }
        let proofs = written.token_endpoint_auth_methods_supported;
        let takes = |wanted: &str| match &proofs {
            Some(proofs) => proofs.iter().any(|proof| proof == wanted),
            // What it means to say nothing.
            None => wanted == "client_secret_basic",
        };
        let proof = if takes("client_secret_basic") {
            Proof::Header
        } else if takes("client_secret_post") {
            Proof::Form
        } else if takes("none") {
            // Of clients without a secret, which show none.
            Proof::Form
        } else {
            return Err(UnfitProvider::Proof);
        };
        Ok(Self {
            authorization_endpoint: written.authorization_endpoint,
            token_endpoint: written.token_endpoint,
            jwks_uri: written.jwks_uri,
            proof,
            names_itself: written.authorization_response_iss_parameter_supported,
            scopes: written.scopes_supported,
        })
    }
}

/// Whether what is asked there can be read by nobody on the way.
pub fn is_safe_url(url: &str) -> bool {
    let host = url
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']));
    let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    visible && !url.contains('#') && (host || is_loopback(url))
}

/// Whether it is on the same machine: an issuer of tests. In Lambda nobody listens there but Lambda itself.
fn is_loopback(url: &str) -> bool {
    let rest =
        url.strip_prefix("http://127.0.0.1").or_else(|| url.strip_prefix("http://localhost"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])) && !url.contains('@')
}

/// What is asked for: no more than these two claims need.
pub fn scope(name_claim: &str, groups_claim: &str, provider: &Provider) -> String {
    let may_have = provider.scopes.is_empty() || provider.scopes.iter().any(|of| of == "profile");
    let of_name = match name_claim {
        "sub" => None,
        "email" => Some("email"),
        "name" | "preferred_username" | "nickname" | "given_name" | "family_name" => {
            Some("profile")
        }
        // Entra's `oid` is only sent to who asks for it.
        _ => Some("profile").filter(|_| may_have),
    };
    // Okta, Dex and others send groups only to who asks for them, and others refuse a scope that they do not have.
    let of_groups = Some("groups").filter(|groups| {
        !groups_claim.is_empty() && provider.scopes.iter().any(|scope| scope == groups)
    });
    let all = ["openid"].into_iter().chain(of_name).chain(of_groups);
    all.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example/tenant";

    fn description() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize?policy=1",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://keys.example/jwks",
            "response_types_supported": ["code", "code id_token"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
            "scopes_supported": ["openid", "groups"],
            "something_else": 1,
        })
    }

    fn read(change: impl Fn(&mut Value)) -> Result<Provider, UnfitProvider> {
        let mut description = description();
        change(&mut description);
        Provider::read(description.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn an_issuer_is_the_one_that_is_meant_to_the_letter() {
        let provider = read(|_| ()).unwrap();
        assert_eq!((provider.proof, provider.names_itself), (Proof::Header, true));
        for other in [
            "https://login.example/tenant/",
            "https://LOGIN.example/tenant",
            "https://evil.example",
        ] {
            let told = read(|written| written["issuer"] = json!(other));
            assert_eq!(told, Err(UnfitProvider::OtherIssuer(other.to_owned())));
        }
        assert_eq!(Provider::read(b"<html>", ISSUER), Err(UnfitProvider::Unknown));
    }

    #[test]
    fn what_can_be_read_on_the_way_is_asked_by_nobody() {
        for url in [
            "http://login.example/token",
            "https:///token",
            "https://",
            "ftp://login.example",
            "javascript:alert(1)",
            "https://login.example/#x",
            "https://login.example/a b",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1@evil.example/",
            // Not from an issuer that is elsewhere.
            "http://127.0.0.1:9001/",
            "http://localhost:9001/",
        ] {
            for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
                let told = read(|written| written[endpoint] = json!(url));
                assert_eq!(told, Err(UnfitProvider::Endpoint(endpoint)), "{url}");
            }
        }
        assert!(is_safe_url("http://127.0.0.1:8080/issuer") && is_safe_url(ISSUER));
    }

    #[test]
    fn how_a_secret_is_shown_is_what_the_issuer_says() {
        let with = |proofs: Value| {
            let read =
                read(|written| written["token_endpoint_auth_methods_supported"] = proofs.clone());
            read.map(|provider| provider.proof)
        };
        assert_eq!(with(json!(["client_secret_post"])), Ok(Proof::Form));
        assert_eq!(with(json!(["none"])), Ok(Proof::Form));
        assert_eq!(with(json!(["private_key_jwt"])), Err(UnfitProvider::Proof));
        let silent = read(|written| {
            written.as_object_mut().unwrap().remove("token_endpoint_auth_methods_supported");
        });
        assert_eq!(silent.unwrap().proof, Proof::Header);
        let told = read(|written| written["response_types_supported"] = json!(["id_token"]));
        assert_eq!(told, Err(UnfitProvider::NoCode));
    }

    #[test]
    fn no_more_is_asked_for_than_is_needed() {
        let provider = read(|_| ()).unwrap();
        let plain = Provider { scopes: Vec::new(), ..provider.clone() };
        assert_eq!(scope("sub", "cognito:groups", &plain), "openid");
        assert_eq!(scope("email", "groups", &plain), "openid email");
        assert_eq!(scope("preferred_username", "groups", &provider), "openid profile groups");
        assert_eq!(scope("sub", "", &provider), "openid");
        assert_eq!(scope("oid", "", &plain), "openid profile");
    }
}
