//! Signing in on the page, by HTTP: where it begins and ends, and what a browser keeps of it.

use glidepath_aws::clients::Clients;
use glidepath_aws::links::StackLinks;
use glidepath_aws::sign_in::{Begun, Issuer, Seals, SignInError};
use glidepath_core::failure::FailureCode;
use glidepath_core::sign_in::{Attempt, NotSignedIn, Returned, Session, SignedIn};
use glidepath_core::time::{Span, Timestamp};
use serde_json::Value;

use crate::open_url::{Visit, cookie, see, with_cookies};
use crate::settings::{self, BadSetting};

/// What stands before the path of a question where somebody begins to sign in for it.
const BEGIN: &str = "/sign-in";

/// Where the issuer sends everybody back to, as it knows it.
pub const RETURN: &str = "/signed-in";

/// What an attempt is kept under, with its state: several tabs have one each. Browsers keep such a name for this host
/// only, so that no neighbour below the same domain can write it.
const ATTEMPT: &str = "__Host-signing-in-";

/// What a session is kept under, with a part of the link: each question has its own.
const SESSION: &str = "__Host-signed-in-";

/// A request has room for so many attempts.
const MOST_ATTEMPTS: usize = 5;

/// Longest value that browsers keep.
const LONGEST_COOKIE: usize = 4_096;

/// How people sign in at the stack's issuer.
#[derive(Debug)]
pub struct SignIn {
    issuer: Issuer,
}

/// Somebody who has signed in, for one question.
#[derive(Debug)]
pub struct Person {
    pub session: Session,
    /// As their browser keeps it.
    kept: String,
    seals: Seals,
}

/// Somebody is back from the issuer.
#[derive(Debug)]
pub struct Back {
    /// Of the question that they have come from, if this browser knows.
    pub path: Option<String>,
    /// What the browser shall keep no longer.
    pub cookies: Vec<String>,
    pub told: Result<SignedIn, SignInError>,
}

impl Person {
    /// What their forms show.
    pub fn token(&self) -> String {
        self.seals.token(&self.kept)
    }

    /// Whether a form was made for them.
    pub fn is_form(&self, token: &str) -> bool {
        self.seals.is_token(token, &self.kept)
    }
}

impl SignIn {
    /// As the stack says; `None`: nobody signs in.
    pub fn of_stack(clients: &Clients) -> Result<Option<Self>, BadSetting> {
        Ok(settings::sign_in()?.map(|settings| Self { issuer: Issuer::new(clients, settings) }))
    }

    /// Where somebody begins to sign in for a question.
    pub fn path(question: &str) -> String {
        format!("{BEGIN}{question}")
    }

    /// The path of the question for which somebody begins.
    pub fn question(path: &str) -> Option<&str> {
        path.strip_prefix(BEGIN).filter(|question| question.starts_with('/'))
    }

    /// Sends the browser to the issuer. Nothing else changes: a link that is only looked at does no harm.
    pub async fn begin(
        &self,
        links: &StackLinks,
        question: &str,
        visit: &Visit,
        now: Timestamp,
    ) -> Result<Value, SignInError> {
        let seals = links.seals("attempt").await?;
        let redirect = format!("{}{RETURN}", visit.origin);
        let Begun { location, state, kept } =
            self.issuer.begin(&seals, question, redirect, now).await?;
        let mut cookies = vec![cookie(&format!("{ATTEMPT}{state}"), &kept, Attempt::lasts())];
        let earlier: Vec<_> = visit.cookies_of(ATTEMPT).collect();
        if earlier.len() >= MOST_ATTEMPTS {
            cookies.extend(earlier.into_iter().map(forgotten));
        }
        Ok(with_cookies(see(&location), &cookies))
    }

    /// Somebody is back.
    pub async fn back(&self, links: &StackLinks, visit: &Visit, now: Timestamp) -> Back {
        let mut back =
            Back { path: None, cookies: Vec::new(), told: Err(NotSignedIn::NotBegun.into()) };
        let Some(returned) = Returned::read(visit.query()) else { return back };
        let name = returned.state.as_ref().map(|state| format!("{ATTEMPT}{state}"));
        let kept = name.as_deref().and_then(|name| visit.cookie(name));
        let attempt = match links.seals("attempt").await {
            Ok(seals) => self.issuer.attempt(&seals, kept, &returned),
            Err(error) => {
                back.told = Err(error.into());
                return back;
            }
        };
        match attempt {
            Ok(attempt) => {
                // A code is good for once, and so is what belongs to it.
                back.cookies.extend(name.as_deref().map(forgotten));
                back.told = self.issuer.finish(&attempt, &returned, now).await;
                back.path = Some(attempt.path);
            }
            Err(error) => back.told = Err(error.into()),
        }
        back
    }

    /// What the browser of somebody keeps who has signed in for a question.
    pub async fn session(
        &self,
        links: &StackLinks,
        question: &str,
        session: &Session,
    ) -> Result<String, SignInError> {
        let seals = links.seals("session").await?;
        let kept = seals.seal(session, &self.issuer.bound_to(question))?;
        let cookie = cookie(&session_name(question), &kept, Session::lasts());
        if cookie.len() > LONGEST_COOKIE {
            return Err(SignInError::TooLong);
        }
        Ok(cookie)
    }

    /// Who has signed in for a question, in this browser.
    pub async fn person(
        &self,
        links: &StackLinks,
        question: &str,
        visit: &Visit,
        now: Timestamp,
    ) -> Result<Option<Person>, SignInError> {
        let Some(kept) = visit.cookie(&session_name(question)) else { return Ok(None) };
        let seals = links.seals("session").await?;
        let session: Option<Session> = seals.open(kept, &self.issuer.bound_to(question));
        let living = session.filter(|session| session.lives(now));
        Ok(living.map(|session| Person { session, kept: kept.to_owned(), seals }))
    }

    /// What ends that.
    pub fn sign_out(question: &str) -> String {
        forgotten(&session_name(question))
    }
}

fn forgotten(name: &str) -> String {
    cookie(name, "", Span::from_secs(0))
}

fn session_name(question: &str) -> String {
    let signature = question.rsplit('/').next().unwrap_or_default();
    format!("{SESSION}{}", signature.chars().take(16).collect::<String>())
}

/// How a page says that somebody is not signed in: its status, and what to do.
pub fn not_signed_in(error: &SignInError) -> (u16, String) {
    match error {
        SignInError::NotSignedIn(NotSignedIn::NotBegun | NotSignedIn::TooLate) => {
            (400, format!("Why: {error}. Open the link of the question, and sign in once more."))
        }
        SignInError::NotSignedIn(_) | SignInError::NotExchanged(_) => {
            (403, format!("Why: {error}."))
        }
        SignInError::NotSigned(_)
        | SignInError::Token(_)
        | SignInError::Provider(_)
        | SignInError::TooLong => {
            let text = format!(
                "Why: {error}. Whoever looks after this stack may have to change its parameters, or \
                 the issuer's."
            );
            (403, text)
        }
        SignInError::NoAnswer { .. } => {
            let text = format!(
                "Why: {error}. Try again in a while; until then the command line takes answers, as the \
                 page of the question says."
            );
            (503, text)
        }
        // What AWS says is for the log.
        SignInError::Port(_) | SignInError::NotSealed(_) => {
            (503, "AWS did not answer. Try again in a while.".to_owned())
        }
    }
}

/// The failure that an error stands for, if it is one of this function: an issuer that is silent or set up otherwise, and
/// whoever has come with something else, are not.
pub const fn unanswered_by_aws(error: &SignInError) -> Option<FailureCode> {
    match error {
        SignInError::Port(error) if error.may_pass() => Some(FailureCode::Transient),
        SignInError::Port(_) | SignInError::NotSealed(_) => Some(FailureCode::Unexpected),
        SignInError::NoAnswer { .. }
        | SignInError::Provider(_)
        | SignInError::NotSignedIn(_)
        | SignInError::NotExchanged(_)
        | SignInError::NotSigned(_)
        | SignInError::Token(_)
        | SignInError::TooLong => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_a_question_of_this_host_and_nowhere_else() {
        let question = "/approve/shop-42/2/1795244400000/0a1b2c3d4e5f60718293";
        assert_eq!(SignIn::question(&SignIn::path(question)), Some(question));
        for path in ["/sign-in", "/sign-inx/approve", "/signed-in", question, "//evil.example"] {
            assert_eq!(SignIn::question(path), None, "{path}");
        }
        assert_eq!(session_name(question), "__Host-signed-in-0a1b2c3d4e5f6071");
        assert!(SignIn::sign_out(question).contains("0a1b2c3d4e5f6071=; Path=/; Max-Age=0;"));
    }

    #[test]
    fn what_aws_says_is_told_to_nobody_who_signs_in() {
        use glidepath_engine::ports::PortError;
        let error =
            PortError::Refused { operation: "a:B", detail: "arn:aws:iam::1:role/x".to_owned() };
        let (status, told) = not_signed_in(&error.into());
        assert!(status == 503 && !told.contains("arn:"), "{told}");
        let (status, told) = not_signed_in(&NotSignedIn::NotBegun.into());
        assert!(status == 400 && told.contains("sign in once more"), "{told}");
    }
}
