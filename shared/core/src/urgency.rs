//! How urgent something is for the person who reads it, and which channels hear of what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::ChannelName;

/// How urgent it is for the person who reads it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Urgency {
    /// Good to know.
    Information,
    /// Somebody should look soon.
    Attention,
    /// Somebody must act now.
    Page,
}

impl Urgency {
    /// From the most urgent one down.
    pub const ALL: [Self; 3] = [Self::Page, Self::Attention, Self::Information];

    /// As requests, settings and messages write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Attention => "attention",
            Self::Information => "information",
        }
    }
}

/// How a channel listens, as the stack has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Nothing that is less urgent reaches it.
    pub from: Urgency,
    pub manner: Manner,
}

/// What becomes of a notice at a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A message of its own.
    Tells,
    /// It rings somebody until something ends it, or nothing comes of it. Whoever it has rung for a deployment hears
    /// who takes it up and that it is over, however urgent that is.
    Rings,
    /// It changes the one message that the channel has of a deployment. What that shows must be true whatever the
    /// channel hears.
    Edits,
}

impl Listening {
    /// To everything, ringing nobody.
    pub const EVERYTHING: Self = Self { from: Urgency::Information, manner: Manner::Tells };

    /// Whether everything that is so urgent is told there. Every page rings, and not much else.
    pub fn hears_all(self, urgency: Urgency) -> bool {
        let tells = match self.manner {
            Manner::Tells | Manner::Edits => true,
            Manner::Rings => urgency == Urgency::Page,
        };
        tells && urgency >= self.from
    }
}

/// Channels by the urgency of what they hear: each list hears that, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ByUrgency {
    /// Channels that hear what somebody must act on now, such as a rollback that holds.
    #[serde(default)]
    pub page: Vec<ChannelName>,
    /// Channels that hear what somebody should look at soon, such as a rollback or a question.
    #[serde(default)]
    pub attention: Vec<ChannelName>,
    /// Channels that hear what is good to know, such as a shift or a success.
    #[serde(default)]
    pub information: Vec<ChannelName>,
}

impl ByUrgency {
    /// Who hears what is so urgent.
    pub const fn of(&self, urgency: Urgency) -> &Vec<ChannelName> {
        match urgency {
            Urgency::Page => &self.page,
            Urgency::Attention => &self.attention,
            Urgency::Information => &self.information,
        }
    }

    /// Everybody who hears anything, each once, from the most urgent list down.
    pub fn channels(&self) -> Vec<ChannelName> {
        let mut all: Vec<ChannelName> = Vec::new();
        for name in Urgency::ALL.into_iter().flat_map(|urgency| self.of(urgency)) {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// Without the channels that are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&ChannelName) -> bool) {
        for list in [&mut self.page, &mut self.attention, &mut self.information] {
            list.retain(&wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_in_two_lists_is_one_channel() {
        let name = ChannelName::new;
        let by = ByUrgency {
            page: vec![name("pager"), name("team")],
            attention: vec![name("team")],
            information: vec![name("log")],
        };
        assert_eq!(by.channels(), [name("pager"), name("team"), name("log")]);
        assert_eq!(by.of(Urgency::Attention), &[name("team")]);
    }

    #[test]
    fn urgencies_are_written_as_they_are_named() {
        for urgency in Urgency::ALL {
            assert_eq!(serde_json::to_value(urgency).unwrap(), urgency.name());
        }
        assert!(Urgency::Page > Urgency::Attention && Urgency::Attention > Urgency::Information);
    }
}
