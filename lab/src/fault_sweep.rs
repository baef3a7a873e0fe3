//! A short deployment, again and again, each time with one fault in another place: whatever happens,
//! it must end clean, and as it does without the fault.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{LabError, LabResult};
use crate::labs::Labs;
use crate::observe::Call;
use crate::scenario::{
    Again, CallError, Caller, DeploymentExpectations, Expectations, FailCalls, Fault, Length,
    RepeatInvocation, Scenario, ServiceExpectations,
};

/// A claimed write whose answer was lost may land for more than a minute, and nobody unlocks before.
const PATIENCE: Length = Length::seconds(150);
const TIME_LIMIT: Length = Length::seconds(360);

#[derive(Clone, Debug, Default)]
pub struct FaultSweep {
    /// Scenario files; each is a short deployment.
    pub files: Vec<PathBuf>,
    /// Only so many of the runs, chosen by the seed.
    pub sample: Option<usize>,
    /// What chooses them, from calls whose number differs a little from one time to the next.
    pub seed: u64,
    /// Only faults whose JSON contains each of these texts.
    pub matching: Vec<String>,
    pub only: Option<Fault>,
    /// Where to copy the logs of a failed run.
    pub keep_logs: Option<PathBuf>,
}

#[derive(Clone, Debug, Default)]
pub struct SweptFaults {
    /// Runs whose fault struck.
    pub runs: usize,
    /// Runs whose fault found nothing to strike: a call that is not made every time.
    pub not_struck: usize,
    /// Runs that did not end clean, or not as they do without the fault.
    pub failures: Vec<FailedRun>,
}

/// A run that did not end as it must.
#[derive(Clone, Debug)]
pub struct FailedRun {
    /// What to type to repeat it alone.
    pub repeat: String,
    /// The expectations that did not come true, one a line.
    pub failures: String,
}

struct Run<'a> {
    file: &'a Path,
    scenario: &'a Scenario,
    fault: Fault,
}

impl FaultSweep {
    /// Makes all runs; `tell` gets a line for each.
    pub async fn run(&self, mut tell: impl FnMut(String)) -> LabResult<SweptFaults> {
        let scenarios = self
            .files
            .iter()
            .map(|file| {
                let scenario = Scenario::load(file);
                let scenario = scenario.map_err(|error| LabError::new(error.to_string()))?;
                if !scenario.faults.is_empty() {
                    let file = file.display();
                    return Err(LabError::new(format!("{file} has faults of its own")));
                }
                if let Some(open) = open_end(&scenario) {
                    let file = file.display();
                    return Err(LabError::new(format!(
                        "{file} expects nothing of how {open} ends"
                    ))
                    .hint(
                        "with a fault it must end in the same way: give `status` and `serving`",
                    ));
                }
                Ok((file.as_path(), scenario))
            })
            .collect::<LabResult<Vec<_>>>()?;
        let labs = Labs::new();
        let mut runs = Vec::new();
        for (file, scenario) in &scenarios {
            let faults = match &self.only {
                Some(fault) => vec![fault.clone()],
                None => {
                    let report = labs.run(scenario.clone(), None).await?;
                    if !report.passed() {
                        let (file, failures) = (file.display(), report.failures());
                        return Err(LabError::new(format!("{file} without faults: {failures}")));
                    }
                    let faults = faults_of(&report.calls);
                    tell(format!("{}: {} faults are possible", file.display(), faults.len()));
                    faults
                }
            };
            let wanted = faults.into_iter().filter(|fault| self.wants(fault));
            runs.extend(wanted.map(|fault| Run { file, scenario, fault }));
        }
        if let Some(sample) = self.sample {
            shuffle(&mut runs, self.seed);
            runs.truncate(sample);
        }
        self.make(&labs, runs, &mut tell).await
    }

    fn wants(&self, fault: &Fault) -> bool {
        let text = fault.to_string();
        self.matching.iter().all(|part| text.contains(part))
    }

    async fn make(
        &self,
        labs: &Labs,
        runs: Vec<Run<'_>>,
        tell: &mut impl FnMut(String),
    ) -> LabResult<SweptFaults> {
        let mut swept = SweptFaults::default();
        let (began, count) = (Instant::now(), runs.len());
        for (run, number) in runs.into_iter().zip(1u32..) {
            let logs = self.keep_logs.as_ref().map(|directory| directory.join(number.to_string()));
            let report = labs.run(run.scenario(), logs.as_deref()).await?;
            let struck = report.strikes() > 0;
            let broken = report.failures_besides_strikes();
            let outcome = match (broken.is_empty(), struck) {
                (false, _) => "FAILED",
                (true, true) => "clean",
                (true, false) => "clean, but there was no such call",
            };
            if !broken.is_empty() {
                swept.failures.push(FailedRun { repeat: run.repeat(), failures: broken });
            }
            if struck {
                swept.runs += 1
            } else {
                swept.not_struck += 1
            }
            let done = usize::try_from(number).unwrap_or(count);
            let left = began.elapsed() / number * u32::try_from(count - done).unwrap_or(u32::MAX);
            tell(format!(
                "{number}/{count} {outcome} after {:.0} s ({} left): {} {}",
                report.seconds,
                minutes(left),
                run.name(),
                run.fault
            ));
        }
        Ok(swept)
    }
}

impl Run<'_> {
    fn scenario(&self) -> Scenario {
        Scenario {
            faults: vec![self.fault.clone()],
            expect: end_of(&self.scenario.expect),
            patience: PATIENCE,
            time_limit: TIME_LIMIT,
            ..self.scenario.clone()
        }
    }

    fn name(&self) -> std::path::Display<'_> {
        Path::new(self.file.file_stem().unwrap_or_default()).display()
    }

    fn repeat(&self) -> String {
        format!("cargo lab faults --only '{}' {}", self.fault, self.file.display())
    }
}

/// What a deployment or a service is called of which the scenario does not say how it ends: whatever
/// became of that would be taken for right.
fn open_end(scenario: &Scenario) -> Option<String> {
    let Expectations { deployments, services, .. } = &scenario.expect;
    let deployment = scenario.deployments().into_iter().map(|(name, _)| name).find(|name| {
        let expected = deployments.get(*name);
        expected.is_none_or(|expected| expected.status.is_none())
    });
    let service = scenario.services.keys().map(String::as_str).find(|name| {
        let expected = services.get(*name);
        expected.is_none_or(|expected| expected.serving.is_none())
    });
    deployment.or(service).map(|name| format!("`{name}`"))
}

/// One thing that goes wrong is no reason to take a good version back, nor to keep a bad one: each
/// execution ends with its status, each service on its slot, all clean. How it comes there (looks,
/// notices, who finds out first and with which words) is the fault's to change.
fn end_of(expect: &Expectations) -> Expectations {
    let deployments = expect.deployments.iter().map(|(name, expected)| {
        let status = expected.status;
        (name.clone(), DeploymentExpectations { status, ..DeploymentExpectations::default() })
    });
    let services = expect.services.iter().map(|(name, expected)| {
        let serving = expected.serving;
        (name.clone(), ServiceExpectations { serving, ..ServiceExpectations::default() })
    });
    Expectations {
        deployments: deployments.collect(),
        services: services.collect(),
        clean_end: true,
        ..Expectations::default()
    }
}

/// Every fault that the calls of a run without faults have a place for.
fn faults_of(calls: &[Call]) -> Vec<Fault> {
    let mut counts: BTreeMap<(Caller, String), u32> = BTreeMap::new();
    let mut invocations: BTreeMap<Caller, BTreeSet<&str>> = BTreeMap::new();
    for call in calls {
        let Some(caller) = Caller::with_role(&call.principal) else { continue };
        match &call.invocation {
            Some(invocation) => {
                invocations.entry(caller).or_default().insert(invocation);
            }
            // A function that initialises; whether it does depends on what ran before.
            None if caller.function().is_some() => continue,
            None => {}
        }
        let action = format!("{}:{}", call.service, call.action);
        *counts.entry((caller, action)).or_default() += 1;
    }
    let mut faults = Vec::new();
    for ((caller, action), count) in counts {
        for nth in 1..=count {
            for error in CallError::SURVIVABLE {
                if error == CallError::Killed && caller.function().is_none() {
                    continue;
                }
                let (action, by) = (action.clone(), Some(caller));
                let fail = FailCalls { action, by, nth, times: 1, until_ended: false, error };
                faults.push(Fault::Fail(fail));
            }
        }
    }
    for (function, invocations) in invocations {
        for invocation in (1..).take(invocations.len()) {
            for again in [Again::Meanwhile, Again::Afterwards] {
                faults.push(Fault::Repeat(RepeatInvocation { function, invocation, again }));
            }
        }
    }
    faults
}

/// The same order for the same seed, on every machine.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..list.len()).rev() {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        let choices = u64::try_from(last + 1).unwrap_or(u64::MAX);
        list.swap(last, usize::try_from(number % choices).unwrap_or(0));
    }
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes if minutes < 120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

impl std::fmt::Display for SweptFaults {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} runs with a fault, {} of them did not end as they must; {} whose fault struck nothing",
            self.runs,
            self.failures.len(),
            self.not_struck
        )?;
        let mut causes: HashMap<&str, Vec<&str>> = HashMap::new();
        for failed in &self.failures {
            causes.entry(&failed.failures).or_default().push(&failed.repeat);
        }
        for (failures, repeats) in causes {
            write!(formatter, "\n\n{failures}")?;
            for repeat in repeats {
                write!(formatter, "\n  {repeat}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{ExecutionStatus, Slot};

    fn call(principal: &str, action: &str, invocation: Option<&str>) -> Call {
        Call {
            time: 0.0,
            service: "dynamodb".into(),
            action: action.into(),
            principal: principal.into(),
            invocation: invocation.map(str::to_owned),
            request: serde_json::Value::Null,
            error: None,
        }
    }

    #[test]
    fn every_call_gets_every_fault_and_every_invocation_a_repetition() {
        let faults = faults_of(&[
            call("glidepath-GateRole-1", "GetItem", Some("a")),
            call("glidepath-GateRole-1", "GetItem", Some("b")),
            call("glidepath-GateRole-1", "GetItem", None),
            call("glidepath-DeploymentRole-1", "Invoke", None),
            call("root", "GetItem", None),
        ]);
        // Two calls and two invocations of the function; a state machine cannot be killed.
        assert_eq!(faults.len(), 2 * 5 + 4 + 2 * 2);
        assert!(faults.iter().any(|fault| fault.to_string().contains(r#""nth":2"#)));
    }

    fn short_success() -> Scenario {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        Scenario::load(&scenarios.join("short-success.yaml")).unwrap()
    }

    #[test]
    fn a_fault_changes_nothing_of_how_a_deployment_must_end() {
        let scenario = short_success();
        let fault = faults_of(&[call("glidepath-GateRole-1", "GetItem", Some("a"))]).remove(0);
        let run = Run { file: Path::new("short-success.yaml"), scenario: &scenario, fault };
        let expect = run.scenario().expect;
        let ended = |status, serving| {
            expect.clean_end
                && expect.deployments["first"].status == Some(status)
                && expect.services["shop"].serving == Some(serving)
        };
        assert!(ended(ExecutionStatus::Succeeded, Slot::Green), "{expect:?}");
        // The looks at a bake may be more: what else the scenario expects is not asked for.
        assert_eq!(expect.deployments["first"].weights, None);
    }

    #[test]
    fn a_scenario_that_does_not_say_how_it_ends_is_not_swept() {
        let scenario = short_success();
        assert_eq!(open_end(&scenario), None);
        let mut changed = scenario.clone();
        changed.expect.deployments.clear();
        assert_eq!(open_end(&changed).as_deref(), Some("`first`"));
        let mut changed = scenario;
        changed.expect.services.clear();
        assert_eq!(open_end(&changed).as_deref(), Some("`shop`"));
    }

    #[test]
    fn a_seed_always_chooses_the_same() {
        let order = |seed| {
            let mut list: Vec<u32> = (0..50).collect();
            shuffle(&mut list, seed);
            list
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }
}
