//! The versions of a stack and of a command line: whether what one says is what the other does.

use crate::document::Findings;

/// How two versions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Both of them, in words.
    pub seen: String,
    /// What to do.
    pub way_out: String,
    /// They are known not to go together. A difference in the last number alone is none of this kind,
    /// and neither is one that nobody knows.
    pub incompatible: bool,
}

/// How the version that a stack says and a command line's own differ; `None`: they do not. A stack that
/// says none is from before there was that output.
pub fn difference(stack: Option<&str>, own: &str) -> Option<Difference> {
    let Some(stack) = stack else {
        let seen = format!("the stack does not say its version, so it is older than {own}");
        return Some(Difference { seen, way_out: deploy(own), incompatible: false });
    };
    if stack == own {
        return None;
    }
    let seen = format!("the stack is {stack}, this command line {own}");
    let (way_out, incompatible) = match (numbers(stack), numbers(own)) {
        (Some(of_stack), Some(of_own)) => {
            let way_out = if of_stack > of_own {
                format!("install the command line of version {stack}")
            } else {
                deploy(own)
            };
            (way_out, breaking(&of_stack) != breaking(&of_own))
        }
        (None, _) | (_, None) => {
            let same = "deploy the stack and install the command line of the same version";
            (same.to_owned(), false)
        }
    };
    Some(Difference { seen, way_out, incompatible })
}

/// What somebody should know before a deployment is planned or started. What ends one never asks.
pub fn findings(stack: Option<&str>, own: &str) -> Findings {
    let mut findings = Findings::default();
    let Some(Difference { seen, way_out, incompatible }) = difference(stack, own) else {
        return findings;
    };
    if incompatible {
        let message = format!("{seen}: the stack may do something else than this says");
        findings.error("$", message, way_out);
    } else {
        findings.warning("$", seen, way_out);
    }
    findings
}

fn deploy(version: &str) -> String {
    format!("deploy the stack of version {version}: `sam build && sam deploy` in its source")
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// The numbers that change with what others rely on: the first, and the second as long as that is 0.
fn breaking(numbers: &[u64]) -> &[u64] {
    let zeros = numbers.iter().take_while(|number| **number == 0).count();
    numbers.get(..=zeros).unwrap_or(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_not_to_go_together_is_an_error_and_everything_else_a_warning() {
        for (stack, own, expected) in [
            (Some("0.2.0"), "0.2.0", None),
            (
                Some("0.2.1"),
                "0.2.0",
                Some(("warning", "install the command line of version 0.2.1")),
            ),
            (Some("0.2.0"), "0.2.1", Some(("warning", "deploy the stack of version 0.2.1"))),
            (
                Some("0.10.0"),
                "0.2.0",
                Some(("error", "install the command line of version 0.10.0")),
            ),
            (Some("0.1.9"), "0.2.0", Some(("error", "deploy the stack of version 0.2.0"))),
            (Some("1.4.2"), "1.10.0", Some(("warning", "deploy the stack of version 1.10.0"))),
            (Some("1.4.2"), "2.0.0", Some(("error", "deploy the stack of version 2.0.0"))),
            (Some("nightly"), "0.2.0", Some(("warning", "of the same version"))),
            (None, "0.2.0", Some(("warning", "deploy the stack of version 0.2.0"))),
        ] {
            let found = findings(stack, own);
            let seen = found.iter().next();
            assert_eq!(seen.is_some(), expected.is_some(), "{stack:?} {own}: {found}");
            let (Some(seen), Some((severity, way_out))) = (seen, expected) else { continue };
            assert_eq!(seen.severity.to_string(), severity, "{stack:?} {own}");
            assert!(seen.hint.contains(way_out), "{stack:?} {own}: {seen}");
        }
    }
}
