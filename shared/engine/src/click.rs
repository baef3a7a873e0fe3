//! A click on a button of a message in Slack. Slack waits three seconds and then tells whoever has clicked that it did not
//! work, so everything here ends before, whatever AWS and Slack do; whoever has clicked is told what became of it. What
//! everybody sees is `notify`'s.

use std::pin::pin;

use futures_util::future::{Either, select};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_core::people::people;
use glidepath_core::time::{Span, Timestamp};

use crate::decide;
use crate::page::{Answering, look};
use crate::ports::{Clicks, Clock, Links, Orchestration, Ports, Registry};

/// How long it may take until it is decided, or not known. Before it the way from Slack and the start of the function may
/// take as long as half a second.
const DECIDED_WITHIN: Span = Span::from_millis(1_500);

/// How long it may take after that to tell whoever has clicked.
const TOLD_WITHIN: Span = Span::from_millis(800);

/// What was posted where Slack posts clicks, as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// When it was signed, in seconds since 1970, as the header has it.
    pub timestamp: String,
    pub signature: String,
    pub body: Vec<u8>,
}

/// Somebody has answered a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Click {
    pub approved: bool,
    /// The path of the question, as the stack has signed it.
    pub path: String,
    pub team: String,
    pub user: String,
    /// Where it is told what became of it, for half an hour.
    pub response_url: Option<String>,
}

/// What Slack is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was Slack's, and whoever has clicked was told what became of it.
    Yes,
    /// It was Slack's, and nobody knows what became of it: AWS has not answered, or not in time. Whoever has clicked was
    /// told so.
    Undecided(FailureCode),
    /// Slack has not signed it.
    NotSigned,
    /// Whether Slack has signed it is not known.
    NotKnown,
}

/// Decides what was clicked. `clicks` is the stack's app; `click` says what that was, once Slack is known to have signed
/// it, and `None` of what decides nothing, such as a link.
pub async fn run<P>(
    ports: &P,
    clicks: &impl Clicks,
    signed: &Signed,
    click: impl FnOnce(&[u8]) -> Option<Click>,
) -> Taken
where
    P: Ports<Registry: Registry, Orchestration: Orchestration, Links: Links, Ambient: Clock>,
{
    let clock = ports.ambient();
    let now = clock.now();
    let Signed { timestamp, signature, body } = signed;
    let proven = clicks.is_signed(timestamp, signature, body, now);
    match within(clock, DECIDED_WITHIN, proven).await {
        Some(Ok(true)) => {}
        Some(Ok(false)) => return Taken::NotSigned,
        Some(Err(error)) => {
            tracing::warn!(%error, "whether Slack has signed it is not known");
            return Taken::NotKnown;
        }
        None => {
            tracing::warn!("whether Slack has signed it is not known in time");
            return Taken::NotKnown;
        }
    }
    let Some(click) = click(body) else { return Taken::Yes };
    let left = DECIDED_WITHIN.minus(clock.now().since(now));
    let decided = within(clock, left, decided(ports, clicks, &click, now)).await;
    let (told, failed) = match decided {
        Some(Ok(told)) => (told, None),
        Some(Err(code)) => (
            "AWS did not answer. Nothing is known of your answer: the message shows it if it was recorded.".to_owned(),
            Some(code),
        ),
        None => (
            "AWS has not answered in time. Nothing is known of your answer: the message shows it within a minute if it was \
             recorded."
                .to_owned(),
            Some(FailureCode::Transient),
        ),
    };
    if let Some(url) = &click.response_url {
        match within(clock, TOLD_WITHIN, clicks.tell(url, &told, now)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(error, "whoever has clicked was not told"),
            None => tracing::warn!("whoever has clicked was not told in time"),
        }
    }
    failed.map_or(Taken::Yes, Taken::Undecided)
}

/// What comes of it, unless the time is over first.
async fn within<T>(clock: &impl Clock, span: Span, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(clock.sleep(span))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}

/// What whoever has clicked is told: also that it was recorded, because the message shows it only with its next edit. An
/// error: nobody knows whether it was.
async fn decided<P>(
    ports: &P,
    clicks: &impl Clicks,
    click: &Click,
    now: Timestamp,
) -> Result<String, FailureCode>
where
    P: Ports<Registry: Registry, Orchestration: Orchestration, Links: Links, Ambient: Clock>,
{
    let Click { approved, path, team, user, .. } = click;
    let mut unknown = Vec::new();
    let answered = async {
        let Some(found) = look(ports, path).await? else { return Ok(None) };
        let asked = if *approved { found.slack_groups(team) } else { Vec::new() };
        let groups = clicks.groups(user, &asked, now).await;
        unknown = groups.unknown;
        let answer = found.answer(*approved, "", Answering::clicked(team, user, groups.of), now)?;
        let after = decide::run(ports, &answer).await?;
        tracing::info!(deployment = %answer.deployment, approved, by = answer.by, "answered in Slack");
        Ok(Some((found.link.stage, after)))
    };
    Ok(match answered.await {
        Ok(Some((stage, _))) if !approved => {
            format!("You have refused stage {stage}: all requests return to the version before.")
        }
        Ok(Some((stage, after))) => match after.approvals_lacking(stage) {
            0 => format!("You have approved stage {stage}."),
            lacking => format!("You have approved stage {stage}. {} more must.", people(lacking)),
        },
        Ok(None) => "This button belongs to no question of this stack.".to_owned(),
        Err(Failure { code: FailureCode::NotAllowed, cause }) if !unknown.is_empty() => format!(
            "Nothing was recorded: {cause}. Slack has not said in time who is in {}: try again.",
            unknown.join(", ")
        ),
        Err(Failure { code, cause }) if code.kind().is_answer() => {
            format!("Nothing was recorded: {cause}.")
        }
        Err(failure) => {
            tracing::warn!(failure.code = %failure.code, failure.cause, "could not be decided");
            return Err(failure.code);
        }
    })
}
