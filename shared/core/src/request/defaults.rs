//! Every default of a request, each with its unit and its reason. The schema, the reference and
//! the decoder all take them from here.

use super::{Concurrency, Ratio, Sensitivity};
use crate::document::Percent;
use crate::plan::{BadRequestsAre, CanaryCapacity, LifecycleStage, OnInconclusive, OnTimeout};
use crate::rollback::{AfterHold, RollbackPlan, WeakStable};
use crate::time::Span;
use crate::weight::Weight;

/// 5 minutes at a weight: three complete minutes of metrics are there after the two that
/// CloudWatch takes to show them.
pub fn bake() -> Span {
    Span::from_secs(5 * 60)
}

/// 30 minutes at 100 % in the default strategy: while the old version still has all its tasks,
/// slow damage (leaks, queues, caches) has time to show.
pub fn bake_at_everything() -> Span {
    Span::from_secs(30 * 60)
}

/// 2 minutes without traffic: two looks at the default interval, long enough for a version that
/// starts and soon stops again.
pub fn idle_bake() -> Span {
    Span::from_secs(2 * 60)
}

/// 4 hours for an approval: longer than a meeting, shorter than two versions should serve side by
/// side.
pub fn approval_timeout() -> Span {
    Span::from_secs(4 * 3600)
}

/// One person.
pub fn approvals() -> u32 {
    1
}

/// Three points in a row: one may be an accident of measuring, and a second its echo.
pub fn check_points() -> u64 {
    3
}

/// After every shift: the one lifecycle stage that every strategy has.
pub fn hook_stages() -> Vec<LifecycleStage> {
    vec![LifecycleStage::ProductionTrafficShift]
}

/// What an answer of a healthy URL has.
pub fn probe_status() -> u64 {
    200
}

/// Three: one answer may be lost.
pub fn probe_attempts() -> u64 {
    3
}

/// Longer than a patient user waits.
pub fn probe_timeout() -> Span {
    Span::from_secs(5)
}

/// What most metrics are looked at by.
pub fn statistic() -> String {
    "Average".to_owned()
}

/// Silence is no consent.
pub fn on_timeout() -> OnTimeout {
    OnTimeout::Rollback
}

/// In proportion: a canary for 5 % of the requests needs no second fleet.
pub fn canary_capacity() -> CanaryCapacity {
    CanaryCapacity::Proportional
}

/// 60 seconds between the last request and the stop of a task: a load balancer needs some time to
/// spread new weights, and answers take some too.
pub fn scale_in_delay() -> Span {
    Span::from_secs(60)
}

/// 15 minutes to start tasks and shift: a cold image on new hosts takes up to ten.
pub fn settle_within() -> Span {
    Span::from_secs(15 * 60)
}

/// 5 minutes of both versions after the end: starting the old one again would take longer than
/// most second thoughts.
pub fn retention() -> Span {
    Span::from_secs(5 * 60)
}

/// 60 seconds between two looks: the period of the load balancer's metrics.
pub fn interval() -> Span {
    Span::from_secs(60)
}

/// 5 % bad requests: above the everyday noise of most services, far below an outage.
pub fn bad_requests_limit() -> Percent {
    // In range by itself.
    Percent::from_permille(Weight::from_permille(50).unwrap_or(Weight::ALL))
}

/// Everything that was not answered well: the 502 of a canary that crashed carries no count of its
/// target group.
pub fn bad_requests_are() -> BadRequestsAre {
    BadRequestsAre::NotAnsweredWell
}

/// Three periods: a retry storm or one bad minute never decides, and a regression is found at most
/// two minutes later.
pub fn sensitivity() -> Sensitivity {
    Sensitivity::Standard
}

/// A quarter more than the old version: what is less is not worth a rollback to most.
pub fn ratio() -> Ratio {
    Ratio::from_thousandths(1250)
}

/// 0.2 %: two bad requests of a thousand are few, even where the old version has none.
pub fn floor() -> Percent {
    // In range by itself.
    Percent::from_permille(Weight::from_permille(2).unwrap_or(Weight::ALL))
}

/// 1 %: one good release of a hundred, where errors are independent; simulated far below that.
pub fn false_rollbacks() -> Percent {
    // In range by itself.
    Percent::from_permille(Weight::from_permille(10).unwrap_or(Weight::ALL))
}

/// 200 canary requests: at 5 % that is ten bad ones, more than chance gives a healthy version.
pub fn minimum_requests() -> u64 {
    200
}

/// 30 minutes more to gather enough evidence: at one canary request every ten seconds that is
/// almost the minimum.
pub fn extend_up_to() -> Span {
    Span::from_secs(30 * 60)
}

/// Hold: what is not known is a person's decision.
pub fn on_inconclusive() -> OnInconclusive {
    OnInconclusive::Hold
}

/// Step back: everything at once on too few targets would take those down as well, and then nobody
/// answers; what they can carry leaves the new version at once all the same.
pub fn weak_stable() -> WeakStable {
    WeakStable::default()
}

/// 30 minutes: most outages of a few targets end by themselves within that, and whoever was paged
/// has had time to look.
pub fn hold_for() -> Span {
    RollbackPlan::HOLD_FOR
}

/// Hold: in doubt traffic stays where it is answered, if badly; a person may know better.
pub fn after_hold() -> AfterHold {
    AfterHold::default()
}

/// Long enough for three points of a measure of a minute and what CloudWatch gets late, and for a suite of tests.
pub fn validated_within() -> Span {
    Span::from_secs(10 * 60)
}

/// Reject: only the person who starts the second deployment knows which of them matters.
pub fn concurrency() -> Concurrency {
    Concurrency::Reject
}
