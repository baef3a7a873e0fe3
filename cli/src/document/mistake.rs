//! What is wrong with a file that cannot be read as a request, in words of the file: a parser's own
//! words speak of tokens, and of what its caller should have called instead.

use std::borrow::Cow;

use glidepath_core::document::Place;
use saphyr_parser_bw::{Marker, ScanError};

use crate::stopped::Stopped;

/// One mistake; reading ends with it.
#[derive(Debug)]
pub(super) struct Mistake {
    place: Option<Place>,
    message: String,
    hint: Cow<'static, str>,
}

impl Mistake {
    pub(super) fn new(
        place: Place,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { place: Some(place), message: message.into(), hint: hint.into() }
    }

    /// Of the whole file.
    pub(super) fn of_all(message: &str, hint: &'static str) -> Self {
        Self { place: None, message: message.to_owned(), hint: hint.into() }
    }

    /// As the end of a command.
    pub(super) fn in_file(self, name: &str) -> Stopped {
        let Self { place, message, hint } = self;
        let place = place.map_or_else(String::new, |place| format!(", {place}"));
        Stopped::Unusable { message: format!("{name}{place}: {message}"), hint: hint.into_owned() }
    }
}

/// The parser counts lines from 1 and columns from 0.
pub(super) fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

impl From<ScanError> for Mistake {
    fn from(error: ScanError) -> Self {
        let (message, hint) = in_words(error.info());
        Self::new(place(error.marker()), message, hint)
    }
}

/// What the parser means, and what to do.
fn in_words(info: &str) -> (&'static str, &'static str) {
    const QUOTES: &str = "write a text with such characters in quotes";
    let says = |words: &[&str]| words.iter().any(|word| info.contains(word));
    if says(&["tab"]) {
        ("a tab where only spaces may be", "indent with spaces")
    } else if says(&["unclosed quote", "found unexpected document indicator"]) {
        ("a quote is opened here and never closed", "close it")
    } else if says(&["multiline quoted scalar"]) {
        ("a quote is opened above and not closed before this line", "close it")
    } else if says(&["unclosed bracket"]) {
        ("a bracket is opened here and never closed", "close it with `]` or `}`")
    } else if says(&["flow mapping", "flow sequence", "misplaced bracket", "in flow construct"]) {
        (
            "a list or an object in brackets goes wrong here",
            "look for a comma, colon or bracket that is missing or too many",
        )
    } else if says(&["unknown escape", "hexadecimal number", "Unicode character escape"]) {
        ("a backslash that begins nothing known", "write `\\\\` for a backslash, or single quotes")
    } else if says(&["trailing content after"]) {
        ("something follows a text in quotes", "put all of it into the quotes, or a comma between")
    } else if says(&["mapping values are not allowed", "illegal placement of ':'"]) {
        (
            "a colon where no field can begin",
            "indent the field as those beside it, or write a text with a colon in it in quotes",
        )
    } else if says(&["unknown anchor"]) {
        ("`*` names something that no `&` before it has defined", QUOTES)
    } else if says(&["recursion limit"]) {
        TOO_DEEP
    } else if says(&["unexpected character", "plain scalar", "anchor", "tag", "directive"]) {
        ("a text cannot begin with this character", QUOTES)
    } else if says(&["document", "trailing content"]) {
        SECOND_DOCUMENT
    } else {
        (
            "the line does not fit those before it",
            "indent all fields of an object alike, each `name: value` on a line of its own",
        )
    }
}

/// More than one request in a file.
pub(super) const SECOND_DOCUMENT: (&str, &str) =
    ("a second document begins", "write one request in a file, and leave `---` out");

/// A file made to be expensive, or a generator that went wrong.
pub(super) const TOO_DEEP: (&str, &str) =
    ("nested deeper than any request is", "write the fields as docs/request.md shows them");
