//! The queue of undelivered events. What is not doctor's own stays in it.

use glidepath_engine::ports::PortResult;

use super::Instruments;
use crate::error::port_error;

/// How long others do not see a message that was only looked at: as short as a look takes.
const HIDDEN_SECONDS: i32 = 5;

/// How long SQS may wait for a message.
const WAIT_SECONDS: i32 = 2;

impl Instruments {
    /// Looks at some messages of the queue and removes those that hold this text; their bodies.
    pub async fn take_messages(&self, text: &str) -> PortResult<Vec<String>> {
        const MOST: i32 = 10;
        let queue = &self.stack.undelivered_queue;
        let received = self
            .queues
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(MOST)
            .visibility_timeout(HIDDEN_SECONDS)
            .wait_time_seconds(WAIT_SECONDS)
            .send();
        let received = received.await.map_err(|error| port_error("sqs:ReceiveMessage", error))?;
        let mut taken = Vec::new();
        for message in received.messages.unwrap_or_default() {
            let body = message.body.unwrap_or_default();
            if body.contains(text) {
                let delete = self.queues.delete_message().queue_url(queue);
                let deleted = delete.set_receipt_handle(message.receipt_handle).send().await;
                deleted.map_err(|error| port_error("sqs:DeleteMessage", error))?;
                taken.push(body);
            }
        }
        Ok(taken)
    }
}
