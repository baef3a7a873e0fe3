//! Removing what doctor has made: this run, or one that was killed.

use glidepath_aws::doctor::PREFIX;
use glidepath_core::doctor::{About, Row};
use glidepath_core::ids::AlarmArn;
use glidepath_engine::ports::{PortError, PortResult};

use super::context::Doctor;

/// How many times the queue is looked at again while there is something of doctor's in it.
const MOST_LOOKS: u32 = 20;

/// What was found and removed, or why nobody could look.
pub(super) struct Found {
    /// Alarms, with their items in the registry.
    pub(super) alarms: PortResult<usize>,
    /// Aliases of the rollback function.
    pub(super) aliases: PortResult<usize>,
    /// Messages in the queue of undelivered events.
    pub(super) messages: PortResult<usize>,
}

impl Found {
    /// Whether everything was looked for, and what was found removed.
    pub(super) const fn is_known(&self) -> bool {
        self.alarms.is_ok() && self.aliases.is_ok() && self.messages.is_ok()
    }

    fn parts(&self) -> [(&'static str, &PortResult<usize>); 3] {
        [("alarms", &self.alarms), ("aliases", &self.aliases), ("messages", &self.messages)]
    }
}

/// Removes everything of doctor's that belongs to this stack.
pub(super) async fn clean_up(doctor: &Doctor) -> Found {
    // Messages last: what is removed before sends none any more.
    let (alarms, aliases) = (alarms(doctor).await, aliases(doctor).await);
    Found { alarms, aliases, messages: messages(doctor).await }
}

/// The row about it: what was there before, and whether anything is left now.
pub(super) fn row(before: &Found, now: &Found) -> Row {
    let about = About::new("cleanUp", "doctor leaves nothing behind");
    let errors: Vec<String> = now
        .parts()
        .into_iter()
        .filter_map(|(what, found)| Some(format!("{what}: {}", found.as_ref().err()?)))
        .collect();
    if !errors.is_empty() {
        return about.not_checked(
            errors.join("; "),
            format!(
                "let your identity do what the runbook lists for doctor; what begins with \
                 `{PREFIX}` may be deleted by hand"
            ),
        );
    }
    let left: Vec<String> = before
        .parts()
        .into_iter()
        .filter_map(|(what, found)| found.as_ref().ok().map(|found| (what, *found)))
        .filter(|(_, found)| *found > 0)
        .map(|(what, found)| format!("{found} {what}"))
        .collect();
    if left.is_empty() {
        return about.ok("what it made is removed");
    }
    about.ok(format!("what it made is removed, and {} of an earlier run", left.join(", ")))
}

async fn alarms(doctor: &Doctor) -> PortResult<usize> {
    let prefix = format!("{PREFIX}{}-", doctor.connection.stack.name);
    let found = doctor.instruments.alarms_beginning(&prefix).await?;
    let ours: Vec<_> = found
        .into_iter()
        .map(AlarmArn::new)
        .filter(|arn| is_of_this_stack(&prefix, arn.name()))
        .collect();
    for alarm in &ours {
        // The item first: while there is one, the alarm is there to find it by.
        doctor.connection.ports.registry.forget_alarm(alarm).await?;
        doctor.instruments.delete_alarm(alarm.name()).await?;
    }
    Ok(ours.len())
}

/// Not of another stack whose name only begins like this one's: a run and a part of it follow.
fn is_of_this_stack(prefix: &str, name: &str) -> bool {
    let rest = name.strip_prefix(prefix).and_then(|rest| rest.split_once('-'));
    rest.is_some_and(|(run, part)| {
        run.bytes().all(|byte| byte.is_ascii_digit()) && !part.contains('-')
    })
}

async fn aliases(doctor: &Doctor) -> PortResult<usize> {
    let aliases = doctor.instruments.aliases().await?;
    for alias in &aliases {
        doctor.instruments.delete_alias(alias).await?;
    }
    Ok(aliases.len())
}

async fn messages(doctor: &Doctor) -> Result<usize, PortError> {
    let mut removed = 0;
    for _ in 0..MOST_LOOKS {
        let taken = doctor.instruments.take_messages(PREFIX).await?;
        if taken.is_empty() {
            break;
        }
        removed += taken.len();
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use glidepath_core::doctor::Outcome;

    use super::*;

    fn found(alarms: usize) -> Found {
        Found { alarms: Ok(alarms), aliases: Ok(0), messages: Ok(0) }
    }

    #[test]
    fn only_this_stacks_own_are_removed() {
        let prefix = "glidepath-doctor-glidepath-";
        for (name, expected) in [
            ("glidepath-doctor-glidepath-1800000000000-event", true),
            ("glidepath-doctor-glidepath-2-1800000000000-event", false),
            ("glidepath-doctor-glidepath-blue-1800000000000-event", false),
            ("glidepath-doctor-glidepath-mine", false),
            ("shop-errors", false),
        ] {
            assert_eq!(is_of_this_stack(prefix, name), expected, "{name}");
        }
    }

    #[test]
    fn what_a_killed_run_left_is_told_and_what_cannot_be_removed_is_no_success() {
        let row = super::row(&found(2), &found(5));
        assert!(row.seen.ends_with("and 2 alarms of an earlier run"), "{row:?}");
        assert_eq!(super::row(&found(0), &found(5)).seen, "what it made is removed");
        let operation = "cloudwatch:DeleteAlarms";
        let denied = PortError::Refused { operation, detail: "AccessDenied".to_owned() };
        let row = super::row(&found(0), &Found { alarms: Err(denied), ..found(0) });
        assert_eq!(row.outcome, Outcome::NotChecked);
        assert!(row.seen.contains(operation), "{row:?}");
    }
}
