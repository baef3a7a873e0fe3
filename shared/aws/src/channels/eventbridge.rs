//! A bus of EventBridge, of the kind that it calls a custom event bus (classic) now, or the account's default
//! bus. It answers a call for a bus that does not exist as if all were well, and drops the event: so whether
//! it is there is asked first, once.

use std::collections::HashSet;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use glidepath_core::message::eventbridge::{Entry, SOURCE};
use glidepath_engine::ports::{PortError, PortResult};
use tokio::sync::Mutex;

use crate::clients::Clients;
use crate::error::port_error;

const OPERATION: &str = "events:PutEvents";

#[derive(Debug)]
pub(super) struct EventBridge {
    client: Client,
    /// Buses that were there when they were asked for.
    known: Mutex<HashSet<String>>,
}

impl EventBridge {
    pub(super) fn new(clients: &Clients) -> Self {
        Self { client: Client::new(clients.reading()), known: Mutex::default() }
    }

    pub(super) async fn put(&self, bus: &str, entry: Entry) -> PortResult<()> {
        self.find(bus).await?;
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(entry.detail_type)
            .detail(entry.detail)
            .set_resources(Some(entry.resources))
            .event_bus_name(bus)
            .build();
        let put = self.client.put_events().entries(entry).send().await;
        let put = put.map_err(|error| port_error(OPERATION, error))?;
        let result = put.entries().first();
        // A call that is answered well says of each entry how that went.
        match result.and_then(|result| result.error_code()) {
            None if put.failed_entry_count() == 0 && result.is_some() => Ok(()),
            None => {
                let detail = "the answer does not say that it was taken".to_owned();
                Err(PortError::Unanswered { operation: OPERATION, detail })
            }
            Some("ThrottlingException") => Err(PortError::Throttled { operation: OPERATION }),
            Some(code @ ("InternalFailure" | "InternalException")) => {
                Err(PortError::Unanswered { operation: OPERATION, detail: code.to_owned() })
            }
            Some(code) => {
                let message = result.and_then(|result| result.error_message()).unwrap_or_default();
                let detail = format!("{code}: {message}");
                Err(PortError::Refused { operation: OPERATION, detail })
            }
        }
    }

    /// Has it asked for anew.
    pub(super) async fn forget(&self, bus: &str) {
        self.known.lock().await.remove(bus);
    }

    async fn find(&self, bus: &str) -> PortResult<()> {
        if self.known.lock().await.contains(bus) {
            return Ok(());
        }
        let found = self.client.describe_event_bus().name(bus).send().await;
        found.map_err(|error| port_error("events:DescribeEventBus", error))?;
        self.known.lock().await.insert(bus.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::replay::{Answer, answering, error_of, json as answer};

    fn entry() -> Entry {
        Entry { detail_type: "Deployment Notice", detail: "{}".to_owned(), resources: Vec::new() }
    }

    async fn put(answers: Vec<Answer>) -> PortResult<()> {
        EventBridge::new(&answering(answers)).put("deployments", entry()).await
    }

    fn failed(code: &str) -> Value {
        json!({ "FailedEntryCount": 1, "Entries": [{ "ErrorCode": code, "ErrorMessage": "so" }] })
    }

    #[tokio::test]
    async fn an_answer_of_200_says_of_each_entry_how_it_went() {
        let bus = || answer(&json!({ "Name": "deployments" }));
        let taken = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] });
        assert_eq!(put(vec![bus(), answer(&taken)]).await, Ok(()));
        for code in ["ThrottlingException", "InternalFailure", "InternalException"] {
            assert!(
                put(vec![bus(), answer(&failed(code))]).await.unwrap_err().may_pass(),
                "{code}"
            );
        }
        let refused = put(vec![bus(), answer(&failed("MalformedDetail"))]).await.unwrap_err();
        assert!(!refused.may_pass() && refused.to_string().contains("MalformedDetail: so"));
        // A permission is mended without touching the notice, which waits for it.
        for code in ["NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException"] {
            let denied = put(vec![bus(), answer(&failed(code))]).await.unwrap_err();
            assert!(denied.is_denied(), "{code}");
        }
        let nothing = answer(&json!({ "FailedEntryCount": 0, "Entries": [] }));
        assert!(put(vec![bus(), nothing]).await.unwrap_err().may_pass());
    }

    #[tokio::test]
    async fn a_bus_that_is_not_there_is_noticed_although_it_would_be_answered_well() {
        let missing =
            error_of(400, "ResourceNotFoundException", "Event bus deployments does not exist.");
        let refused = put(vec![missing]).await.unwrap_err();
        assert!(!refused.may_pass() && !refused.is_denied(), "{refused}");
        let denied = error_of(400, "AccessDeniedException", "not authorized");
        assert!(put(vec![denied]).await.unwrap_err().is_denied());
    }
}
