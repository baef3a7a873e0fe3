//! Alarms: whether they exist, watch what they are given for, and are quiet.

use super::Found;
use crate::document::{Findings, nearest};
use crate::health::AlarmSignal;
use crate::ids::AlarmArn;
use crate::plan::{AlarmPlan, Slot};
use crate::request::{AlarmName, Request};
use crate::world::{Alarm, AlarmDimension, EcsService};

/// What an alarm was given for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GivenFor {
    Slot(Slot),
    Service,
}

impl std::fmt::Display for GivenFor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slot(slot) => slot.fmt(formatter),
            Self::Service => formatter.write_str("service"),
        }
    }
}

/// One alarm of the request.
struct Given<'a> {
    path: String,
    name: &'a AlarmName,
    given_for: GivenFor,
    alarm: &'a Alarm,
}

/// Checks every alarm of the request and sorts them by role. `serving`: not known, because of
/// other findings; then the plan is not used.
pub(super) fn check(
    request: &Request,
    found: &Found,
    serving: Option<Slot>,
    findings: &mut Findings,
) -> AlarmPlan {
    let given = existing(request, found, findings);
    refuse_repetition(&given, findings);
    let mut plan = AlarmPlan::default();
    for given in &given {
        watches_the_right_slot(request, found, given, findings);
        let arn = given.alarm.arn.clone();
        if firing(given.alarm) && forced(request, &given.alarm.arn) {
            plan.forced.push(arn);
            continue;
        }
        let idle =
            serving.is_some_and(|serving| given.given_for == GivenFor::Slot(serving.other()));
        if firing(given.alarm) && idle {
            // Missing data, hosts that are not there, the end of the last version: nobody is hurt in
            // a slot without traffic. Firing on, it holds; firing anew, it rolls back.
            findings.warning(
                given.path.clone(),
                format!(
                    "`{}` is firing while its slot has no traffic: {}",
                    given.alarm.arn.name(),
                    given.alarm.reason
                ),
                "it counts from the moment it is OK; as long as it goes on firing, the stages in \
                 which the new version has traffic wait for it",
            );
            plan.idle.push(arn.clone());
        } else if firing(given.alarm) {
            findings.error(
                given.path.clone(),
                format!("`{}` is already firing: {}", given.alarm.arn.name(), given.alarm.reason),
                format!(
                    "wait until it is OK; or, to ignore it during this deployment, name it in \
                     $.force.alarms: [{}]",
                    given.name
                ),
            );
        }
        match given.given_for {
            GivenFor::Service => plan.service.push(arn),
            GivenFor::Slot(slot) if Some(slot) == serving => plan.stable.push(arn),
            GivenFor::Slot(_) => plan.canary.push(arn),
        }
    }
    force_is_needed(request, &given, findings);
    if serving.is_some() && plan.binding().next().is_none() {
        findings.warning(
            "$.health.alarms",
            "no alarm rolls this deployment back",
            "give alarms for both slots or for the service: they act within seconds, the other \
             checks within minutes",
        );
    }
    plan
}

fn firing(alarm: &Alarm) -> bool {
    match alarm.signal {
        AlarmSignal::Alarm => true,
        AlarmSignal::Ok
        | AlarmSignal::InsufficientData
        | AlarmSignal::Missing
        | AlarmSignal::Unreadable => false,
    }
}

fn forced(request: &Request, alarm: &AlarmArn) -> bool {
    request.force.alarms.iter().any(|name| name.names(alarm))
}

fn existing<'a>(request: &'a Request, found: &'a Found, findings: &mut Findings) -> Vec<Given<'a>> {
    let lists = [
        (GivenFor::Slot(Slot::Blue), &request.health.alarms.blue, &found.alarms.blue),
        (GivenFor::Slot(Slot::Green), &request.health.alarms.green, &found.alarms.green),
        (GivenFor::Service, &request.health.alarms.service, &found.alarms.service),
    ];
    let mut given = Vec::new();
    for (given_for, names, alarms) in lists {
        for (index, name) in names.iter().enumerate() {
            let path = format!("$.health.alarms.{given_for}[{index}]");
            let alarm = alarms.get(index).and_then(Option::as_ref);
            match alarm.filter(|alarm| alarm.signal != AlarmSignal::Missing) {
                Some(alarm) if alarm.signal == AlarmSignal::Unreadable => findings.error(
                    path,
                    format!("the alarm `{name}` cannot be read: {}", alarm.reason),
                    "whether it fires already is not known; let the stack read it, or leave it out",
                ),
                Some(alarm) => given.push(Given { path, name, given_for, alarm }),
                None => match elsewhere(request, name) {
                    Some(message) => findings.error(
                        path,
                        message,
                        "name an alarm of the routes' own account and Region, since no other one \
                         can roll back here; it may watch metrics of other accounts",
                    ),
                    None => findings.error(
                        path,
                        format!("there is no alarm `{name}`"),
                        "check the name, the account and the region",
                    ),
                },
            }
        }
    }
    given
}

/// That an ARN names an alarm of another account or Region than the routes'.
fn elsewhere(request: &Request, name: &AlarmName) -> Option<String> {
    let place = |arn: &str| {
        let mut parts = arn.split(':').skip(3);
        let (region, account) = (parts.next()?, parts.next()?);
        Some((region.to_owned(), account.to_owned()))
    };
    let alarm = Some(name.as_str()).filter(|name| name.starts_with("arn:")).and_then(place)?;
    let here = request.target.routes.first().and_then(|route| place(route.arn()))?;
    (alarm != here).then(|| {
        format!(
            "`{name}` is an alarm of account {} in {}, and the routes are in account {} in {}",
            alarm.1, alarm.0, here.1, here.0
        )
    })
}

/// A name and an ARN may mean the same alarm, in two lists too.
fn refuse_repetition(given: &[Given<'_>], findings: &mut Findings) {
    for (index, one) in given.iter().enumerate() {
        if let Some(earlier) = given[..index].iter().find(|other| other.alarm.arn == one.alarm.arn)
        {
            findings.error(
                one.path.clone(),
                format!("`{}` is the same alarm as {}", one.name, earlier.path),
                "name each alarm once, for what it watches",
            );
        }
    }
}

fn watches_the_right_slot(
    request: &Request,
    found: &Found,
    given: &Given<'_>,
    findings: &mut Findings,
) {
    let watched: Vec<Slot> = [Slot::Blue, Slot::Green]
        .into_iter()
        .filter(|slot| {
            given.alarm.watches.iter().any(|watch| belongs(request, found, *slot, watch))
        })
        .collect();
    match (given.given_for, watched.as_slice()) {
        (GivenFor::Slot(slot), watched) if watched.contains(&slot.other()) => {
            let other = slot.other();
            let hint = if watched.contains(&slot) {
                "let it watch one slot only, or move it to $.health.alarms.service".to_owned()
            } else {
                format!("move it to $.health.alarms.{other}")
            };
            findings.error(
                given.path.clone(),
                format!("`{}` watches the {other} slot", given.alarm.arn.name()),
                hint,
            );
        }
        // Of a slot that is not there nobody knows what it watches: that finding comes first.
        (GivenFor::Service, [only]) if found.blue.is_some() && found.green.is_some() => findings
            .warning(
            given.path.clone(),
            format!("`{}` watches the {only} slot only", given.alarm.arn.name()),
            format!(
                "move it to $.health.alarms.{only}; here it rolls back even while {only} is stable"
            ),
        ),
        (GivenFor::Slot(_) | GivenFor::Service, _) => {}
    }
    let unread = given.alarm.watches.iter().find_map(|watch| match watch {
        AlarmDimension::Unread(why) => Some(why),
        AlarmDimension::TargetGroup(_) | AlarmDimension::EcsService(_) | AlarmDimension::Logs => {
            None
        }
    });
    if let Some(why) = unread {
        findings.warning(
            given.path.clone(),
            format!(
                "not all that `{}` watches can be read ({why}): whether it is for the {} cannot be \
                 told",
                given.alarm.arn.name(),
                given.given_for
            ),
            "let the stack read the alarms in its rule too, or be sure of it",
        );
    }
    if let (GivenFor::Slot(slot), []) = (given.given_for, watched.as_slice())
        && given.alarm.watches.contains(&AlarmDimension::Logs)
    {
        findings.warning(
            given.path.clone(),
            format!(
                "`{}` watches logs: whether they are those of the {slot} slot cannot be told",
                given.alarm.arn.name()
            ),
            "be sure that its query reads the logs of this slot only, or move it to \
             $.health.alarms.service",
        );
    }
}

fn belongs(request: &Request, found: &Found, slot: Slot, watch: &AlarmDimension) -> bool {
    let registers = |service: &Option<EcsService>, dimension: &str| {
        let mut groups = service.iter().flat_map(EcsService::groups);
        groups.any(|group| group.dimension() == dimension)
    };
    let (own, other) = match slot {
        Slot::Blue => (&found.blue, &found.green),
        Slot::Green => (&found.green, &found.blue),
    };
    match watch {
        AlarmDimension::EcsService(name) => request.target.slots.of(slot).as_str() == name,
        // A group of both slots is a finding of its own and says nothing about the alarm.
        AlarmDimension::TargetGroup(dimension) => {
            registers(own, dimension) && !registers(other, dimension)
        }
        AlarmDimension::Logs | AlarmDimension::Unread(_) => false,
    }
}

fn force_is_needed(request: &Request, given: &[Given<'_>], findings: &mut Findings) {
    for (index, name) in request.force.alarms.iter().enumerate() {
        let path = format!("$.force.alarms[{index}]");
        match given.iter().find(|given| name.names(&given.alarm.arn)) {
            Some(given) if firing(given.alarm) => {}
            Some(_) => findings.warning(
                path,
                format!("`{name}` is not firing, so it is watched as usual"),
                "leave it out",
            ),
            None => {
                let names = given.iter().map(|given| given.alarm.arn.name());
                let hint = match nearest(name.as_str(), names) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => "leave it out, or list it under $.health.alarms".to_owned(),
                };
                findings.warning(path, format!("`{name}` is no alarm of this request"), hint);
            }
        }
    }
}
