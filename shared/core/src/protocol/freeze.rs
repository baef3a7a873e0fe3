//! What people freeze and thaw.

use super::refused::Refused;
use crate::record::{EVERY_SERVICE, Freeze, FreezeChange, FreezeEntry, Freezes, MOST_FREEZES};
use crate::time::Timestamp;

/// Longest pattern of services, in characters: the names of a cluster and of a service have 255 each.
const LONGEST_PATTERN: usize = 511;

/// Records that no weight moves forward where this freeze says. One of the same services takes the place of the
/// earlier one. What is frozen besides, as it is kept.
pub fn freeze(
    freezes: &Freezes,
    freeze: Freeze,
    now: Timestamp,
) -> Result<(Freezes, Freeze, FreezeEntry), Refused> {
    require_pattern(&freeze.services)?;
    require_readable(freezes)?;
    if let Some(until) = freeze.until.filter(|until| *until <= now) {
        return Err(Refused::NothingToDecide(format!("{until} is over: it is {now}")));
    }
    let mut all: Vec<_> = freezes.in_force(now).cloned().collect();
    let earlier = all.iter().position(|earlier| earlier.services == freeze.services);
    let since = earlier.map_or(freeze.at, |place| all.remove(place).since);
    if all.len() >= MOST_FREEZES {
        let what = format!("{MOST_FREEZES} freezes are in force, and there is no room for more");
        return Err(Refused::NothingToDecide(format!("{what}: `glidepath thaw` ends one")));
    }
    let frozen = Freeze { since, ..freeze };
    all.push(frozen.clone());
    let Freeze { services, by, at, reason, until, .. } = frozen.clone();
    let change = FreezeChange::Frozen { until };
    let entry = FreezeEntry { at, services, by, reason: Some(reason), change };
    Ok((freezes.followed_by(all), frozen, entry))
}

/// Who wants what thawed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thaw {
    /// As it was frozen; `None`: whatever is, if that is one thing.
    pub services: Option<String>,
    /// Who, as far as it is proven: the ARN of the caller's IAM identity.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// Records that weights move again. What was thawed besides.
pub fn thaw(
    freezes: &Freezes,
    thaw: &Thaw,
    now: Timestamp,
) -> Result<(Freezes, Freeze, FreezeEntry), Refused> {
    require_readable(freezes)?;
    let refused = |why: String| Err(Refused::NothingToDecide(why));
    let mut all: Vec<_> = freezes.in_force(now).cloned().collect();
    let frozen = || {
        let frozen = all.iter().map(|freeze| format!("'{}'", freeze.services));
        frozen.collect::<Vec<_>>().join(", ")
    };
    let place = match &thaw.services {
        Some(services) => all.iter().position(|freeze| freeze.services == *services),
        None if all.len() > 1 => {
            return refused(format!("say which: {} are frozen", frozen()));
        }
        None => (!all.is_empty()).then_some(0),
    };
    let Some(place) = place else {
        return refused(match &thaw.services {
            Some(services) if !all.is_empty() => {
                format!("'{services}' is not what was frozen: {}", frozen())
            }
            Some(_) | None => "nothing is frozen".to_owned(),
        });
    };
    let thawed = all.remove(place);
    let entry = FreezeEntry {
        at: now,
        services: thawed.services.clone(),
        by: thaw.by.clone(),
        reason: thaw.reason.clone(),
        change: FreezeChange::Thawed { lasted: now.since(thawed.since) },
    };
    Ok((freezes.followed_by(all), thawed, entry))
}

/// Refuses to write what stands in place of something that nobody here can read.
fn require_readable(freezes: &Freezes) -> Result<(), Refused> {
    if freezes.unreadable {
        let why =
            "a newer version has frozen something that this one cannot read: deploy the newer one";
        return Err(Refused::NothingToDecide(why.to_owned()));
    }
    Ok(())
}

/// Refuses a pattern that no service matches, or that nobody can read.
fn require_pattern(services: &str) -> Result<(), Refused> {
    let wrong = if services.chars().count() > LONGEST_PATTERN {
        format!("has more than {LONGEST_PATTERN} characters")
    } else if services.chars().any(|c| !c.is_ascii_alphanumeric() && !"-_/*?".contains(c)) {
        "has characters that no cluster and no ECS service has".to_owned()
    } else if services != EVERY_SERVICE && services.matches('/').count() != 1 {
        "is none of CLUSTER/SERVICE".to_owned()
    } else {
        return Ok(());
    };
    let how =
        "`*` is every service, `production/shop-*` what begins so in the cluster `production`";
    Err(Refused::NothingToDecide(format!("the pattern '{services}' {wrong}: {how}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::NOW;
    use crate::record::Revision;
    use crate::time::Span;

    fn of(services: &str, at: Timestamp, until: Option<Timestamp>) -> Freeze {
        let (by, reason) = ("arn:ada".to_owned(), "sale".to_owned());
        Freeze { services: services.to_owned(), by, at, since: at, reason, until }
    }

    fn bob(services: Option<&str>) -> Thaw {
        let (by, reason) = ("arn:bob".to_owned(), Some("over".to_owned()));
        Thaw { services: services.map(str::to_owned), by, reason }
    }

    #[test]
    fn one_takes_the_place_of_another_of_the_same_services() {
        let minute = Span::from_secs(60);
        let (first, _, told) = freeze(&Freezes::default(), of("*", NOW, None), NOW).unwrap();
        assert_eq!(first.revision, Revision(1));
        assert_eq!(told.change, FreezeChange::Frozen { until: None });
        let later = NOW + minute;
        let until = Some(later + minute);
        let (second, kept, _) = freeze(&first, of("*", later, until), later).unwrap();
        // It is the same time to those that are held.
        assert_eq!(kept, Freeze { since: NOW, ..of("*", later, until) });
        assert_eq!(second.all, [kept]);
        let (third, ..) = freeze(&second, of("a/b", later, None), later).unwrap();
        assert_eq!(third.all.len(), 2);
        // What has ended by itself is kept no more, and what comes after it is another.
        let later = later + minute;
        let (fourth, ..) = freeze(&third, of("*", later, None), later).unwrap();
        assert_eq!(fourth.all, [of("a/b", NOW + minute, None), of("*", later, None)]);
    }

    #[test]
    fn what_is_frozen_is_thawed_by_its_name_or_if_it_is_the_only_one() {
        let (one, ..) = freeze(&Freezes::default(), of("a/b", NOW, None), NOW).unwrap();
        let later = NOW + Span::from_secs(60);
        let (none, thawed, told) = thaw(&one, &bob(None), later).unwrap();
        assert_eq!((none.all.len(), thawed.services.as_str()), (0, "a/b"));
        assert_eq!(told.change, FreezeChange::Thawed { lasted: Span::from_secs(60) });
        assert_eq!((told.by.as_str(), told.reason.as_deref()), ("arn:bob", Some("over")));
        let (two, ..) = freeze(&one, of("*", NOW, None), NOW).unwrap();
        let why = |services| thaw(&two, &bob(services), later).unwrap_err().to_string();
        assert_eq!(why(None), "say which: 'a/b', '*' are frozen");
        assert_eq!(why(Some("a/*")), "'a/*' is not what was frozen: 'a/b', '*'");
        assert_eq!(thaw(&two, &bob(Some("*")), later).unwrap().0.all, one.all);
        assert_eq!(thaw(&none, &bob(None), later).unwrap_err().to_string(), "nothing is frozen");
    }

    #[test]
    fn a_freeze_that_would_hold_nothing_is_refused() {
        for (services, until, why) in [
            ("shop", None, "is none of CLUSTER/SERVICE"),
            ("", None, "is none of CLUSTER/SERVICE"),
            ("a/b/c", None, "is none of CLUSTER/SERVICE"),
            ("a/b c", None, "has characters that"),
            ("*", Some(NOW), "is over"),
        ] {
            let refused = freeze(&Freezes::default(), of(services, NOW, until), NOW);
            assert!(refused.unwrap_err().to_string().contains(why), "{services}");
        }
        let newer = Freezes { unreadable: true, ..Freezes::default() };
        for refused in [
            freeze(&newer, of("*", NOW, None), NOW).unwrap_err(),
            thaw(&newer, &bob(None), NOW).unwrap_err(),
        ] {
            assert!(refused.to_string().starts_with("a newer version"), "{refused}");
        }
        let mut freezes = Freezes::default();
        for number in 0..MOST_FREEZES {
            freezes = freeze(&freezes, of(&format!("a/{number}"), NOW, None), NOW).unwrap().0;
        }
        assert!(freeze(&freezes, of("*", NOW, None), NOW).is_err());
        assert!(freeze(&freezes, of("a/7", NOW, None), NOW).is_ok());
    }
}
