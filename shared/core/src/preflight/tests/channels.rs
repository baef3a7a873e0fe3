//! Whether somebody hears what happens.

use serde_json::{Value, json};

use super::findings;
use crate::ids::ChannelName;
use crate::preflight::Found;
use crate::urgency::{Listening, Manner, Urgency};

/// What is warned of the channels, where a stage asks or none does.
fn warned(notify: &Value, asks: bool) -> Vec<String> {
    let all = findings(|document: &mut Value, found: &mut Found| {
        if !asks {
            document["strategy"] = json!({ "blueGreen": {} });
        }
        document["notify"] = notify.clone();
        found.stack.channels = [
            ("team", Manner::Tells, Urgency::Information),
            ("late", Manner::Tells, Urgency::Page),
            ("calm", Manner::Tells, Urgency::Attention),
            ("app", Manner::Edits, Urgency::Information),
            ("app late", Manner::Edits, Urgency::Page),
            ("pager", Manner::Rings, Urgency::Information),
        ]
        .map(|(name, manner, from)| (ChannelName::new(name), Listening { from, manner }))
        .into();
    });
    let of_channels = all.iter().filter_map(|finding| finding.strip_prefix("warning $.notify"));
    of_channels.filter_map(|finding| Some(finding.split_once(':')?.0.to_owned())).collect()
}

#[test]
fn a_question_that_nobody_hears_is_warned_of() {
    for (notify, unheard) in [
        (json!([]), vec![]),
        (json!(["team"]), vec![]),
        (json!(["pager", "team"]), vec![]),
        // A pager takes alerts only, and what the stack keeps back is not told either.
        (json!(["pager"]), vec![""]),
        (json!(["late"]), vec![""]),
        (json!(["calm"]), vec![""]),
        (json!({ "page": ["pager"], "attention": ["team"], "information": ["team"] }), vec![]),
        (
            json!({ "page": ["pager"], "attention": ["pager"], "information": ["team"] }),
            vec![".attention"],
        ),
        (
            json!({ "page": ["pager"], "attention": ["late"], "information": ["team"] }),
            vec![".attention"],
        ),
        (
            json!({ "page": ["team"], "attention": ["team"], "information": ["pager"] }),
            vec![".information"],
        ),
        (json!({ "page": ["team"], "attention": ["team"] }), vec![".information"]),
        (json!({ "page": ["pager"] }), vec![".attention", ".information"]),
        (json!({ "attention": ["team"], "information": ["team"] }), vec![".page"]),
        // What is edited shows the answer where the question was.
        (json!({ "page": ["pager"], "attention": ["app"] }), vec![]),
        // Not where only a page would post it, by the request or by the stack.
        (json!({ "page": ["app"], "attention": ["team"] }), vec![".information"]),
        (json!({ "page": ["team"], "attention": ["team", "app late"] }), vec![".information"]),
    ] {
        assert_eq!(warned(&notify, true), unheard, "{notify}");
    }
}

#[test]
fn where_nobody_is_asked_a_list_that_is_left_empty_is_meant() {
    for (notify, unheard) in [
        (json!({ "page": ["pager"] }), vec![]),
        (json!(["calm"]), vec![]),
        (json!({ "page": ["team"], "attention": ["team"] }), vec![]),
        (json!({ "page": ["team"], "attention": ["pager"] }), vec![".attention"]),
        (json!({ "attention": ["team"] }), vec![".page"]),
    ] {
        assert_eq!(warned(&notify, false), unheard, "{notify}");
    }
}
