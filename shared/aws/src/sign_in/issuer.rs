//! The issuer, as it is asked: for its description, its keys, and what a code stands for.

use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::{Serializer, byte_serialize};
use glidepath_core::sign_in::{
    Attempt, Expected, NotSignedIn, Proof, Provider, Returned, SignedIn, UnfitProvider, UnfitToken,
    scope, signed_in,
};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{PortError, PortResult};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::keys::{Keys, NotSigned};
use super::seals::{NotSealed, Seals, random};
use crate::clients::Clients;
use crate::http::{Answer, LazyClient};
use crate::secrets;

/// How long an issuer that does not answer is not asked what it is: everybody who wants to sign in would hold a sandbox
/// for as long as it takes.
const NOT_SO_SOON: Span = Span::from_secs(10);

/// Longest time of one request. Somebody waits, and one sign-in has four of them at most.
const REQUEST: Duration = Duration::from_secs(3);

/// How long what the issuer says of itself, and its keys, are taken as they were.
const KEPT: Span = Span::from_secs(3600);

/// How long keys are not asked for again, whatever somebody brings.
const NOT_AGAIN: Span = Span::from_secs(60);

const DESCRIPTION: &str = "what the issuer says of itself";
const KEYS: &str = "the issuer's keys";
const TOKEN: &str = "the issuer's answer to the code";

/// What the stack says of the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInSettings {
    /// To the letter.
    pub issuer: String,
    /// Id of the client that the stack is.
    pub client: String,
    /// ARN of the secret that the client shows; `None`: it has none.
    pub secret: Option<String>,
    /// Which claim is somebody's name.
    pub name_claim: String,
    /// Which claim has their groups; empty: none has.
    pub groups_claim: String,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Nobody can sign in at the moment.
    #[error("{what} could not be read: {detail}")]
    NoAnswer { what: &'static str, detail: String },
    #[error("the issuer cannot be used: {0}")]
    Provider(#[from] UnfitProvider),
    #[error(transparent)]
    NotSignedIn(#[from] NotSignedIn),
    /// With the issuer's code of the error.
    #[error("the issuer does not take the code that it has sent: `{0}`")]
    NotExchanged(String),
    #[error("the token is not taken: {0}")]
    NotSigned(#[from] NotSigned),
    #[error("the token is not taken: {0}")]
    Token(#[from] UnfitToken),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    #[error("a browser does not keep names that are as long as yours and your groups'")]
    TooLong,
}

/// An attempt has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Where to send the browser.
    pub location: String,
    /// What it comes back with.
    pub state: String,
    /// What it keeps meanwhile, sealed.
    pub kept: String,
}

/// What is known of the issuer while the sandbox lives, with when it was read.
#[derive(Default)]
struct Known {
    provider: Option<(Provider, Timestamp)>,
    /// Why it did not say what it is, the last time.
    failed: Option<(String, Timestamp)>,
    keys: Option<(Keys, Timestamp)>,
    secret: Option<String>,
}

/// The stack's issuer. The client's secret is read when it is needed, and appears in no error, log or `Debug`.
pub struct Issuer {
    settings: SignInSettings,
    secrets: Client,
    http: LazyClient,
    known: Mutex<Known>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Issuer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Whether an issuer refuses the client for what it shows: OAuth's code, and Keycloak's.
fn is_of_secret(error: &str) -> bool {
    matches!(error, "invalid_client" | "unauthorized_client")
}

impl Issuer {
    pub fn new(clients: &Clients, settings: SignInSettings) -> Self {
        let secrets = Client::new(clients.reading());
        Self { settings, secrets, http: LazyClient::default(), known: Mutex::default() }
    }

    /// What a seal is bound to besides: whoever has signed in at another issuer, or by another claim, has not signed in
    /// here.
    pub fn bound_to(&self, what: &str) -> String {
        let SignInSettings { issuer, client, name_claim, groups_claim, secret: _ } = &self.settings;
        [issuer, client, name_claim, groups_claim, what].join("\n")
    }

    /// Sends somebody to the issuer, who comes back for the question of this path.
    pub async fn begin(
        &self,
        seals: &Seals,
        path: &str,
        redirect: String,
        now: Timestamp,
    ) -> Result<Begun, SignInError> {
        let provider = self.provider(now).await?;
        let text = || random::<32>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let state = URL_SAFE_NO_PAD.encode(random::<16>()?);
        let attempt = Attempt::begin(path, redirect, text()?, text()?, now);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
        let SignInSettings { client, name_claim, groups_claim, .. } = &self.settings;
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("client_id", client)
            .append_pair("redirect_uri", &attempt.redirect)
            .append_pair("scope", &scope(name_claim, groups_claim, &provider))
            .append_pair("state", &state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let endpoint = provider.authorization_endpoint;
        let with = if endpoint.contains('?') { '&' } else { '?' };
        let kept = seals.seal(&attempt, &self.bound_to(&state))?;
        Ok(Begun { location: format!("{endpoint}{with}{query}"), state, kept })
    }

    /// The attempt that a browser has come back from, if it is this browser's.
    pub fn attempt(
        &self,
        seals: &Seals,
        kept: Option<&str>,
        returned: &Returned,
    ) -> Result<Attempt, NotSignedIn> {
        let (kept, state) = kept.zip(returned.state.as_deref()).ok_or(NotSignedIn::NotBegun)?;
        seals.open(kept, &self.bound_to(state)).ok_or(NotSignedIn::NotBegun)
    }

    /// Who has signed in.
    pub async fn finish(
        &self,
        attempt: &Attempt,
        returned: &Returned,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let provider = self.provider(now).await?;
        let code = attempt.code(returned, &provider, &self.settings.issuer, now)?;
        let token = self.exchange(&provider, attempt, code).await?;
        let claims = self.claims(&provider, &token, now).await?;
        let SignInSettings { issuer, client, name_claim, groups_claim, secret: _ } = &self.settings;
        let expected = Expected { issuer, client, nonce: &attempt.nonce, name_claim, groups_claim };
        Ok(signed_in(&claims, &expected, now)?)
    }

    async fn provider(&self, now: Timestamp) -> Result<Provider, SignInError> {
        let mut known = self.known.lock().await;
        if let Some((provider, read_at)) = &known.provider
            && now < *read_at + KEPT
        {
            return Ok(provider.clone());
        }
        if let Some((why, at)) = &known.failed
            && now < *at + NOT_SO_SOON
        {
            let (what, detail) = (DESCRIPTION, why.clone());
            return Err(SignInError::NoAnswer { what, detail });
        }
        let issuer = &self.settings.issuer;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.strip_suffix('/').unwrap_or(issuer)
        );
        let described = self.get(DESCRIPTION, &url).await;
        if let Err(SignInError::NoAnswer { detail, .. }) = &described {
            known.failed = Some((detail.clone(), now));
        }
        let provider = Provider::read(&described?, issuer)?;
        known.provider = Some((provider.clone(), now));
        Ok(provider)
    }

    /// What a token says that is signed with one of the issuer's keys as they are now.
    async fn claims(
        &self,
        provider: &Provider,
        token: &str,
        now: Timestamp,
    ) -> Result<Value, SignInError> {
        let mut known = self.known.lock().await;
        if let Some((keys, read_at)) = &known.keys
            && now < *read_at + KEPT
        {
            match keys.claims(token) {
                // It may have been made since. Who invents keys is no reason to ask for them all the time.
                Err(NotSigned::UnknownKey) if now >= *read_at + NOT_AGAIN => {}
                told => return Ok(told?),
            }
        }
        let read = self.get(KEYS, &provider.jwks_uri).await?;
        let keys = Keys::read(&read);
        let keys = keys.ok_or(SignInError::NoAnswer {
            what: KEYS,
            detail: "they are no set of keys".to_owned(),
        })?;
        let claims = keys.claims(token);
        known.keys = Some((keys, now));
        Ok(claims?)
    }

    async fn exchange(
        &self,
        provider: &Provider,
        attempt: &Attempt,
        code: &str,
    ) -> Result<String, SignInError> {
        let known = self.known.lock().await.secret.clone();
        let was_known = known.is_some();
        let secret = match known {
            Some(secret) => Some(secret),
            None => self.secret().await?,
        };
        match self.post_code(provider, attempt, code, secret.as_deref()).await {
            // Perhaps it was changed: a refusal counts only for the secret as it is now.
            Err(SignInError::NotExchanged(error)) if was_known && is_of_secret(&error) => {
                let secret = self.secret().await?;
                self.post_code(provider, attempt, code, secret.as_deref()).await
            }
            told => told,
        }
    }

    /// The client's secret, read anew.
    async fn secret(&self) -> PortResult<Option<String>> {
        let Some(arn) = &self.settings.secret else { return Ok(None) };
        let text = secrets::text(&self.secrets, arn).await?;
        let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| PortError::Refused {
            operation: secrets::READ,
            detail: format!("secret `{arn}` does not hold a text"),
        })?;
        self.known.lock().await.secret = Some(text.to_owned());
        Ok(Some(text.to_owned()))
    }

    /// The ID token that a code stands for.
    async fn post_code(
        &self,
        provider: &Provider,
        attempt: &Attempt,
        code: &str,
        secret: Option<&str>,
    ) -> Result<String, SignInError> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let client = &self.settings.client;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &attempt.redirect)
            .append_pair("code_verifier", &attempt.verifier);
        let mut request = request(TOKEN, &provider.token_endpoint)?;
        match secret.map(|secret| (secret, provider.proof)) {
            Some((secret, Proof::Header)) => {
                // As a form has it; a space in the one way that those understand, too, who take this for a URL.
                let encoded = |text: &str| {
                    let form = byte_serialize(text.as_bytes()).collect::<String>();
                    form.replace('+', "%20").replace("%7E", "~")
                };
                let both = format!("{}:{}", encoded(client), encoded(secret));
                request
                    .headers_mut()
                    .insert("authorization", format!("Basic {}", STANDARD.encode(both)));
            }
            Some((secret, Proof::Form)) => {
                form.append_pair("client_id", client).append_pair("client_secret", secret);
            }
            None => {
                form.append_pair("client_id", client);
            }
        }
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
        let unfit =
            |_| SignInError::NoAnswer { what: TOKEN, detail: "it takes no form".to_owned() };
        request.set_method("POST").map_err(unfit)?;
        *request.body_mut() = SdkBody::from(form.finish());
        let Answer { status, body, .. } = self.send(TOKEN, request).await?;
        let unread = || SignInError::NoAnswer { what: TOKEN, detail: format!("status {status}") };
        match status {
            200 => {
                let tokens = serde_json::from_slice(&body);
                tokens.map(|Tokens { id_token }| id_token).map_err(|_| unread())
            }
            400..=403 => {
                let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| unread())?;
                // It may repeat what was sent.
                let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
                let plain = refusal.error.len() <= 40 && refusal.error.bytes().all(known);
                let error = if plain { refusal.error } else { format!("status {status}") };
                Err(SignInError::NotExchanged(error))
            }
            _ => Err(unread()),
        }
    }

    async fn get(&self, what: &'static str, url: &str) -> Result<Vec<u8>, SignInError> {
        let Answer { status, body, .. } = self.send(what, request(what, url)?).await?;
        if status == 200 {
            Ok(body)
        } else {
            Err(SignInError::NoAnswer { what, detail: format!("status {status}") })
        }
    }

    async fn send(&self, what: &'static str, request: HttpRequest) -> Result<Answer, SignInError> {
        let answered = self.http.send(request, REQUEST).await;
        answered.map_err(|detail| SignInError::NoAnswer { what, detail })
    }
}

fn request(what: &'static str, url: &str) -> Result<HttpRequest, SignInError> {
    let unfit = |_| SignInError::NoAnswer { what, detail: "its URL is none".to_owned() };
    let mut request = HttpRequest::get(url).map_err(unfit)?;
    request.headers_mut().insert("accept", "application/json");
    Ok(request)
}

#[cfg(test)]
mod tests;
