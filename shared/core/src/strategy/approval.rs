//! What a person writes about an approval.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Decode, Node};
use crate::people::{Approvers, MOST_PEOPLE, Naming, UnfitApprover};
use crate::plan::{Approval, OnTimeout};
use crate::request::defaults;
use crate::time::Span;

/// People's approval; `{}` takes the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Approval")]
pub struct ApprovalRequest {
    /// How long to wait for an answer.
    #[serde(default = "defaults::approval_timeout")]
    pub timeout: Span,
    /// What happens when not enough have approved by then.
    #[serde(default = "defaults::on_timeout")]
    pub on_timeout: OnTimeout,
    /// How many people must approve. Where that is more than one, IAM users count, and sessions of those roles that
    /// name people: of IAM Identity Center, and of the stack's `ApprovalPolicy`.
    #[serde(default = "defaults::approvals")]
    #[schemars(range(min = 1, max = 10))]
    pub count: u32,
    /// ARNs of the IAM users and roles that may approve, with `*` and `?` in their names if wanted. Without
    /// it everybody may whom IAM lets decide. Anybody may reject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub approvers: Option<Approvers>,
    /// Who may not approve, whoever else may: four eyes. Where nobody knows who has started the deployment, two
    /// people must approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_by: Option<NotBy>,
    /// How long the weight stays where it is after the question, even if somebody approves at once.
    /// Shorter than `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Span>,
    /// How long after the question it is asked once more. Shorter than `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_after: Option<Span>,
    /// Whether whoever has the link to the question's page may answer it. Nobody knows who that is, so it goes with
    /// none of `approvers`, `count` and `notBy`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anyone_with_link: bool,
}

/// Who may not approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotBy {
    /// Whoever has started the deployment.
    Starter,
}

impl ApprovalRequest {
    pub fn approval(&self) -> Approval {
        Approval {
            count: self.count,
            approvers: self.approvers.iter().cloned().collect(),
            not_by_starter: self.not_by == Some(NotBy::Starter),
            not_before: self.not_before,
            remind_after: self.remind_after,
            anyone_with_link: self.anyone_with_link,
            ..Approval::anybody(self.timeout, self.on_timeout)
        }
    }
}

impl Decode for ApprovalRequest {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.object(|fields| {
            let timeout = fields.defaulted_with(
                "timeout",
                |node| node.span_above_zero(),
                defaults::approval_timeout,
            );
            let on_timeout = fields.defaulted("onTimeout", defaults::on_timeout);
            let count = fields.defaulted_with("count", count, defaults::approvals);
            let approvers = fields.optional("approvers");
            let not_by = fields.optional("notBy");
            let not_before = fields.optional_with("notBefore", |node| node.span_above_zero());
            let remind_after = fields.optional_with("remindAfter", |node| node.span_above_zero());
            let anyone_with_link =
                fields.defaulted_with("anyoneWithLink", |node| node.flag(), || false);
            let request = Self {
                timeout: timeout?,
                on_timeout: on_timeout?,
                count: count?,
                approvers: approvers?,
                not_by: not_by?,
                not_before: not_before?,
                remind_after: remind_after?,
                anyone_with_link: anyone_with_link?,
            };
            let within = [("notBefore", request.not_before), ("remindAfter", request.remind_after)];
            let mut fits = true;
            for (field, span) in within {
                let Some(span) = span.filter(|span| *span >= request.timeout) else { continue };
                let message =
                    format!("{span} is not shorter than the timeout, {}", request.timeout);
                fields.error(field, message, "make it shorter, or `timeout` longer");
                fits = false;
            }
            if request.anyone_with_link && request.approval().asks_for_somebody() {
                let message = "a link names nobody, and this approval asks for somebody";
                fields.error(
                    "anyoneWithLink",
                    message,
                    "leave it out, or `count`, `approvers` and `notBy`",
                );
                fits = false;
            }
            fits.then_some(request)
        })
    }
}

fn count(node: Node<'_>) -> Option<u32> {
    match node.value().as_u64().and_then(|count| u32::try_from(count).ok()) {
        Some(count) if (1..=MOST_PEOPLE).contains(&count) => Some(count),
        Some(_) | None => {
            let hint = format!("write a number from 1 to {MOST_PEOPLE}");
            node.error("not a number of people that a stage can wait for", hint)
        }
    }
}

impl Decode for Approvers {
    fn decode(node: Node<'_>) -> Option<Self> {
        let entries: Vec<Approver> = node.set()?;
        Some(Self::new(entries.into_iter().map(|Approver(arn)| arn).collect()))
    }
}

struct Approver(String);

impl Decode for Approver {
    fn decode(node: Node<'_>) -> Option<Self> {
        let expected = "the ARN of an IAM user or role, such as \
                        arn:aws:iam::111122223333:role/release-managers";
        // Whether a session says who somebody is the stack knows.
        let text =
            node.text_like(expected, |text| match Approvers::fits(text, &Naming::default()) {
                Ok(()) | Err(UnfitApprover::AnySession) => true,
                Err(UnfitApprover::Unknown | UnfitApprover::AnyPath) => false,
            });
        text.map(Self)
    }
}

impl Decode for NotBy {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("starter", Self::Starter)])
    }
}

impl Decode for OnTimeout {
    fn decode(node: Node<'_>) -> Option<Self> {
        node.word(&[("rollback", Self::Rollback), ("continue", Self::Continue)])
    }
}
