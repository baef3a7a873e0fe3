//! What of the registry and of the world tells one state from another.

use glidepath_core::record::{AlarmItem, Binding, Deployment};
use glidepath_engine::testing::{Items, State};

use crate::print::Printer;

/// All of a deployment but what never changes.
pub(crate) fn print_deployment(printer: &mut Printer, deployment: &Deployment) {
    let Deployment {
        id,
        execution: _,
        execution_start: _,
        revision,
        phase,
        fence,
        intents,
        started_at,
        plan: _,
        progress,
        health,
        traffic,
        gate,
        alarms: _,
        warnings: _,
        notices,
        next_due_at,
        epochs: _,
        validating,
        freeze,
        // Only once it has ended, and nothing is decided by it.
        drift: _,
    } = deployment;
    printer.debug((id, revision, phase, fence, intents, started_at));
    printer.debug((progress, health, traffic, notices, next_due_at, validating, freeze));
    printer.debug(gate.as_ref().map(|gate| (gate.tick, gate.token.expose())));
}

/// All of an alarm but the routes of its bindings.
pub(crate) fn print_alarm(printer: &mut Printer, alarm: &AlarmItem) {
    let AlarmItem { arn, revision, fired_at, bindings, intents, unreadable } = alarm;
    printer.debug((arn, revision, fired_at, intents, unreadable));
    for (id, binding) in bindings {
        let Binding { started_at, routes: _, needed, health, harm } = binding;
        printer.debug((id, started_at, needed, health, harm));
    }
}

/// The registry.
pub(crate) fn print_items(items: &Items) -> u64 {
    let mut printer = Printer::new();
    items.deployments.values().for_each(|item| print_deployment(&mut printer, item));
    items.alarms.values().for_each(|item| print_alarm(&mut printer, item));
    printer.debug((&items.locks, &items.retirements, &items.freezes));
    printer.finish()
}

/// The world, as far as anything in an exploration changes it.
pub(crate) fn print_world(world: &State) -> u64 {
    let mut printer = Printer::new();
    printer.debug((&world.routes, &world.weak, &world.requests));
    for service in world.services.values() {
        printer.debug((service.desired_count, service.running_count, &service.task_definition));
    }
    for alarm in world.alarms.values() {
        printer.debug((alarm.signal, alarm.since));
    }
    for found in world.scaling.values() {
        printer.debug(found.target);
    }
    printer.debug(world.asked.len());
    printer.finish()
}
