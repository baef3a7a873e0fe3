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
use glidepath_core::message::slack::Question;
use glidepath_core::message::webhook::Post;
use glidepath_core::message::{Trial, amazon_q, eventbridge as event, message};
use glidepath_core::protocol::Takes;
use glidepath_core::record::{Deployment, Event, Notice};
use glidepath_core::urgency::{Listening, Manner};
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
    /// type. What is edited keeps the question while an answer is taken, whatever else is told.
    async fn question_of(
        &self,
        notice: &Notice,
        deployment: &Deployment,
        is_edited: bool,
    ) -> Option<String> {
        let links = &self.page.as_ref()?.links;
        let link = if is_edited {
            QuestionLink::known_to(notice, deployment)?
        } else {
            let Event::ApprovalNeeded { stage, .. } = &notice.event else { return None };
            QuestionLink::of(deployment).filter(|link| link.stage == *stage)?
        };
        match links.path(&link).await {
            Ok(path) => Some(path),
            Err(error) => {
                tracing::warn!(deployment.id = %deployment.id, %error, "the question has no link");
                None
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
                self.question_of(notice, deployment, is_edited).await
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
                let app = slack_app::App { secret, channel, endpoint: endpoint.as_deref() };
                return slack_app::deliver(&self.sending, app, handover, &message, question).await;
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
