//! Alarms and metrics of CloudWatch.

mod alarms;
mod metrics;
mod publication;

pub use publication::Publication;

use aws_sdk_cloudwatch::Client;
use glidepath_engine::ports::{Alarm, Metrics, MetricsQuery, Monitoring, PortResult};

use crate::clients::Clients;

/// [`Monitoring`] by CloudWatch.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    client: Client,
    publication: Publication,
}

impl CloudWatch {
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
