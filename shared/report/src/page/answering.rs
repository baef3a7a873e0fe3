//! How a question stands, and what whoever looks at it may still answer.

use glidepath_core::people::people;
use glidepath_core::plan::OnTimeout;
use glidepath_core::protocol::{self, Takes};
use glidepath_core::record::Decision;
use glidepath_core::time::Timestamp;
use maud::{Markup, html};

use super::standing::Standing;
use super::{Page, Visitor, in_short, said, time};

/// Longest reason, in characters, as the record takes it.
const LONGEST_REASON: usize = 2_000;

impl Page<'_> {
    pub(super) fn standing(&self, standing: &Standing) -> Markup {
        match standing {
            Standing::Open { until } => self.open(*until),
            Standing::Answered(_) | Standing::TimeIsUp(_) | Standing::Over(_) => html! {
                p { (standing.text()) }
                (self.second_thought())
            },
        }
    }

    fn open(&self, until: Timestamp) -> Markup {
        let deployment = self.deployment;
        let approval = self.stage().and_then(|stage| stage.approval.as_ref());
        let demanded =
            approval.and_then(|approval| approval.in_words(deployment.people_needed(approval)));
        let given: Vec<_> =
            deployment.approvals(self.link.stage).map(|given| given.by.as_str()).collect();
        html! {
            p { "Until " (time(until)) " (" (in_short(until.since(self.now))) " left), then " (self.then()) "." }
            @if let Some(at) = self.goes_on_at() {
                p { "Whoever approves: the weight moves at " (time(at)) " at the earliest, in " (in_short(at.since(self.now))) "." }
            }
            @if let Some(freeze) = deployment.frozen(self.now) {
                p {
                    "It is " (said(&freeze.in_words())) ". An approval is taken"
                    @if freeze.until.is_none() { ", and the weight moves once it is thawed" }
                    "."
                }
            }
            @if let Some(pause) = &deployment.progress.paused {
                p { (said(&pause.in_words())) ". An approval is taken, and the weight moves once it is resumed." }
            }
            @if let Some(demanded) = demanded {
                p { "Who must approve: " (said(&demanded)) "." }
            }
            @if !given.is_empty() {
                p {
                    "Approved by " (said(&given.join(" and "))) "; "
                    (people(deployment.approvals_lacking(self.link.stage))) " more must."
                }
            }
            (self.ways_to_answer(true))
        }
    }

    /// What comes if nobody answers.
    fn then(&self) -> &'static str {
        let approval = self.stage().and_then(|stage| stage.approval.as_ref());
        match approval.map(|approval| approval.on_timeout) {
            Some(OnTimeout::Continue) => "it goes on",
            Some(OnTimeout::Rollback) | None => "everything returns to stable",
        }
    }

    /// Before when no weight moves, if that is still to come.
    fn goes_on_at(&self) -> Option<Timestamp> {
        self.deployment.goes_on_at(self.now).filter(|at| *at > self.now)
    }

    /// Until the weight may move, whoever says no is in time.
    fn second_thought(&self) -> Markup {
        if !self.is_asked() || self.deployment.takes(self.now) != Takes::Rejection {
            return html! {};
        }
        let is_approved = self.deployment.approvals_lacking(self.link.stage) == 0;
        html! {
            @if let Some(at) = self.goes_on_at().filter(|_| is_approved) {
                p { "The weight moves at " (time(at)) " at the earliest, in " (in_short(at.since(self.now))) "." }
            }
            @if let Some(pause) = &self.deployment.progress.paused {
                p {
                    (said(&pause.in_words())) ". "
                    @if is_approved { "The weight moves once it is resumed." }
                    @else { "No approval is taken any more; once it is resumed, " (self.then()) "." }
                }
            }
            @if let Some(freeze) = self.deployment.frozen(self.now) {
                p {
                    "It is " (said(&freeze.in_words())) ". "
                    @if is_approved { "The weight moves once it is thawed." }
                    @else { "No approval is taken any more; once it is thawed, " (self.then()) "." }
                }
            } @else if !is_approved {
                @if let Some(at) = self.deployment.may_move_at(self.now).filter(|at| *at > self.now) {
                    p { "It is outside its windows until " (time(at)) "; then " (self.then()) "." }
                }
            }
            p { "Until then it may still be refused." }
            (self.ways_to_answer(false))
        }
    }

    /// `approves`: whether an approval is still taken, and not only a rejection.
    fn ways_to_answer(&self, approves: bool) -> Markup {
        if self.deployment.is_anyones_with_link(self.link.stage) {
            return html! {
                (self.form(approves, None))
                p.small { "The plan takes an answer from whoever has this link. It records no name." }
            };
        }
        match self.visitor {
            Visitor::LinkHolder => html! {
                p { "A link names nobody, and this question asks for somebody. Answer it by the command line:" }
                (self.commands(approves))
            },
            Visitor::MaySignIn { at } => html! {
                p { "A link names nobody, and this question asks for somebody." }
                p.buttons { a.button href=(at) rel="nofollow" { "Sign in to answer" } }
                p { "Or answer it by the command line:" }
                (self.commands(approves))
            },
            Visitor::SignedIn { token, .. } if !approves => self.form(false, Some(token)),
            Visitor::SignedIn { by, groups, says_groups, token } => {
                let why_not = self.cannot_approve(by, groups);
                html! {
                    @if let Some(why) = &why_not {
                        p.against { strong { "You cannot approve it: " } (said(why)) "." }
                        @if !says_groups {
                            p {
                                "Whoever has signed you in says nothing of your groups, so you are in none here. The \
                                 claim may be called otherwise, or be left out because you are in too many: Microsoft \
                                 Entra does that above 200."
                            }
                        }
                    }
                    (self.form(why_not.is_none(), Some(token)))
                    @if why_not.is_some() {
                        p { "Whoever may decide by AWS's names answers by the command line:" }
                        (self.commands(true))
                    }
                }
            }
        }
    }

    /// Why an approval of theirs would not be taken, by the rule that would refuse it.
    fn cannot_approve(&self, by: &str, groups: &[String]) -> Option<String> {
        let (by, groups) = (by.to_owned(), groups.to_vec());
        let decision = Decision { approved: true, by, at: self.now, reason: None, groups };
        let answered = protocol::answer(self.deployment, Some(self.link.stage), decision, self.now);
        answered.err().map(|refused| refused.to_string())
    }

    /// Posted to this page's own address, which nobody knows who has not been given it.
    fn form(&self, approves: bool, token: Option<&str>) -> Markup {
        html! {
            form method="post" autocomplete="off" {
                @if let Some(token) = token { input type="hidden" name="token" value=(token); }
                label for="reason" { "Why (for whoever reads the timeline)" }
                textarea id="reason" name="reason" rows="3" maxlength=(LONGEST_REASON) {}
                p.buttons {
                    @if approves {
                        button.approve type="submit" name="decision" value="approve" {
                            "Approve " (self.weight())
                        }
                    }
                    button.reject type="submit" name="decision" value="reject" {
                        "Refuse, and return everything to stable"
                    }
                }
            }
        }
    }

    fn commands(&self, approves: bool) -> Markup {
        let (id, stage) = (&self.deployment.id, self.link.stage);
        let options = self.options();
        html! {
            pre tabindex="0" { code {
                @if approves { "glidepath approve " (id) (options) " --stage " (stage) "\n" }
                "glidepath reject " (id) (options) " --stage " (stage) " --reason \"…\""
            } }
        }
    }

    fn options(&self) -> String {
        let mut parts = self.deployment.execution.as_str().split(':');
        let region = parts.nth(3).unwrap_or_default();
        format!(" --stack {} --region {region}", self.stack)
    }
}
