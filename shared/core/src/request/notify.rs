//! Who hears about a deployment.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Decode, Node};
use crate::ids::ChannelName;
use crate::urgency::{ByUrgency, Urgency};

/// Channels that hear about it, by the names that the stack has configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Notify {
    /// Each hears everything.
    All(Vec<ChannelName>),
    /// Each hears what is so urgent.
    ByUrgency(ByUrgency),
}

impl Default for Notify {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Notify {
    /// Everybody who hears anything, each once.
    pub fn channels(&self) -> Vec<ChannelName> {
        match self {
            Self::All(all) => all.clone(),
            Self::ByUrgency(by) => by.channels(),
        }
    }

    /// Who hears what, if not each everything.
    pub fn by_urgency(&self) -> Option<&ByUrgency> {
        match self {
            Self::All(_) => None,
            Self::ByUrgency(by) => Some(by),
        }
    }

    /// Every name as it is written, with its place in the request.
    pub fn written(&self) -> Vec<(String, &ChannelName)> {
        let placed = |path: String, list| {
            let numbered = (0..).zip::<&Vec<ChannelName>>(list);
            numbered.map(move |(index, name): (usize, _)| (format!("{path}[{index}]"), name))
        };
        match self {
            Self::All(all) => placed("$.notify".to_owned(), all).collect(),
            Self::ByUrgency(by) => {
                let lists =
                    Urgency::ALL.into_iter().map(|urgency| (urgency.name(), by.of(urgency)));
                lists.flat_map(|(name, list)| placed(format!("$.notify.{name}"), list)).collect()
            }
        }
    }

    /// Without the channels that are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&ChannelName) -> bool) {
        match self {
            Self::All(all) => all.retain(wanted),
            Self::ByUrgency(by) => by.retain(wanted),
        }
    }
}

impl Decode for Notify {
    fn decode(node: Node<'_>) -> Option<Self> {
        if node.value().is_object() {
            return ByUrgency::decode(node).map(Self::ByUrgency);
        }
        if !node.value().is_array() {
            return node.wrong_type(
                "a list of channels, or an object of such lists by urgency",
                "write [ team ], or { page: [ ... ], attention: [ ... ], information: [ ... ] }",
            );
        }
        node.set_or_empty().map(Self::All)
    }
}

impl Decode for ByUrgency {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let page = fields.defaulted_with("page", |node| node.set_or_empty(), Vec::new);
            let attention =
                fields.defaulted_with("attention", |node| node.set_or_empty(), Vec::new);
            let information =
                fields.defaulted_with("information", |node| node.set_or_empty(), Vec::new);
            Some(Self { page: page?, attention: attention?, information: information? })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{decoded, document};
    use crate::request::decode;

    fn with(notify: Value) -> Value {
        let mut document = document();
        document["notify"] = notify;
        document
    }

    #[test]
    fn a_list_hears_everything_and_lists_by_urgency_what_they_are_for() {
        let name = ChannelName::new;
        let list = decoded(&with(json!(["team", "pager"]))).notify;
        assert_eq!(list.channels(), [name("team"), name("pager")]);
        assert_eq!(list.by_urgency(), None);
        let by = decoded(&with(json!({ "page": ["pager"], "attention": ["team"] }))).notify;
        assert_eq!(by.channels(), [name("pager"), name("team")]);
        assert_eq!(by.by_urgency().unwrap().information, [] as [ChannelName; 0]);
    }

    #[test]
    fn what_is_neither_is_refused_with_its_place() {
        let mistakes = [
            (json!("team"), "$.notify"),
            (json!({ "pages": ["team"] }), "$.notify.pages"),
            (json!({ "page": "team" }), "$.notify.page"),
            (json!({ "page": ["team", "team"] }), "$.notify.page[1]"),
            (json!({ "page": [""] }), "$.notify.page[0]"),
        ];
        for (notify, path) in mistakes {
            let findings = decode(&with(notify)).expect_err("it is a mistake");
            let paths: Vec<_> = findings.iter().map(|finding| finding.path.as_str()).collect();
            assert_eq!(paths, [path]);
        }
    }
}
