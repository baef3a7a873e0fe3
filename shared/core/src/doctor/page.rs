//! The page of questions, where the stack has one.

use super::{About, Row};

pub fn about_page() -> About {
    About::new("url.page", "`page` takes requests from everybody, and shows nothing without a link")
}

pub fn about_page_concurrency() -> About {
    About::new("concurrency.page", "a flood at the page takes no more than its share")
}

/// By the status that it answers to a link that nobody has signed: it looks at the signature first, so it has read
/// what links are signed with.
pub fn page(status: u16) -> Row {
    let about = about_page();
    match status {
        404 => about.ok("it is open, has its key, and shows nothing for a link that nobody has signed"),
        403 => about.not_ok(
            "AWS lets nobody in without a signature (HTTP 403)",
            "`sam deploy` puts the URL and who may use it back; where the organization forbids open URLs, set \
             PublicPage=disabled: questions are answered with the command line then",
        ),
        429 => about.not_checked("it is busy (HTTP 429)", "run doctor again"),
        503 => about.not_ok(
            "it could not read what links are signed with (HTTP 503)",
            "the function's log says why: the secret of the stack's resource PageKey is gone, or its role may not read it",
        ),
        status => about.not_ok(
            format!("it answers HTTP {status} where it should show nothing (404)"),
            "look at the function's log; deploy the stack of the same version",
        ),
    }
}

/// `wanted` is the stack's parameter `PageReservedConcurrency`; 0 reserves and limits nothing.
pub fn page_concurrency(wanted: Option<u32>, reserved: Option<u32>) -> Row {
    let about = about_page_concurrency();
    let again = "set it back with the stack's parameter PageReservedConcurrency and `sam deploy`";
    match (wanted.unwrap_or_default(), reserved) {
        (_, Some(0)) => about.not_ok("0 are reserved: the page cannot be shown at all", again),
        (0, None) => about.ok("nothing is reserved or limited, as PageReservedConcurrency=0 says"),
        (wanted, Some(reserved)) if wanted == reserved => {
            about.ok(format!("{reserved} are reserved for it, and it takes no more"))
        }
        (wanted, None) => {
            about.not_ok(format!("nothing limits it, the stack's parameter says {wanted}"), again)
        }
        (wanted, Some(reserved)) => about
            .not_ok(format!("{reserved} are reserved, the stack's parameter says {wanted}"), again),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn only_a_page_that_looks_at_the_signature_is_as_it_should_be() {
        for (status, outcome) in [
            (404, Outcome::Ok),
            (429, Outcome::NotChecked),
            (200, Outcome::NotOk),
            (403, Outcome::NotOk),
            (502, Outcome::NotOk),
            (503, Outcome::NotOk),
        ] {
            assert_eq!(page(status).outcome, outcome, "{status}");
        }
    }

    #[test]
    fn what_is_reserved_for_the_page_is_what_the_parameter_says() {
        let outcome = |wanted, reserved| page_concurrency(wanted, reserved).outcome;
        for (wanted, reserved) in [(Some(5), Some(5)), (Some(0), None), (None, None)] {
            assert_eq!(outcome(wanted, reserved), Outcome::Ok);
        }
        for (wanted, reserved) in
            [(Some(5), None), (Some(5), Some(0)), (Some(5), Some(4)), (Some(5), Some(50))]
        {
            assert_eq!(outcome(wanted, reserved), Outcome::NotOk);
        }
    }
}
