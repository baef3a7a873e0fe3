//! Many rollbacks at once: who asks the load balancer again, and when.
//!
//! An account and Region may change load balancers 20 times at once and 3 times a second after
//! that. A thousand rollbacks therefore take some 330 s whatever anybody does; what can be decided
//! is in which order they get through, and that no call the load balancer would have taken is
//! missed. Nobody knows how many others wait, so every rollback decides alone, on two numbers that
//! it has anyway:
//!
//! - **The time since it was first throttled** is the only estimate of how long the storm will go
//!   on. It waits for a random part of a window that is [`SHARE`] of that time. Whatever the number
//!   of rollbacks, the last of them then looks again soon after the load balancer has calls to
//!   spare: a storm takes little more than the floor, and the calls of one rollback grow with the
//!   logarithm of the storm's length only.
//! - **The harm** that is being done: the requests that reach the canary. The window is divided by
//!   its square root, so that a rollback asks more often, and gets through earlier, the more users
//!   it protects. The root, because the traffic of services differs by factors of thousands: with
//!   the harm itself the few largest would drown all others.
//!
//! The first attempt is always made at once. A throttled call takes no token of the bucket that
//! refused it, so asking often delays nobody; it only costs calls. `docs/storm.md` has the numbers
//! and the command that makes them.

use crate::harm::Harm;
use crate::time::Span;

/// The window as a share of the time since the first throttle, in percent. The last rollback waits
/// for about half a window longer than it would have to: with 30 % a storm ends some 15 % over the
/// floor. Less would spend calls for nothing, more would miss tokens at the end.
pub const SHARE: u64 = 30;

/// Added to the time since the first throttle: without it the first windows would be empty.
pub const HEAD_START: Span = Span::from_secs(4);

/// The widest window: traffic goes back at most so long after the load balancer has calls to spare
/// again, also where somebody else had used them up for hours. At this width a hundred rollbacks
/// still make three calls a second.
pub const WIDEST: Span = Span::from_secs(60);

/// The most that harm divides the window by, reached at 64 requests a second. Beyond it the calls
/// of the large would only compete with each other.
pub const MOST_URGENT: u64 = 8;

/// Forward shifts and read-backs stay away for at most twice this.
const LONGEST_AWAY: Span = Span::from_secs(150);

/// How long a look at stable vouches for it while its rollback is throttled, if that is longer than
/// otherwise. Reads share the account's calls with writes: if every rollback that waits looked as
/// often as in quiet times, the looks of a thousand would take what their writes need.
pub const VOUCHED_FOR: Span = Span::from_secs(300);

/// What this much harm divides the window by.
fn urgency(harm: Harm) -> u64 {
    (harm.requests_per_minute() / 60).isqrt().clamp(1, MOST_URGENT)
}

/// How long a rollback waits at most before it asks again, `waited` after it was first throttled.
pub fn window(harm: Harm, waited: Span) -> Span {
    let share = waited.plus(HEAD_START).as_millis().saturating_mul(SHARE) / 100;
    Span::from_millis(share.min(WIDEST.as_millis()) / urgency(harm))
}

/// How long it waits this time: full jitter over the window. `random` is any number.
pub fn wait(harm: Harm, waited: Span, random: u64) -> Span {
    jittered(window(harm, waited), random)
}

/// How long a forward shift that was throttled stays away: at least an interval between looks and
/// the widest window of a rollback, and as long again as its stage has been `settling`, jittered to
/// twice that. Rollbacks ask many times in between, so that next to nothing of the bucket is left to
/// forward shifts while any waits.
pub fn give_way(interval: Span, settling: Span, random: u64) -> Span {
    doubled(interval.max(settling.min(LONGEST_AWAY)).max(WIDEST), random)
}

/// How long a rollback that was throttled for `waited` leaves the load balancer alone once its
/// routes are written and nothing else of its deployment can land: reads share the account's calls
/// with the writes of the rollbacks that still wait. A storm that has lasted so long may last as
/// long again.
pub fn look_back(waited: Span, random: u64) -> Span {
    doubled(waited.min(LONGEST_AWAY), random)
}

/// Between a time and twice that.
pub fn doubled(span: Span, random: u64) -> Span {
    span.plus(jittered(span, random))
}

fn jittered(window: Span, random: u64) -> Span {
    Span::from_millis(random % window.as_millis().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harm::RequestsPerMinute;
    use crate::weight::Weight;
    use proptest::prelude::*;

    fn harm(requests: u64) -> Harm {
        Harm::of(Weight::ALL, Some(RequestsPerMinute(requests)))
    }

    proptest! {
        #[test]
        fn more_harm_never_waits_longer(less in 0u64.., more in 0u64.., waited in 0u64..=10_000_000) {
            let (less, more) = (less.min(more), less.max(more));
            let waited = Span::from_millis(waited);
            prop_assert!(window(harm(more), waited) <= window(harm(less), waited));
        }

        #[test]
        fn a_window_is_never_empty_never_wide_and_never_shrinks(
            requests in 0u64.., earlier in 0u64..=10_000_000, later in 0u64..=10_000_000,
        ) {
            let (earlier, later) = (earlier.min(later), earlier.max(later));
            let at = |waited| window(harm(requests), Span::from_millis(waited));
            prop_assert!(at(earlier) >= Span::from_millis(100));
            prop_assert!(at(earlier) <= at(later));
            prop_assert!(at(later) <= WIDEST);
        }

        #[test]
        fn a_wait_is_within_its_window(requests in 0u64.., waited in 0u64.., random in 0u64..) {
            let (harm, waited) = (harm(requests), Span::from_millis(waited));
            prop_assert!(wait(harm, waited, random) <= window(harm, waited));
        }

        #[test]
        fn whoever_waited_longer_looks_back_later(waited in 0u64.., random in 0u64..) {
            let (waited, longest) = (Span::from_millis(waited), LONGEST_AWAY.times(2));
            let after = look_back(waited, random);
            prop_assert!(after >= waited.min(LONGEST_AWAY) && after <= longest);
        }

        #[test]
        fn a_forward_shift_stays_away_longer_than_any_rollback(
            interval in 1u64..=3_600_000, settling in 0u64.., random in 0u64..,
        ) {
            let (interval, settling) = (Span::from_millis(interval), Span::from_millis(settling));
            let away = give_way(interval, settling, random);
            prop_assert!(away >= WIDEST && away >= settling.min(LONGEST_AWAY) && away >= interval);
            prop_assert!(away <= LONGEST_AWAY.max(interval).times(2));
        }
    }

    #[test]
    fn the_window_follows_the_root_of_the_requests_a_second() {
        let waited = Span::from_secs(96);
        let windows = [0, 60, 4 * 60, 16 * 60, 64 * 60, 1_000_000]
            .map(|all| window(harm(all), waited).as_millis());
        assert_eq!(windows, [30_000, 30_000, 15_000, 7_500, 3_750, 3_750]);
    }
}
