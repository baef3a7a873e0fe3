//! The page of questions: a link that nobody has signed, and what limits whoever floods it. Without a page there is
//! nothing to say.

use glidepath_core::doctor::{Row, about_page, about_page_concurrency, page, page_concurrency};
use glidepath_engine::ports::PortError;

use super::context::{Doctor, unchecked};

pub(super) async fn check(doctor: &Doctor) -> Vec<Row> {
    let stack = &doctor.connection.stack;
    let Some(url) = stack.outputs.get("PageUrl") else { return Vec::new() };
    let shown = match doctor.instruments.look_at_page(url).await {
        Ok(status) => page(status),
        Err(error @ (PortError::Unanswered { .. } | PortError::Refused { .. })) => {
            let advice = "people who have a link cannot reach it from here either: look at the network and the log";
            about_page().not_ok(error.to_string(), advice)
        }
        Err(error @ PortError::Throttled { .. }) => unchecked(&about_page(), &error),
    };
    let Some(function) = stack.outputs.get("PageFunctionName") else {
        let advice = "deploy the stack of the same version";
        let unknown = about_page_concurrency()
            .not_checked("the stack has no output `PageFunctionName`", advice);
        return vec![shown, unknown];
    };
    let wanted = stack.parameters.get("PageReservedConcurrency");
    let wanted = wanted.and_then(|wanted| wanted.parse().ok());
    let limited = match doctor.instruments.reserved(function).await {
        Ok(reserved) => page_concurrency(wanted, reserved),
        Err(error) => unchecked(&about_page_concurrency(), &error),
    };
    vec![shown, limited]
}
