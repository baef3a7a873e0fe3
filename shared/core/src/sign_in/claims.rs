//! What an ID token says, once its signature has been looked at.

use serde_json::{Map, Value};

use crate::said::is_unseen;
use crate::time::{Span, Timestamp};

/// How far the issuer's clock may be from this one; no text has a number.
const LEEWAY: Span = Span::from_secs(60);

/// Longest name, in characters: as long as a `sub` may be.
const LONGEST_NAME: usize = 255;

/// What a token must be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    /// Id of the client that the stack is.
    pub client: &'a str,
    /// What this attempt was begun with.
    pub nonce: &'a str,
    /// Which claim is somebody's name.
    pub name_claim: &'a str,
    /// Which claim has their groups; empty: none has.
    pub groups_claim: &'a str,
}

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub name: String,
    /// `None`: the issuer does not say, and they are in none as far as anybody knows.
    pub groups: Option<Vec<String>>,
}

/// Why a token is not believed, or names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitToken {
    #[error("it is no object of claims")]
    NoClaims,
    #[error("its `{0}` is missing, or is not what it must be")]
    Claim(&'static str),
    #[error("another issuer has made it")]
    OtherIssuer,
    #[error("it was made for another client")]
    OtherAudience,
    #[error("it was made for somebody else's attempt to sign in")]
    OtherNonce,
    #[error("it has expired")]
    Expired,
    #[error("it is from the future: one of two clocks is wrong")]
    Early,
    #[error("it has no `{0}`, which is to be the name")]
    NoName(String),
    #[error(
        "its `{0}` cannot be a name: that has 1 to {LONGEST_NAME} characters, and none of them is invisible"
    )]
    UnfitName(String),
    #[error("it does not say that `email` is verified")]
    UnverifiedEmail,
    #[error("its `{0}` is no list of names of groups")]
    Groups(String),
}

/// Who has signed in, by claims whose signature is the issuer's.
pub fn signed_in(
    claims: &Value,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<SignedIn, UnfitToken> {
    let claims = claims.as_object().ok_or(UnfitToken::NoClaims)?;
    if text(claims, "iss")? != expected.issuer {
        return Err(UnfitToken::OtherIssuer);
    }
    is_for(claims, expected.client)?;
    let expires = time(claims, "exp")?.ok_or(UnfitToken::Claim("exp"))?;
    if now >= expires + LEEWAY {
        return Err(UnfitToken::Expired);
    }
    let made = time(claims, "iat")?.ok_or(UnfitToken::Claim("iat"))?;
    let valid_from = time(claims, "nbf")?.unwrap_or(made);
    if made > now + LEEWAY || valid_from > now + LEEWAY {
        return Err(UnfitToken::Early);
    }
    if text(claims, "nonce")? != expected.nonce {
        return Err(UnfitToken::OtherNonce);
    }
    Ok(SignedIn {
        name: name(claims, expected.name_claim)?,
        groups: groups(claims, expected.groups_claim)?,
    })
}

fn text<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<&'a str, UnfitToken> {
    claims.get(claim).and_then(Value::as_str).ok_or(UnfitToken::Claim(claim))
}

/// For this client and for nobody else, who could show it here as well.
fn is_for(claims: &Map<String, Value>, client: &str) -> Result<(), UnfitToken> {
    let party = match claims.get("azp") {
        None => None,
        Some(party) => Some(party.as_str().ok_or(UnfitToken::Claim("azp"))?),
    };
    if party.is_some_and(|party| party != client) {
        return Err(UnfitToken::OtherAudience);
    }
    let fits = match claims.get("aud") {
        Some(Value::String(audience)) => audience == client,
        Some(Value::Array(audiences)) => {
            let ours = audiences.iter().any(|audience| audience == client);
            ours && (audiences.len() == 1 || party.is_some())
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            return Err(UnfitToken::Claim("aud"));
        }
    };
    if fits { Ok(()) } else { Err(UnfitToken::OtherAudience) }
}

/// A claim that is a time, if it is there: seconds since 1970, perhaps with a fraction.
fn time(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<Timestamp>, UnfitToken> {
    /// The year 9999: further on a sum would not be a time any more.
    const LATEST: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
    let seconds = seconds.ok_or(UnfitToken::Claim(claim))?;
    Ok(Some(Timestamp::from_millis((seconds * 1_000.0) as i64)))
}

fn name(claims: &Map<String, Value>, claim: &str) -> Result<String, UnfitToken> {
    let value = claims.get(claim).ok_or_else(|| UnfitToken::NoName(claim.to_owned()))?;
    let unfit = || UnfitToken::UnfitName(claim.to_owned());
    let name = value.as_str().ok_or_else(unfit)?;
    if name.trim() != name
        || !(1..=LONGEST_NAME).contains(&name.chars().count())
        // It would look like another one, wherever it is shown.
        || name.chars().any(is_unseen)
    {
        return Err(unfit());
    }
    // Whoever may write what address they like would be whom they like.
    if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(UnfitToken::UnverifiedEmail);
    }
    Ok(name.to_owned())
}

fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Option<Vec<String>>, UnfitToken> {
    let unfit = || UnfitToken::Groups(claim.to_owned());
    match claims.get(claim).filter(|_| !claim.is_empty()) {
        None | Some(Value::Null) => Ok(None),
        // As some write a list of one.
        Some(Value::String(group)) => Ok(Some(vec![group.clone()])),
        Some(Value::Array(groups)) => {
            let names = groups.iter().map(|group| group.as_str().map(str::to_owned));
            names.collect::<Option<_>>().map(Some).ok_or_else(unfit)
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(unfit()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_244_400;
    const EXPECTED: Expected<'_> = Expected {
        issuer: "https://login.example",
        client: "glidepath",
        nonce: "n-0S6",
        name_claim: "sub",
        groups_claim: "groups",
    };

    fn claims() -> Value {
        json!({
            "iss": "https://login.example", "sub": "ada", "aud": "glidepath", "nonce": "n-0S6", "iat": NOW - 5,
            "exp": NOW + 3600, "groups": ["release", "staff"],
        })
    }

    fn read_as(
        expected: &Expected<'_>,
        change: impl Fn(&mut Value),
    ) -> Result<SignedIn, UnfitToken> {
        let mut claims = claims();
        change(&mut claims);
        signed_in(&claims, expected, Timestamp::from_millis(NOW * 1_000))
    }

    fn read(change: impl Fn(&mut Value)) -> Result<SignedIn, UnfitToken> {
        read_as(&EXPECTED, change)
    }

    fn with(claim: &str, value: Value) -> Result<SignedIn, UnfitToken> {
        read(|claims| claims[claim] = value.clone())
    }

    fn without(claim: &str) -> Result<SignedIn, UnfitToken> {
        read(|claims| {
            claims.as_object_mut().unwrap().remove(claim);
        })
    }

    #[test]
    fn a_token_is_believed_as_it_is_meant() {
        let groups = Some(vec!["release".to_owned(), "staff".to_owned()]);
        assert_eq!(read(|_| ()), Ok(SignedIn { name: "ada".to_owned(), groups }));
        for required in ["iss", "aud", "exp", "iat", "nonce"] {
            assert_eq!(without(required), Err(UnfitToken::Claim(required)));
        }
        assert_eq!(without("sub"), Err(UnfitToken::NoName("sub".to_owned())));
        assert_eq!(
            signed_in(&json!([]), &EXPECTED, Timestamp::from_millis(0)),
            Err(UnfitToken::NoClaims)
        );
    }

    #[test]
    fn who_has_made_it_and_for_whom_is_compared_to_the_letter() {
        for issuer in
            ["https://login.example/", "https://LOGIN.example", "http://login.example", ""]
        {
            assert_eq!(with("iss", json!(issuer)), Err(UnfitToken::OtherIssuer));
        }
        for other in
            [json!("another"), json!([]), json!(["another"]), json!(["glidepath", "another"])]
        {
            assert_eq!(with("aud", other.clone()), Err(UnfitToken::OtherAudience), "{other}");
        }
        for other in [json!(7), json!({ "glidepath": true }), json!(null)] {
            assert_eq!(with("aud", other), Err(UnfitToken::Claim("aud")));
        }
        assert!(with("aud", json!(["glidepath"])).is_ok());
        let both = |party: Value| {
            read(|claims| {
                claims["aud"] = json!(["another", "glidepath"]);
                claims["azp"] = party.clone();
            })
        };
        assert!(both(json!("glidepath")).is_ok());
        assert_eq!(both(json!("another")), Err(UnfitToken::OtherAudience));
        assert_eq!(both(json!(["glidepath"])), Err(UnfitToken::Claim("azp")));
        assert_eq!(with("azp", json!("another")), Err(UnfitToken::OtherAudience));
        assert_eq!(with("nonce", json!("n-0S7")), Err(UnfitToken::OtherNonce));
    }

    #[test]
    fn clocks_may_be_a_minute_apart_and_no_further() {
        for (claim, last, first, refused) in [
            ("exp", NOW - 59, NOW - 60, UnfitToken::Expired),
            ("iat", NOW + 60, NOW + 61, UnfitToken::Early),
            ("nbf", NOW + 60, NOW + 61, UnfitToken::Early),
        ] {
            assert!(with(claim, json!(last)).is_ok(), "{claim}");
            assert_eq!(with(claim, json!(first)), Err(refused));
        }
        for wrong in [json!("1795248000"), json!(-1), json!(1e300), json!(true)] {
            for claim in ["exp", "iat", "nbf"] {
                assert_eq!(with(claim, wrong.clone()), Err(UnfitToken::Claim(claim)), "{wrong}");
            }
        }
        assert!(with("exp", json!(NOW as f64 + 0.5)).is_ok());
    }

    #[test]
    fn an_address_is_a_name_only_where_the_issuer_has_verified_it() {
        let expected = Expected { name_claim: "email", ..EXPECTED };
        let told = |verified: Option<Value>| {
            read_as(&expected, |claims| {
                claims["email"] = json!("ada@example.com");
                if let Some(verified) = &verified {
                    claims["email_verified"] = verified.clone();
                }
            })
        };
        assert_eq!(told(Some(json!(true))).unwrap().name, "ada@example.com");
        for unverified in [None, Some(json!(false)), Some(json!("true")), Some(json!(1))] {
            assert_eq!(told(unverified), Err(UnfitToken::UnverifiedEmail));
        }
    }

    #[test]
    fn groups_that_are_not_said_are_none() {
        assert_eq!(without("groups").unwrap().groups, None);
        assert_eq!(with("groups", json!([])).unwrap().groups, Some(Vec::new()));
        assert_eq!(
            with("groups", json!("release")).unwrap().groups,
            Some(vec!["release".to_owned()])
        );
        for wrong in [json!({}), json!(1), json!(["release", 7])] {
            assert_eq!(with("groups", wrong), Err(UnfitToken::Groups("groups".to_owned())));
        }
        let expected = Expected { groups_claim: "https://example.com/groups", ..EXPECTED };
        assert_eq!(read_as(&expected, |_| ()).unwrap().groups, None);
    }

    proptest! {
        #[test]
        fn a_name_is_one_line_that_looks_as_it_is(name in "[a-z \\x00-\\x1f\u{202e}\u{200b}\u{ad}\u{3164}\u{2800}]{0,6}|[a-zü@.+ -]{245,265}") {
            let told = with("sub", json!(name));
            let length = name.chars().count();
            let plain = name.chars().all(|character| character.is_ascii_graphic() || character == ' ' || character == 'ü');
            prop_assert_eq!(told.is_ok(), plain && name.trim() == name && (1..=255).contains(&length), "{:?}", name);
        }

        #[test]
        fn no_other_claim_of_any_kind_is_taken(claim in "iss|aud|nonce|azp", value in "[a-z:/.]{0,24}") {
            let meant = match claim.as_str() {
                "iss" => EXPECTED.issuer,
                "nonce" => EXPECTED.nonce,
                _ => EXPECTED.client,
            };
            prop_assert_eq!(with(&claim, json!(value)).is_ok(), value == meant);
        }
    }
}
