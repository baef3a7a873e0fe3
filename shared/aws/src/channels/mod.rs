//! Channels by name. The stack configures them, and a new kind is one file and one line here.

mod eventbridge;
mod pagerduty;
mod sending;
mod settings;
mod slack;
mod slack_app;
mod sns;
mod teams;
mod webhook;

use glidepath_core::ids::ChannelName;
use glidepath_core::link::QuestionLink;
use glidepath_core::message::document::document;
use glidepath_core::message::slack::{Question, state};
use glidepath_core::message::webhook::Post;
use glidepath_core::message::{Trial, amazon_q, asked, eventbridge as event, message};
use glidepath_core::protocol::Takes;
use glidepath_core::record::Event;
use glidepath_core::urgency::{Listening, Manner, Urgency};
use glidepath_engine::ports::{
    Channels, Clock, Counted, Handover, Links, NotTaken, PortError, PortResult, PostedMessage,
};

pub use self::settings::{ChannelKind, ChannelSettings, ChannelsSettings, EMAIL, with_email};
use crate::clients::Clients;
use crate::clock::System;
use crate::links::QuestionPage;

/// [`Channels`] of the stack.
#[derive(Debug)]
pub struct StackChannels {
    settings: ChannelsSettings,
    stack: String,
    sending: sending::Sending,
    sns: sns::Sns,
    event_bridge: eventbridge::EventBridge,
    page: Option<QuestionPage>,
    /// ARN of the secret of the app whose clicks the page takes.
    clicks: Option<String>,
    clock: System,
}

impl StackChannels {
    pub fn new(clients: &Clients, settings: ChannelsSettings, stack: String) -> Self {
        Self {
            settings,
            stack,
            sending: sending::Sending::new(clients),
            sns: sns::Sns::new(clients),
            event_bridge: eventbridge::EventBridge::new(clients),
            page: None,
            clicks: None,
            clock: System::default(),
        }
    }

    /// With a link in every question.
    #[must_use]
    pub fn with_page(self, page: Option<QuestionPage>) -> Self {
        Self { page, ..self }
    }

    /// With buttons in the questions of this app of Slack, by its secret.
    #[must_use]
    pub fn with_clicks(self, secret: Option<String>) -> Self {
        Self { clicks: secret, ..self }
    }

    /// The path of the question of a notice on the page. Without it the notice goes out all the same: it says what to
    /// type. What is edited keeps the question while an answer is taken, whatever else is told; and waits for what may be
    /// read a moment later, because its buttons would be gone until something else happens. No page waits for that.
    async fn question_of(
        &self,
        handover: &Handover<'_>,
        is_edited: bool,
    ) -> Result<Option<String>, NotTaken> {
        let Handover { notice, deployment, waiting, .. } = *handover;
        let link = if is_edited {
            QuestionLink::known_to(notice, deployment)
        } else if let Event::ApprovalNeeded { stage, .. } = &notice.event {
            QuestionLink::of(deployment).filter(|link| link.stage == *stage)
        } else {
            None
        };
        let Some((page, link)) = self.page.as_ref().zip(link) else { return Ok(None) };
        match page.links.path(&link).await {
            Ok(path) => Ok(Some(path)),
            Err(error) if is_edited && error.may_pass() && waiting < Urgency::Page => {
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(deployment.id = %deployment.id, %error, "the question has no link");
                Ok(None)
            }
        }
    }
}

impl Channels for StackChannels {
    fn listening(&self, channel: &ChannelName) -> Listening {
        self.settings.get(channel).map_or(Listening::EVERYTHING, ChannelSettings::listening)
    }

    async fn deliver(
        &self,
        channel: &ChannelName,
        handover: Handover<'_>,
    ) -> Result<Option<PostedMessage>, NotTaken> {
        let Some(settings) = self.settings.get(channel) else {
            return Err(unknown(channel).into());
        };
        let Handover { notice, deployment, counted, .. } = handover;
        let message = message(notice, deployment);
        let message = match counted {
            Counted::Cells(cells) => message.with_requests(deployment, cells),
            Counted::Unread => message.without_requests(),
            Counted::Nothing => message,
        };
        let message = message.from_stack(&self.stack, deployment);
        let is_edited = settings.listening().manner == Manner::Edits;
        let takes = deployment.takes(self.clock.now());
        let question = match takes {
            Takes::Nothing if is_edited => None,
            Takes::Either | Takes::Rejection | Takes::Nothing => {
                self.question_of(&handover, is_edited).await?
            }
        };
        let message = match (&self.page, &question) {
            (Some(page), Some(path)) => message.with_page(page.at(path)),
            (_, _) => message,
        };
        let document = || document(notice, deployment, &self.stack, &message);
        let delivered = match &settings.kind {
            ChannelKind::Slack { secret, channel: Some(channel), endpoint } => {
                let question = question.as_deref();
                let question = question.filter(|_| self.clicks.as_ref() == Some(secret));
                let takes_approval = takes == Takes::Either;
                let question = question.map(|path| Question { path, takes_approval });
                let asked = asked(notice, deployment).filter(|_| takes_approval);
                let asked = asked.map(|asked| asked.from_stack(&self.stack, deployment));
                let state = state(notice, deployment, &message, asked.as_ref(), question);
                let app = slack_app::App { secret, channel, endpoint: endpoint.as_deref() };
                return slack_app::deliver(&self.sending, app, handover, &message, state).await;
            }
            ChannelKind::Slack { secret, channel: None, .. } => {
                slack::deliver(&self.sending, secret, notice, &message).await
            }
            ChannelKind::Sns { topic } => {
                let text = message.text(sns::LARGEST);
                Ok(self.sns.hand_over(topic, notice, &message, text).await?)
            }
            ChannelKind::AmazonQ { topic } => {
                let body = amazon_q::body(notice, deployment, &message).to_string();
                Ok(self.sns.hand_over(topic, notice, &message, body).await?)
            }
            ChannelKind::PagerDuty { secret, endpoint } => {
                let integration = (secret.as_str(), endpoint.as_deref());
                pagerduty::deliver(&self.sending, integration, handover, &message).await
            }
            ChannelKind::Teams { secret } => {
                teams::deliver(&self.sending, secret, handover, &message).await
            }
            ChannelKind::Webhook { secret } => {
                let post = Post::notice(&document());
                webhook::deliver(&self.sending, secret, &post, self.clock.now()).await
            }
            ChannelKind::EventBridge { bus } => {
                Ok(self.event_bridge.put(bus, event::entry(&document())).await?)
            }
        };
        delivered.map(|()| None)
    }

    async fn try_out(&self, channel: &ChannelName, trial: &Trial) -> PortResult<()> {
        let Some(settings) = self.settings.get(channel) else { return Err(unknown(channel)) };
        if let Some(secret) = settings.secret() {
            self.sending.forget(secret).await;
        }
        let sending = &self.sending;
        let tried = match &settings.kind {
            ChannelKind::Slack { secret, channel: Some(channel), endpoint } => {
                let app = slack_app::App { secret, channel, endpoint: endpoint.as_deref() };
                slack_app::try_out(sending, app, trial).await
            }
            ChannelKind::Slack { secret, channel: None, .. } => {
                slack::try_out(sending, secret, trial).await
            }
            ChannelKind::Sns { topic } => {
                return self.sns.try_out(topic, trial, trial.message().to_string()).await;
            }
            ChannelKind::AmazonQ { topic } => {
                return self.sns.try_out(topic, trial, amazon_q::trial(trial).to_string()).await;
            }
            ChannelKind::PagerDuty { secret, endpoint } => {
                pagerduty::try_out(sending, (secret, endpoint.as_deref()), trial).await
            }
            ChannelKind::Teams { secret } => teams::try_out(sending, secret, trial).await,
            ChannelKind::Webhook { secret } => {
                webhook::try_out(sending, secret, trial, self.clock.now()).await
            }
            ChannelKind::EventBridge { bus } => {
                self.event_bridge.forget(bus).await;
                return self.event_bridge.put(bus, event::trial(trial)).await;
            }
        };
        tried.map_err(|not_taken| not_taken.error)
    }
}

fn unknown(channel: &ChannelName) -> PortError {
    PortError::Refused {
        operation: "deliver",
        detail: format!("the stack has no channel `{channel}`"),
    }
}

#[cfg(test)]
mod tests {
    use glidepath_core::message::alert::Rung;
    use glidepath_core::record::{Notice, Phase, Step};
    use glidepath_core::time::Timestamp;
    use serde_json::{Value, json};

    use super::sending::tests::{saying, secret};
    use super::*;
    use crate::links::StackLinks;
    use crate::registry::tests_deployment;
    use crate::replay::{Answer, answering};

    const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// What an app of Slack's is sent as an edit while a question is open, where the page's key is read like this.
    async fn edited(key: Vec<Answer>, heard: bool, waiting: Urgency) -> Result<Value, NotTaken> {
        let taken = r#"{"ok":true,"channel":"C0","ts":"17.1"}"#.to_owned();
        let (url, asked) = saying(vec![taken; if heard { 2 } else { 1 }]).await;
        let slack = json!({ "secret": "arn:s", "channel": "C0", "endpoint": url });
        let settings = serde_json::from_value(json!({ "team": { "slack": slack } })).unwrap();
        let clients = answering(vec![secret(r#"{"token":"xoxb-hidden"}"#)]);
        let links = StackLinks::new(&answering(key), "arn:k".to_owned(), "glidepath".to_owned());
        let page = QuestionPage { url: "https://page.example".to_owned(), links };
        let channels = StackChannels::new(&clients, settings, "glidepath".to_owned())
            .with_page(Some(page))
            .with_clicks(Some("arn:s".to_owned()));
        let mut deployment = tests_deployment(Phase::Open);
        // It is open for as long as somebody may run this.
        let (at, until) = (deployment.started_at, Timestamp::from_millis(i64::MAX / 2));
        deployment.progress.step =
            Step::Approving { since: at, until, decision: None, reminded: false };
        let event = Event::RetirementPostponed;
        let notice = Notice { deployment: deployment.id.clone(), sequence: 3, at, event };
        let (rung, posted) = (Rung::default(), PostedMessage("C0/17.1".to_owned()));
        let handover = Handover {
            notice: &notice,
            deployment: &deployment,
            heard,
            rung: &rung,
            counted: Counted::Nothing,
            posted: Some(&posted),
            waiting,
        };
        channels.deliver(&ChannelName::new("team"), handover).await?;
        let edit = asked.await.unwrap().remove(0);
        let (head, body) = edit.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("chat.update"), "{head}");
        Ok(serde_json::from_str(body).unwrap())
    }

    #[tokio::test]
    async fn no_edit_takes_the_buttons_away_because_the_key_of_the_page_is_late() {
        for (heard, waiting) in
            [(false, Urgency::Information), (true, Urgency::Information), (true, Urgency::Page)]
        {
            let edit = edited(vec![secret(KEY)], heard, waiting).await.unwrap().to_string();
            assert!(edit.contains(r#""action_id":"approve""#), "{edit}");
            let late = edited(Vec::new(), heard, waiting).await;
            // Whoever must act does not wait for buttons.
            assert_eq!(late.is_ok(), waiting == Urgency::Page, "{late:?}");
            assert!(late.err().is_none_or(|why| why.error.may_pass()));
            // What is no key will be none in a minute either.
            let without = edited(vec![secret("none")], heard, waiting).await.unwrap().to_string();
            assert!(!without.contains("action_id"), "{without}");
            for edit in [edit, without] {
                for asked in ["To approve: `glidepath approve ", "To refuse, so that everything"] {
                    assert!(edit.contains(asked), "{asked}: {edit}");
                }
            }
        }
    }
}
