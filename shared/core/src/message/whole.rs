//! A message as a whole, before a channel takes it.

use std::fmt;

use super::limits;
use super::line::{Line, Lines, one_line};
use super::links::{Link, links};
use crate::health::{Share, StoredCells};
use crate::record::Deployment;

/// What the link to a question is called.
const QUESTION: &str = "The question";

/// One headline and what else there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Understood alone, on a locked telephone.
    pub headline: String,
    pub lines: Vec<Line>,
    /// Where the question can be looked at, and answered if that is wanted; `None`: nothing is asked, or the stack has no
    /// page.
    pub page: Option<String>,
    /// Which stack says so, once it leaves it.
    pub from: Option<String>,
    /// Where what it is about is to be seen in the console.
    pub links: Vec<Link>,
}

impl Message {
    pub(super) fn new(headline: &str, lines: Lines) -> Self {
        let (headline, lines) = (one_line(headline), lines.into());
        Self { headline, lines, page: None, from: None, links: Vec::new() }
    }

    /// With the page of the question.
    #[must_use]
    pub fn with_page(self, url: String) -> Self {
        Self { page: Some(url), ..self }
    }

    /// With options in every command of it, such as ` --region eu-west-1`: whoever reads it may be
    /// in another shell, or in none.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        for Line { text, .. } in &mut self.lines {
            let mut written = String::new();
            let mut rest = text.as_str();
            while let Some(at) = rest.find("`glidepath ") {
                let (before, command) = rest.split_at(at + 1);
                let end = command.find('`').unwrap_or(command.len());
                written.push_str(before);
                written.push_str(&command[..end]);
                written.push_str(options);
                rest = &command[end..];
            }
            written.push_str(rest);
            *text = written;
        }
        self
    }

    /// For somebody who has several accounts, Regions or stacks: each command names its own, and the
    /// last line says which they are. With what is to be seen in the console.
    #[must_use]
    pub fn from_stack(self, stack: &str, deployment: &Deployment) -> Self {
        let parts: Vec<_> = deployment.execution.as_str().split(':').collect();
        let [_, _, _, region, account, ..] = parts.as_slice() else { return self };
        let mut message = self.with_options(&format!(" --stack {stack} --region {region}"));
        message.from = Some(format!("Stack {stack} in {region}, account {account}."));
        message.links = links(deployment, stack);
        message
    }

    /// With what was counted of both versions' requests, where all of it is over.
    #[must_use]
    pub fn with_requests(mut self, deployment: &Deployment, cells: &StoredCells) -> Self {
        let plan = &deployment.plan;
        let (canary, stable) = cells.totals();
        let until = cells.written_at;
        for (version, requests) in
            [(&plan.task_definition, canary), (&plan.stable.task_definition, stable)]
        {
            // An alarm may have ended it after that.
            if requests.all > 0 {
                let (version, share) = (version.short(), Share::from(requests.bad_tally()));
                self.lines.push(Line::new(&format!("{version}, counted until {until}: {share}.")));
            }
        }
        self
    }

    /// The same, where it could not be read.
    #[must_use]
    pub fn without_requests(mut self) -> Self {
        let unread = "What was counted of the requests could not be read.";
        self.lines.push(Line::new(unread));
        self
    }

    /// What its lines say.
    pub fn texts(self) -> impl Iterator<Item = String> {
        self.lines.into_iter().map(|line| line.text)
    }

    /// Everything to read but the headline, for a channel that shows lines and no links.
    pub(super) fn written(&self) -> Vec<Line> {
        let page = self.page.iter().map(|url| Line::new(&format!("To look at it: {url}")));
        let from = self.from.iter().map(|from| Line::new(from));
        page.chain(self.lines.iter().cloned()).chain(from).collect()
    }

    /// Where to look, by what it is called: first where to answer.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        let page = self.page.iter().map(|url| (QUESTION, url.as_str()));
        page.chain(self.links.iter().map(|Link { title, url }| (title.as_str(), url.as_str())))
    }

    /// As a text of at most so many bytes, without what leads to the console if even that is too long.
    pub fn text(&self, most: usize) -> String {
        let headline = limits::line(&self.headline, most / 16);
        let links: Vec<_> =
            self.links.iter().map(|Link { title, url }| format!("{title}: {url}")).collect();
        let of_links = links.iter().map(|link| link.len() + 1).sum::<usize>();
        let (links, of_links) =
            if of_links > most / 4 { (Vec::new(), 0) } else { (links, of_links) };
        let room = most.saturating_sub(headline.len() + 1 + of_links);
        let lines = limits::fitting(&self.written(), room, room, |line| line.len() + 1);
        let rest = lines.into_iter().chain(links).collect::<Vec<_>>().join("\n");
        format!("{headline}\n\n{rest}")
    }
}

impl fmt::Display for Message {
    /// The headline, an empty line, the rest, and the links.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text(usize::MAX))
    }
}
