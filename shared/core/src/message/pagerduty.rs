//! A notice for PagerDuty, by its Events API v2: an alert of a deployment, and another one for its pages, each
//! of which is triggered, acknowledged and resolved, and a change event for what was released.

use serde_json::{Value, json};

use super::alert::{Action, Alert, Key, Rung};
use super::{Message, Trial, limits};
use crate::record::{Deployment, Event, Notice};
use crate::urgency::Urgency;

/// Longest `summary`, in characters.
const LONGEST_SUMMARY: usize = 1024;

/// Room for what else there is to say, in bytes: a whole event has 512 KB.
const ROOM: usize = 64 * 1024;

/// Longest line of it, in characters.
const LONGEST_LINE: usize = 4096;

/// One call, without the key of the integration.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Of an alert.
    Alert(Value),
    /// Of a change.
    Change(Value),
}

impl Call {
    /// Where it is posted to.
    pub const fn path(&self) -> &'static str {
        match self {
            Self::Alert(_) => "/v2/enqueue",
            Self::Change(_) => "/v2/change/enqueue",
        }
    }

    /// The body of the request, with the key.
    pub fn body(self, routing_key: &str) -> Value {
        let (Self::Alert(mut body) | Self::Change(mut body)) = self;
        body["routing_key"] = Value::from(routing_key);
        body
    }
}

/// What is called for a notice, in this order. An alert that nobody has triggered is not taken up or ended:
/// PagerDuty would answer as if it were, and do nothing.
pub fn calls(
    notice: &Notice,
    deployment: &Deployment,
    message: &Message,
    rung: &Rung,
) -> Vec<Call> {
    let told = Told { notice, deployment, message };
    let actions = rung.actions(Alert::of(&notice.event)).into_iter();
    let alerts = actions.map(|(action, key)| match action {
        Action::Trigger => told.trigger(key),
        Action::Acknowledge => told.following("acknowledge", key),
        Action::Resolve => told.following("resolve", key),
    });
    let changed = matches!(notice.event, Event::Succeeded).then(|| told.change());
    alerts.chain(changed).collect()
}

/// A change event, because an alert would ring somebody.
pub fn trial(trial: &Trial) -> Call {
    let message = trial.message();
    Call::Change(json!({
        "payload": {
            "summary": limits::line(&message.headline, LONGEST_SUMMARY),
            "source": "glidepath doctor",
            "custom_details": { "id": trial.id, "details": details(&message) },
        }
    }))
}

struct Told<'a> {
    notice: &'a Notice,
    deployment: &'a Deployment,
    message: &'a Message,
}

impl Told<'_> {
    fn trigger(&self, key: Key) -> Call {
        let plan = &self.deployment.plan;
        let mut payload = self.payload();
        payload["severity"] = Value::from(match self.notice.event.urgency() {
            Urgency::Page => "critical",
            // For `error` PagerDuty rings as for `critical`, where a service goes by severity.
            Urgency::Attention => "warning",
            Urgency::Information => "info",
        });
        payload["component"] = Value::from(plan.service.as_str());
        payload["group"] = Value::from(plan.cluster.as_str());
        payload["class"] = Value::from(self.notice.event.name());
        let mut body = json!({
            "event_action": "trigger",
            "dedup_key": self.alert(key),
            "client": "Glidepath",
            "payload": payload,
            "links": self.links(),
        });
        if let Some((_, url)) = self.message.places().next() {
            body["client_url"] = Value::from(url);
        }
        Call::Alert(body)
    }

    fn following(&self, action: &str, key: Key) -> Call {
        Call::Alert(json!({ "event_action": action, "dedup_key": self.alert(key) }))
    }

    fn change(&self) -> Call {
        Call::Change(json!({ "payload": self.payload(), "links": self.links() }))
    }

    fn payload(&self) -> Value {
        let plan = &self.deployment.plan;
        json!({
            "summary": limits::line(&self.message.headline, LONGEST_SUMMARY),
            "source": format!("{} in {}", plan.service, plan.cluster),
            "timestamp": self.notice.at.to_string(),
            "custom_details": {
                "notice": self.notice.id(),
                "event": self.notice.event.name(),
                "details": details(self.message),
            },
        })
    }

    /// The same for all of a deployment, and for no other: its execution's ARN. At most 255 characters. Pages have
    /// one of their own, because an alert that somebody has acknowledged rings nobody when it is triggered again.
    fn alert(&self, key: Key) -> String {
        let execution = self.deployment.execution.as_str();
        match key {
            Key::Page => format!("{execution}/page"),
            Key::Attention => execution.to_owned(),
        }
    }

    fn links(&self) -> Value {
        let places = self.message.places();
        places.map(|(title, url)| json!({ "href": url, "text": title })).collect()
    }
}

fn details(message: &Message) -> Vec<String> {
    limits::fitting(&message.written(), LONGEST_LINE, ROOM, limits::in_json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, same_as_file};
    use crate::ids::{DeploymentId, ExecutionArn};
    use crate::message::alert::Cause;
    use crate::message::tests::{notices, told};

    fn of(notice: &Notice, rung: &Rung) -> Vec<Call> {
        let deployment = deployment();
        calls(notice, &deployment, &told(notice, &deployment), rung)
    }

    /// For a page, and for one cause beside it.
    fn rung(cause: Cause) -> Rung {
        [Cause::Page, cause].into_iter().map(Alert::Trigger).fold(Rung::default(), Rung::after)
    }

    #[test]
    fn every_event_is_what_pagerduty_takes() {
        let shown: Vec<_> = notices()
            .iter()
            .map(|notice| {
                let ordered = matches!(notice.event, Event::RouteInOrder { .. });
                let cause = if ordered { Cause::Route } else { Cause::Stage };
                let calls = of(notice, &rung(cause)).into_iter();
                let calls = calls.map(|call| json!({ call.path(): call.body("KEY") }));
                json!({ notice.event.name(): calls.collect::<Vec<_>>() })
            })
            .collect();
        let shown = serde_json::to_string_pretty(&shown).unwrap();
        same_as_file("src/message/expected/pagerduty.json", &shown);
    }

    #[test]
    fn the_page_is_where_an_alert_leads_first() {
        let deployment = deployment();
        let mut notices = notices().into_iter();
        let notice = notices.find(|notice| notice.event.name() == "stageHeld").unwrap();
        let page = "https://page.example/approve/shop-42";
        let message = told(&notice, &deployment).with_page(page.to_owned());
        let calls = calls(&notice, &deployment, &message, &Rung::default());
        let [Call::Alert(body)] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!(body["client_url"], page);
        assert_eq!(body["links"][0], json!({ "href": page, "text": "The question" }));
    }

    #[test]
    fn what_nobody_was_rung_for_is_neither_taken_up_nor_ended() {
        for notice in notices() {
            for call in of(&notice, &Rung::default()) {
                let Call::Alert(body) = call else { continue };
                assert_eq!(body["event_action"], "trigger");
            }
        }
    }

    /// An acknowledged alert is silent from then on: docs/events-API-v2/02-Trigger-Events.md of PagerDuty's
    /// developer-docs.
    #[test]
    fn a_page_has_an_alert_of_its_own() {
        for notice in notices() {
            for call in of(&notice, &Rung::default()) {
                let Call::Alert(body) = call else { continue };
                let page = notice.event.urgency() == Urgency::Page;
                let key = body["dedup_key"].as_str().unwrap();
                assert_eq!(key.ends_with("/page"), page, "{}", notice.event.name());
            }
        }
    }

    #[test]
    fn the_longest_names_stay_within_the_limits() {
        let mut deployment = deployment();
        // As long as AWS allows: Region, name of the state machine, name of the execution.
        let (machine, name) = ("m".repeat(80), "n".repeat(80));
        deployment.execution = ExecutionArn::new(format!(
            "arn:aws-us-gov:states:ap-southeast-99:123456789012:execution:{machine}:{name}"
        ));
        deployment.id = DeploymentId::new(name);
        let headline = "<script>\u{7}\n\"".repeat(1_000);
        let lines = vec!["\u{1}\\\"".repeat(3_000); 60];
        let message = Message::new(&headline, lines.into());
        for notice in notices() {
            for call in calls(&notice, &deployment, &message, &rung(Cause::Stage)) {
                let body = call.body(&"k".repeat(32));
                assert!(body.to_string().len() < 512 * 1024);
                let key = body["dedup_key"].as_str().unwrap_or_default();
                let summary = body["payload"]["summary"].as_str().unwrap_or_default();
                assert!(key.chars().count() <= 255 && summary.chars().count() <= LONGEST_SUMMARY);
            }
        }
    }

    #[test]
    fn a_trial_rings_nobody() {
        let asked = Trial { id: "t".to_owned(), by: "arn:ada".to_owned() };
        let call = trial(&asked);
        assert_eq!(call.path(), "/v2/change/enqueue");
        assert!(call.body("KEY").to_string().contains("arn:ada"));
    }
}
