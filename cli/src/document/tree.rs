//! The tree of a YAML document, with the text of every scalar as it is written: what it stands for
//! is decided by the field (see `values`).

use std::collections::{BTreeMap, HashMap};

use glidepath_core::document::{Place, nearest};
use saphyr_parser_bw::{Event, Parser, ScalarStyle, Tag};

use super::mistake::{Mistake, SECOND_DOCUMENT, TOO_DEEP, place};

/// Values of a document, ends of lists and objects included, those behind aliases counted each
/// time: a request has a few hundred.
const MOST_VALUES: usize = 100_000;

/// Levels of a document.
const DEEPEST: usize = 64;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) node: Node,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A text without quotes, which may mean a number.
    Plain(String),
    /// A text that can only be one.
    Text(String),
    List(Vec<Spot>),
    /// Fields in their order, each with the place of its name.
    Object(Vec<(String, Place, Spot)>),
}

impl Spot {
    fn values(&self) -> usize {
        1 + match &self.node {
            Node::Plain(_) | Node::Text(_) => 0,
            Node::List(entries) => entries.iter().map(Self::values).sum(),
            Node::Object(fields) => fields.iter().map(|(_, _, spot)| spot.values()).sum(),
        }
    }
}

impl Spot {
    /// The texts of an object that has nothing else, under known names.
    pub(super) fn settings(self, known: &[&str]) -> Result<BTreeMap<String, String>, Mistake> {
        let Node::Object(fields) = self.node else {
            let hint = "write `stack: TEXT`, each in a line of its own";
            return Err(Mistake::new(self.place, "it has no fields", hint));
        };
        let mut said = BTreeMap::new();
        for (name, place, spot) in fields {
            if !known.contains(&name.as_str()) {
                let hint = match nearest(&name, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("it may say `{}`", known.join("`, `")),
                };
                return Err(Mistake::new(place, format!("nothing is set by `{name}`"), hint));
            }
            let text = match spot.node {
                // What YAML has for nothing.
                Node::Plain(text) if matches!(text.as_str(), "~" | "null") => Some(String::new()),
                Node::Plain(text) | Node::Text(text) => Some(text),
                Node::List(_) | Node::Object(_) => None,
            };
            let is = if text.is_none() { "no text" } else { "empty" };
            let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
                let (message, hint) =
                    (format!("`{name}` is {is}"), format!("write `{name}: TEXT`"));
                return Err(Mistake::new(spot.place, message, hint));
            };
            said.insert(name, text);
        }
        Ok(said)
    }
}

/// An object or a list that is not complete.
struct Begun {
    place: Place,
    anchor: usize,
    collected: Collected,
}

enum Collected {
    List(Vec<Spot>),
    Object { fields: Vec<(String, Place, Spot)>, name: Option<(String, Place)> },
}

#[derive(Default)]
struct Builder {
    begun: Vec<Begun>,
    anchors: HashMap<usize, Spot>,
    values: usize,
    root: Option<Spot>,
}

/// Reads the one document of a text.
pub(super) fn parse(text: &str) -> Result<Spot, Mistake> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event?;
        builder.values += usize::from(!matches!(event, Event::Alias(_)));
        builder.take(event, place(&span.start))?;
    }
    let nothing = |spot: &Spot| matches!(&spot.node, Node::Plain(text) if text.is_empty());
    builder.root.filter(|root| !nothing(root)).ok_or_else(|| {
        Mistake::of_all(
            "there is no request in it",
            "`glidepath schema --example` prints one to begin with",
        )
    })
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Mistake> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Mistake::new(place, SECOND_DOCUMENT.0, SECOND_DOCUMENT.1))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = text_by_tag(tag.as_deref(), place)?;
                let node = match style {
                    ScalarStyle::Plain if !is_text => Node::Plain(text.into_owned()),
                    ScalarStyle::Plain
                    | ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Node::Text(text.into_owned()),
                };
                self.complete(Spot { place, node }, anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(spot) => {
                    self.values += spot.values();
                    let spot = Spot { place, ..spot.clone() };
                    self.complete(spot, 0)
                }
                None => Err(Mistake::new(
                    place,
                    "`*` names something that contains it",
                    "write it out where it is needed",
                )),
            },
            Event::SequenceStart(anchor, tag) => {
                let _ = text_by_tag(tag.as_deref(), place)?;
                self.begin(place, anchor, Collected::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let _ = text_by_tag(tag.as_deref(), place)?;
                self.begin(place, anchor, Collected::Object { fields: Vec::new(), name: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.begun.pop() {
                Some(Begun { place, anchor, collected }) => {
                    let node = match collected {
                        Collected::List(entries) => Node::List(entries),
                        Collected::Object { fields, .. } => Node::Object(merged(fields)),
                    };
                    self.complete(Spot { place, node }, anchor)
                }
                None => Ok(()),
            },
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, collected: Collected) -> Result<(), Mistake> {
        if self.begun.len() >= DEEPEST {
            return Err(Mistake::new(place, TOO_DEEP.0, TOO_DEEP.1));
        }
        let names = matches!(
            self.begun.last(),
            Some(Begun { collected: Collected::Object { name: None, .. }, .. })
        );
        if names {
            return Err(Mistake::new(
                place,
                "a list or an object where the name of a field belongs",
                "write a text such as `{ ... }` or `${...}` in quotes",
            ));
        }
        self.begun.push(Begun { place, anchor, collected });
        Ok(())
    }

    fn complete(&mut self, spot: Spot, anchor: usize) -> Result<(), Mistake> {
        if self.values > MOST_VALUES {
            return Err(Mistake::new(
                spot.place,
                format!("more than {MOST_VALUES} values"),
                "a request has a few hundred: look for an alias (`*name`) of something large",
            ));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, spot.clone());
        }
        match self.begun.last_mut().map(|begun| &mut begun.collected) {
            None => self.root = Some(spot),
            Some(Collected::List(entries)) => entries.push(spot),
            Some(Collected::Object { fields, name }) => match name.take() {
                Some((name, at)) => fields.push((name, at, spot)),
                None => match spot.node {
                    Node::Plain(text) | Node::Text(text) => {
                        let earlier = fields.iter().find(|(known, _, _)| *known == text);
                        if let Some((_, earlier, _)) = earlier {
                            let message =
                                format!("`{text}` is there twice, first in line {}", earlier.line);
                            let hint = "leave one out: which of them counts would be a guess";
                            return Err(Mistake::new(spot.place, message, hint));
                        }
                        *name = Some((text, spot.place));
                    }
                    Node::List(_) | Node::Object(_) => {
                        return Err(Mistake::new(
                            spot.place,
                            "an alias of a list or an object where the name of a field belongs",
                            "write the name",
                        ));
                    }
                },
            },
        }
        Ok(())
    }
}

/// `<<: *defaults` stands for the fields of another object that are not there themselves.
fn merged(fields: Vec<(String, Place, Spot)>) -> Vec<(String, Place, Spot)> {
    let (merges, mut own): (Vec<_>, Vec<_>) =
        fields.into_iter().partition(|(name, _, _)| name == "<<");
    for (name, at, spot) in merges {
        let sources = match spot.node {
            Node::List(sources) => sources,
            Node::Object(_) => vec![spot],
            Node::Plain(_) | Node::Text(_) => {
                own.push((name, at, spot));
                continue;
            }
        };
        for source in sources {
            if let Node::Object(fields) = source.node {
                for field in fields {
                    if !own.iter().any(|(known, _, _)| *known == field.0) {
                        own.push(field);
                    }
                }
            }
        }
    }
    own
}

/// Whether a tag makes it a text; other tags would change what the file says without a trace.
fn text_by_tag(tag: Option<&Tag>, place: Place) -> Result<bool, Mistake> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(tag) if tag.is_yaml_core_schema() && matches!(&*tag.suffix, "map" | "seq") => {
            Ok(false)
        }
        Some(Tag { handle, suffix }) => Err(Mistake::new(
            place,
            format!("the tag `{handle}{suffix}` means nothing in a request"),
            "leave it out, or write a text that begins with `!` in quotes",
        )),
    }
}
