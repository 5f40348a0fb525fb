//! What SQS answers when it refuses: the shape's name in `__type`, the code of the older query protocol in
//! `x-amzn-query-error`, from which the SDKs make their exceptions.

use std::fmt;

use crate::model::HandleError;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.query())]
pub struct Error {
    /// Which.
    pub code: Code,
    /// What was wrong, in AWS's words where they are known.
    pub message: String,
}

/// The codes that SQS uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No such queue.
    QueueDoesNotExist,
    /// Exists with other attributes.
    QueueNameExists,
    /// An attribute that does not exist, or not for this kind of queue.
    InvalidAttributeName,
    /// An attribute out of its range.
    InvalidAttributeValue,
    /// A parameter out of its range.
    InvalidParameterValue,
    /// A parameter that has to be there.
    MissingParameter,
    /// A character that XML does not know.
    InvalidMessageContents,
    /// Not a handle that this queue gave.
    ReceiptHandleIsInvalid,
    /// Too many messages in flight, or too many of something else.
    OverLimit,
    /// A batch without entries.
    EmptyBatchRequest,
    /// A batch of more than ten.
    TooManyEntriesInBatchRequest,
    /// Two entries of one id.
    BatchEntryIdsNotDistinct,
    /// An id of other characters, or too long.
    InvalidBatchEntryId,
    /// More than 1 MiB in all.
    BatchRequestTooLong,
    /// Purged less than a minute ago.
    PurgeQueueInProgress,
    /// Not for this kind of queue, or not now.
    UnsupportedOperation,
    /// No such queue or task, for move tasks.
    ResourceNotFound,
    /// Slow down (fault plan).
    RequestThrottled,
    /// SQS's own fault (fault plan).
    InternalError,
    /// No such action.
    UnknownOperation,
    /// Not JSON, or not of the action's shape.
    Serialization,
    /// Query: no such action, or not in that version.
    InvalidAction,
    /// Query: no action at all.
    MissingAction,
    /// Query: a form that cannot be read.
    MalformedQueryString,
    /// HTTP: nothing is there.
    NotFound,
    /// HTTP: a method that SQS does not have.
    MethodNotAllowed,
    /// HTTP: more bytes than any request has.
    RequestTooLarge,
    /// HTTP: a body that did not arrive in time.
    RequestTimeout,
    /// HTTP: too many bytes of other requests are here.
    ServiceUnavailable,
}

impl Code {
    /// HTTP status, and the namespace and name of the shape.
    fn shape(self) -> (u16, &'static str, &'static str) {
        const SQS: &str = "com.amazonaws.sqs";
        const CORAL: &str = "com.amazon.coral.service";
        match self {
            Self::QueueDoesNotExist => (400, SQS, "QueueDoesNotExist"),
            Self::QueueNameExists => (400, SQS, "QueueNameExists"),
            Self::InvalidAttributeName => (400, SQS, "InvalidAttributeName"),
            Self::InvalidAttributeValue => (400, SQS, "InvalidAttributeValue"),
            Self::InvalidParameterValue => (400, CORAL, "InvalidParameterValueException"),
            Self::MissingParameter => (400, CORAL, "MissingRequiredParameterException"),
            Self::InvalidMessageContents => (400, SQS, "InvalidMessageContents"),
            Self::ReceiptHandleIsInvalid => (400, SQS, "ReceiptHandleIsInvalid"),
            Self::OverLimit => (403, SQS, "OverLimit"),
            Self::EmptyBatchRequest => (400, SQS, "EmptyBatchRequest"),
            Self::TooManyEntriesInBatchRequest => (400, SQS, "TooManyEntriesInBatchRequest"),
            Self::BatchEntryIdsNotDistinct => (400, SQS, "BatchEntryIdsNotDistinct"),
            Self::InvalidBatchEntryId => (400, SQS, "InvalidBatchEntryId"),
            Self::BatchRequestTooLong => (400, SQS, "BatchRequestTooLong"),
            Self::PurgeQueueInProgress => (403, SQS, "PurgeQueueInProgress"),
            Self::UnsupportedOperation => (400, SQS, "UnsupportedOperation"),
            Self::ResourceNotFound => (404, SQS, "ResourceNotFoundException"),
            Self::RequestThrottled => (400, SQS, "RequestThrottled"),
            Self::InternalError => (500, CORAL, "InternalFailure"),
            Self::UnknownOperation => (404, CORAL, "UnknownOperationException"),
            Self::Serialization => (400, CORAL, "SerializationException"),
            Self::InvalidAction => (400, CORAL, "InvalidAction"),
            Self::MissingAction => (400, CORAL, "MissingAction"),
            Self::MalformedQueryString => (404, CORAL, "MalformedQueryString"),
            Self::NotFound => (404, CORAL, "NotFound"),
            Self::MethodNotAllowed => (405, CORAL, "MethodNotAllowed"),
            Self::RequestTooLarge => (413, CORAL, "RequestEntityTooLarge"),
            Self::RequestTimeout => (408, CORAL, "RequestTimeout"),
            Self::ServiceUnavailable => (503, CORAL, "ServiceUnavailable"),
        }
    }

    /// HTTP status.
    pub fn status(self) -> u16 {
        self.shape().0
    }

    /// The code of the query protocol, which boto3 still shows to its users.
    pub fn query(self) -> String {
        match self {
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            Self::QueueNameExists => "QueueAlreadyExists".to_owned(),
            Self::InvalidParameterValue => "InvalidParameterValue".to_owned(),
            Self::MissingParameter => "MissingParameter".to_owned(),
            Self::EmptyBatchRequest
            | Self::TooManyEntriesInBatchRequest
            | Self::BatchEntryIdsNotDistinct
            | Self::InvalidBatchEntryId
            | Self::BatchRequestTooLong
            | Self::PurgeQueueInProgress
            | Self::UnsupportedOperation => format!("AWS.SimpleQueueService.{}", self.shape().2),
            Self::InternalError => "InternalError".to_owned(),
            Self::UnknownOperation => "InvalidAction".to_owned(),
            _ => self.shape().2.to_owned(),
        }
    }

    /// Whose fault it is, in the protocols' words.
    pub fn fault(self) -> &'static str {
        if self.is_senders() { "Sender" } else { "Receiver" }
    }

    /// True when the caller has to change something.
    pub fn is_senders(self) -> bool {
        !matches!(self, Self::InternalError | Self::ServiceUnavailable)
    }
}

impl Error {
    /// A refusal with that message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// `Value … for parameter … is invalid. Reason: …`
    pub fn value(value: impl fmt::Display, parameter: &str, reason: &str) -> Self {
        let message = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
        Self::new(Code::InvalidParameterValue, message)
    }

    /// A parameter is not there.
    pub fn missing(parameter: &str) -> Self {
        Self::new(Code::MissingParameter, format!("The request must contain the parameter {parameter}."))
    }

    /// No such queue.
    pub fn no_queue() -> Self {
        Self::new(Code::QueueDoesNotExist, "The specified queue does not exist.")
    }

    /// The text is not a handle of this queue.
    pub fn bad_handle(handle: &str) -> Self {
        let shown: String = handle.chars().take(128).collect();
        Self::new(
            Code::ReceiptHandleIsInvalid,
            format!("The input receipt handle \"{shown}\" is not a valid receipt handle."),
        )
    }

    /// Why the handle does not do, as SQS says it.
    pub fn handle(error: HandleError, handle: &str, timeout: Option<u64>) -> Self {
        match error {
            HandleError::Invalid => Self::bad_handle(handle),
            HandleError::Expired => Self::value(handle, "ReceiptHandle", "The receipt handle has expired."),
            HandleError::Gone => Self::value(
                handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            ),
            HandleError::TooLong => Self::value(
                timeout.unwrap_or_default(),
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
            ),
        }
    }

    /// The body of the answer.
    pub fn json(&self) -> Vec<u8> {
        let (_, namespace, name) = self.code.shape();
        serde_json::json!({ "__type": format!("{namespace}#{name}"), "message": self.message }).to_string().into_bytes()
    }
}
