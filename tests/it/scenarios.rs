//! Scenarios in the lab: the real template, state machine and binaries, real requests through a
//! load balancer, IAM enforced. Each scenario is a file in `lab/scenarios/` with its expectations.

use std::collections::BTreeSet;

use crate::{LABS, block_on, scenario, scenarios_directory};

fn run(name: &str) {
    let report = block_on(LABS.run(scenario(name), None)).unwrap();
    assert!(report.passed(), "{name}: {}", report.failures());
}

macro_rules! scenarios {
    ($($test:ident: $file:literal,)*) => {
        const TESTED: &[&str] = &[$($file,)*];
        $(
            #[test]
            fn $test() {
                run($file);
            }
        )*
    };
}

scenarios! {
    a_good_version_takes_over: "good-version",
    a_bad_version_is_stopped: "bad-version",
    a_check_of_the_user_s_own_brings_everything_back: "own-checks",
    a_version_worse_than_stable_is_stopped_below_every_limit: "worse-than-stable",
    a_version_slower_than_stable_is_stopped: "slower-than-stable",
    a_check_that_cloudwatch_does_not_take_changes_nothing: "refused-check",
    hooks_have_a_say: "hooks",
    a_url_that_answers_wrongly_brings_everything_back: "probe",
    an_alarm_ends_a_bake: "alarm-during-bake",
    an_alarm_s_own_action_brings_everything_back: "alarm-by-action",
    a_topic_of_alarms_brings_everything_back: "alarm-by-topic",
    a_slot_without_healthy_tasks_gets_nothing_back: "weak-stable",
    what_is_critical_rings_and_the_rest_is_told: "pager",
    a_channel_that_fails_hurts_only_itself: "channels-fail",
    a_warning_is_told_and_what_is_critical_rings: "warnings",
    a_stable_slot_keeps_what_its_autoscaler_would_take: "autoscaled-rollback",
    scheduled_actions_wake_no_idle_slot: "scheduled-action-wakes-nothing",
    the_mornings_bounds_are_those_of_the_slot_that_serves: "morning-peak",
    an_approval_lets_the_deployment_go_on: "approval",
    every_question_is_asked_and_told_once: "approved-each-time",
    a_refusal_brings_everything_back: "approval-refused",
    silence_does_what_the_plan_says: "approval-timed-out",
    outside_its_windows_nothing_begins: "windows",
    what_is_frozen_waits_for_the_thaw: "frozen",
    an_alarm_ends_the_wait_for_a_person: "alarm-during-approval",
    a_canary_that_never_becomes_healthy_gets_no_request: "never-healthy",
    a_version_that_does_not_start_is_given_up: "fails-to-start",
    roles_swap_from_one_deployment_to_the_next: "roles-swap",
    one_deployment_at_a_time: "one-at-a-time",
    bad_input_changes_nothing: "bad-input",
    what_is_not_ours_is_refused_in_a_sentence: "not-ours",
    a_person_returns_everything: "operator",
    a_person_returns_to_the_version_before_after_a_success: "rollback-to-previous",
    a_version_that_was_taken_back_is_refused_until_somebody_names_why: "quarantine",
    a_version_whose_image_is_gone_is_refused_before_anything_is_written: "gone-image",
    a_pipeline_returns_to_the_version_before_when_its_tasks_have_gone: "rollback-after-retirement",
    what_serves_again_is_asked: "validated",
    a_version_without_a_place_is_given_up_and_deployed_once_there_is_one: "no-place",
    foreign_hands_hold_a_deployment: "foreign-hands",
    a_sticky_route_loses_the_slot_that_is_left: "sticky",
    a_sticky_route_needs_no_hand_from_release_to_release: "sticky-again",
    a_rule_that_nobody_listed_keeps_its_tasks: "unlisted-rule",
    an_alarm_of_an_idle_slot_refuses_nothing_and_counts_once_it_was_ok: "idle-alarm",
    a_better_version_is_not_rolled_back_to_a_worse_one: "better-and-over-the-limit",
    a_person_lets_a_stage_go_on_that_lacks_evidence: "promoted",
    a_person_pauses_a_deployment_and_lets_it_go_on: "paused",
    a_short_deployment_goes_well: "short-success",
    a_short_deployment_is_stopped_by_its_verdict: "short-veto",
    a_short_deployment_is_stopped_by_an_alarm: "short-alarm",
    an_orchestration_that_dies_leaves_nothing_behind: "orchestration-dies",
    a_deleted_state_machine_leaves_nothing_behind: "state-machine-deleted",
    a_stack_updated_in_a_bake_loses_nothing: "stack-updated-in-bake",
    a_stack_updated_in_an_approval_loses_nothing: "stack-updated-in-approval",
    a_stack_updated_in_a_rollback_loses_nothing: "stack-updated-in-rollback",
    a_rollback_that_gave_up_is_ended_by_the_sweep: "rollback-gives-up",
    nothing_of_a_route_but_its_weights_changes: "route-fidelity",
    the_demo_shows_what_it_says: "demo",
}

#[test]
fn every_scenario_file_is_run() {
    let files: BTreeSet<_> = std::fs::read_dir(scenarios_directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let tested: BTreeSet<_> = TESTED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, tested);
}
