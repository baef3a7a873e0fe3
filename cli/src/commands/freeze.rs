//! `glidepath freeze`: no weight moves forward where it says, until somebody thaws it.

use std::io::Write;

use anstyle::Style;
use glidepath_core::record::{EVERY_SERVICE, Freeze, Phase};
use glidepath_core::time::Timestamp;
use glidepath_engine::freeze::{FreezeDone, PostedFreeze};
use glidepath_engine::ports::{Clock, Recent, Registry};
use serde_json::{Value, json};

use super::thaw::{asked, unheard};
use crate::connection::Options;
use crate::decision::reason;
use crate::next_command::Commands;
use crate::render::{frozen_view, words};
use crate::stopped::Stopped;
use crate::told::{Done, Told, finished};

const STRONG: Style = Style::new().bold();

/// Let no weight move forward, of any service or of those that are named, until somebody thaws them
///
/// Nothing else stops: what runs keeps its share and is judged as before, and an alarm, a bad verdict, a refusal and
/// `glidepath rollback` return everything to stable. What is started meanwhile begins once it is thawed. A freeze of
/// the same services takes the place of the earlier one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which ECS services, as a pattern of CLUSTER/SERVICE: 'production/shop-*'; without it, every one
    #[arg(default_value = EVERY_SERVICE, hide_default_value = true)]
    services: String,
    /// Why, for whoever wonders why nothing moves
    #[arg(long, value_parser = reason)]
    reason: String,
    /// When it ends by itself: an instant (2026-12-01T08:00:00+01:00)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// Print JSON, one object: what is frozen and what runs there, or `error`
    #[arg(long)]
    json: bool,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let instant = Timestamp::parse(text);
    instant.ok_or_else(|| "it is no instant as 2026-12-01T08:00:00Z".to_owned())
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    finished(arguments.json, frozen(arguments, options).await, output)
}

async fn frozen(arguments: &Arguments, options: &Options) -> Result<Told, Stopped> {
    let Arguments { services, reason, until, .. } = arguments;
    let (services, reason, until) = (services.clone(), reason.clone(), *until);
    let connection = options.connect().await?;
    let posted = PostedFreeze::Freeze { services, reason, until };
    let done = asked(&connection, &posted, "nothing was frozen").await?;
    let FreezeDone::Frozen(freeze) = done else { return Err(unheard()) };
    let ports = &connection.ports;
    // It holds, whether it can be shown or not.
    let running = ports.registry.recent(1).await.unwrap_or_default();
    Ok(told(&freeze, &running, &options.commands(), ports.ambient.now()))
}

/// What is frozen, and what runs there.
fn told(freeze: &Freeze, known: &Recent, commands: &Commands, now: Timestamp) -> Told {
    let open = known.deployments.iter().filter(|found| found.phase == Phase::Open);
    let held: Vec<_> = open.filter(|found| found.frozen(now).is_some()).collect();
    let mut text =
        format!("{STRONG}{}{STRONG:#} is frozen: no weight moves forward there", freeze.what());
    if let Some(until) = freeze.until {
        text.push_str(&format!(" until {until}"));
    }
    for deployment in &held {
        let (id, does) = (&deployment.id, words(deployment, now));
        text.push_str(&format!("\n  runs        {id} {does}"));
        if let Some(weight) = deployment.under_way(now) {
            text.push_str(&format!("; a shift to {weight} is under way and may still come"));
        }
    }
    let pattern = if freeze.services == EVERY_SERVICE {
        String::new()
    } else {
        format!(" '{}'", freeze.services)
    };
    text.push_str(&format!("\n  thaw it     {}", commands.plain(&format!("thaw{pattern}"))));
    let held = held.iter().map(|deployment| {
        let weight = deployment.under_way(now).map(|weight| f64::from(weight.permille()) / 10.0);
        json!({ "deployment": deployment.id, "underWay": weight })
    });
    let view = json!({
        "done": Done::Frozen,
        "freeze": frozen_view(freeze),
        "holds": held.collect::<Vec<Value>>(),
    });
    Told::new(text, view)
}

#[cfg(test)]
mod tests {
    use glidepath_core::ids::IntentId;
    use glidepath_core::record::{Freezes, Intent, Purpose};
    use glidepath_core::weight::Weight;

    use super::*;
    use crate::fixtures::{self, NOW, minutes};

    #[test]
    fn what_runs_there_is_said_and_what_may_still_come() {
        let freeze = fixtures::freeze();
        let freezes = Freezes { all: vec![freeze.clone()], ..Freezes::default() };
        let mut moving = fixtures::settling();
        let intent = Intent::new(Purpose::Shift(Weight::ALL), NOW, minutes(1));
        moving.intents.insert(IntentId::new("shift"), intent);
        let deployments = vec![
            freezes.onto(moving),
            freezes.onto(fixtures::rolling_back()),
            freezes.onto(fixtures::succeeded()),
        ];
        let known = Recent { deployments, ..Recent::default() };
        let told = told(&freeze, &known, &Commands::elsewhere(), NOW);
        let text = anstream::adapter::strip_str(told.text()).to_string();
        assert_eq!(
            text,
            "production/* is frozen: no weight moves forward there\n  \
             runs        shop-42 starts the tasks of stage 2 (25 %) and moves traffic; a shift to 100 % is under way \
             and may still come\n  \
             thaw it     glidepath thaw 'production/*' --stack blue --region eu-west-1"
        );
        assert_eq!(told.view()["done"], "frozen");
        assert_eq!(told.view()["holds"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_end_is_an_instant() {
        assert!(instant("2026-12-01T08:00:00+01:00").is_ok());
        assert!(instant("2026-12-01").is_err());
    }
}
