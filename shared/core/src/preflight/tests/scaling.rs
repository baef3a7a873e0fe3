use super::{findings, plan};
use crate::plan::Slot;
use crate::preflight::Found;
use crate::scaling::{ScalableTarget, Suspended};
use crate::timetable::Timetable;
use crate::world::{FoundScaling, ScalingPolicy, ScheduledAction};

fn scaled(kinds: &[&str]) -> FoundScaling {
    let policy = |kind: &&str| ScalingPolicy {
        name: "requests".to_owned(),
        kind: (*kind).to_owned(),
        forecasts: false,
    };
    FoundScaling {
        target: Some(ScalableTarget { minimum: 1, maximum: 8, suspended: Suspended::default() }),
        other_dimensions: Vec::new(),
        policies: kinds.iter().map(policy).collect(),
        scheduled: Vec::new(),
    }
}

fn both(found: &mut Found) {
    found.scaling.blue = scaled(&["TargetTrackingScaling"]);
    found.scaling.green = scaled(&["TargetTrackingScaling"]);
}

fn with(change: impl FnOnce(&mut Found)) -> Vec<String> {
    findings(|_, found| {
        both(found);
        change(found);
    })
}

#[test]
fn slots_that_are_scaled_alike_are_planned_with_what_was_found() {
    let plan = plan(|_, found| both(found));
    assert_eq!(plan.stable.scaling, scaled(&[]).target);
    assert_eq!(plan.canary.scaling, scaled(&[]).target);
    let shown = Timetable::of_plan(&plan).to_string();
    let line = "autoscaling 1-8 found; minimum held at 3 until the commit";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_promoted_slot_that_would_never_scale_is_refused() {
    let never = "error $.target.slots.green: `shop-green` would serve and never be scaled as `shop-blue` \
                 is: it has not ";
    let policy = "a policy of the kind TargetTrackingScaling";
    let none = with(|found| found.scaling.green = FoundScaling::default());
    assert_eq!(none, [format!("{never}a scalable target with {policy}")]);
    let other = with(|found| found.scaling.green = scaled(&["StepScaling"]));
    assert_eq!(other, [format!("{never}{policy}")]);
    let action = ScheduledAction { name: "day".to_owned(), minimum: Some(3), maximum: None };
    let unscheduled = with(|found| found.scaling.blue.scheduled = vec![action]);
    assert_eq!(unscheduled, [format!("{never}a scheduled action")]);
    // Nothing scales the serving one either.
    let nothing = with(|found| {
        found.scaling.blue.policies.clear();
        found.scaling.green = FoundScaling::default();
    });
    assert_eq!(nothing, Vec::<String>::new());
}

#[test]
fn what_may_not_be_read_is_told() {
    let denied = Some("application-autoscaling:DescribeScalableTargets: denied".to_owned());
    let found = findings(|_, found| found.scaling.unreadable = denied);
    let told = "warning $.target.slots: what scales the slots cannot be read \
                (application-autoscaling:DescribeScalableTargets: denied): nothing of it is held, \
                and a slot that an earlier deployment has left idle would serve without being scaled";
    assert_eq!(found, [told]);
}

#[test]
fn only_the_idle_slot_is_scaled() {
    let found = with(|found| found.scaling.blue = FoundScaling::default());
    let told = "warning $.target.slots.blue: `shop-green` is scaled by Application Auto Scaling, \
                `shop-blue`, which serves, is not";
    assert_eq!(found, [told]);
}

#[test]
fn another_dimension_is_refused() {
    for slot in [Slot::Blue, Slot::Green] {
        let found = with(|found| {
            let of = match slot {
                Slot::Blue => &mut found.scaling.blue,
                Slot::Green => &mut found.scaling.green,
            };
            of.other_dimensions = vec!["ecs:service:Moons".to_owned()];
        });
        let told = format!(
            "error $.target.slots.{slot}: Application Auto Scaling scales `shop-{slot}` in the dimension \
             `ecs:service:Moons`, which is not its number of tasks"
        );
        assert_eq!(found, [told]);
    }
}

#[test]
fn what_will_surprise_is_told() {
    let outside = with(|found| {
        let bounds = ScalableTarget { minimum: 1, maximum: 2, suspended: Suspended::default() };
        found.scaling.blue.target = Some(bounds);
    });
    let told = "warning $.target.slots.blue: `shop-blue` is asked for 3 tasks, which is not within 1-2 \
                where Application Auto Scaling keeps it";
    assert_eq!(outside, [told]);
    let suspended = with(|found| {
        let held = scaled(&[]).target.map(|target| target.held(3));
        found.scaling.blue.target = held;
    });
    assert_eq!(
        suspended,
        ["warning $.target.slots.blue: scale-in of `shop-blue` is suspended, and stays so"]
    );
    let night = with(|found| {
        let action = ScheduledAction { name: "night".to_owned(), minimum: None, maximum: Some(2) };
        found.scaling.blue.scheduled = vec![action.clone()];
        found.scaling.green.scheduled = vec![action];
    });
    let told = "warning $.target.slots.blue: the scheduled action `night` lets `shop-blue` have 2 tasks, \
                and it has 3";
    assert_eq!(night, [told]);
    let forecast = with(|found| found.scaling.green.policies[0].forecasts = true);
    let told = "warning $.target.slots.green: `requests` scales `shop-green` by a forecast, which may \
                start tasks while the slot is idle";
    assert_eq!(forecast, [told]);
}
