//! What a browser keeps: of an attempt to sign in until it comes back, and of whoever has signed in. Both are sealed, so
//! whatever is read here was written here.

use serde::{Deserialize, Serialize};

use super::provider::Provider;
use crate::time::{Span, Timestamp};

/// How long somebody may take at the issuer.
const ATTEMPT: Span = Span::from_secs(600);

/// How long somebody is signed in.
const SESSION: Span = Span::from_secs(3600);

/// Somebody has gone to the issuer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Path of the question that they have come from, and come back to.
    pub path: String,
    /// Where the issuer sends them.
    pub redirect: String,
    /// What the token must say.
    pub nonce: String,
    /// Whose digest the issuer has (RFC 7636).
    pub verifier: String,
    pub until: Timestamp,
}

/// Somebody has signed in, and answers one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub name: String,
    /// Those of their groups that lists of the question's approvers name.
    pub groups: Vec<String>,
    /// Whether the issuer has said anything of groups.
    pub says_groups: bool,
    pub until: Timestamp,
}

/// What the issuer has sent somebody back with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    pub state: Option<String>,
    pub code: Option<String>,
    pub error: Option<String>,
    pub iss: Option<String>,
}

/// Why somebody is not signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    /// Another browser has begun it, or it was brought here once before.
    #[error("this browser has not begun it, or is back a second time")]
    NotBegun,
    #[error("it has taken longer than {} minutes", ATTEMPT.as_millis() / 60_000)]
    TooLate,
    #[error("another issuer has sent the answer")]
    OtherIssuer,
    #[error("the issuer says `{0}`")]
    Refused(String),
    #[error("the issuer has sent no code")]
    NoCode,
}

impl Attempt {
    pub fn begin(
        path: &str,
        redirect: String,
        nonce: String,
        verifier: String,
        now: Timestamp,
    ) -> Self {
        Self { path: path.to_owned(), redirect, nonce, verifier, until: now + ATTEMPT }
    }

    /// How long a browser keeps it.
    pub const fn lasts() -> Span {
        ATTEMPT
    }

    /// The code that the issuer has sent somebody back with.
    pub fn code<'a>(
        &self,
        returned: &'a Returned,
        provider: &Provider,
        issuer: &str,
        now: Timestamp,
    ) -> Result<&'a str, NotSignedIn> {
        if now >= self.until {
            return Err(NotSignedIn::TooLate);
        }
        // Before anything else that is said: it may be an error of somebody else's.
        match returned.iss.as_deref() {
            Some(iss) if iss == issuer => {}
            None if !provider.names_itself => {}
            Some(_) | None => return Err(NotSignedIn::OtherIssuer),
        }
        if let Some(error) = &returned.error {
            return Err(NotSignedIn::Refused(plain(error)));
        }
        returned.code.as_deref().filter(|code| !code.is_empty()).ok_or(NotSignedIn::NoCode)
    }
}

/// A code of an error as they are, and nothing that somebody has made up.
fn plain(code: &str) -> String {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let fits = (1..=60).contains(&code.len()) && code.bytes().all(known);
    if fits { code.to_owned() } else { "an error".to_owned() }
}

impl Returned {
    /// From the query. `None`: it says something twice, so two readers could see two things.
    pub fn read(query: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut returned = Self::default();
        for (name, value) in query {
            let field = match name.as_str() {
                "state" => &mut returned.state,
                "code" => &mut returned.code,
                "error" => &mut returned.error,
                "iss" => &mut returned.iss,
                // What it is for, and what is ours, is in these.
                _ => continue,
            };
            if field.replace(value).is_some() {
                return None;
            }
        }
        Some(returned)
    }
}

impl Session {
    pub fn begin(name: String, groups: Vec<String>, says_groups: bool, now: Timestamp) -> Self {
        Self { name, groups, says_groups, until: now + SESSION }
    }

    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// How long a browser keeps it.
    pub const fn lasts() -> Span {
        SESSION
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::provider::Proof;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_244_400_000);
    const ISSUER: &str = "https://login.example";

    fn attempt() -> Attempt {
        let text = |text: &str| text.to_owned();
        Attempt::begin(
            "/approve/a/1/2/3",
            text("https://page.example/signed-in"),
            text("n"),
            text("v"),
            NOW,
        )
    }

    fn provider(names_itself: bool) -> Provider {
        Provider {
            authorization_endpoint: format!("{ISSUER}/authorize"),
            token_endpoint: format!("{ISSUER}/token"),
            jwks_uri: format!("{ISSUER}/jwks"),
            proof: Proof::Header,
            names_itself,
            scopes: Vec::new(),
        }
    }

    fn returned(fields: &[(&str, &str)]) -> Returned {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Returned::read(fields).unwrap()
    }

    #[test]
    fn the_issuer_that_was_asked_has_answered_in_time() {
        let code = |fields: &[(&str, &str)], names_itself, now| {
            let returned = returned(fields);
            attempt().code(&returned, &provider(names_itself), ISSUER, now).map(str::to_owned)
        };
        let both = [("code", "c"), ("iss", ISSUER), ("session_state", "x")];
        assert_eq!(code(&both, true, NOW), Ok("c".to_owned()));
        assert_eq!(code(&both, false, NOW), Ok("c".to_owned()));
        assert_eq!(code(&both[..1], false, NOW), Ok("c".to_owned()));
        // One that says who it is always does.
        assert_eq!(code(&both[..1], true, NOW), Err(NotSignedIn::OtherIssuer));
        for issuer in ["https://login.example/", "https://evil.example", ""] {
            for names_itself in [true, false] {
                let told =
                    code(&[("code", "c"), ("iss", issuer), ("error", "x")], names_itself, NOW);
                assert_eq!(told, Err(NotSignedIn::OtherIssuer));
            }
        }
        let last = NOW + Span::from_millis(ATTEMPT.as_millis() - 1);
        assert!(code(&both, true, last).is_ok());
        assert_eq!(code(&both, true, NOW + ATTEMPT), Err(NotSignedIn::TooLate));
    }

    #[test]
    fn what_the_issuer_says_instead_of_a_code_is_told_if_it_is_plain() {
        let told = |error: &str| {
            let returned = returned(&[("error", error), ("code", "c")]);
            attempt().code(&returned, &provider(false), ISSUER, NOW).unwrap_err()
        };
        assert_eq!(told("access_denied"), NotSignedIn::Refused("access_denied".to_owned()));
        for written in ["", "<b>call 0800 123</b>", &"x".repeat(61)] {
            assert_eq!(told(written), NotSignedIn::Refused("an error".to_owned()));
        }
        let nothing = Returned::default();
        let told = attempt().code(&nothing, &provider(false), ISSUER, NOW);
        assert_eq!(told, Err(NotSignedIn::NoCode));
    }

    proptest! {
        #[test]
        fn what_is_said_twice_is_not_read(name in "state|code|error|iss", one in "[a-z]{0,3}", two in "[a-z]{0,3}") {
            let twice = [(name.clone(), one.clone()), (name.clone(), two)];
            prop_assert_eq!(Returned::read(twice), None);
            let once = Returned::read([(name, one), ("other".to_owned(), "x".to_owned())]);
            prop_assert!(once.is_some());
        }
    }

    #[test]
    fn nobody_is_signed_in_for_longer_than_an_hour() {
        let session = Session::begin("ada".to_owned(), Vec::new(), true, NOW);
        assert!(
            session.lives(NOW + Span::from_secs(3599))
                && !session.lives(NOW + Span::from_secs(3600))
        );
    }
}
