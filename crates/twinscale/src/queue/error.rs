//! Why a call to SQS, or one entry of a batch call, failed, and whether trying again can help.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

/// A failed call, or a failed entry of a batch call that succeeded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{code}: {reason}", kind.advice())]
pub struct QueueError {
    /// AWS's error code without its namespace, such as `QueueDoesNotExist`.
    pub code: String,
    /// AWS's message, or that of the connection.
    pub reason: String,
    /// What can be done about it.
    pub kind: QueueErrorKind,
}

/// What can be done about a [`QueueError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueErrorKind {
    /// No connection: the call had no effect.
    Unreachable,
    /// No answer, half of one, or one that does not name the entry: the call may have had its effect.
    Unconfirmed,
    /// Throttled, or SQS failed itself: the same call may succeed later.
    Retryable,
    /// Credentials, a permission, a key or a clock is wrong: the same call may succeed once that is repaired.
    Denied,
    /// The same call will fail again.
    Refused,
}

impl QueueErrorKind {
    fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "SQS is out of reach: check AWS_ENDPOINT_URL, AWS_REGION and the network: ",
            Self::Unconfirmed => "SQS did not confirm it: ",
            Self::Denied => "check the credentials, the permissions and the clock: ",
            Self::Retryable | Self::Refused => "",
        }
    }
}

impl QueueError {
    /// Whether the same call may succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            QueueErrorKind::Unreachable | QueueErrorKind::Unconfirmed | QueueErrorKind::Retryable => true,
            QueueErrorKind::Denied | QueueErrorKind::Refused => false,
        }
    }

    /// Whether what is wrong can pass, by itself or by a repair: whoever holds a lease keeps it and tries again.
    pub fn can_pass(&self) -> bool {
        self.kind != QueueErrorKind::Refused
    }

    /// Whether the call may have had its effect though it failed.
    pub fn may_have_happened(&self) -> bool {
        self.kind == QueueErrorKind::Unconfirmed
    }

    /// Whether the message has another owner by now, is deleted, or has used up its 12 hours: the lease is lost.
    pub fn lost_lease(&self) -> bool {
        self.kind == QueueErrorKind::Refused
            && (self.code.contains("NotInflight")
                || self.code.contains("ReceiptHandleIsInvalid")
                || self.code.contains("InvalidParameterValue"))
    }

    pub(super) fn refused(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reason: reason.into(), kind: QueueErrorKind::Refused }
    }

    /// An answer of success that says nothing about an entry.
    pub(super) fn unnamed() -> Self {
        let reason = "the answer does not name this entry".to_owned();
        Self { code: "NotConfirmed".to_owned(), reason, kind: QueueErrorKind::Unconfirmed }
    }

    /// A call that was never made.
    pub(super) fn not_begun(reason: &str) -> Self {
        Self { code: "NotBegun".to_owned(), reason: reason.to_owned(), kind: QueueErrorKind::Retryable }
    }

    /// What this error is for a call that was not made because of it: the same, but that nothing can have happened.
    pub(super) fn before_the_call(&self) -> Self {
        match self.kind {
            QueueErrorKind::Unconfirmed => Self { kind: QueueErrorKind::Retryable, ..self.clone() },
            QueueErrorKind::Unreachable
            | QueueErrorKind::Retryable
            | QueueErrorKind::Denied
            | QueueErrorKind::Refused => self.clone(),
        }
    }

    /// A call that was given up.
    pub(crate) fn too_late(limit: std::time::Duration) -> Self {
        let reason = format!("there was no answer within {limit:?}");
        Self { code: "Timeout".to_owned(), reason, kind: QueueErrorKind::Unconfirmed }
    }

    pub(super) fn of_entry(entry: &BatchResultErrorEntry) -> Self {
        let code = short(entry.code());
        let kind = match entry.sender_fault() {
            _ if is_denial(&code) => QueueErrorKind::Denied,
            true => QueueErrorKind::Refused,
            false => QueueErrorKind::Retryable,
        };
        Self { code, reason: entry.message().unwrap_or_default().to_owned(), kind }
    }

    pub(super) fn of_call<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = match &error {
            SdkError::DispatchFailure(_) if never_connected(&error) => QueueErrorKind::Unreachable,
            SdkError::DispatchFailure(_) if error.code().is_none() && no_credentials(&error) => QueueErrorKind::Denied,
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
                QueueErrorKind::Unconfirmed
            }
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or_default();
                let status = service.raw().status().as_u16();
                let busy = code.contains("Throttl") || code.contains("OverLimit");
                if status >= 500 || status == 429 || status == 408 || busy {
                    QueueErrorKind::Retryable
                } else if status == 401 || status == 403 || is_denial(code) {
                    QueueErrorKind::Denied
                } else {
                    QueueErrorKind::Refused
                }
            }
            _ => QueueErrorKind::Refused,
        };
        let code = error.code().map_or_else(|| default_code(&error).to_owned(), short);
        let reason = error.message().map_or_else(|| chain(&error), str::to_owned);
        Self { code, reason, kind }
    }
}

/// What AWS says of credentials, permissions, keys and clocks that are wrong; SQS answers most of it with 400 or 403.
fn is_denial(code: &str) -> bool {
    const DENIALS: [&str; 12] = [
        "AccessDenied",
        "AuthFailure",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "Kms",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
    ];
    DENIALS.iter().any(|denial| code.contains(denial)) || code == "RequestTimeTooSkewed" || code == "InvalidSignature"
}

/// Whether the HTTP client failed before it had a connection. It tells by its own error alone, deep in the chain.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
            || cause.to_string().contains("HTTP connect timeout")
    })
}

/// Whether no call was made for want of credentials, as when a token endpoint is down.
fn no_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| cause.to_string().contains("credentials"))
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
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
