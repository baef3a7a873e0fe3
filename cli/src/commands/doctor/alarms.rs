//! From an alarm to the fence, by each way that the stack has. An item of the registry for the doctor's
//! own alarm shows every time that the rollback function was told of it: closing the fence, or finding it
//! closed, changes the item's revision twice. So nothing is added to the rollback's path.

use futures_util::future::{join, join_all};
use glidepath_core::doctor::{About, Delivery, Row, Way, clocks, composite, delivered};
use glidepath_core::harm::Harm;
use glidepath_core::ids::{AlarmArn, DeploymentId};
use glidepath_core::pattern::matches;
use glidepath_core::protocol::RegistryWrite;
use glidepath_core::record::{Binding, RecordedHealth};
use glidepath_core::time::{Span, Timestamp};
use glidepath_engine::ports::{Clock, Committed, PortError, PortResult, Registry};

use super::clean_up::Found;
use super::context::{Doctor, unchecked};

/// How long an alarm may take.
const LIMIT: Span = Span::from_secs(40);

/// Time between two looks at the registry.
const LOOK: Span = Span::from_millis(200);

/// Times from setting an alarm's state to each message that arrived.
type Arrivals = Vec<Span>;

pub(super) async fn check(doctor: &Doctor, found: &Found) -> Vec<Row> {
    let ways = ways(doctor);
    let about_clock = About::new("clock", "this machine's clock and CloudWatch's agree");
    let about_composite =
        About::new("alarm.composite", "a composite alarm closes the fence as well");
    if let Err(error) = &found.alarms {
        // What could not be removed must not be made.
        let abouts = ways.iter().map(|(way, _)| way.about()).chain([about_composite, about_clock]);
        return abouts.map(|about| unchecked(&about, error)).collect();
    }
    let by_event = ways.iter().any(|(way, _)| *way == Way::Event);
    let measured = ways.iter().map(|(way, covered)| async move {
        // Every message that EventBridge delivers counts as well.
        let most = if by_event && *way != Way::Event { 2 } else { 1 };
        if *covered { Some(measure(doctor, way, most).await) } else { None }
    });
    let (measured, (of_composite, clock)) =
        join(join_all(measured), composite_and_clock(doctor, &ways)).await;
    let event_arrived = ways.iter().zip(&measured).any(|((way, _), measured)| {
        let arrived = |arrivals: &Arrivals| !arrivals.is_empty();
        *way == Way::Event && matches!(measured, Some(Ok(arrivals)) if arrived(arrivals))
    });
    let mut rows: Vec<Row> = ways
        .iter()
        .zip(&measured)
        .map(|((way, _), measured)| match measured {
            Some(Ok(arrivals)) => {
                let beside = u64::from(event_arrived && *way != Way::Event);
                delivered(way, delivery(arrivals, 1 + beside))
            }
            Some(Err(error)) => unchecked(&way.about(), error),
            None => way.about().not_checked(
                "the stack's parameter AlarmPattern does not cover doctor's own alarm",
                "look at an alarm of your own that names the function: its history in CloudWatch \
                 shows whether the action succeeded",
            ),
        })
        .collect();
    rows.push(match of_composite {
        Ok(arrivals) => composite(delivery(&arrivals, 1)),
        Err(error) => unchecked(&about_composite, &error),
    });
    rows.push(match clock {
        Ok([before, stamped, after]) => clocks(before, stamped, after),
        Err(error) => unchecked(&about_clock, &error),
    });
    rows
}

/// The ways that the stack has, and whether each is open to an alarm with doctor's name.
fn ways(doctor: &Doctor) -> Vec<(Way, bool)> {
    let stack = &doctor.connection.stack;
    let parameter = |name: &str| stack.parameters.get(name).map(String::as_str);
    let mut ways = Vec::new();
    if parameter("AlarmEvents") != Some("DISABLED") {
        ways.push((Way::Event, true));
    }
    if let Some(topic) = parameter("AlarmTopic").filter(|topic| !topic.is_empty()) {
        ways.push((Way::Topic(topic.to_owned()), true));
    }
    if let Some(function) = stack.outputs.get("RollbackFunctionArn") {
        let way = Way::Action(function.clone());
        let name = doctor.name(way.name());
        let covered = matches(parameter("AlarmPattern").unwrap_or("*"), &name);
        ways.push((way, covered));
    }
    ways
}

fn delivery(arrivals: &Arrivals, expected: u64) -> Delivery {
    let arrived = u64::try_from(arrivals.len()).unwrap_or(u64::MAX);
    let last = usize::try_from(expected).ok().and_then(|count| arrivals.get(count - 1));
    Delivery { expected, arrived, after: last.copied().unwrap_or(LIMIT) }
}

async fn measure(doctor: &Doctor, way: &Way, most: u64) -> PortResult<Arrivals> {
    let name = doctor.name(way.name());
    doctor.instruments.make_alarm(&name, way.action()).await?;
    let alarm = doctor.alarm(&name);
    let revision = bind(doctor, &alarm).await?;
    let begun = doctor.connection.ports.ambient.now();
    doctor.instruments.fire(&name).await?;
    arrivals(doctor, &alarm, revision, begun, most).await
}

/// A composite alarm that fires with another one, whose time by CloudWatch's clock is compared.
async fn composite_and_clock(
    doctor: &Doctor,
    ways: &[(Way, bool)],
) -> (PortResult<Arrivals>, PortResult<[Timestamp; 3]>) {
    let (name, child) = (doctor.name("composite"), doctor.name("child"));
    // By the first way: that each of them works is another row.
    let way = ways.iter().find(|(_, covered)| *covered).map(|(way, _)| way);
    if let Err(error) = doctor.instruments.make_alarm(&child, None).await {
        return (Err(error.clone()), Err(error));
    }
    let made = async {
        doctor.instruments.make_composite(&name, &child, way.and_then(Way::action)).await?;
        bind(doctor, &doctor.alarm(&name)).await
    };
    let revision = match made.await {
        Ok(revision) => revision,
        Err(error) => return (Err(error.clone()), clock(doctor, &child).await),
    };
    let begun = doctor.connection.ports.ambient.now();
    let clock = clock(doctor, &child).await;
    if let Err(error) = &clock {
        return (Err(error.clone()), clock);
    }
    (arrivals(doctor, &doctor.alarm(&name), revision, begun, 1).await, clock)
}

/// Fires an alarm: when it was asked for, when it happened by CloudWatch's clock, and when it was
/// answered.
async fn clock(doctor: &Doctor, name: &str) -> PortResult<[Timestamp; 3]> {
    let before = doctor.connection.ports.ambient.now();
    doctor.instruments.fire(name).await?;
    let after = doctor.connection.ports.ambient.now();
    Ok([before, doctor.instruments.fired_at(name).await?, after])
}

/// Gives the registry an item for the alarm, bound to a deployment that there is none of: so the
/// rollback function has nothing to bring back. The item's revision.
async fn bind(doctor: &Doctor, alarm: &AlarmArn) -> PortResult<u64> {
    let now = doctor.connection.ports.ambient.now();
    let binding = Binding {
        // An event is never too old for it, whatever this machine's clock says.
        started_at: Timestamp::from_millis(0),
        routes: Vec::new(),
        needed: 0,
        health: RecordedHealth { healthy: 0, at: now, fresh_for: Span::from_secs(86_400) },
        harm: Harm::default(),
    };
    let deployment = DeploymentId::new(alarm.name());
    let bound =
        RegistryWrite::Bind { alarm: alarm.clone(), deployment, binding: Box::new(binding) };
    match doctor.connection.ports.registry.commit(vec![bound]).await? {
        Committed::Yes => revision(doctor, alarm).await,
        Committed::Conflict => Err(PortError::Unanswered {
            operation: "dynamodb:TransactWriteItems",
            detail: "somebody else uses the item of doctor's alarm".to_owned(),
        }),
    }
}

async fn revision(doctor: &Doctor, alarm: &AlarmArn) -> PortResult<u64> {
    let items = doctor.connection.ports.registry.alarms(std::slice::from_ref(alarm)).await?;
    Ok(items.first().map_or(0, |item| item.revision.0))
}

/// Waits until the function was told so many times, or for as long as it may take.
async fn arrivals(
    doctor: &Doctor,
    alarm: &AlarmArn,
    before: u64,
    begun: Timestamp,
    most: u64,
) -> PortResult<Arrivals> {
    let mut arrivals = Arrivals::new();
    loop {
        let passed = doctor.connection.ports.ambient.now().since(begun);
        // Two changes for each; the first of them counts.
        let arrived = revision(doctor, alarm).await?.saturating_sub(before).div_ceil(2);
        while u64::try_from(arrivals.len()).is_ok_and(|known| known < arrived) {
            arrivals.push(passed);
        }
        if arrived >= most || passed > LIMIT {
            return Ok(arrivals);
        }
        doctor.connection.ports.ambient.sleep(LOOK).await;
    }
}
