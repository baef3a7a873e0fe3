//! `${NAME}` in the texts of a file: a variable of the environment. It is put in after the file was read, as
//! (a part of) one text: whatever a pipeline's variable holds, it can neither add a field nor end a quote.

use glidepath_core::request::Placeholder;

/// Where variables come from: the value, or what is wrong with it.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Result<String, &'static str>;

/// Of this process. An empty variable of CI is one that nobody has set.
pub(super) fn of_environment(name: &str) -> Result<String, &'static str> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Err("is empty"),
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Err("is not set"),
        Err(std::env::VarError::NotUnicode(_)) => Err("is not UTF-8"),
    }
}

/// What is wrong with a text, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfilled {
    pub(super) message: String,
    pub(super) hint: String,
}

/// The text with its variables; `None` if there is none in it. Every mistake, not only the first.
pub(super) fn filled(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, Vec<Unfilled>> {
    let mut filled = String::with_capacity(text.len());
    let (mut rest, mut mistakes) = (text, Vec::new());
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            mistakes.push(Unfilled {
                message: "`${` is opened and never closed".to_owned(),
                hint: format!("close it with `}}`; {LITERALLY}"),
            });
            break;
        };
        rest = after;
        if Placeholder::is_known(name) {
            filled.push_str(&format!("${{{name}}}"));
        } else if is_name(name) {
            match lookup(name) {
                Ok(value) => filled.push_str(&value),
                Err(why) => mistakes.push(Unfilled {
                    message: format!("the variable `{name}` {why}"),
                    hint: format!("set it, or write over the field with --set; {LITERALLY}"),
                }),
            }
        } else {
            mistakes.push(unknown(name));
        }
    }
    filled.push_str(rest);
    if mistakes.is_empty() { Ok((filled != text).then_some(filled)) } else { Err(mistakes) }
}

const LITERALLY: &str = "`$${` is a `${` that stands for itself";

/// As shells and CI name theirs; placeholders of the plan begin small.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(of_name)
        && !name.starts_with(|character: char| character.is_ascii_digit())
}

fn unknown(name: &str) -> Unfilled {
    let of_shells = name.find(|character: char| !of_name(character));
    let hint = match of_shells {
        Some(end) if is_name(&name[..end]) => {
            format!(
                "write `${{{}}}`: there are no defaults, and nothing is cut or replaced",
                &name[..end]
            )
        }
        Some(_) | None => "names of variables have A to Z, 0 to 9 and `_`".to_owned(),
    };
    Unfilled {
        message: format!("`${{{name}}}` is neither a variable nor a placeholder"),
        hint: format!("{hint}; {LITERALLY}"),
    }
}

fn of_name(character: char) -> bool {
    character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> String {
        let lookup = |name: &str| match name {
            "TAG" => Ok("v1.2".to_owned()),
            "ODD" => Ok("${TAG}\", evil: {x: 1} # ".to_owned()),
            "EMPTY" => Err("is empty"),
            _ => Err("is not set"),
        };
        match filled(text, &lookup) {
            Ok(None) => "as it is".to_owned(),
            Ok(Some(text)) => text,
            Err(mistakes) => {
                let told =
                    mistakes.iter().map(|Unfilled { message, hint }| format!("{message}; {hint}"));
                told.collect::<Vec<_>>().join("\n")
            }
        }
    }

    #[test]
    fn a_table_of_what_people_write() {
        for (text, expected) in [
            ("shop:1", "as it is"),
            ("costs $5 and $TAG", "as it is"),
            ("shop:${TAG}", "shop:v1.2"),
            ("${TAG}${TAG}", "v1.2v1.2"),
            // What a variable holds is not looked at again.
            ("${ODD}", "${TAG}\", evil: {x: 1} # "),
            ("$${TAG}", "${TAG}"),
            ("$$${TAG}", "$${TAG}"),
            ("$$ ${TAG}", "$$ v1.2"),
            // What the plan fills in is the plan's.
            ("/ecs/${slot}/${TAG}", "/ecs/${slot}/v1.2"),
            (
                "${GONE} and ${EMPTY}",
                "the variable `GONE` is not set; set it, or write over the field with --set; \
                 `$${` is a `${` that stands for itself\n\
                 the variable `EMPTY` is empty; set it, or write over the field with --set; \
                 `$${` is a `${` that stands for itself",
            ),
            (
                "${TAG:-latest}",
                "`${TAG:-latest}` is neither a variable nor a placeholder; write `${TAG}`: there are \
                 no defaults, and nothing is cut or replaced; `$${` is a `${` that stands for itself",
            ),
            (
                "${git_sha}",
                "`${git_sha}` is neither a variable nor a placeholder; names of variables have A to Z, \
                 0 to 9 and `_`; `$${` is a `${` that stands for itself",
            ),
            (
                "${TAG",
                "`${` is opened and never closed; close it with `}`; `$${` is a `${` that stands for \
                 itself",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_variable_holds_is_in_the_text_as_it_is(value in ".{1,40}", around in "[a-z :]{0,9}") {
            let lookup = |_: &str| Ok(value.clone());
            let text = filled(&format!("{around}${{X}}{around}"), &lookup);
            prop_assert_eq!(text, Ok(Some(format!("{around}{value}{around}"))));
        }

        #[test]
        fn what_is_escaped_is_the_text_itself(text in "[a-zA-Z${}: ]{0,30}") {
            let escaped = text.replace("${", "$${");
            let lookup = |_: &str| Err("is not set");
            let read = filled(&escaped, &lookup).map(|filled| filled.unwrap_or(escaped.clone()));
            prop_assert_eq!(read, Ok(text));
        }
    }
}
