//! Handlers that take a decoded body: what does not decode is rejected with the reason, and alone.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::handler::{Handler, Outcome};
use crate::message::Message;

/// Handles messages whose body is JSON for a `T`. [`typed`] makes a [`Handler`] of it.
pub trait HandleTyped<T>: Send + Sync + 'static {
    /// Handles one message. As [`Handler::handle`], with the body decoded.
    fn handle(&self, body: T, message: &Message) -> impl Future<Output = Outcome> + Send;

    /// As [`Handler::idempotency_key`]; the body is decoded once more for it.
    fn idempotency_key(&self, _body: &T, message: &Message) -> String {
        message.id.clone()
    }
}

/// A handler of decoded bodies as a [`Handler`]. See [`typed`].
pub struct Typed<T, H> {
    handler: H,
    body: PhantomData<fn() -> T>,
}

/// Decodes each body before `handler` sees it. One that does not decode can never succeed: it is rejected, and the
/// reason names the line and what was expected.
pub fn typed<T: DeserializeOwned + Send + 'static, H: HandleTyped<T>>(handler: H) -> Typed<T, H> {
    Typed { handler, body: PhantomData }
}

impl<T: DeserializeOwned + Send + 'static, H: HandleTyped<T>> Handler for Typed<T, H> {
    async fn handle(&self, message: &Message) -> Outcome {
        match serde_json::from_str(&message.body) {
            Ok(body) => self.handler.handle(body, message).await,
            Err(error) => Outcome::reject(format!("the body does not decode: {error}")),
        }
    }

    fn idempotency_key<'a>(&self, message: &'a Message) -> Cow<'a, str> {
        match serde_json::from_str(&message.body) {
            Ok(body) => self.handler.idempotency_key(&body, message).into(),
            Err(_) => message.id.as_str().into(),
        }
    }
}
