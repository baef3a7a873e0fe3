//! What stands for a slot in a measure.

use crate::document::nearest;
use crate::plan::{Measure, Plan};
use crate::route::Role;

/// A part of a measure that the plan fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `${cluster}`: the ECS cluster.
    Cluster,
    /// `${service}`: the ECS service of the slot.
    Service,
    /// `${slot}`: `blue` or `green`.
    Slot,
    /// `${targetGroup}`: `targetgroup/NAME/ID` of the slot on the first route.
    TargetGroup,
    /// `${loadBalancer}`: `app/NAME/ID` of the first route.
    LoadBalancer,
}

impl Placeholder {
    const ALL: [Self; 5] =
        [Self::Cluster, Self::Service, Self::Slot, Self::TargetGroup, Self::LoadBalancer];

    /// The word in the braces.
    const fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Service => "service",
            Self::Slot => "slot",
            Self::TargetGroup => "targetGroup",
            Self::LoadBalancer => "loadBalancer",
        }
    }

    /// Whether it is another one for each slot.
    const fn of_slot(self) -> bool {
        match self {
            Self::Service | Self::Slot | Self::TargetGroup => true,
            Self::Cluster | Self::LoadBalancer => false,
        }
    }

    fn written(self) -> String {
        format!("${{{}}}", self.word())
    }

    fn value(self, plan: &Plan, role: Role) -> String {
        let slot = plan.slot(role);
        let route = plan.routes.first();
        match self {
            Self::Cluster => plan.cluster.as_str().to_owned(),
            Self::Service => slot.service.as_str().to_owned(),
            Self::Slot => slot.slot.to_string(),
            Self::TargetGroup => {
                route.map_or(String::new(), |route| route.group(role).dimension().to_owned())
            }
            Self::LoadBalancer => route.map_or(String::new(), |route| route.load_balancer.clone()),
        }
    }

    /// Whether a word in braces stands for something of the plan.
    pub fn is_known(word: &str) -> bool {
        Self::ALL.iter().any(|known| known.word() == word)
    }

    /// Refuses what looks like a placeholder and is none.
    pub(in crate::request) fn check(text: &str) -> Result<(), (String, String)> {
        let words = || Self::ALL.iter().map(|placeholder| placeholder.word());
        for part in text.split("${").skip(1) {
            let word = part.split_once('}').map(|(word, _)| word);
            if word.is_some_and(Self::is_known) {
                continue;
            }
            let found = word.unwrap_or(part);
            let hint = match nearest(found, words()) {
                Some(nearest) => format!("did you mean `${{{nearest}}}`?"),
                None => {
                    let all: Vec<_> = Self::ALL.iter().map(|known| known.written()).collect();
                    format!("there are {}", all.join(", "))
                }
            };
            return Err((format!("nothing is known as `${{{found}}}`"), hint));
        }
        Ok(())
    }

    /// Whether a measure is another one for each slot.
    pub(super) fn tells_slots_apart(measure: &Measure) -> bool {
        // Every text of a measure that may have one goes through `map`.
        let filled = measure.map(|text| {
            let of_slot = Self::ALL.iter().filter(|placeholder| placeholder.of_slot());
            of_slot.fold(text.to_owned(), |text, known| text.replace(&known.written(), ""))
        });
        filled != *measure
    }

    /// The measure of the slot in a role.
    pub fn fill(measure: &Measure, plan: &Plan, role: Role) -> Measure {
        measure.map(|text| Self::filled(text, plan, role))
    }

    /// The text of the slot in a role.
    pub fn filled(text: &str, plan: &Plan, role: Role) -> String {
        Self::ALL.iter().fold(text.to_owned(), |text, known| {
            text.replace(&known.written(), &known.value(plan, role))
        })
    }
}
