//! An outlet to a stream of NATS JetStream.
//!
//! The stream's order is the events' order: a message is sent on the condition that it comes right after the one before. What is
//! sent again, the server drops by its id.

mod connect;
mod stream;

use crate::{Message, Outlet, OutletError, Prepared, Published, Settings};
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use tokio::sync::Mutex;

/// See the module documentation.
#[derive(Debug)]
pub struct Nats {
    settings: Settings,
    /// Made anew after a failure: what an old one has under way must not arrive late.
    context: Mutex<Option<Context>>,
}

impl Nats {
    /// Connects when it is needed.
    pub fn new(settings: Settings) -> Nats {
        Nats { settings, context: Mutex::new(None) }
    }

    async fn connected(&self) -> Option<Context> {
        self.context.lock().await.clone()
    }

    async fn send(
        &self,
        context: &Context,
        message: &Message,
        after: Option<&Message>,
    ) -> Result<PublishAckFuture, PublishError> {
        let sent = PublishMessage::build().payload(message.body.clone()).message_id(&message.id);
        let sent = sent.expected_stream(&self.settings.stream);
        let sent = match after {
            Some(before) => sent.expected_last_message_id(&before.id),
            None => sent,
        };
        context.send_publish(message.subject.clone(), sent).await
    }

    /// Sends the first message on no condition and waits for it.
    async fn one(&self, context: &Context, message: &Message) -> Result<PublishAck, PublishError> {
        self.send(context, message, None).await?.await
    }

    /// Sends all messages at once, each on the condition that the one before, the first of them `before`, is the stream's newest:
    /// once one is refused or lost, so are those after it. Answers those acknowledged before the first that was not, and why
    /// that was not.
    async fn many(
        &self,
        context: &Context,
        before: &Message,
        messages: &[Message],
    ) -> (Vec<PublishAck>, Option<PublishError>) {
        let (mut futures, mut error) = (Vec::with_capacity(messages.len()), None);
        for (before, message) in std::iter::once(before).chain(messages).zip(messages) {
            match self.send(context, message, Some(before)).await {
                Ok(future) => futures.push(future),
                Err(unsent) => {
                    error = Some(unsent);
                    break;
                }
            }
        }
        let mut acks = Vec::with_capacity(futures.len());
        for future in futures {
            match future.await {
                Ok(ack) => acks.push(ack),
                Err(refused) => return (acks, Some(refused)),
            }
        }
        (acks, error)
    }

    async fn publish_with(
        &self,
        context: &Context,
        messages: &[Message],
        published: &mut Published,
    ) -> Result<(), PublishError> {
        // Whether the message before the next one was the stream's newest when it was acknowledged.
        let mut is_newest = false;
        while published.acknowledged < messages.len() {
            let (done, rest) = messages.split_at(published.acknowledged);
            let (acks, error) = match done.last().filter(|_| is_newest) {
                None => (vec![self.one(context, &rest[0]).await?], None),
                Some(before) => self.many(context, before, rest).await,
            };
            published.acknowledged += acks.len();
            published.repeats += acks.iter().filter(|ack| ack.duplicate).count() as u64;
            is_newest = acks.last().is_some_and(|ack| !ack.duplicate);
            match error {
                // Somebody else published in between, or there was a repeat: one goes on no condition, then on.
                Some(error) if error.kind() == PublishErrorKind::WrongLastMessageId => is_newest = false,
                Some(error) => return Err(error),
                None => {}
            }
        }
        Ok(())
    }
}

impl Outlet for Nats {
    async fn prepare(&self, topics: &[String]) -> Result<Prepared, OutletError> {
        let mut held = self.context.lock().await;
        let context = connect::connect(&self.settings).await?;
        let prepared = stream::prepare(&context, &self.settings, topics).await?;
        *held = Some(context);
        Ok(prepared)
    }

    async fn publish(&self, messages: &[Message]) -> Published {
        let mut published = Published::default();
        let Some(context) = self.connected().await else {
            published.error = Some(OutletError::Passing("not connected".into()));
            return published;
        };
        if let Err(error) = self.publish_with(&context, messages, &mut published).await {
            *self.context.lock().await = None;
            let next = &messages[published.acknowledged.min(messages.len() - 1)];
            published.error = Some(match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => OutletError::Refused(format!(
                    "event {} is larger than the server's max_payload: raise that",
                    next.no
                )),
                _ => OutletError::Passing(format!("event {} was not acknowledged: {error}", next.no)),
            });
        }
        published
    }
}
