//! The page of a question, by a URL that is open to everybody: whoever has a link that the stack has signed sees what is
//! asked, and may answer where the plan takes an answer from whoever has the link; whoever has signed in answers as whom
//! the stack's issuer names, and whoever clicks in Slack as whom Slack names.

use glidepath_aws::clicks::SlackClicks;
use glidepath_aws::clients::Clients;
use glidepath_aws::clock::System;
use glidepath_aws::links::StackLinks;
use glidepath_aws::orchestration::StepFunctions;
use glidepath_aws::registry::DynamoRegistry;
use glidepath_aws::sign_in::SignInError;
use glidepath_core::failure::Failure;
use glidepath_core::people::{signed_in, signed_in_group};
use glidepath_core::sign_in::Session;
use glidepath_core::time::Timestamp;
use glidepath_engine::page::{Answering, Found, look};
use glidepath_engine::ports::{Adapters, Clock, Ports};
use glidepath_engine::{click, decide};
use glidepath_functions::click as slack_click;
use glidepath_functions::open_url::{Asked, Visit, page, see, with_cookies};
use glidepath_functions::sign_in::{Person, RETURN, SignIn, not_signed_in, unanswered_by_aws};
use glidepath_functions::telemetry::tell_failure;
use glidepath_functions::{log_as_json, serve, settings};
use glidepath_report::page::{Page, Visitor, notice, notice_with_way};
use glidepath_report::report;
use serde_json::Value;
use tracing::{info, warn};

/// What is logged by level is ours by its target, and a binary's own name does not say so.
const OURS: &str = "glidepath::page";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log_as_json()?;
    let clients = Clients::in_lambda()?;
    let stack = settings::text(settings::STACK)?;
    let sign_in = SignIn::of_stack(&clients)?;
    let slack = settings::given(settings::SLACK_APP);
    let slack = slack.map(|secret| SlackClicks::new(&clients, secret));
    let ports = Adapters::none()
        .with_registry(DynamoRegistry::new(&clients, settings::text(settings::TABLE)?))
        .with_orchestration(StepFunctions::new(&clients))
        .with_links(StackLinks::new(&clients, settings::text(settings::PAGE_KEY)?, stack.clone()))
        .with_ambient(System::default());
    serve(async |payload: Value| {
        if let Some(signed) = slack_click::read(&payload) {
            return Ok(match (&slack, signed) {
                (Some(slack), Ok(signed)) => slack_click::answer(
                    click::run(&ports, slack, &signed, slack_click::click).await,
                ),
                (Some(_), Err(unfit)) => slack_click::unfit(unfit),
                (None, _) => slack_click::without_app(),
            });
        }
        let (path, form, visit) = match Asked::read(&payload) {
            Ok(Asked::Look { path, visit }) => (path, None, visit),
            Ok(Asked::Post { path, form, visit }) => (path, Some(form), visit),
            Err(unfit) => {
                let told = notice("Nothing was recorded", &unfit.to_string());
                return Ok(page(unfit.status(), &told));
            }
        };
        let now = ports.ambient().now();
        let begins = SignIn::question(&path).map(str::to_owned);
        if let (Some(sign_in), None, RETURN) = (&sign_in, &form, path.as_str()) {
            let back = sign_in.back(ports.links(), &visit, now).await;
            let path = back.path.as_deref();
            let signed = match (back.told, path) {
                (Ok(signed), Some(path)) => match look(&ports, path).await {
                    Ok(Some(found)) => (signed, found, path),
                    Ok(None) => return Ok(with_cookies(nowhere(), &back.cookies)),
                    Err(failure) => {
                        warn!(failure.code = %failure.code, failure.cause, "nobody was signed in");
                        tell_failure(failure.code);
                        // The code is used up: to load this again would be refused.
                        let text =
                            "You are not signed in. Open the question, and sign in once more.";
                        let told = notice_with_way("AWS did not answer", text, Some(path));
                        return Ok(with_cookies(page(503, &told), &back.cookies));
                    }
                },
                (Ok(_), None) => return Ok(with_cookies(nowhere(), &back.cookies)),
                (Err(error), path) => {
                    return Ok(with_cookies(refused(&error, path), &back.cookies));
                }
            };
            let (signed, found, path) = signed;
            let groups = found.groups_that_count(signed.groups.as_deref().unwrap_or_default());
            let session = Session::begin(signed.name, groups, signed.groups.is_some(), now);
            let mut cookies = back.cookies;
            match sign_in.session(ports.links(), path, &session).await {
                Ok(cookie) => cookies.push(cookie),
                Err(error) => return Ok(with_cookies(refused(&error, Some(path)), &cookies)),
            }
            info!(target: OURS, deployment = %found.link.deployment, by = signed_in(&session.name), "signed in");
            return Ok(with_cookies(see(path), &cookies));
        }
        // Only for a link that leads somewhere: nobody else's request reaches the issuer.
        let question =
            begins.as_deref().filter(|_| form.is_none() && sign_in.is_some()).unwrap_or(&path);
        let found = match look(&ports, question).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(nowhere()),
            Err(failure) => return Ok(unanswered(&failure)),
        };
        if let (Some(sign_in), Some(question)) = (&sign_in, &begins) {
            let begun = sign_in.begin(ports.links(), question, &visit, now).await;
            return Ok(begun.unwrap_or_else(|error| refused(&error, Some(question))));
        }
        let person = match known(sign_in.as_ref(), ports.links(), &path, &visit, now).await {
            Ok(person) => person,
            Err(error) => return Ok(refused(&error, None)),
        };
        let shown = |found: &Found, told: Option<&str>| {
            let looks = Looks {
                stack: &stack,
                path: &path,
                signs_in: sign_in.is_some(),
                person: person.as_ref(),
            };
            looks.shown(found, told, now)
        };
        let Some(form) = form else { return Ok(page(200, &shown(&found, None))) };
        let (decision, reason) = (form.get("decision"), form.get("reason"));
        let approved = match decision.map(String::as_str) {
            Some("approve") => true,
            Some("reject") => false,
            Some("sign-out") => return Ok(with_cookies(see(&path), &[SignIn::sign_out(&path)])),
            Some(_) | None => {
                let refused = "it was neither approved nor refused";
                return Ok(page(400, &shown(&found, Some(refused))));
            }
        };
        let by = match (form.get("token"), &person) {
            (None, _) => Answering::by_link(),
            (Some(token), Some(person)) if person.is_form(token) => {
                Answering::signed_in(&person.session.name, &person.session.groups)
            }
            // Never as somebody else than whom the form was made for.
            (Some(_), _) => {
                let refused =
                    "you are not signed in any more, or as somebody else: answer once more";
                return Ok(page(403, &shown(&found, Some(refused))));
            }
        };
        let answered = match found.answer(approved, reason.map_or("", String::as_str), by, now) {
            Ok(answer) => decide::run(&ports, &answer).await,
            Err(failure) => Err(failure),
        };
        match answered {
            Ok(_) => {
                info!(target: OURS, deployment = %found.link.deployment, approved, "answered on the page");
                Ok(see(&path))
            }
            // It may have been recorded, and what AWS says is for the log.
            Err(failure) if !failure.code.kind().is_answer() => Ok(unanswered(&failure)),
            Err(failure) => {
                // What it is now, which may be why.
                let found = look(&ports, &path).await.ok().flatten().unwrap_or(found);
                Ok(page(409, &shown(&found, Some(&failure.cause))))
            }
        }
    })
    .await
}

async fn known(
    sign_in: Option<&SignIn>,
    links: &StackLinks,
    path: &str,
    visit: &Visit,
    now: Timestamp,
) -> Result<Option<Person>, SignInError> {
    match sign_in {
        Some(sign_in) => sign_in.person(links, path, visit, now).await,
        None => Ok(None),
    }
}

/// Who looks at a question, and from where.
struct Looks<'a> {
    stack: &'a str,
    path: &'a str,
    signs_in: bool,
    person: Option<&'a Person>,
}

impl Looks<'_> {
    fn shown(&self, found: &Found, refused: Option<&str>, now: Timestamp) -> String {
        let Found { link, deployment, cells } = found;
        let asked = format!("stage {} is asked for", link.stage);
        let report = cells.as_ref().map(|cells| report(deployment, cells, asked));
        let at = SignIn::path(self.path);
        let known = self.person.map(|person| {
            let Session { name, groups, says_groups, .. } = &person.session;
            let groups: Vec<_> = groups.iter().map(|group| signed_in_group(group)).collect();
            (signed_in(name), groups, *says_groups, person.token())
        });
        let visitor = match &known {
            Some((by, groups, says_groups, token)) => {
                Visitor::SignedIn { by, groups, says_groups: *says_groups, token }
            }
            None if self.signs_in => Visitor::MaySignIn { at: &at },
            None => Visitor::LinkHolder,
        };
        Page { deployment, link, report: report.as_ref(), stack: self.stack, visitor, refused, now }
            .html()
    }
}

fn nowhere() -> Value {
    let text = "It may have been cut off on its way, or belong to another stack. `glidepath status` shows what waits.";
    page(404, &notice("This link leads nowhere", text))
}

fn refused(error: &SignInError, back_to: Option<&str>) -> Value {
    warn!(%error, "not signed in");
    if let Some(code) = unanswered_by_aws(error) {
        tell_failure(code);
    }
    let (status, told) = not_signed_in(error);
    page(status, &notice_with_way("You are not signed in", &told, back_to))
}

/// AWS could not be asked. What it says may be about anything, and is for the log.
fn unanswered(failure: &Failure) -> Value {
    warn!(failure.code = %failure.code, failure.cause, "could not be shown");
    tell_failure(failure.code);
    let text = "Nothing is known of an answer that was just sent: load this page again. `glidepath status` shows the \
                same.";
    page(503, &notice("AWS did not answer", text))
}
