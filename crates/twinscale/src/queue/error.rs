//! Why a call to SQS, or one entry of a batch call, failed, and whether trying again can help.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

/// A failed call, or a failed entry of a batch call that succeeded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{code}: {reason}", if *.kind == Kind::Unreachable { "SQS is out of reach: check AWS_ENDPOINT_URL, AWS_REGION and the network: " } else { "" })]
pub struct QueueError {
    /// AWS's error code without its namespace, such as `QueueDoesNotExist`.
    pub code: String,
    /// AWS's message, or that of the connection.
    pub reason: String,
    /// What can be done about it.
    pub kind: Kind,
}

/// What can be done about a [`QueueError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No answer: the connection failed or timed out. The call may have had its effect.
    Unreachable,
    /// Throttled, or SQS failed itself: the same call may succeed later.
    Retryable,
    /// The same call will fail again.
    Refused,
}

impl QueueError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind != Kind::Refused
    }

    /// Whether the message has another owner by now, is deleted, or has used up its 12 hours: the lease is lost.
    pub fn lost_lease(&self) -> bool {
        self.kind == Kind::Refused
            && (self.code.contains("NotInflight")
                || self.code.contains("ReceiptHandleIsInvalid")
                || self.code.contains("InvalidParameterValue"))
    }

    pub(super) fn refused(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reason: reason.into(), kind: Kind::Refused }
    }

    pub(super) fn of_entry(entry: &BatchResultErrorEntry) -> Self {
        let kind = if entry.sender_fault() { Kind::Refused } else { Kind::Retryable };
        Self { code: short(entry.code()), reason: entry.message().unwrap_or_default().to_owned(), kind }
    }

    pub(super) fn of_call<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = match &error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => Kind::Unreachable,
            SdkError::ResponseError(_) => Kind::Retryable,
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or_default();
                let status = service.raw().status().as_u16();
                let again = status >= 500 || status == 429 || code.contains("Throttl") || code.contains("OverLimit");
                if again { Kind::Retryable } else { Kind::Refused }
            }
            _ => Kind::Refused,
        };
        let code = error.code().map_or_else(|| default_code(&error).to_owned(), short);
        let reason = error.message().map_or_else(|| chain(&error), str::to_owned);
        Self { code, reason, kind }
    }
}

fn default_code<E>(error: &SdkError<E>) -> &'static str {
    match error {
        SdkError::TimeoutError(_) => "Timeout",
        SdkError::DispatchFailure(_) => "ConnectionFailed",
        SdkError::ResponseError(_) => "AnswerNotUnderstood",
        SdkError::ServiceError(_) => "ServiceError",
        _ => "RequestNotMade",
    }
}

/// `AWS.SimpleQueueService.NonExistentQueue` and `com.amazonaws.sqs#QueueDoesNotExist` by their last part.
fn short(code: &str) -> String {
    code.rsplit(['.', '#']).next().unwrap_or(code).to_owned()
}

/// The causes of an error, outermost first, since the SDK's own text is only "dispatch failure".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
