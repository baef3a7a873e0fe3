//! The page on which people decide: what is asked, what speaks for it and against it, who has answered, and until when.
//! It works without scripts, so that it can forbid all of them, and a GET of it changes nothing.

mod answering;
mod standing;
mod style;

use glidepath_core::link::QuestionLink;
use glidepath_core::message::console;
use glidepath_core::plan::{Stage, StageIndex};
use glidepath_core::record::{Deployment, Event, Phase};
use glidepath_core::time::{Span, Timestamp};
use glidepath_core::weight::Weight;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::standing::Standing;
use crate::{Report, drawing};

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    pub deployment: &'a Deployment,
    pub link: &'a QuestionLink,
    /// How its requests went so far, if any were counted.
    pub report: Option<&'a Report>,
    /// Name of the stack, as commands take it.
    pub stack: &'a str,
    pub visitor: Visitor<'a>,
    /// Why what was just posted was not taken.
    pub refused: Option<&'a str>,
    pub now: Timestamp,
}

/// Who looks at it.
#[derive(Clone, Copy, Debug)]
pub enum Visitor<'a> {
    /// Whoever has the link, where nobody signs in.
    LinkHolder,
    /// Whoever has the link, where people sign in: by a link to this path.
    MaySignIn { at: &'a str },
    /// Whom the stack's issuer names.
    SignedIn {
        /// As they are written wherever somebody is named.
        by: &'a str,
        /// As lists of approvers name them.
        groups: &'a [String],
        /// Whether the issuer says anything of their groups.
        says_groups: bool,
        /// What their forms show.
        token: &'a str,
    },
}

/// The page for whoever has a link that leads nowhere, or asks for what there is not.
pub fn notice(headline: &str, text: &str) -> String {
    notice_with_way(headline, text, None)
}

/// The same, with the path of the question to which somebody can go back.
pub fn notice_with_way(headline: &str, text: &str, back_to: Option<&str>) -> String {
    let body = html! {
        main {
            h1 { (headline) }
            p { (text) }
            @if let Some(path) = back_to { p { a href=(path) { "Back to the question" } } }
        }
    };
    document(headline, &body)
}

impl Page<'_> {
    /// As HTML.
    pub fn html(&self) -> String {
        if QuestionLink::is_long_over(self.deployment, self.now) {
            let text = "The deployment of this link ended more than a week ago. `glidepath status` shows what is asked \
                        now, and `glidepath history` what was deployed.";
            return notice("It is over", text);
        }
        let standing = Standing::of(self.deployment, self.link, self.now);
        let question = self.question();
        let body = html! {
            header {
                p.where { (self.deployment.plan.service) " in " (self.deployment.plan.cluster.short()) }
                h1 { (question) }
                @if self.is_asked() { (self.weights()) }
            }
            main {
                (self.visitor())
                @if let Some(refused) = self.refused {
                    p.refused role="alert" { strong { "Nothing was recorded: " } (said(refused)) }
                }
                section aria-labelledby="standing" {
                    h2 id="standing" { (standing.headline()) }
                    (self.standing(&standing))
                }
                // A link ends with its question: what comes later is not for whoever has an old one.
                @if self.is_asked() {
                    (self.evidence())
                    (self.facts())
                    (self.stages())
                }
            }
            footer { (self.footer()) }
        };
        document(&format!("{question} {}", standing.headline()), &body)
    }

    /// Whether the deployment is still at this question.
    fn is_asked(&self) -> bool {
        let open = self.deployment.phase == Phase::Open;
        open && QuestionLink::of(self.deployment).as_ref() == Some(self.link)
    }

    fn stage(&self) -> Option<&Stage> {
        self.deployment.plan.stage(self.link.stage)
    }

    fn weight(&self) -> Weight {
        self.stage().map_or(Weight::ALL, |stage| stage.weight)
    }

    fn weight_before(&self) -> Weight {
        let before = self.link.stage.0.checked_sub(1);
        let before = before.and_then(|before| self.deployment.plan.stage(StageIndex(before)));
        before.map_or(Weight::NONE, |stage| stage.weight)
    }

    fn new_version(&self) -> &str {
        self.deployment.plan.task_definition.short()
    }

    fn question(&self) -> String {
        format!("{} of the requests to {}?", self.weight(), self.new_version())
    }

    /// What the version gets now, and what it would get.
    fn weights(&self) -> Markup {
        let (now, next) = (self.weight_before(), self.weight());
        html! {
            p.weights {
                (self.new_version()) " gets " strong { (now) } " of the requests now, and would get "
                strong { (next) } "; " (self.deployment.plan.stable.task_definition.short()) " the rest."
            }
            @if let Some(Event::ForeignChange { found }) = &self.deployment.progress.told {
                p.against { strong { "Somebody else changed a route: " } (said(found)) ". Nothing moves until it is as it was." }
            }
            svg.bar viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" aria-label=(format!("{now} now, {next} asked for")) {
                rect.rest x=(next.permille()) width=(1_000 - next.permille()) height="24" {}
                rect.next width=(next.permille()) height="24" {}
                rect.now width=(now.permille()) height="24" {}
            }
        }
    }

    /// Who looks at it, if that is known.
    fn visitor(&self) -> Markup {
        let Visitor::SignedIn { by, token, .. } = self.visitor else { return html! {} };
        html! {
            form.visitor method="post" {
                input type="hidden" name="token" value=(token);
                span { "You have signed in as " strong { (said(by)) } "." }
                button.plain type="submit" name="decision" value="sign-out" { "Sign out" }
            }
        }
    }

    fn evidence(&self) -> Markup {
        let progress = &self.deployment.progress;
        let drawn = self.report.and_then(|report| drawing(report).ok());
        html! {
            section aria-labelledby="evidence" {
                h2 id="evidence" { "What was seen" }
                @if progress.judged.is_empty() {
                    p { "Nothing yet: " (self.new_version()) " has had no requests." }
                } @else {
                    ul {
                        @for reason in &progress.judged {
                            @if progress.against.contains(reason) {
                                li.against { strong { "Against it: " } (reason) }
                            } @else {
                                li { (reason) }
                            }
                        }
                    }
                }
                @if let Some(drawn) = drawn { figure { (PreEscaped(drawn)) } }
            }
        }
    }

    fn facts(&self) -> Markup {
        let plan = &self.deployment.plan;
        html! {
            section aria-labelledby="version" {
                h2 id="version" { "The version" }
                dl {
                    dt { "Version" } dd { (self.new_version()) ", in the " (plan.canary.slot) " slot" }
                    @for image in &plan.images { dt { "Image" } dd { (image) } }
                    dt { "Replaces" } dd { (plan.stable.task_definition.short()) ", in the " (plan.stable.slot) " slot" }
                    @for image in &plan.stable_images { dt { "Its image" } dd { (image) } }
                    @if let Some(whom) = plan.started_by_whom() { dt { "Started by" } dd { (said(&whom)) } }
                    dt { "Started" } dd { (time(self.deployment.started_at)) }
                    @if let Some(reason) = &plan.reason { dt { "Because" } dd { (said(reason)) } }
                }
                @for warning in &self.deployment.warnings { p.against { strong { "Warning: " } (warning) } }
            }
        }
    }

    fn stages(&self) -> Markup {
        let here = self.deployment.progress.stage;
        let plan = &self.deployment.plan;
        html! {
            section aria-labelledby="stages" {
                h2 id="stages" { "The stages" }
                ol {
                    @for (place, stage) in plan.stages.iter().enumerate() {
                        li aria-current=[(place == here.0).then_some("step")] {
                            (stage.weight) " for " (stage.bake)
                            @if stage.approval.is_some() { ", after an approval" }
                            @if place == here.0 { " — here" }
                        }
                    }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        let execution = &self.deployment.execution;
        let parts: Vec<_> = execution.as_str().split(':').collect();
        html! {
            p {
                (self.deployment.id) ", stack " (self.stack)
                @if let [_, _, _, region, account, ..] = parts.as_slice() {
                    " in " (region) ", account " (account)
                }
                ". Shown as of " (time(self.now)) "."
            }
            @if let Some(console) = console(execution) {
                p { a href=(console) rel="noreferrer" { "The execution in the AWS console" } }
            }
        }
    }
}

/// In whole minutes, and in seconds where it is less than one.
fn in_short(span: Span) -> Span {
    let seconds = span.as_millis() / 1_000;
    Span::from_secs(if seconds < 60 { seconds } else { seconds / 60 * 60 })
}

/// What people say, or what has it in its midst: letters that are written from right to left turn nothing around it.
fn said(text: &str) -> Markup {
    html! { bdi { (text) } }
}

fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at) } }
}

fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) }
                style { (PreEscaped(style::SHEET)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests;
