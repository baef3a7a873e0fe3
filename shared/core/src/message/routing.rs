//! Which channels a notice is for.

use std::collections::BTreeMap;

use super::alert::{Alert, Rung};
use crate::ids::ChannelName;
use crate::plan::Plan;
use crate::record::Event;
use crate::urgency::{Listening, Manner};

/// Who hears what of a deployment.
#[derive(Clone, Debug)]
pub struct Audience<'a> {
    plan: &'a Plan,
    listening: BTreeMap<ChannelName, Listening>,
}

impl<'a> Audience<'a> {
    pub fn new(plan: &'a Plan, listening: impl Fn(&ChannelName) -> Listening) -> Self {
        let listening = plan.notify.iter().map(|name| (name.clone(), listening(name))).collect();
        Self { plan, listening }
    }

    /// Whether what a channel shows is edited after a notice that it does not hear.
    pub fn edits(&self, channel: &ChannelName) -> bool {
        self.manner(channel) == Manner::Edits
    }

    /// Whether a notice is for a channel. `rung`: what it rings somebody for already.
    pub fn includes(&self, channel: &ChannelName, event: &Event, rung: &Rung) -> bool {
        let hears = self.hears(channel, event) || self.stands_in(channel, event);
        match self.manner(channel) {
            Manner::Tells | Manner::Edits => return hears,
            Manner::Rings => {}
        }
        let alert = Alert::of(event);
        match alert {
            Alert::Trigger(_) => hears,
            // What was released helps whoever looks at the next alert, and rings nobody.
            Alert::Acknowledge(_) | Alert::Over(_) | Alert::End | Alert::Silent => {
                matches!(event, Event::Succeeded) || !rung.actions(alert).is_empty()
            }
        }
    }

    fn manner(&self, channel: &ChannelName) -> Manner {
        self.listening.get(channel).unwrap_or(&Listening::EVERYTHING).manner
    }

    fn hears(&self, channel: &ChannelName, event: &Event) -> bool {
        let (urgency, listening) = (event.urgency(), self.listening.get(channel));
        listening.is_some_and(|listening| urgency >= listening.from)
            && self.plan.tells(channel, urgency)
    }

    /// Whether nobody else would hear that a channel does not get what it is told.
    fn stands_in(&self, channel: &ChannelName, event: &Event) -> bool {
        let Event::Undelivered { channel: about, .. } = event else { return false };
        let mut others = self.listening.keys().filter(|name| *name != about);
        channel != about && !others.any(|other| self.hears(other, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::message::alert::{Cause, Key, rung};
    use crate::message::tests::events;
    use crate::record::Undelivered;
    use crate::urgency::{ByUrgency, Urgency};

    fn name(name: &str) -> ChannelName {
        ChannelName::new(name)
    }

    /// A pager and a team, as the plan tells them.
    fn plan(by: Option<ByUrgency>) -> Plan {
        Plan { notify: vec![name("pager"), name("team")], notify_by: by, ..fixtures::plan() }
    }

    fn critical_and_the_rest() -> Plan {
        plan(Some(ByUrgency {
            page: vec![name("pager")],
            attention: vec![name("team")],
            information: vec![name("team")],
        }))
    }

    fn listening(channel: &ChannelName) -> Listening {
        let manner = if channel.as_str() == "pager" { Manner::Rings } else { Manner::Tells };
        Listening { manner, ..Listening::EVERYTHING }
    }

    /// Every event with its urgency and what it is to a pager: a change of either is seen.
    #[test]
    fn every_event_has_an_urgency_and_rings_or_does_not() {
        let lines = events().into_iter().map(|event| {
            let (urgency, alert) = (event.urgency().name(), format!("{:?}", Alert::of(&event)));
            let words = serde_json::to_string(&event).unwrap();
            format!("{:20} {urgency:11} {alert:32} {}", event.name(), &words[..words.len().min(90)])
        });
        let lines: Vec<_> = lines.collect();
        fixtures::same_as_file("src/message/expected/urgency.txt", &lines.join("\n"));
    }

    #[test]
    fn a_list_hears_everything_and_its_pager_what_rings() {
        let plan = plan(None);
        let audience = Audience::new(&plan, listening);
        for event in events() {
            assert!(audience.includes(&name("team"), &event, &Rung::default()), "{}", event.name());
            let rings = matches!(Alert::of(&event), Alert::Trigger(_)) || event == Event::Succeeded;
            assert_eq!(
                audience.includes(&name("pager"), &event, &Rung::default()),
                rings,
                "{}",
                event.name()
            );
        }
    }

    #[test]
    fn what_is_critical_goes_to_the_pager_and_the_rest_to_the_team() {
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        for event in events() {
            let page = event.urgency() == Urgency::Page;
            let pager = page || event == Event::Succeeded;
            assert_eq!(
                audience.includes(&name("pager"), &event, &Rung::default()),
                pager,
                "{}",
                event.name()
            );
            assert_eq!(
                audience.includes(&name("team"), &event, &Rung::default()),
                !page,
                "{}",
                event.name()
            );
        }
    }

    #[test]
    fn whoever_was_rung_hears_who_takes_it_up_and_the_end() {
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        for event in events() {
            let follows = match Alert::of(&event) {
                Alert::Acknowledge(keys) => keys.contains(&Key::Page),
                Alert::End => true,
                Alert::Trigger(_) => event.urgency() == Urgency::Page,
                Alert::Over(_) | Alert::Silent => false,
            };
            assert_eq!(
                audience.includes(&name("pager"), &event, &rung(&[Cause::Page])),
                follows,
                "{}",
                event.name()
            );
        }
    }

    /// What a plan is warned by: a pager takes every page, and nothing else for sure.
    #[test]
    fn what_rings_hears_all_pages_and_no_other_urgency_whole() {
        let pager = Listening { manner: Manner::Rings, ..Listening::EVERYTHING };
        let plan = plan(None);
        let audience = Audience::new(&plan, listening);
        for urgency in Urgency::ALL {
            let mut all = events().into_iter().filter(|event| event.urgency() == urgency);
            let heard =
                all.all(|event| audience.includes(&name("pager"), &event, &Rung::default()));
            assert_eq!(pager.hears_all(urgency), heard, "{urgency:?}");
        }
        let from = Listening { from: Urgency::Attention, ..Listening::EVERYTHING };
        assert_eq!(Urgency::ALL.map(|urgency| from.hears_all(urgency)), [true, true, false]);
    }

    #[test]
    fn a_channel_of_the_stack_may_listen_from_an_urgency_on() {
        let plan = plan(None);
        let audience =
            Audience::new(&plan, |_| Listening { from: Urgency::Attention, manner: Manner::Tells });
        assert!(!audience.includes(&name("team"), &Event::Started, &Rung::default()));
        assert!(audience.includes(&name("team"), &Event::RetirementPostponed, &Rung::default()));
        assert!(audience.includes(&name("team"), &Event::RollbackHeld, &Rung::default()));
    }

    #[test]
    fn that_a_channel_refuses_is_told_on_another_one_whatever_that_listens_to() {
        let undelivered = |about: &str| Event::Undelivered {
            channel: name(about),
            sequence: 3,
            reason: "status 404".to_owned(),
            how: Undelivered::Refused,
            lost: Urgency::Attention,
        };
        let plan = critical_and_the_rest();
        let audience = Audience::new(&plan, listening);
        assert!(audience.includes(&name("pager"), &undelivered("team"), &Rung::default()));
        assert!(!audience.includes(&name("pager"), &undelivered("pager"), &Rung::default()));
        assert!(audience.includes(&name("team"), &undelivered("pager"), &Rung::default()));
        // The page that nobody got is one for the others.
        let Event::Undelivered { channel, sequence, reason, how, .. } = undelivered("pager") else {
            unreachable!()
        };
        let page = Event::Undelivered { channel, sequence, reason, how, lost: Urgency::Page };
        assert_eq!(page.urgency(), Urgency::Page);
        assert!(audience.includes(&name("team"), &page, &Rung::default()));
    }
}
