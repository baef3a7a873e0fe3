//! `glidepath thaw`: weights move again where they were frozen.

use std::io::Write;

use glidepath_core::failure::Failure;
use glidepath_core::record::Freeze;
use glidepath_core::time::Timestamp;
use glidepath_engine::freeze::{FreezeDone, PostedFreeze};
use glidepath_engine::ports::Clock;
use serde_json::json;

use crate::connection::{Connection, Options};
use crate::decision::reason;
use crate::render::frozen_view;
use crate::stopped::Stopped;
use crate::told::{Done, Told, finished};

/// Let weights move again where they were frozen
///
/// What waits for it goes on at once.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The services as they were frozen: 'production/shop-*'; without it what is frozen, if that is one thing
    services: Option<String>,
    /// Why, for whoever reads it later
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
    /// Print JSON, one object: what was frozen, or `error`
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    options: &Options,
    output: &mut impl Write,
) -> Result<(), Stopped> {
    finished(arguments.json, thawed(arguments, options).await, output)
}

async fn thawed(arguments: &Arguments, options: &Options) -> Result<Told, Stopped> {
    let connection = options.connect().await?;
    let (services, reason) = (arguments.services.clone(), arguments.reason.clone());
    let posted = PostedFreeze::Thaw { services, reason };
    match asked(&connection, &posted, "nothing was thawed").await? {
        FreezeDone::Thawed(freeze) => Ok(told(&freeze, connection.ports.ambient.now())),
        FreezeDone::Frozen(_) => Err(unheard()),
    }
}

fn told(freeze: &Freeze, now: Timestamp) -> Told {
    let lasted = now.since(freeze.since).in_words();
    let text = format!("{} is thawed after {lasted}: what waited for it goes on", freeze.what());
    Told::new(text, json!({ "done": Done::Thawed, "freeze": frozen_view(freeze) }))
}

/// Says it as whoever the credentials belong to.
pub(super) async fn asked(
    connection: &Connection,
    posted: &PostedFreeze,
    nothing: &str,
) -> Result<FreezeDone, Stopped> {
    // Functions that do not know what was said would drop it.
    let versions = connection.versions();
    if versions.has_errors() {
        return Err(Stopped::Unusable {
            message: format!("{nothing}: {versions}"),
            hint: "`glidepath rollback` works with any version".to_owned(),
        });
    }
    let done = connection.operator.freeze(posted).await?;
    done.map_err(|failure| {
        let failure = Failure::new(failure.code, format!("{nothing}: {}", failure.cause));
        Stopped::by_failure(&failure, "`glidepath status` says what is frozen")
    })
}

/// The stack has answered something else than it was asked.
pub(super) fn unheard() -> Stopped {
    Stopped::Unusable {
        message: "the stack has answered something else than it was asked".to_owned(),
        hint: "`glidepath status` says what is frozen".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, NOW, minutes};

    #[test]
    fn it_is_said_what_was_thawed_and_for_how_long_it_was_frozen() {
        let told = told(&fixtures::freeze(), NOW + minutes(90));
        assert!(told.text().starts_with("production/* is thawed after "), "{}", told.text());
        assert_eq!(told.view()["done"], "thawed");
        assert_eq!(told.view()["freeze"]["services"], "production/*");
    }
}
