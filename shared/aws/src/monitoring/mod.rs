//! Alarms and metrics of CloudWatch.

mod alarms;
mod metrics;

use aws_sdk_cloudwatch::Client;
use glidepath_core::time::Span;
use glidepath_engine::ports::{Alarm, Metrics, MetricsQuery, Monitoring, PortResult};

use crate::clients::Clients;

/// How the load balancer publishes its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Length of a period, in seconds, 1 to 60. Application Load Balancers publish every 60 s.
    pub period_seconds: u8,
    /// How long after its end a period may still be incomplete.
    pub lag: Span,
}

impl Publication {
    /// Length of a period.
    pub fn period(self) -> Span {
        Span::from_secs(u64::from(self.period_seconds.max(1)))
    }
}

impl Default for Publication {
    /// As Application Load Balancers do it.
    fn default() -> Self {
        Self { period_seconds: 60, lag: Span::from_secs(60) }
    }
}

/// [`Monitoring`] by CloudWatch.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    client: Client,
    publication: Publication,
}

impl CloudWatch {
    /// In the configured region.
    pub fn new(clients: &Clients, publication: Publication) -> Self {
        Self { client: Client::new(clients.reading()), publication }
    }
}

impl Monitoring for CloudWatch {
    async fn alarms(&self, names: &[String]) -> PortResult<Vec<Option<Alarm>>> {
        alarms::read(&self.client, names).await
    }

    async fn metrics(&self, query: &MetricsQuery) -> PortResult<Option<Metrics>> {
        // Each part has an error of its own.
        Ok(metrics::read(&self.client, self.publication, query).await)
    }
}
