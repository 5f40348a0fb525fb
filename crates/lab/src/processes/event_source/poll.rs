//! Receives and deletes over the wire as Lambda's pollers do, so that the embedded queue counts their requests.
//!
//! It reads the SQS JSON protocol itself: the event needs every system attribute and MD5, more than the service's own
//! client keeps.

use std::collections::BTreeMap;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One queue, for pollers.
#[derive(Clone, Debug)]
pub struct PolledQueue {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

/// A message as `ReceiveMessage` brings it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Received {
    /// `MessageId`.
    pub message_id: String,
    /// `ReceiptHandle`.
    pub receipt_handle: String,
    /// `Body`.
    pub body: String,
    /// `MD5OfBody`.
    #[serde(rename = "MD5OfBody")]
    pub md5_of_body: String,
    /// `MD5OfMessageAttributes`, if it has any.
    #[serde(rename = "MD5OfMessageAttributes")]
    pub md5_of_message_attributes: Option<String>,
    /// System attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The sender's attributes.
    #[serde(default)]
    pub message_attributes: BTreeMap<String, ReceivedAttribute>,
}

/// A message attribute as `ReceiveMessage` brings it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReceivedAttribute {
    /// Type, label included.
    pub data_type: String,
    /// Text.
    pub string_value: Option<String>,
    /// Bytes, in base64.
    pub binary_value: Option<String>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} failed: {reason}")]
pub struct CallFailed {
    action: &'static str,
    reason: String,
}

impl PolledQueue {
    /// The queue at `url`, whose host and port are called, too. No signature is sent: the embedded queue asks for none.
    pub fn at(url: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), url: url.to_owned() }
    }

    /// Receives up to `max` messages, waiting up to `wait_secs` for the first.
    ///
    /// # Errors
    /// When the queue does not answer, or refuses.
    pub async fn receive(&self, max: usize, wait_secs: u64) -> Result<Vec<Received>, CallFailed> {
        #[derive(Deserialize)]
        struct ReceiveAnswer {
            #[serde(rename = "Messages", default)]
            messages: Option<Vec<Received>>,
        }
        let ask = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": max.clamp(1, 10),
            "WaitTimeSeconds": wait_secs.min(20),
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let answer: ReceiveAnswer = self.call("ReceiveMessage", &ask).await?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Deletes, ten a call; returns how many were not deleted, which will then come again.
    pub async fn delete(&self, receipt_handles: &[&str]) -> usize {
        #[derive(Deserialize)]
        struct DeleteAnswer {
            #[serde(rename = "Failed", default)]
            failed: Option<Vec<Value>>,
        }
        let mut failed = 0;
        for chunk in receipt_handles.chunks(10) {
            let entries: Vec<_> = chunk
                .iter()
                .enumerate()
                .map(|(place, handle)| json!({ "Id": place.to_string(), "ReceiptHandle": handle }))
                .collect();
            let ask = json!({ "QueueUrl": self.url, "Entries": entries });
            failed += match self.call::<DeleteAnswer>("DeleteMessageBatch", &ask).await {
                Ok(answer) => answer.failed.map_or(0, |failed| failed.len()),
                Err(error) => {
                    tracing::warn!(%error, "messages of a batch will come again");
                    chunk.len()
                }
            };
        }
        failed
    }

    async fn call<A: DeserializeOwned>(&self, action: &'static str, ask: &Value) -> Result<A, CallFailed> {
        let failed = |reason: String| CallFailed { action, reason };
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .body(Full::new(Bytes::from(ask.to_string())))
            .map_err(|error| failed(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| failed(format!("{error:?}")))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        if status != StatusCode::OK {
            return Err(failed(format!("{status}: {}", String::from_utf8_lossy(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }
}
