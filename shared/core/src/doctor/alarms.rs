//! From an alarm to the rollback function, and what becomes of events that it cannot read.

use super::{About, Row, seconds};
use crate::time::Span;

/// A way in which an alarm reaches the rollback function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// EventBridge's rule in the stack.
    Event,
    /// The topic of the stack's parameter `AlarmTopic`.
    Topic(String),
    /// The function as an action of the alarm itself; its ARN.
    Action(String),
}

impl Way {
    /// A name for programs, and a part of the alarm's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Topic(_) => "topic",
            Self::Action(_) => "action",
        }
    }

    /// What the alarm names as its action.
    pub fn action(&self) -> Option<&str> {
        match self {
            Self::Event => None,
            Self::Topic(arn) | Self::Action(arn) => Some(arn),
        }
    }

    pub fn about(&self) -> About {
        let way = match self {
            Self::Event => "by EventBridge",
            Self::Topic(_) => "by the SNS topic",
            Self::Action(_) => "as its own action",
        };
        About::new(format!("alarm.{}", self.name()), format!("an alarm closes the fence {way}"))
    }

    fn advice(&self) -> String {
        match self {
            Self::Event => {
                "look whether the stack's rule for CloudWatch alarms exists, is enabled and \
                            has the rollback function as its target; `sam deploy` puts it back"
                    .to_owned()
            }
            Self::Topic(topic) => format!(
                "look whether `{topic}` lets cloudwatch.amazonaws.com publish (its policy, and that of \
                 its KMS key) and has the rollback function as a confirmed subscriber"
            ),
            Self::Action(function) => format!(
                "look whether the policy of `{function}` lets lambda.alarms.cloudwatch.amazonaws.com \
                 invoke it; `sam deploy` puts it back"
            ),
        }
    }
}

/// What was seen of one alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How many times the alarm must have been told: by EventBridge too, where its rule is enabled.
    pub expected: u64,
    /// How many times it was.
    pub arrived: u64,
    /// From setting the alarm's state to the last of them, or to when nobody waited any longer.
    pub after: Span,
}

/// Whether the alarm arrived by this way.
pub fn delivered(way: &Way, seen: Delivery) -> Row {
    judged(&way.about(), seen, way.advice())
}

/// Whether a composite alarm arrives as a metric alarm does.
pub fn composite(seen: Delivery) -> Row {
    let about = About::new("alarm.composite", "a composite alarm closes the fence as well");
    let advice = "look at the composite alarm's own history in CloudWatch; if the alarms above arrive \
                  and this one does not, name the alarms that it is made of in requests";
    judged(&about, seen, advice.to_owned())
}

fn judged(about: &About, seen: Delivery, advice: String) -> Row {
    let Delivery { expected, arrived, after } = seen;
    if arrived >= expected {
        return about.ok(format!("{} after its state was set", seconds(after)));
    }
    let arrived = match arrived {
        0 => "nothing arrived".to_owned(),
        some => format!("{some} of {expected} messages arrived, EventBridge's counted"),
    };
    about.not_ok(format!("{arrived} within {}", seconds(after)), advice)
}

/// Whether an event that nobody can read was kept. `destination` is where the function's failed
/// events go, `queue` where they should; `after` is the time until the event was there.
pub fn unreadable(destination: Option<&str>, queue: &str, after: Result<Span, Span>) -> Row {
    let about = About::new("deadLetters", "an event that cannot be read is kept in the queue");
    if destination != Some(queue) {
        let seen = match destination {
            Some(other) => format!("failed events go to `{other}`, not to the stack's queue"),
            None => "failed events of the rollback function go nowhere".to_owned(),
        };
        return about.not_ok(seen, "`sam deploy` puts the function's destination back");
    }
    match after {
        Ok(after) => about.ok(format!("it was there after {}", seconds(after))),
        Err(waited) => about.not_ok(
            format!("it was not there within {}", seconds(waited)),
            "look whether the rollback function runs (its log), and whether its role may \
             sqs:SendMessage to the queue",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_way_is_proven_only_by_its_own_message() {
        let way = Way::Topic("arn:t".to_owned());
        let after = Span::from_millis(1234);
        let row = delivered(&way, Delivery { expected: 2, arrived: 2, after });
        assert_eq!(
            (row.outcome, row.seen.as_str()),
            (Outcome::Ok, "1.2 s after its state was set")
        );
        let row = delivered(&way, Delivery { expected: 2, arrived: 1, after });
        assert_eq!(row.outcome, Outcome::NotOk);
        assert!(row.advice.unwrap_or_default().contains("arn:t"));
        assert_eq!(composite(Delivery { expected: 1, arrived: 0, after }).outcome, Outcome::NotOk);
    }

    #[test]
    fn an_event_must_arrive_in_the_stacks_own_queue() {
        let soon = Ok(Span::from_secs(3));
        assert_eq!(unreadable(Some("q"), "q", soon).outcome, Outcome::Ok);
        assert_eq!(unreadable(Some("q"), "q", Err(Span::from_secs(40))).outcome, Outcome::NotOk);
        assert_eq!(unreadable(Some("other"), "q", soon).outcome, Outcome::NotOk);
        assert_eq!(unreadable(None, "q", soon).outcome, Outcome::NotOk);
    }
}
