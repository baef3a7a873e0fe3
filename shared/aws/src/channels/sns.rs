//! A topic: the subject is the headline, the message the whole text or what Amazon Q Developer takes. A FIFO topic gets each
//! deployment's notices in their order, and each of them once.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use glidepath_core::message::{Message, Trial};
use glidepath_core::record::Notice;
use glidepath_engine::ports::{PortError, PortResult};

use crate::clients::Clients;
use crate::error::port_error;

const OPERATION: &str = "sns:Publish";

/// Longest subject: SNS asks for fewer than 100 characters. Bytes, because it does not say what it counts.
const LONGEST_SUBJECT: usize = 99;

/// Largest message, in bytes. SNS takes 256 KiB with all attributes, and whoever wraps it in JSON takes more.
pub(super) const LARGEST: usize = 128 * 1024;

/// How the name of a FIFO topic ends, and of no other.
const FIFO: &str = ".fifo";

#[derive(Debug)]
pub(super) struct Sns {
    client: Client,
}

impl Sns {
    pub(super) fn new(clients: &Clients) -> Self {
        Self { client: Client::new(clients.reading()) }
    }

    /// `body` is the message as whoever reads the topic takes it.
    pub(super) async fn hand_over(
        &self,
        topic: &str,
        notice: &Notice,
        message: &Message,
        body: String,
    ) -> PortResult<()> {
        let group = notice.deployment.as_str();
        let said = Said { headline: &message.headline, body, event: notice.event.name(), group };
        self.publish(topic, notice.id(), said).await
    }

    pub(super) async fn try_out(&self, topic: &str, trial: &Trial, body: String) -> PortResult<()> {
        let headline = &trial.message().headline;
        let said = Said { headline, body, event: "trial", group: "glidepath-doctor" };
        self.publish(topic, trial.id.clone(), said).await
    }

    async fn publish(&self, topic: &str, id: String, said: Said<'_>) -> PortResult<()> {
        let Said { headline, body, event, group } = said;
        let attribute = |value: String| {
            MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|error| PortError::Refused {
                    operation: OPERATION,
                    detail: error.to_string(),
                })
        };
        let Order { group, repetition } = Order::of(topic, group, &id);
        self.client
            .publish()
            .topic_arn(topic)
            .subject(subject(headline))
            .message(body)
            // The same for every attempt, so that a receiver can tell a repetition.
            .message_attributes("noticeId", attribute(id)?)
            .message_attributes("event", attribute(event.to_owned())?)
            .set_message_group_id(group)
            .set_message_deduplication_id(repetition)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error(OPERATION, error))
    }
}

/// One message.
struct Said<'a> {
    headline: &'a str,
    body: String,
    event: &'a str,
    /// Whose messages a FIFO topic keeps in order.
    group: &'a str,
}

/// What only FIFO topics ask for, and refuse a message without.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    /// Messages of a group are delivered in the order in which they were published.
    group: Option<String>,
    /// A message with the same id is accepted within five minutes, and not delivered again.
    repetition: Option<String>,
}

impl Order {
    fn of(topic: &str, group: &str, id: &str) -> Self {
        if !topic.ends_with(FIFO) {
            return Self::default();
        }
        Self { group: Some(group.to_owned()), repetition: Some(id.to_owned()) }
    }
}

/// A subject is one line of text. It does not begin with a space.
fn subject(headline: &str) -> String {
    let mut subject = String::new();
    for character in headline.trim_start().chars() {
        let character = if character.is_control() { ' ' } else { character };
        if subject.len() + character.len_utf8() > LONGEST_SUBJECT {
            break;
        }
        subject.push(character);
    }
    subject.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::DeploymentId;
    use glidepath_core::record::Event;
    use glidepath_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_fifo_topic_gets_the_notices_of_a_deployment_in_order_and_once() {
        let notice = Notice {
            deployment: DeploymentId::new("shop-1"),
            sequence: 4,
            at: Timestamp::from_millis(0),
            event: Event::Started,
        };
        let (group, id) = (notice.deployment.as_str(), notice.id());
        let order = Order::of("arn:aws:sns:eu-west-1:1:glidepath-team.fifo", group, &id);
        assert_eq!(order.group.as_deref(), Some("shop-1"));
        assert_eq!(order.repetition, Some(notice.id()));
        let standard = Order::of("arn:aws:sns:eu-west-1:1:glidepath-team", group, &id);
        assert_eq!(standard, Order::default());
    }

    #[test]
    fn a_subject_is_what_sns_takes() {
        assert_eq!(subject(" läden: shifted to 25 %\n"), "läden: shifted to 25 %");
        assert_eq!(subject(&"é".repeat(200)).chars().count(), 49);
        assert_eq!(subject(&"x".repeat(200)).len(), 99);
    }
}
