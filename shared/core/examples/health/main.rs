//! Prints what the sequential test does to simulated releases, and what other rules do to the same:
//! `cargo run --release -p glidepath-core --example health`. The numbers are in `docs/health-simulations.md`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arrivals;
mod candidate;
mod evidence;
mod gross;
mod hastened;
mod kayenta;
mod limit;
mod options;
mod peers;
mod promotion;
mod report;
mod rules;
mod scenario;
mod simulation;
mod tables;
#[cfg(test)]
mod tests;
mod tried;

use std::process::ExitCode;

fn main() -> ExitCode {
    match options::Options::parse(std::env::args().skip(1)) {
        Ok(options) => {
            for part in report::PARTS {
                if options.wants(part.name) {
                    print!("{}", (part.text)(&options.effort));
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}\n{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}
