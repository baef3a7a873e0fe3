//! The one place that reads the SDK's configuration and builds its clients.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// Longest time to open a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// Longest time of one attempt of a read; three are made.
const READ_ATTEMPT: Duration = Duration::from_secs(4);

/// Longest time of a read with all its attempts.
const READ: Duration = Duration::from_secs(15);

/// Longest time of the one attempt of a write: below the engine's
/// [`glidepath_core::protocol::ATTEMPT_TIMEOUT`], after which it counts as unanswered.
const WRITE_ATTEMPT: Duration = Duration::from_secs(4);

/// Longest time of one attempt of a registry call. Short, because each is safe to repeat and a
/// rollback begins with one.
const REGISTRY_ATTEMPT: Duration = Duration::from_secs(2);

/// No region is configured.
#[derive(Debug, thiserror::Error)]
#[error("no AWS region is configured: set AWS_REGION")]
pub struct NoRegion;

/// Configurations by what a client is for. All of them share connections.
#[derive(Clone, Debug)]
pub struct Clients {
    reading: SdkConfig,
    writing: SdkConfig,
    registry: SdkConfig,
}

impl Clients {
    /// Region, credentials and endpoint (`AWS_ENDPOINT_URL`) from the environment.
    pub async fn from_environment() -> Result<Self, NoRegion> {
        Self::in_region(None).await
    }

    /// The same, in this region if one is given.
    pub async fn in_region(region: Option<String>) -> Result<Self, NoRegion> {
        let http_client = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        // Pinned: `latest()` would change retries and time-outs with a dependency update.
        let mut loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client);
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        let config = loader.load().await;
        if config.region().map(Region::as_ref).is_none_or(str::is_empty) {
            return Err(NoRegion);
        }
        Ok(Self::new(&config))
    }

    /// The same from a configuration with region, credentials and HTTP client.
    pub fn new(config: &SdkConfig) -> Self {
        let timeouts = |attempt| {
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .read_timeout(attempt)
                .operation_attempt_timeout(attempt)
        };
        let reading = config
            .to_builder()
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts(READ_ATTEMPT).operation_timeout(READ).build())
            .build();
        // The engine repeats a write, because it knows the deadline of its claim.
        let once = |attempt| {
            config
                .to_builder()
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts(attempt).build())
                .build()
        };
        Self { reading, writing: once(WRITE_ATTEMPT), registry: once(REGISTRY_ATTEMPT) }
    }

    /// For calls that change nothing, or that may be repeated blindly.
    pub(crate) fn reading(&self) -> &SdkConfig {
        &self.reading
    }

    /// For claimed writes.
    pub(crate) fn writing(&self) -> &SdkConfig {
        &self.writing
    }

    /// For the registry, which repeats calls itself.
    pub(crate) fn registry(&self) -> &SdkConfig {
        &self.registry
    }
}
