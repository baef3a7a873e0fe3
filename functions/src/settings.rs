//! Settings that the template puts into the environment of the functions.

use std::collections::BTreeMap;
use std::num::ParseIntError;
use std::str::FromStr;

use glidepath_aws::channels::{ChannelsSettings, EMAIL, with_email};
use glidepath_aws::clients::Clients;
use glidepath_aws::links::{QuestionPage, StackLinks};
use glidepath_aws::monitoring::Publication;
use glidepath_aws::sign_in::SignInSettings;
use glidepath_core::ids::ChannelName;
use glidepath_core::people::ApprovalPolicy;
use glidepath_core::sign_in::is_safe_url;
use glidepath_core::time::Span;
use glidepath_core::urgency::{Listening, Manner, Urgency};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Level;
use tracing::metadata::ParseLevelError;

use crate::trigger::MutedAlarms;

/// Name of the registry's table.
pub const TABLE: &str = "GLIDEPATH_TABLE";
/// Name of the stack, for messages that leave the account and for metrics.
pub const STACK: &str = "GLIDEPATH_STACK";
/// Name of the function, which Lambda sets.
pub const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";
/// How much is logged: `error`, `warn` or `info`; there is nothing finer.
pub const LOG: &str = "GLIDEPATH_LOG";
/// ARN of the secret that links to questions are signed with; empty where the stack has no page.
pub const PAGE_KEY: &str = "GLIDEPATH_PAGE_KEY";
/// URL of the page.
pub const PAGE_URL: &str = "GLIDEPATH_PAGE_URL";
/// ARN of the secret of the Slack app whose clicks the page takes; empty where there is none.
pub const SLACK_APP: &str = "GLIDEPATH_SLACK_APP";
/// The issuer at which people sign in on the page; empty where they do not.
pub const OIDC_ISSUER: &str = "GLIDEPATH_OIDC_ISSUER";
/// Id of the client that the stack is there.
pub const OIDC_CLIENT_ID: &str = "GLIDEPATH_OIDC_CLIENT_ID";
/// ARN of the secret of that client; empty where it has none.
pub const OIDC_CLIENT_SECRET: &str = "GLIDEPATH_OIDC_CLIENT_SECRET";
/// Which claim is somebody's name.
pub const OIDC_NAME_CLAIM: &str = "GLIDEPATH_OIDC_NAME_CLAIM";
/// Which claim has their groups.
pub const OIDC_GROUPS_CLAIM: &str = "GLIDEPATH_OIDC_GROUPS_CLAIM";
/// The stack's channels, as JSON.
pub const CHANNELS: &str = "GLIDEPATH_CHANNELS";
/// ARN of the topic of the stack's parameter `AlertEmail`, or nothing.
pub const ALERT_TOPIC: &str = "GLIDEPATH_ALERT_TOPIC";
/// Name of the bucket that keeps what happened for auditors; empty where there is none.
pub const AUDIT_BUCKET: &str = "GLIDEPATH_AUDIT_BUCKET";
/// What the stack demands of approvals, as JSON.
pub const APPROVAL_POLICY: &str = "GLIDEPATH_APPROVAL_POLICY";
/// Names of the roles, with their paths, that the stack may pass to tasks, as a pattern of IAM.
pub const TASK_ROLES: &str = "GLIDEPATH_TASK_ROLES";
/// Period of the load balancer's metrics, in seconds.
pub const METRIC_PERIOD: &str = "GLIDEPATH_METRIC_PERIOD_SECONDS";
/// How long a period's metrics may still be incomplete, in seconds.
pub const PUBLICATION_LAG: &str = "GLIDEPATH_PUBLICATION_LAG_SECONDS";
/// Whether a muted alarm still rolls back: `rollBack` or `ignore`.
pub const MUTED_ALARMS: &str = "GLIDEPATH_MUTED_ALARMS";
/// ARN of the state machine.
pub const STATE_MACHINE: &str = "GLIDEPATH_STATE_MACHINE";
/// Name of the function `rollback`.
pub const ROLLBACK_FUNCTION: &str = "GLIDEPATH_ROLLBACK_FUNCTION";
/// Name of the function `complete`.
pub const COMPLETE_FUNCTION: &str = "GLIDEPATH_COMPLETE_FUNCTION";
/// Name of the function `validate`.
pub const VALIDATE_FUNCTION: &str = "GLIDEPATH_VALIDATE_FUNCTION";
/// Name of the function `notify`.
pub const NOTIFY_FUNCTION: &str = "GLIDEPATH_NOTIFY_FUNCTION";

/// A setting that is not as it must be. The template sets them all.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// It is not there, or is not text.
    #[error("the environment variable `{0}` is not set")]
    Missing(&'static str),
    /// It is no number.
    #[error("the environment variable `{name}` is no number of seconds")]
    NotSeconds { name: &'static str, source: ParseIntError },
    /// It is no level of logs.
    #[error("the environment variable `{name}` is none of error, warn and info")]
    NotLevel { name: &'static str, source: ParseLevelError },
    /// It is neither of the two policies.
    #[error("the environment variable `{0}` is neither rollBack nor ignore")]
    NotMutedAlarms(&'static str),
    /// The stack's parameter `OidcIssuer` is not what it must be.
    #[error("the environment variable `{0}` is no URL of https")]
    NotIssuer(&'static str),
    /// The stack's parameter `ApprovalPolicy` is not what it must be.
    #[error("the environment variable `{name}` is no policy of approvals: {why}")]
    NotApprovalPolicy { name: &'static str, why: String },
    /// The stack's parameter `Channels` is not what it must be. Without serde's own words: they
    /// may repeat what was written, and somebody may have written a webhook's URL.
    #[error(
        "the environment variable `{name}` is no JSON object of channels by name (line {line}, column {column})"
    )]
    NotChannels { name: &'static str, line: usize, column: usize },
}

/// A setting that may be empty, or not there: while a stack is updated the new code may meet the old environment.
pub fn given(name: &'static str) -> Option<String> {
    text(name).ok().filter(|text| !text.is_empty())
}

/// Where the stack shows questions, if it does.
pub fn question_page(clients: &Clients, stack: &str) -> Option<QuestionPage> {
    let (url, key) = given(PAGE_URL).zip(given(PAGE_KEY))?;
    Some(QuestionPage { url, links: StackLinks::new(clients, key, stack.to_owned()) })
}

/// In an environment without an issuer nobody signs in.
pub fn sign_in() -> Result<Option<SignInSettings>, BadSetting> {
    let Some(issuer) = given(OIDC_ISSUER) else {
        return Ok(None);
    };
    if !is_safe_url(&issuer) {
        return Err(BadSetting::NotIssuer(OIDC_ISSUER));
    }
    Ok(Some(SignInSettings {
        issuer,
        client: text(OIDC_CLIENT_ID)?,
        secret: Some(text(OIDC_CLIENT_SECRET)?).filter(|secret| !secret.is_empty()),
        name_claim: text(OIDC_NAME_CLAIM)?,
        groups_claim: text(OIDC_GROUPS_CLAIM)?,
    }))
}

/// While a stack is updated the new code may meet the old environment, which demands nothing.
pub fn approval_policy() -> Result<ApprovalPolicy, BadSetting> {
    let Ok(json) = text(APPROVAL_POLICY) else { return Ok(ApprovalPolicy::default()) };
    let name = APPROVAL_POLICY;
    ApprovalPolicy::parse(&json).map_err(|why| BadSetting::NotApprovalPolicy { name, why })
}

pub fn text(name: &'static str) -> Result<String, BadSetting> {
    std::env::var(name).map_err(|_| BadSetting::Missing(name))
}

pub fn log_level() -> Result<Level, BadSetting> {
    text(LOG)?.parse().map_err(|source| BadSetting::NotLevel { name: LOG, source })
}

pub fn channels() -> Result<ChannelsSettings, BadSetting> {
    Ok(with_email(channels_of(&text(CHANNELS)?)?, alert_topic()))
}

/// While a stack is updated the new code may meet the old environment, which has no such topic.
fn alert_topic() -> Option<String> {
    text(ALERT_TOPIC).ok().filter(|topic| !topic.is_empty())
}

/// How they listen alone: what reads the rest would be loaded with every cold start for nothing. What is no urgency keeps
/// no deployment back.
pub fn listening() -> Result<BTreeMap<ChannelName, Listening>, BadSetting> {
    let settings: BTreeMap<ChannelName, Value> = channels_of(&text(CHANNELS)?)?;
    let email = alert_topic().map(|_| (ChannelName::new(EMAIL), Listening::EVERYTHING));
    let listening = settings.into_iter().map(|(name, settings)| (name, listening_of(&settings)));
    Ok(email.into_iter().chain(listening).collect())
}

fn listening_of(settings: &Value) -> Listening {
    let from = settings["from"].as_str().unwrap_or_default();
    let from = Urgency::ALL.into_iter().find(|urgency| urgency.name() == from);
    let manner = if settings["pagerDuty"].is_object() {
        Manner::Rings
    } else if settings["slack"]["channel"].is_string() {
        Manner::Edits
    } else {
        Manner::Tells
    };
    Listening { from: from.unwrap_or(Urgency::Information), manner }
}

fn channels_of<Channels: DeserializeOwned>(json: &str) -> Result<Channels, BadSetting> {
    serde_json::from_str(json).map_err(|error| BadSetting::NotChannels {
        name: CHANNELS,
        line: error.line(),
        column: error.column(),
    })
}

pub fn muted_alarms() -> Result<MutedAlarms, BadSetting> {
    match text(MUTED_ALARMS)?.as_str() {
        "rollBack" => Ok(MutedAlarms::RollBack),
        "ignore" => Ok(MutedAlarms::Ignore),
        _ => Err(BadSetting::NotMutedAlarms(MUTED_ALARMS)),
    }
}

pub fn publication() -> Result<Publication, BadSetting> {
    Ok(Publication {
        period_seconds: number(METRIC_PERIOD)?,
        lag: Span::from_secs(number(PUBLICATION_LAG)?),
    })
}

fn number<Number>(name: &'static str) -> Result<Number, BadSetting>
where
    Number: FromStr<Err = ParseIntError>,
{
    text(name)?.parse().map_err(|source| BadSetting::NotSeconds { name, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_variable() {
        let error = text("GLIDEPATH_NOT_SET").unwrap_err();
        assert!(error.to_string().contains("GLIDEPATH_NOT_SET"), "{error}");
    }

    #[test]
    fn a_channel_listens_for_a_plan_as_it_does_for_a_notice() {
        let written = r#"{
            "team": {"slack": {"secret": "s"}}, "app": {"slack": {"secret": "s", "channel": "C0"}, "from": "attention"},
            "pager": {"pagerDuty": {"secret": "s"}, "from": "page"}, "topic": {"sns": {"topic": "t"}, "from": "information"}
        }"#;
        let values: BTreeMap<ChannelName, Value> = channels_of(written).unwrap();
        let settings: ChannelsSettings = channels_of(written).unwrap();
        for (name, value) in &values {
            assert_eq!(listening_of(value), settings[name].listening(), "{name}");
        }
        assert_eq!(listening_of(&Value::Null), Listening::EVERYTHING);
    }

    #[test]
    fn a_secret_among_the_channels_is_not_repeated() {
        let team = r#"{"team": {"https://hooks.slack.com/services/T0": {}}}"#;
        let error = channels_of::<ChannelsSettings>(team);
        let shown = format!("{:?}", error.unwrap_err());
        assert!(shown.contains(CHANNELS) && !shown.contains("hooks"), "{shown}");
        assert_eq!(channels_of::<ChannelsSettings>("{}").ok(), Some(ChannelsSettings::new()));
    }
}
