//! Links to questions, signed with a key that only the functions of the stack can read.

use std::fmt;

use aws_sdk_secretsmanager::Client;
use glidepath_core::link::QuestionLink;
use glidepath_engine::ports::{Links, PortError, PortResult};
use ring::hmac;
use tokio::sync::OnceCell;

use crate::clients::Clients;
use crate::secrets;
use crate::sign_in::Seals;

/// Fewest characters of a key that can be meant: the stack makes one of 64.
const SHORTEST_KEY: usize = 32;

/// [`Links`] of the stack. The key is read when it is needed, and appears in no error, log or `Debug`.
pub struct StackLinks {
    secrets: Client,
    /// ARN of the secret that holds the key.
    secret: String,
    stack: String,
    key: OnceCell<hmac::Key>,
}

impl fmt::Debug for StackLinks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StackLinks").finish_non_exhaustive()
    }
}

impl StackLinks {
    pub fn new(clients: &Clients, secret: String, stack: String) -> Self {
        Self { secrets: Client::new(clients.reading()), secret, stack, key: OnceCell::new() }
    }

    async fn key(&self) -> PortResult<&hmac::Key> {
        self.key
            .get_or_try_init(async || {
                let text = secrets::text(&self.secrets, &self.secret).await?;
                let text = text.filter(|text| text.len() >= SHORTEST_KEY);
                let text = text.ok_or_else(|| PortError::Refused {
                    operation: secrets::READ,
                    detail: format!(
                        "secret `{}` holds no key that links are signed with",
                        self.secret
                    ),
                })?;
                Ok(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
            })
            .await
    }

    /// What a browser keeps for this use is sealed with a key that is made of the same secret.
    pub async fn seals(&self, usage: &str) -> PortResult<Seals> {
        let seals = Seals::of(self.key().await?, &format!("{usage}\n{}", self.stack));
        seals.map_err(|error| PortError::Refused { operation: "seal", detail: error.to_string() })
    }
}

/// Where questions are shown.
#[derive(Debug)]
pub struct QuestionPage {
    /// URL of the stack's page, as Lambda has given it.
    pub url: String,
    pub links: StackLinks,
}

impl QuestionPage {
    /// The address of what has this path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }
}

impl Links for StackLinks {
    async fn is_own(&self, link: &QuestionLink, signature: &str) -> PortResult<bool> {
        let Some(signature) = bytes(signature) else { return Ok(false) };
        let key = self.key().await?;
        Ok(hmac::verify(key, link.signed(&self.stack).as_bytes(), &signature).is_ok())
    }

    async fn path(&self, link: &QuestionLink) -> PortResult<String> {
        let signature = hmac::sign(self.key().await?, link.signed(&self.stack).as_bytes());
        let digits = signature.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Ok(link.path(&digits.collect::<String>()))
    }
}

/// Of digits in lower case, as they are written: one link has one address.
pub(crate) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;
    use glidepath_core::plan::StageIndex;
    use glidepath_core::time::Timestamp;

    use super::*;
    use crate::replay::{answering, json};

    fn link() -> QuestionLink {
        let asked_at = Timestamp::from_millis(1_795_244_400_000);
        QuestionLink { deployment: DeploymentId::new("shop-42"), stage: StageIndex(1), asked_at }
    }

    fn links(stack: &str, key: &str) -> StackLinks {
        let clients = answering(vec![json(&serde_json::json!({ "SecretString": key }))]);
        StackLinks::new(&clients, "arn:s".to_owned(), stack.to_owned())
    }

    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[tokio::test]
    async fn only_what_this_stack_has_signed_is_its_own() {
        let own = links("glidepath", KEY);
        let path = own.path(&link()).await.unwrap();
        let (read, signature) = QuestionLink::read(&path).unwrap();
        assert_eq!(own.is_own(&read, signature).await, Ok(true));
        let other = QuestionLink { stage: StageIndex(2), ..read.clone() };
        assert_eq!(own.is_own(&other, signature).await, Ok(false));
        for wrong in ["", "0a", "zz", &signature[1..], &signature.to_uppercase()] {
            assert_eq!(own.is_own(&read, wrong).await, Ok(false), "{wrong}");
        }
        assert_eq!(links("other", KEY).is_own(&read, signature).await, Ok(false));
        let changed = KEY.replace('0', "1");
        assert_eq!(links("glidepath", &changed).is_own(&read, signature).await, Ok(false));
    }

    #[tokio::test]
    async fn what_is_no_key_signs_nothing() {
        let error = links("glidepath", "hidden").path(&link()).await.unwrap_err();
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
}
