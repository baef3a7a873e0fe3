//! Stack and account as a whole.

use super::{About, Row, seconds};
use crate::time::{Span, Timestamp};
use crate::versions::{Difference, difference};

/// From this difference on, times that people read beside each other mislead.
const CLOCKS_DIFFER: Span = Span::from_secs(5);

/// Lambda leaves at least so much concurrency unreserved, so that an account with less than this and
/// what rollbacks reserve cannot reserve it.
const SMALLEST_LIMIT: u32 = 100;

/// The stack and the command line speak the same language.
pub fn versions(stack: Option<&str>, own: &str) -> Row {
    let about = About::new("versions", "stack and command line are of the same version");
    match difference(stack, own) {
        None => about.ok(format!("both are {own}")),
        Some(Difference { seen, way_out, .. }) => about.not_ok(seen, way_out),
    }
}

/// CloudWatch's clock, with which alarms are told apart from older deployments, and this machine's.
/// `stamped` is the time that CloudWatch gave to something that was asked for after `before` and was
/// answered before `after`.
pub fn clocks(before: Timestamp, stamped: Timestamp, after: Timestamp) -> Row {
    let about = About::new("clock", "this machine's clock and CloudWatch's agree");
    let (ahead, behind) = (before.since(stamped), stamped.since(after));
    let seen =
        |difference, word| format!("this machine is {} {word} of CloudWatch", seconds(difference));
    let advice = "set this machine's clock by NTP: ages that `glidepath status` shows are off by as \
                  much, and from five minutes on AWS refuses every call";
    if ahead > CLOCKS_DIFFER {
        return about.not_ok(seen(ahead, "ahead"), advice);
    }
    if behind > CLOCKS_DIFFER {
        return about.not_ok(seen(behind, "behind"), advice);
    }
    let most = ahead.max(behind);
    if most == Span::ZERO {
        return about.ok(format!("no difference within {}", seconds(after.since(before))));
    }
    about.ok(format!("they differ by {}", seconds(most)))
}

/// What Lambda says of the concurrency of the rollback function and of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// The stack's parameter `RollbackReservedConcurrency`; 0 reserves nothing.
    pub wanted: Option<u32>,
    /// What is reserved for the rollback function.
    pub reserved: Option<u32>,
    /// Invocations that may run at once in the account and Region.
    pub limit: u32,
    /// What of it no function has reserved.
    pub unreserved: u32,
}

/// Two rows: what is reserved for rollbacks, and what the account has.
pub fn concurrency(seen: Concurrency) -> [Row; 2] {
    let Concurrency { wanted, reserved, limit, unreserved } = seen;
    let about = About::new("concurrency.reserved", "other functions cannot starve rollbacks");
    let again =
        "set it back with the stack's parameter RollbackReservedConcurrency and `sam deploy`";
    let first = match (wanted.unwrap_or_default(), reserved) {
        (_, Some(0)) => {
            about.not_ok("0 are reserved: the rollback function cannot run at all", again)
        }
        (0, None) => about.ok("nothing is reserved, as RollbackReservedConcurrency=0 says"),
        (wanted, None) => {
            about.not_ok(format!("nothing is reserved, the stack's parameter says {wanted}"), again)
        }
        (wanted, Some(reserved)) if wanted != 0 && reserved < wanted => about
            .not_ok(format!("{reserved} are reserved, the stack's parameter says {wanted}"), again),
        (_, Some(reserved)) => about.ok(format!("{reserved} are reserved for rollbacks")),
    };
    let about = About::new("concurrency.account", "the account lets the functions run at once");
    let seen = format!("{limit} at once, {unreserved} of them unreserved");
    let second = if limit < SMALLEST_LIMIT {
        about.not_ok(
            seen,
            "ask AWS to raise Lambda's quota of concurrent executions (Service Quotas); until then \
             few deployments can roll back at once",
        )
    } else if unreserved == 0 {
        about
            .not_ok(seen, "reserve less for other functions: all but rollbacks have none to run on")
    } else {
        about.ok(seen)
    };
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn an_older_and_a_newer_stack_have_different_ways_out() {
        assert_eq!(versions(Some("0.2.0"), "0.2.0").outcome, Outcome::Ok);
        for (stack, way_out) in [
            (None, "deploy the stack of version 0.2.0"),
            (Some("0.1.9"), "deploy the stack of version 0.2.0"),
            (Some("0.10.0"), "install the command line of version 0.10.0"),
            (Some("nightly"), "of the same version"),
        ] {
            let row = versions(stack, "0.2.0");
            assert_eq!(row.outcome, Outcome::NotOk, "{row:?}");
            assert!(row.advice.as_ref().is_some_and(|advice| advice.contains(way_out)), "{row:?}");
        }
    }

    #[test]
    fn clocks_differ_only_by_what_the_call_itself_does_not_explain() {
        let at = |seconds: i64| Timestamp::from_millis(1_800_000_000_000 + seconds * 1000);
        assert_eq!(clocks(at(0), at(1), at(2)).outcome, Outcome::Ok);
        assert_eq!(clocks(at(0), at(-4), at(2)).outcome, Outcome::Ok);
        let row = clocks(at(0), at(-20), at(2));
        assert_eq!((row.outcome, row.seen.contains("20.0 s ahead")), (Outcome::NotOk, true));
        let row = clocks(at(0), at(62), at(2));
        assert_eq!((row.outcome, row.seen.contains("60.0 s behind")), (Outcome::NotOk, true));
    }

    #[test]
    fn concurrency_is_held_against_the_parameter_and_the_accounts_limit() {
        let outcomes = |wanted, reserved, limit, unreserved| {
            let rows = concurrency(Concurrency { wanted, reserved, limit, unreserved });
            rows.map(|row| row.outcome)
        };
        let (ok, bad) = (Outcome::Ok, Outcome::NotOk);
        assert_eq!(outcomes(Some(100), Some(100), 1000, 900), [ok, ok]);
        assert_eq!(outcomes(Some(100), None, 1000, 1000), [bad, ok]);
        assert_eq!(outcomes(Some(100), Some(20), 1000, 980), [bad, ok]);
        assert_eq!(outcomes(Some(100), Some(0), 1000, 1000), [bad, ok]);
        assert_eq!(outcomes(Some(0), None, 1000, 1000), [ok, ok]);
        assert_eq!(outcomes(Some(0), Some(0), 1000, 1000), [bad, ok]);
        assert_eq!(outcomes(Some(0), None, 10, 10), [ok, bad]);
        assert_eq!(outcomes(Some(100), Some(100), 1000, 0), [ok, bad]);
    }
}
