//! Tasks that stopped by themselves.

use super::*;

#[test]
fn one_stopped_task_may_be_an_accident_and_two_are_not() {
    let judged = |tasks| verdict(|_, readings| readings.stopped_tasks = Reading::Read(tasks));
    assert_says(&judged(vec![task("a")]), Judgement::Inconclusive, "1 canary task stopped");
    assert_says(&judged(vec![task("a"), task("b")]), Judgement::Fail, "2 canary tasks stopped");
}

#[test]
fn stopped_tasks_count_against_the_size_of_the_canary() {
    let judged = |size: u32, stopped: usize| {
        verdict(|_, readings| {
            readings.targets = Reading::Read(vec![targets(size, size, size)]);
            readings.stopped_tasks = Reading::Read(vec![task("a"); stopped]);
        })
    };
    for (size, stopped, judgement) in [
        (20, 1, Judgement::Inconclusive),
        (20, 2, Judgement::Fail),
        (99, 1, Judgement::Inconclusive),
        (100, 1, Judgement::Pass),
        (200, 2, Judgement::Pass),
        (200, 3, Judgement::Inconclusive),
        (200, 10, Judgement::Inconclusive),
        (200, 11, Judgement::Fail),
    ] {
        let of = format!("stopped by {}", if stopped == 1 { "itself" } else { "themselves" });
        assert_says(&judged(size, stopped), judgement, &of);
    }
}

#[test]
fn tasks_that_stopped_at_somebody_else_s_weights_are_told_and_do_not_count() {
    let stopped = |seconds: u64| StoppedTask {
        at: NOW - Span::from_secs(60) + Span::from_secs(seconds),
        ..task("a")
    };
    let gap = Gap { from: NOW - Span::from_secs(40), until: Some(NOW - Span::from_secs(20)) };
    let judged = |gaps: Vec<Gap>, seconds: &[u64]| {
        let tasks = seconds.iter().copied().map(stopped).collect();
        verdict(|_, readings| {
            readings.stopped_tasks = Reading::Read(tasks);
            readings.gaps = gaps;
        })
    };
    let foreign = judged(vec![gap], &[20, 39]);
    assert_says(
        &foreign,
        Judgement::Pass,
        "2 canary tasks stopped by themselves while somebody else's weights",
    );
    let goes_on = Gap { until: None, ..gap };
    assert_eq!(judged(vec![goes_on], &[20, 59]).judgement, Judgement::Pass);
    // Before and after it they count, and only they.
    for (seconds, judgement) in [
        (&[19, 20][..], Judgement::Inconclusive),
        (&[39, 40], Judgement::Inconclusive),
        (&[19, 30, 40], Judgement::Fail),
    ] {
        assert_eq!(judged(vec![gap], seconds).judgement, judgement, "{seconds:?}");
    }
    assert_eq!(judged(vec![], &[20, 39]).judgement, Judgement::Fail);
}

#[test]
fn of_how_many_nobody_knows_is_no_reason_to_go_back() {
    let verdict = verdict(|_, readings| {
        readings.targets = Reading::Unreadable("throttled".to_owned());
        readings.stopped_tasks = Reading::Read(vec![task("a"), task("b")]);
    });
    assert_says(&verdict, Judgement::Inconclusive, "2 canary tasks stopped");
}
