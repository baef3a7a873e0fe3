//! A topic: the subject is the headline, the message the whole text.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use glidepath_core::notice::{Notice, message};
use glidepath_core::protocol::Deployment;
use glidepath_engine::ports::{PortError, PortResult};

use crate::clients::Clients;
use crate::error::port_error;

const OPERATION: &str = "sns:Publish";

/// Longest subject, in characters.
const LONGEST_SUBJECT: usize = 100;

#[derive(Debug)]
pub(super) struct Sns {
    client: Client,
}

impl Sns {
    pub(super) fn new(clients: &Clients) -> Self {
        Self { client: Client::new(clients.reading()) }
    }

    pub(super) async fn deliver(
        &self,
        topic: &str,
        notice: &Notice,
        deployment: &Deployment,
    ) -> PortResult<()> {
        let message = message(notice, deployment);
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
        self.client
            .publish()
            .topic_arn(topic)
            .subject(subject(&message.headline))
            .message(message.to_string())
            // The same for every attempt, so that a receiver can tell a repetition.
            .message_attributes("noticeId", attribute(notice.id())?)
            .message_attributes("event", attribute(notice.event.name().to_owned())?)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error(OPERATION, error))
    }
}

/// A subject is one line of printable ASCII that does not begin with a space.
fn subject(headline: &str) -> String {
    let printable = headline
        .chars()
        .map(|character| if matches!(character, ' '..='~') { character } else { '?' });
    printable.take(LONGEST_SUBJECT).collect::<String>().trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_what_sns_takes() {
        assert_eq!(subject(" shifted to 25 %\n"), "shifted to 25 %?");
        assert_eq!(subject(&"é".repeat(200)).len(), LONGEST_SUBJECT);
    }
}
