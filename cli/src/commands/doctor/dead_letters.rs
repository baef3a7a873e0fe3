//! An event that the rollback function cannot read must arrive in the queue of undelivered events.
//!
//! The function's own events are tried again after one minute and after two more, so that the queue
//! would have it after more than three. An alias of doctor's own has the same code, role and queue, and
//! tries once.

use glidepath_core::doctor::{About, Row, unreadable};
use glidepath_core::time::Span;
use glidepath_engine::ports::{Clock, PortError, PortResult};
use serde_json::json;

use super::clean_up::Found;
use super::context::{Doctor, unchecked};

/// How long the event may take to the queue.
const LIMIT: Span = Span::from_secs(40);

pub(super) async fn check(doctor: &Doctor, found: &Found) -> Vec<Row> {
    let about = About::new("deadLetters", "an event that cannot be read is kept in the queue");
    if let Err(error) = found.aliases.as_ref().and(found.messages.as_ref()) {
        // What could not be removed must not be made.
        return vec![unchecked(&about, error)];
    }
    let queue = doctor.connection.stack.undelivered_queue.rsplit('/').next().unwrap_or_default();
    let queue = doctor.scope.arn("sqs", queue);
    vec![match look(doctor, &queue).await {
        Ok((destination, after)) => unreadable(destination.as_deref(), &queue, after),
        Err(PortError::Refused { operation: "lambda:PutFunctionEventInvokeConfig", detail })
            if detail.starts_with("InvalidParameterValue") =>
        {
            about.not_ok(
                format!("Lambda would not send there: {detail}"),
                "`sam deploy` puts the role's statement and the queue back",
            )
        }
        Err(error) => unchecked(&about, &error),
    }]
}

/// Where the function's failed events go, and how long one took to the queue, or was waited for.
async fn look(doctor: &Doctor, queue: &str) -> PortResult<(Option<String>, Result<Span, Span>)> {
    let destination = doctor.instruments.failed_events_go_to().await?;
    if destination.as_deref() != Some(queue) {
        return Ok((destination, Err(Span::ZERO)));
    }
    let name = doctor.name("unreadable");
    doctor.instruments.make_alias(&name, queue).await?;
    let begun = doctor.connection.ports.ambient.now();
    doctor.instruments.send_event(&name, &json!({ "glidepathDoctor": name })).await?;
    loop {
        let taken = doctor.instruments.take_messages(&name).await?;
        let passed = doctor.connection.ports.ambient.now().since(begun);
        if !taken.is_empty() {
            return Ok((destination, Ok(passed)));
        }
        if passed > LIMIT {
            return Ok((destination, Err(passed)));
        }
    }
}
