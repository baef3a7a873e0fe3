//! What a browser keeps for the page and cannot read, change or bring elsewhere.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why nothing can be sealed: the machine has no randomness, or a text is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be sealed")]
pub struct NotSealed;

/// Seals of one use; what another use has sealed is none of theirs.
pub struct Seals {
    key: LessSafeKey,
    tokens: hmac::Key,
}

impl fmt::Debug for Seals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Seals").finish_non_exhaustive()
    }
}

impl Seals {
    /// Of a key that everything of the page is made with, for this use. What links are signed with begins otherwise.
    pub(crate) fn of(key: &hmac::Key, usage: &str) -> Result<Self, NotSealed> {
        let derived =
            |what: &str| hmac::sign(key, format!("glidepath {what} 1\n{usage}").as_bytes());
        let sealing =
            UnboundKey::new(&AES_256_GCM, derived("seal").as_ref()).map_err(|_| NotSealed)?;
        let tokens = hmac::Key::new(hmac::HMAC_SHA256, derived("token").as_ref());
        Ok(Self { key: LessSafeKey::new(sealing), tokens })
    }

    /// A value, for nothing else than what it is bound to.
    pub fn seal(&self, value: &impl Serialize, bound_to: &str) -> Result<String, NotSealed> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut text = serde_json::to_vec(value).map_err(|_| NotSealed)?;
        let (bound_to, used) =
            (Aad::from(bound_to.as_bytes()), Nonce::assume_unique_for_key(nonce));
        self.key.seal_in_place_append_tag(used, bound_to, &mut text).map_err(|_| NotSealed)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
    }

    /// What was sealed and bound to the same; `None`: it was not.
    pub fn open<T: DeserializeOwned>(&self, sealed: &str, bound_to: &str) -> Option<T> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut text).ok()?;
        serde_json::from_slice(text).ok()
    }

    /// What a form shows that was made for whoever has this.
    pub fn token(&self, of: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.tokens, of.as_bytes()))
    }

    pub fn is_token(&self, token: &str, of: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).ok();
        token.is_some_and(|token| hmac::verify(&self.tokens, of.as_bytes(), &token).is_ok())
    }
}

/// Bytes that nobody can guess.
pub(super) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], NotSealed> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NotSealed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seals(key: &str, usage: &str) -> Seals {
        Seals::of(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), usage).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_where_it_belongs_and_nowhere_else(text in ".{0,40}", bound_to in ".{0,20}", other in ".{0,20}") {
            let own = seals("key", "session");
            let sealed = own.seal(&text, &bound_to).unwrap();
            prop_assert_eq!(own.open(&sealed, &bound_to), Some(text.clone()));
            prop_assert_eq!(own.open::<String>(&sealed, &other).is_some(), other == bound_to);
            for others in [seals("key", "attempt"), seals("another", "session")] {
                prop_assert_eq!(others.open::<String>(&sealed, &bound_to), None);
            }
            prop_assert_ne!(&own.seal(&text, &bound_to).unwrap(), &sealed);
        }

        #[test]
        fn what_was_changed_is_not_opened(place in 0usize..60, to in "[A-Za-z0-9_.~-]") {
            let own = seals("key", "session");
            let sealed = own.seal(&"ada has signed in", "x").unwrap();
            let mut changed: Vec<_> = sealed.chars().collect();
            let place = place % changed.len();
            changed[place] = to.chars().next().unwrap();
            let changed: String = changed.into_iter().collect();
            prop_assert_eq!(own.open::<String>(&changed, "x").is_some(), changed == sealed);
            prop_assert_eq!(own.open::<String>(&sealed[..place], "x"), None);
        }
    }

    #[test]
    fn a_form_is_of_one_session() {
        let own = seals("key", "session");
        let token = own.token("a");
        assert!(own.is_token(&token, "a"));
        for (token, of) in [(token.as_str(), "b"), ("", "a"), ("%", "a"), (&own.token("b"), "a")] {
            assert!(!own.is_token(token, of), "{token} {of}");
        }
        assert!(!seals("key", "attempt").is_token(&token, "a"));
    }
}
