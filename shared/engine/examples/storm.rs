//! Prints what becomes of a storm of rollbacks: `cargo run -p glidepath-engine --example storm`.
//! The numbers are in `docs/storm.md`.
#![allow(clippy::print_stdout)]

use glidepath_core::time::Span;
use glidepath_engine::testing::storm::{
    Accounting, Limit, PlainPolicy, Settings, Tally, Traffic, plain, run,
};

const SEEDS: u64 = 5;

fn main() {
    let thousand = Settings::real(1000);
    println!(
        "{} rollbacks, {} mutating calls at once and {} a second: floor {} s. Medians of {SEEDS} seeds.\n",
        thousand.rollbacks,
        thousand.limit.burst,
        thousand.limit.per_second,
        thousand.floor().as_millis() / 1000,
    );
    heading("plain retries of the write alone");
    let policies = [
        ("SDK standard, 3 attempts", PlainPolicy::Sdk { attempts: 3 }),
        ("SDK standard, 10 attempts", PlainPolicy::Sdk { attempts: 10 }),
        ("Step Functions, full jitter", PlainPolicy::StepFunctions { attempts: 121 }),
        ("windows up to 5 s", PlainPolicy::Impatient),
        ("by harm, write alone", PlainPolicy::ByHarm),
    ];
    for (name, policy) in policies {
        row(name, &thousand, |seed| plain(&thousand, policy, seed));
    }
    heading("Glidepath, whole rollbacks");
    let small = Settings { limit: Limit { burst: 4, per_second: 1 }, ..Settings::real(30) };
    let account = Settings { accounting: Accounting::AccountToo, ..thousand };
    for (name, settings) in [
        ("1,000", thousand),
        ("1,000, traffic not measured", Settings { traffic: Traffic::Unmeasured, ..thousand }),
        ("1,000, all small", Settings { traffic: Traffic::AllSmall, ..thousand }),
        ("1,000, all large", Settings { traffic: Traffic::AllLarge, ..thousand }),
        ("1,000, account's bucket too", account),
        ("the same, no forward shifts", Settings { forward: 0, ..account }),
        ("1,000, refusals count too", Settings { accounting: Accounting::RefusalsToo, ..thousand }),
        ("1,000, 500 forward shifts", Settings { forward: 500, ..thousand }),
        ("1,000, concurrency 100", Settings { concurrency: 100, ..thousand }),
        ("1,000, concurrency 300", Settings { concurrency: 300, ..thousand }),
        ("1,000 within a minute", Settings { spread: Span::from_secs(60), ..thousand }),
        ("300", Settings::real(300)),
        ("100", Settings::real(100)),
        ("30 with 4 and 1 a second", small),
    ] {
        if std::env::args().nth(1).is_some_and(|only| !name.contains(&only)) {
            continue;
        }
        row(name, &settings, |seed| run(&settings, seed));
    }
}

fn heading(title: &str) {
    println!(
        "\n{title:<30} {:>8} {:>7} {:>8} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8}",
        "restored",
        "took s",
        "x floor",
        "half harm",
        "calls",
        "repeated",
        "forward",
        "at once",
        "ended s"
    );
}

fn row(name: &str, settings: &Settings, run: impl Fn(u64) -> Tally) {
    let tallies: Vec<_> = (1..=SEEDS).map(run).collect();
    let median = |value: &dyn Fn(&Tally) -> f64| {
        let mut values: Vec<_> = tallies.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let rollbacks = settings.rollbacks as f64;
    let half = median(&|tally| tally.half_over_floor().unwrap_or(f64::INFINITY));
    println!(
        "{name:<30} {:>6.1} % {:>7.0} {:>8.2} {half:>9.2} {:>8.1} {:>8.0} {:>7.0} {:>8.0} {:>8.0}",
        median(&|tally| tally.restored as f64 * 100.0 / rollbacks),
        median(&|tally| tally.took.as_millis() as f64 / 1000.0),
        median(&Tally::over_floor),
        median(&|tally| tally.calls as f64 / rollbacks),
        median(&|tally| tally.repeated as f64),
        median(&|tally| tally.forward_meanwhile as f64),
        median(&|tally| tally.at_once as f64),
        median(&|tally| tally.all_ended.as_millis() as f64 / 1000.0),
    );
}
