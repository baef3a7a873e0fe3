//! Requests to what of AWS's has no client here, signed with Signature Version 4.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use glidepath_engine::ports::{PortError, PortResult};
use tokio::time::timeout;

/// Longest time until there are credentials: some ask a person.
const CREDENTIALS: Duration = Duration::from_secs(30);

/// Whose request it is, as its signature names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// A function's URL.
    #[cfg(feature = "stack")]
    Lambda,
    S3,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "stack")]
            Self::Lambda => "lambda",
            Self::S3 => "s3",
        }
    }

    /// How a signature is made. S3 takes a path as it is written, and the hash of the body in a header.
    fn settings(self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        match self {
            #[cfg(feature = "stack")]
            Self::Lambda => {}
            Self::S3 => {
                settings.percent_encoding_mode = PercentEncodingMode::Single;
                settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            }
        }
        settings
    }
}

/// A request that nobody has signed yet.
pub(crate) struct Unsigned<'a> {
    pub(crate) service: Service,
    /// The action that AWS asks for.
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
    /// With its path encoded as it is to be sent.
    pub(crate) url: &'a str,
    pub(crate) headers: Vec<(&'static str, &'a str)>,
    pub(crate) body: String,
}

impl Unsigned<'_> {
    /// With the signature of whoever a configuration's credentials belong to.
    pub(crate) async fn signed(self, config: &SdkConfig) -> PortResult<HttpRequest> {
        let operation = self.operation;
        timeout(CREDENTIALS, self.signed_at_last(config))
            .await
            .unwrap_or_else(|_| Err(refused(operation, "no credentials within 30 s")))
    }

    async fn signed_at_last(self, config: &SdkConfig) -> PortResult<HttpRequest> {
        let Self { service, operation, method, url, headers, body } = self;
        let provider = config.credentials_provider();
        let provider = provider.ok_or_else(|| refused(operation, "there are no credentials"))?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|why| refused(operation, why))?;
        let region = config.region().ok_or_else(|| refused(operation, "there is no Region"))?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region.as_ref())
            .name(service.name())
            .time(SystemTime::now())
            .settings(service.settings())
            .build()
            .map_err(|why| refused(operation, why))?
            .into();
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method, url, headers.iter().copied(), signable);
        let signable = signable.map_err(|why| refused(operation, why))?;
        let signed = sign(signable, &parameters).map_err(|why| refused(operation, why))?;
        let (instructions, _) = signed.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(|why| refused(operation, why))?;
        request.set_uri(url).map_err(|why| refused(operation, why))?;
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

fn refused(operation: &'static str, why: impl std::fmt::Display) -> PortError {
    PortError::Refused { operation, detail: why.to_string() }
}
