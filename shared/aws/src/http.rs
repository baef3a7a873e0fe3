//! The one HTTP client for what is not AWS.

use std::sync::{Arc, OnceLock};

use glidepath_engine::ports::{PortError, PortResult};

/// Built at its first use: most functions never need one.
#[derive(Debug, Default)]
pub(crate) struct LazyClient(OnceLock<reqwest::Client>);

impl LazyClient {
    /// The client; it follows no redirects and asks no proxy.
    pub(crate) fn get(&self, operation: &'static str) -> PortResult<&reqwest::Client> {
        if let Some(http) = self.0.get() {
            return Ok(http);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Lost only to somebody who has installed one in between, which is as good.
            let _ = rustls::crypto::CryptoProvider::install_default((*provider).clone());
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| PortError::Refused { operation, detail: error.to_string() })?;
        Ok(self.0.get_or_init(|| http))
    }
}
