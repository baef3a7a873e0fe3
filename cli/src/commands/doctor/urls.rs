//! A signed request of nothing to each URL by which people ask the stack. It refuses that, and so shows that it can
//! be reached and knows whose it was.

use futures_util::future::join_all;
use glidepath_core::doctor::{About, Row};
use glidepath_core::failure::{Failure, FailureCode};
use glidepath_engine::ports::PortError;

use super::context::{Doctor, unchecked};

pub(super) async fn check(doctor: &Doctor) -> Vec<Row> {
    let stack = &doctor.connection.stack;
    let urls = [
        ("decide", "DecideUrl", &stack.decide_url),
        ("start", "StartUrl", &stack.start_url),
        ("rollback", "RollbackUrl", &stack.rollback_url),
    ];
    join_all(urls.map(|(function, output, url)| one(doctor, function, output, url.as_deref())))
        .await
}

async fn one(doctor: &Doctor, function: &str, output: &str, url: Option<&str>) -> Row {
    let about = About::new(
        format!("url.{function}"),
        format!("`{function}` takes requests that are signed"),
    );
    let Some(url) = url else {
        return about.not_checked(
            format!("the stack has no output `{output}`"),
            "deploy the stack of the same version",
        );
    };
    match doctor.instruments.ask_by_url(url).await {
        Ok(Err(Failure { code: FailureCode::InvalidRequest, .. })) => {
            about.ok("it knows whose request it was, and refused one that asks for nothing")
        }
        Ok(Err(failure)) => about.not_ok(failure.to_string(), "look at the function's log"),
        Ok(Ok(_)) => about.not_ok(
            "it took a request that asks for nothing",
            "deploy the stack of the same version",
        ),
        Err(error) if error.is_denied() => unchecked(&about, &error),
        Err(error @ PortError::Throttled { .. }) => unchecked(&about, &error),
        Err(error @ (PortError::Unanswered { .. } | PortError::Refused { .. })) => about.not_ok(
            error.to_string(),
            "let whoever decides reach `*.lambda-url.REGION.on.aws`; if it answers and fails, the function's log \
             says why",
        ),
    }
}
