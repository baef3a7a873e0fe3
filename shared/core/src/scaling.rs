//! What Application Auto Scaling may make of an ECS service, and what a deployment may make of that.
//!
//! Whoever registers a scalable target sets all of it, and Application Auto Scaling moves the desired count
//! into the bounds at every such call. So nothing here is written that holds already, and no bound cuts
//! tasks that somebody needs.

use serde::{Deserialize, Serialize};

/// A scalable target: the bounds of a service's desired count, and what may move it within them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalableTarget {
    pub minimum: u32,
    pub maximum: u32,
    pub suspended: Suspended,
}

/// What is suspended. The bounds are enforced all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspended {
    /// Policies take no task away.
    pub scale_in: bool,
    /// Policies add none.
    pub scale_out: bool,
    /// Scheduled actions do not run, and are not made up for.
    pub scheduled: bool,
}

impl Suspended {
    const ALL: Self = Self { scale_in: true, scale_out: true, scheduled: true };
}

impl ScalableTarget {
    /// The same, which lets nobody take tasks away below this number. Two locks, because each is opened by
    /// something that the other withstands: a scheduled action and an infrastructure tool set the minimum,
    /// and only a minimum brings back what has gone already.
    #[must_use]
    pub fn held(self, tasks: u32) -> Self {
        let minimum = self.minimum.max(tasks);
        let suspended = Suspended { scale_in: true, ..self.suspended };
        Self { minimum, maximum: self.maximum.max(minimum), suspended }
    }

    /// Of a slot that nobody is sent to: nothing wakes it, and nothing keeps tasks in it.
    #[must_use]
    pub const fn idle(self) -> Self {
        Self { minimum: 0, maximum: self.maximum, suspended: Suspended::ALL }
    }

    /// Whether it is that already.
    pub fn is_idle(self) -> bool {
        self == self.idle()
    }

    /// The same with the maximum of another.
    #[must_use]
    pub const fn maximum_of(self, other: Self) -> Self {
        Self { maximum: other.maximum, ..self }
    }

    /// The same with what somebody has changed.
    #[must_use]
    pub fn with(self, changes: &Changes) -> Self {
        let Self { minimum, maximum, suspended } = self;
        let minimum = changes.minimum.unwrap_or(minimum);
        Self {
            minimum,
            // Changes of several people may not fit each other.
            maximum: changes.maximum.unwrap_or(maximum).max(minimum),
            suspended: Suspended {
                scale_in: changes.scale_in.unwrap_or(suspended.scale_in),
                scale_out: changes.scale_out.unwrap_or(suspended.scale_out),
                scheduled: changes.scheduled.unwrap_or(suspended.scheduled),
            },
        }
    }
}

impl std::fmt::Display for ScalableTarget {
    /// `3-15`, and what of it is suspended.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.minimum, self.maximum)?;
        let Suspended { scale_in, scale_out, scheduled } = self.suspended;
        let named =
            [(scale_in, "scale-in"), (scale_out, "scale-out"), (scheduled, "scheduled actions")];
        let suspended: Vec<_> =
            named.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
        if suspended.is_empty() {
            return Ok(());
        }
        write!(formatter, " without {}", suspended.join(", "))
    }
}

/// What somebody else has set meanwhile, field by field: it is what a slot returns to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_out: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<bool>,
}

impl Changes {
    /// Without what has been set on the other slot since: who sets a field last means it for the slot that
    /// serves.
    #[must_use]
    pub fn overruled_by(self, before: &Self, after: &Self) -> Self {
        const fn keep<T: Copy>(own: Option<T>, same: bool) -> Option<T> {
            if same { own } else { None }
        }
        Self {
            minimum: keep(self.minimum, before.minimum == after.minimum),
            maximum: keep(self.maximum, before.maximum == after.maximum),
            scale_in: keep(self.scale_in, before.scale_in == after.scale_in),
            scale_out: keep(self.scale_out, before.scale_out == after.scale_out),
            scheduled: keep(self.scheduled, before.scheduled == after.scheduled),
        }
    }
}

/// The settings that this deployment has made of a slot's. It is recorded before anything is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// What was there when the last write was claimed. It still is if that never landed.
    pub read: ScalableTarget,
    /// What was written.
    pub wrote: ScalableTarget,
    /// What somebody else has set since the plan.
    #[serde(default)]
    pub changes: Changes,
}

impl Pin {
    /// Of a slot of which nothing was written.
    pub const fn untouched(found: ScalableTarget) -> Self {
        let changes = Changes {
            minimum: None,
            maximum: None,
            scale_in: None,
            scale_out: None,
            scheduled: None,
        };
        Self { read: found, wrote: found, changes }
    }

    /// It after a look: what is neither as it was read nor as it was written is somebody else's. With what
    /// of it is new, in words.
    pub fn seeing(&self, present: ScalableTarget) -> (Self, Vec<String>) {
        let Self { read, wrote, changes } = self;
        let mut seen = Self { read: *read, wrote: *wrote, changes: *changes };
        let mut news = Vec::new();
        let number = |name, of: fn(&ScalableTarget) -> u32, into: &mut Option<u32>| {
            let found = of(&present);
            (found != of(read) && found != of(wrote)).then(|| {
                *into = Some(found);
                format!("its {name} is {found} instead of {}", of(wrote))
            })
        };
        news.extend(number("minimum", |target| target.minimum, &mut seen.changes.minimum));
        news.extend(number("maximum", |target| target.maximum, &mut seen.changes.maximum));
        let flag = |name, of: fn(&ScalableTarget) -> bool, into: &mut Option<bool>| {
            let found = of(&present);
            (found != of(read) && found != of(wrote)).then(|| {
                *into = Some(found);
                let state = if found { "suspended" } else { "not suspended any more" };
                format!("{name} {state}")
            })
        };
        let Changes { scale_in, scale_out, scheduled, .. } = &mut seen.changes;
        news.extend(flag("scale-in is", |target| target.suspended.scale_in, scale_in));
        news.extend(flag("scale-out is", |target| target.suspended.scale_out, scale_out));
        let actions = "its scheduled actions are";
        news.extend(flag(actions, |target| target.suspended.scheduled, scheduled));
        if !news.is_empty() {
            // The next look is held against this one: what is told is not told again.
            (seen.read, seen.wrote) = (present, present);
        }
        (seen, news)
    }

    /// It once a write of these settings is claimed.
    #[must_use]
    pub const fn writing(&self, present: ScalableTarget, to: ScalableTarget) -> Self {
        Self { read: present, wrote: to, changes: self.changes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings() -> impl Strategy<Value = ScalableTarget> {
        (0u32..20, 0u32..20, any::<[bool; 3]>()).prop_map(|(minimum, more, flags)| ScalableTarget {
            minimum,
            maximum: minimum + more,
            suspended: Suspended { scale_in: flags[0], scale_out: flags[1], scheduled: flags[2] },
        })
    }

    proptest! {
        #[test]
        fn what_is_held_lets_nothing_go_and_hinders_no_growth(found in settings(), tasks in 0u32..40) {
            let held = found.held(tasks);
            prop_assert!(held.minimum >= tasks && held.minimum >= found.minimum);
            prop_assert!(held.maximum >= found.maximum && held.maximum >= held.minimum);
            prop_assert!(held.suspended.scale_in);
            prop_assert_eq!(held.suspended.scale_out, found.suspended.scale_out);
            prop_assert_eq!(held.suspended.scheduled, found.suspended.scheduled);
            prop_assert_eq!(held.held(tasks), held);
        }

        /// However often it is held anew, whether or not each write lands, what it returns to is what was
        /// found, with what somebody else has set since.
        #[test]
        fn what_it_returns_to_is_what_it_was(
            found in settings(),
            steps in prop::collection::vec((0u32..40, any::<bool>()), 0..6),
        ) {
            let (mut pin, mut present) = (Pin::untouched(found), found);
            for (tasks, lands) in steps {
                let (seen, news) = pin.seeing(present);
                prop_assert_eq!(news, Vec::<String>::new());
                let to = found.with(&seen.changes).held(tasks);
                pin = seen.writing(present, to);
                if lands {
                    present = to;
                }
            }
            prop_assert_eq!(found.with(&pin.changes), found);
        }

        #[test]
        fn what_somebody_sets_is_told_once_and_is_what_it_returns_to(
            found in settings(),
            tasks in 0u32..40,
            theirs in settings(),
        ) {
            let held = found.held(tasks);
            let pin = Pin::untouched(found).writing(found, held);
            let (seen, news) = pin.seeing(theirs);
            prop_assert_eq!(news.is_empty(), seen.changes == Changes::default());
            prop_assert_eq!(seen.seeing(theirs).1, Vec::<String>::new());
            // What is neither ours nor what was found is theirs, in every field.
            let base = found.with(&seen.changes);
            if theirs.minimum != held.minimum {
                prop_assert_eq!(base.minimum, theirs.minimum);
            }
            if theirs.maximum != held.maximum {
                prop_assert_eq!(base.maximum, theirs.maximum.max(base.minimum));
            }
            prop_assert_eq!(base.suspended.scale_out, theirs.suspended.scale_out);
            let held_again = base.held(tasks);
            prop_assert!(held_again.minimum >= tasks && held_again.maximum >= held_again.minimum);
        }
    }

    #[test]
    fn what_is_found_is_said_in_a_word() {
        let found = ScalableTarget { minimum: 3, maximum: 15, suspended: Suspended::default() };
        assert_eq!(found.to_string(), "3-15");
        assert_eq!(found.held(10).to_string(), "10-15 without scale-in");
        assert_eq!(found.idle().to_string(), "0-15 without scale-in, scale-out, scheduled actions");
    }

    #[test]
    fn what_somebody_sets_is_named() {
        let found = ScalableTarget { minimum: 3, maximum: 15, suspended: Suspended::default() };
        let pin = Pin::untouched(found).writing(found, found.held(10));
        let theirs = ScalableTarget { minimum: 6, maximum: 15, suspended: Suspended::default() };
        let (seen, news) = pin.seeing(theirs);
        // That scale-in is not suspended may as well be our write that was lost.
        assert_eq!(news, ["its minimum is 6 instead of 10"]);
        assert_eq!(seen.changes, Changes { minimum: Some(6), ..Changes::default() });
    }
}
