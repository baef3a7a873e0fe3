//! Settings that the template puts into the environment of the functions.

use std::num::ParseIntError;
use std::str::FromStr;

use glidepath_aws::channels::ChannelsSettings;
use glidepath_aws::monitoring::Publication;
use glidepath_core::time::Span;
use tracing::Level;
use tracing::metadata::ParseLevelError;

/// Name of the registry's table.
pub const TABLE: &str = "GLIDEPATH_TABLE";
/// How much is logged: `error`, `warn`, `info` or `debug`.
pub const LOG: &str = "GLIDEPATH_LOG";
/// The stack's channels, as JSON.
pub const CHANNELS: &str = "GLIDEPATH_CHANNELS";
/// Period of the load balancer's metrics, in seconds.
pub const METRIC_PERIOD: &str = "GLIDEPATH_METRIC_PERIOD_SECONDS";
/// How long a period's metrics may still be incomplete, in seconds.
pub const PUBLICATION_LAG: &str = "GLIDEPATH_PUBLICATION_LAG_SECONDS";
/// Name of the function `rollback`.
pub const ROLLBACK_FUNCTION: &str = "GLIDEPATH_ROLLBACK_FUNCTION";
/// Name of the function `complete`.
pub const COMPLETE_FUNCTION: &str = "GLIDEPATH_COMPLETE_FUNCTION";
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
    NotSeconds {
        /// Which one.
        name: &'static str,
        /// Why not.
        source: ParseIntError,
    },
    /// It is no level of logs.
    #[error("the environment variable `{name}` is none of error, warn, info and debug")]
    NotLevel {
        /// Which one.
        name: &'static str,
        /// Why not.
        source: ParseLevelError,
    },
    /// The stack's parameter `Channels` is not what it must be.
    #[error("the environment variable `{name}` is no JSON object of channels by name")]
    NotChannels {
        /// Which one.
        name: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
}

/// A setting as text.
pub fn text(name: &'static str) -> Result<String, BadSetting> {
    std::env::var(name).map_err(|_| BadSetting::Missing(name))
}

/// How much is logged.
pub fn log_level() -> Result<Level, BadSetting> {
    text(LOG)?.parse().map_err(|source| BadSetting::NotLevel { name: LOG, source })
}

/// The stack's channels.
pub fn channels() -> Result<ChannelsSettings, BadSetting> {
    serde_json::from_str(&text(CHANNELS)?)
        .map_err(|source| BadSetting::NotChannels { name: CHANNELS, source })
}

/// How the load balancer publishes its metrics.
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
