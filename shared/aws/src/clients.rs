//! The one place that reads the SDK's configuration and builds its clients.

use std::time::Duration;

#[cfg(feature = "stack")]
use aws_config::profile::ProfileFileCredentialsProvider;
#[cfg(feature = "stack")]
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// Longest time to open a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// Longest time of one attempt of a read; three are made.
const READ_ATTEMPT: Duration = Duration::from_secs(4);

/// Longest time of a read with all its attempts.
const READ: Duration = Duration::from_secs(15);

/// Longest time of the one attempt of a write: below the engine's
/// [`glidepath_core::record::ATTEMPT_TIMEOUT`], after which it counts as unanswered.
const WRITE_ATTEMPT: Duration = Duration::from_secs(4);

/// Longest time that a hook may take to answer; one that needs longer answers that it is in progress.
/// Below the time-out of the function that asks, with room for what it does besides.
const ASK: Duration = Duration::from_secs(45);

/// Longest time of one attempt of a registry call. Short, because each is safe to repeat and a
/// rollback begins with one.
const REGISTRY_ATTEMPT: Duration = Duration::from_secs(2);

/// Something that every function and every command needs is not configured.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable `{0}` is not set")]
pub struct NotConfigured(&'static str);

/// Configurations by what a client is for. All of them share connections.
#[derive(Clone, Debug)]
pub struct Clients {
    reading: SdkConfig,
    writing: SdkConfig,
    asking: SdkConfig,
    registry: SdkConfig,
}

/// Pinned: `latest()` would change retries and time-outs with a dependency update.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn variable(name: &'static str) -> Result<String, NotConfigured> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(NotConfigured(name))
}

impl Clients {
    /// In a function: region and credentials as Lambda sets them, and `AWS_ENDPOINT_URL`. Without
    /// the SDK's search for credentials, which brings STS, instance metadata and profiles into
    /// every function: a cold start waits for every byte (docs/adr/009).
    pub fn in_lambda() -> Result<Self, NotConfigured> {
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID")?,
            variable("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN").ok(),
            None,
            "Lambda's environment",
        );
        let mut config = SdkConfig::builder()
            .behavior_version(behavior_version())
            .region(Region::new(variable("AWS_REGION")?))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client());
        config.set_endpoint_url(variable("AWS_ENDPOINT_URL").ok());
        Ok(Self::new(&config.build()))
    }

    /// At a desk: everything as the AWS CLI finds it, in this region and as this profile if they are
    /// given.
    #[cfg(feature = "stack")]
    pub async fn at_a_desk(
        region: Option<String>,
        profile: Option<String>,
    ) -> Result<Self, NotConfigured> {
        let mut loader = aws_config::defaults(behavior_version()).http_client(http_client());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Some(profile) = &profile {
            loader = loader.profile_name(profile);
        }
        let mut config = loader.load().await;
        if let Some(profile) = profile {
            // The SDK's own search takes the environment's keys before any profile, and the machine's
            // role where there is no such profile: somebody would act as somebody else.
            let search = ProviderConfig::without_region()
                .with_region(config.region().cloned())
                .with_http_client(http_client());
            let only = ProfileFileCredentialsProvider::builder();
            let only = only.configure(&search).profile_name(profile).build();
            let credentials = SharedCredentialsProvider::new(only);
            config = config.into_builder().credentials_provider(credentials).build();
        }
        if config.region().map(Region::as_ref).is_none_or(str::is_empty) {
            return Err(NotConfigured("AWS_REGION"));
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
        Self {
            reading,
            writing: once(WRITE_ATTEMPT),
            asking: once(ASK),
            registry: once(REGISTRY_ATTEMPT),
        }
    }

    /// For calls that change nothing, or that may be repeated blindly.
    pub(crate) fn reading(&self) -> &SdkConfig {
        &self.reading
    }

    /// For claimed writes.
    pub(crate) fn writing(&self) -> &SdkConfig {
        &self.writing
    }

    /// For functions of the user's own, each asked once.
    pub(crate) fn asking(&self) -> &SdkConfig {
        &self.asking
    }

    /// For the registry, which repeats calls itself.
    pub(crate) fn registry(&self) -> &SdkConfig {
        &self.registry
    }
}
