//! What AWS answers, in a table: each row says where its value is from.
//!
//! `ls` names a test of LocalStack that was validated on AWS, with its recording
//! (github.com/localstack/localstack, tests/aws/services/sqs/test_sqs.py and test_sqs_move_task.py, with their
//! .snapshot.json; of March 2026). `botocore` is the service model of botocore 1.29.165, the last kind that has the
//! statuses and codes of errors. `reference` is the SQS API reference.

use serde_json::{Value, json};
use tokio::time::advance;
use twinscale_sqs::server::Options;

use super::server_with;

/// What comes back.
enum Answer {
    /// Status, code of the query protocol, message.
    Refused(u16, &'static str, &'static str),
    /// A value in it, by JSON pointer; `null`: it is not there.
    Has(&'static str, Value),
}

use Answer::{Has, Refused};

struct Row {
    from: &'static str,
    /// Calls before: action and body. `advance` lets seconds pass.
    before: Vec<(&'static str, Value)>,
    action: &'static str,
    /// `@` in it is the first receipt handle, or the task handle, that was given before.
    body: Value,
    answer: Answer,
}

fn row(
    from: &'static str,
    before: Vec<(&'static str, Value)>,
    action: &'static str,
    body: Value,
    answer: Answer,
) -> Row {
    Row { from, before, action, body, answer }
}

const INVALID: &str = "InvalidParameterValue";
const EXPIRED: &str = "Value @ for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
const UNAVAILABLE: &str = "Value @ for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.";
const NO_DEDUPLICATION: &str =
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";
const ONE_ENCRYPTION: &str =
    "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.";
const ONE_TASK: &str =
    "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
const BAD_ID: &str = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
const BAD_CHARACTER: &str = "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";

fn create(name: &str, attributes: Value) -> (&'static str, Value) {
    ("CreateQueue", json!({ "QueueName": name, "Attributes": attributes }))
}

fn queue() -> (&'static str, Value) {
    create("q", json!({}))
}

fn fifo() -> (&'static str, Value) {
    create("f.fifo", json!({ "FifoQueue": "true" }))
}

fn send() -> (&'static str, Value) {
    ("SendMessage", json!({ "QueueUrl": "q", "MessageBody": "foobar" }))
}

fn send_fifo(body: &str, deduplication: &str) -> (&'static str, Value) {
    let message = json!({ "QueueUrl": "f.fifo", "MessageBody": body, "MessageGroupId": "g", "MessageDeduplicationId": deduplication });
    ("SendMessage", message)
}

fn receive(queue: &str, visibility: u32) -> (&'static str, Value) {
    let request = json!({ "QueueUrl": queue, "VisibilityTimeout": visibility, "MaxNumberOfMessages": 10, "AttributeNames": ["All"], "MessageAttributeNames": ["*"] });
    ("ReceiveMessage", request)
}

fn set(queue: &str, attributes: Value) -> (&'static str, Value) {
    ("SetQueueAttributes", json!({ "QueueUrl": queue, "Attributes": attributes }))
}

fn get(queue: &str) -> Value {
    json!({ "QueueUrl": queue, "AttributeNames": ["All"] })
}

fn pass(seconds: u64) -> (&'static str, Value) {
    ("advance", json!(seconds))
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// A queue `q` with a dead-letter queue `d`; what is received once is a dead letter the next time.
fn with_dead_letters() -> Vec<(&'static str, Value)> {
    let policy = json!({ "deadLetterTargetArn": arn("d"), "maxReceiveCount": 1 }).to_string();
    vec![create("d", json!({})), create("q", json!({ "RedrivePolicy": policy }))]
}

fn entries(queue: &str, entries: Value) -> Value {
    json!({ "QueueUrl": queue, "Entries": entries })
}

fn permission(label: &str, accounts: Value) -> (&'static str, Value) {
    (
        "AddPermission",
        json!({ "QueueUrl": "q", "Label": label, "AWSAccountIds": accounts, "Actions": ["ReceiveMessage"] }),
    )
}

fn handles() -> Vec<Row> {
    let held = |queue: fn() -> _, send, name, visibility| vec![queue(), send, receive(name, visibility)];
    let change = |queue: &str| json!({ "QueueUrl": queue, "ReceiptHandle": "@", "VisibilityTimeout": 2 });
    let delete = |queue: &str| json!({ "QueueUrl": queue, "ReceiptHandle": "@" });
    let in_flight = "/Attributes/ApproximateNumberOfMessagesNotVisible";
    let mut expired = held(queue, send(), "q", 1);
    expired.push(pass(2));
    let mut hidden_again = held(queue, send(), "q", 1);
    hidden_again.extend([pass(2), ("ChangeMessageVisibility", change("q"))]);
    let mut superseded = held(queue, send(), "q", 0);
    superseded.extend([
        receive("q", 30),
        ("ChangeMessageVisibility", json!({ "QueueUrl": "q", "ReceiptHandle": "@", "VisibilityTimeout": 0 })),
    ]);
    let mut deleted = held(queue, send(), "q", 30);
    deleted.push(("DeleteMessage", delete("q")));
    let mut fifo_expired = held(fifo, send_fifo("m", "1"), "f.fifo", 1);
    fifo_expired.push(pass(2));
    let fifo_expired_again = vec![fifo(), send_fifo("m", "1"), receive("f.fifo", 1), pass(2)];
    vec![
        row(
            "ls test_change_message_visibility_after_visibility_timeout_expiration",
            expired,
            "ChangeMessageVisibility",
            change("q"),
            Has("", json!({})),
        ),
        row(
            "ls test_extend_message_visibility_timeout_set_in_queue",
            hidden_again,
            "GetQueueAttributes",
            get("q"),
            Has(in_flight, json!("1")),
        ),
        row(
            "ls test_terminate_visibility_timeout_after_receive",
            superseded,
            "ReceiveMessage",
            receive("q", 0).1,
            Has("/Messages/0/Body", json!("foobar")),
        ),
        row(
            "ls test_change_visibility_on_deleted_message_raises_invalid_parameter_value",
            deleted,
            "ChangeMessageVisibility",
            change("q"),
            Refused(400, INVALID, UNAVAILABLE),
        ),
        row(
            "ls test_fifo_delete_after_visibility_timeout",
            fifo_expired,
            "DeleteMessage",
            delete("f.fifo"),
            Refused(400, INVALID, EXPIRED),
        ),
        row(
            "ls test_change_message_visibility_after_visibility_timeout_expiration, of a FIFO queue",
            fifo_expired_again,
            "ChangeMessageVisibility",
            change("f.fifo"),
            Has("", json!({})),
        ),
        row(
            "ls test_invalid_receipt_handle_should_return_error_message",
            vec![queue()],
            "ChangeMessageVisibility",
            json!({ "QueueUrl": "q", "ReceiptHandle": "INVALID", "VisibilityTimeout": 60 }),
            Refused(
                400,
                "ReceiptHandleIsInvalid",
                "The input receipt handle \"INVALID\" is not a valid receipt handle.",
            ),
        ),
    ]
}

fn attributes() -> Vec<Row> {
    let unknown = |name| Refused(400, "InvalidAttributeName", name);
    let kms = json!({ "KmsMasterKeyId": "testKeyId", "KmsDataKeyReusePeriodSeconds": "6000" });
    let no_kms = json!({ "KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300" });
    let encrypted = || vec![queue(), set("q", kms.clone())];
    let mut plain = encrypted();
    plain.push(set("q", no_kms));
    let booleans = json!({ "FifoQueue": "True", "ContentBasedDeduplication": "True" });
    vec![
        row(
            "ls test_fifo_delete_after_visibility_timeout",
            vec![create("f.fifo", booleans.clone())],
            "GetQueueAttributes",
            get("f.fifo"),
            Has("/Attributes/ContentBasedDeduplication", json!("true")),
        ),
        row(
            "ls test_create_fifo_queue_with_same_attributes_is_idempotent",
            vec![create("f.fifo", booleans.clone())],
            "CreateQueue",
            json!({ "QueueName": "f.fifo", "Attributes": booleans }),
            Has("/QueueUrl", json!("http://host/000000000000/f.fifo")),
        ),
        row(
            "ls test_set_unsupported_attribute_standard",
            vec![queue()],
            "SetQueueAttributes",
            set("q", json!({ "FifoQueue": "true" })).1,
            unknown("Unknown Attribute FifoQueue."),
        ),
        row(
            "ls test_set_unsupported_attribute_standard",
            vec![queue()],
            "SetQueueAttributes",
            set("q", json!({ "FifoQueue": "false" })).1,
            unknown("Unknown Attribute FifoQueue."),
        ),
        row(
            "ls test_set_unsupported_attribute_fifo",
            vec![fifo()],
            "SetQueueAttributes",
            set("f.fifo", json!({ "FifoQueue": "false" })).1,
            Refused(
                400,
                "InvalidAttributeValue",
                "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
            ),
        ),
        row(
            "ls test_create_standard_queue_with_fifo_attribute_raises_error",
            vec![],
            "CreateQueue",
            create("q", json!({ "FifoQueue": "false" })).1,
            unknown("Unknown Attribute FifoQueue."),
        ),
        row(
            "ls test_create_standard_queue_with_fifo_attribute_raises_error",
            vec![],
            "CreateQueue",
            create("q", json!({ "ContentBasedDeduplication": "false" })).1,
            unknown("Unknown Attribute ContentBasedDeduplication."),
        ),
        row(
            "ls test_create_standard_queue_with_fifo_attribute_raises_error",
            vec![],
            "CreateQueue",
            create("q", json!({ "DeduplicationScope": "queue" })).1,
            unknown("You can specify the DeduplicationScope only when FifoQueue is set to true."),
        ),
        row(
            "ls test_create_standard_queue_with_fifo_attribute_raises_error",
            vec![],
            "CreateQueue",
            create("q", json!({ "FifoThroughputLimit": "perQueue" })).1,
            unknown("You can specify the FifoThroughputLimit only when FifoQueue is set to true."),
        ),
        row(
            "ls test_create_queue_with_different_attributes_raises_exception",
            vec![queue()],
            "CreateQueue",
            create("q", json!({ "DelaySeconds": "2" })).1,
            Refused(
                400,
                "QueueAlreadyExists",
                "A queue already exists with the same name and a different value for attribute DelaySeconds",
            ),
        ),
        row(
            "ls test_sse_kms_and_sqs_are_mutually_exclusive",
            vec![queue()],
            "SetQueueAttributes",
            set("q", json!({ "KmsMasterKeyId": "testKeyId", "SqsManagedSseEnabled": "true" })).1,
            unknown(ONE_ENCRYPTION),
        ),
        row(
            "ls test_set_queue_attributes_default_values",
            encrypted(),
            "GetQueueAttributes",
            get("q"),
            Has("/Attributes/SqsManagedSseEnabled", json!("false")),
        ),
        row(
            "ls test_set_queue_attributes_default_values",
            plain.clone(),
            "GetQueueAttributes",
            get("q"),
            Has("/Attributes/SqsManagedSseEnabled", json!("false")),
        ),
        row(
            "ls test_set_queue_attributes_default_values",
            plain,
            "GetQueueAttributes",
            get("q"),
            Has("/Attributes/KmsDataKeyReusePeriodSeconds", Value::Null),
        ),
        row(
            "ls test_non_existent_queue",
            vec![],
            "GetQueueAttributes",
            get("q"),
            Refused(400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."),
        ),
    ]
}

fn sends() -> Vec<Row> {
    let text = |value: &str| json!({ "QueueUrl": "q", "MessageBody": "b", "MessageAttributes": { "ErrorDetails": { "DataType": "String", "StringValue": value } } });
    let no_group = json!([
        { "Id": "1", "MessageBody": "b", "MessageDeduplicationId": "1" },
        { "Id": "2", "MessageBody": "b", "MessageDeduplicationId": "2", "MessageGroupId": "g" },
    ]);
    let no_deduplication = json!([
        { "Id": "1", "MessageBody": "b", "MessageDeduplicationId": "1", "MessageGroupId": "g" },
        { "Id": "2", "MessageBody": "b", "MessageGroupId": "g" },
    ]);
    let too_long = json!([{ "Id": "1", "MessageBody": "x".repeat(1025) }, { "Id": "2", "MessageBody": "b" }]);
    let small = || vec![create("q", json!({ "MaximumMessageSize": "1024" }))];
    let big = json!([{ "Id": "1", "MessageBody": "x".repeat(1 << 20) }, { "Id": "2", "MessageBody": "y" }]);
    let twenty: Vec<_> = (0..20).map(|id| json!({ "Id": id.to_string(), "MessageBody": "b" })).collect();
    let purged = vec![
        fifo(),
        send_fifo("message-1", "d"),
        ("PurgeQueue", json!({ "QueueUrl": "f.fifo" })),
        send_fifo("message-2", "d"),
    ];
    vec![
        row(
            "ls test_send_empty_message",
            vec![queue()],
            "SendMessage",
            json!({ "QueueUrl": "q", "MessageBody": "" }),
            Refused(400, "MissingParameter", "The request must contain the parameter MessageBody."),
        ),
        row(
            "ls test_send_message_with_updated_maximum_message_size",
            small(),
            "SendMessage",
            json!({ "QueueUrl": "q", "MessageBody": "x".repeat(1025) }),
            Refused(
                400,
                INVALID,
                "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
            ),
        ),
        row(
            "ls test_send_batch_message_size",
            small(),
            "SendMessageBatch",
            entries("q", too_long),
            Has(
                "/Failed/0",
                json!({ "Id": "1", "SenderFault": true, "Code": INVALID, "Message": "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes." }),
            ),
        ),
        row(
            "ls test_send_message_batch_with_oversized_contents",
            vec![queue()],
            "SendMessageBatch",
            entries("q", big),
            Refused(
                400,
                "AWS.SimpleQueueService.BatchRequestTooLong",
                "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
            ),
        ),
        row(
            "ls test_too_many_entries_in_batch_request",
            vec![queue()],
            "SendMessageBatch",
            entries("q", json!(twenty)),
            Refused(
                400,
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                "Maximum number of entries per request are 10. You have sent 20.",
            ),
        ),
        row(
            "ls test_invalid_batch_id",
            vec![queue()],
            "SendMessageBatch",
            entries("q", json!([{ "Id": "invalid:id", "MessageBody": "b" }])),
            Refused(400, "AWS.SimpleQueueService.InvalidBatchEntryId", BAD_ID),
        ),
        row(
            "botocore EmptyBatchRequest",
            vec![queue()],
            "SendMessageBatch",
            entries("q", json!([])),
            Refused(
                400,
                "AWS.SimpleQueueService.EmptyBatchRequest",
                "There should be at least one SendMessageBatchRequestEntry in the request.",
            ),
        ),
        row(
            "ls test_send_batch_missing_message_group_id_for_fifo_queue",
            vec![fifo()],
            "SendMessageBatch",
            entries("f.fifo", no_group),
            Refused(400, INVALID, "The request must contain the parameter MessageGroupId."),
        ),
        row(
            "ls test_send_batch_missing_deduplication_id_for_fifo_queue",
            vec![fifo()],
            "SendMessageBatch",
            entries("f.fifo", no_deduplication),
            Refused(400, INVALID, NO_DEDUPLICATION),
        ),
        row(
            "ls test_posting_to_fifo_requires_deduplicationid_group_id",
            vec![fifo()],
            "SendMessage",
            json!({ "QueueUrl": "f.fifo", "MessageBody": "b", "MessageGroupId": "g" }),
            Refused(400, INVALID, NO_DEDUPLICATION),
        ),
        row(
            "ls test_posting_to_fifo_requires_deduplicationid_group_id",
            vec![fifo()],
            "SendMessage",
            json!({ "QueueUrl": "f.fifo", "MessageBody": "b", "MessageDeduplicationId": "1" }),
            Refused(400, "MissingParameter", "The request must contain the parameter MessageGroupId."),
        ),
        row(
            "ls test_fifo_queue_send_message_with_delay_seconds_fails",
            vec![fifo()],
            "SendMessage",
            json!({ "QueueUrl": "f.fifo", "MessageBody": "b", "MessageGroupId": "g", "MessageDeduplicationId": "1", "DelaySeconds": 2 }),
            Refused(
                400,
                INVALID,
                "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.",
            ),
        ),
        row(
            "ls test_send_message_to_standard_queue_with_invalid_message_group_id",
            vec![queue()],
            "SendMessage",
            json!({ "QueueUrl": "q", "MessageBody": "b", "MessageGroupId": "group 123" }),
            Refused(
                400,
                INVALID,
                "Value group 123 for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
            ),
        ),
        row(
            "ls test_send_message_with_empty_string_attribute",
            vec![queue()],
            "SendMessage",
            text(""),
            Refused(
                400,
                INVALID,
                "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.",
            ),
        ),
        row(
            "issue of this repository, from AWS: the code; the text is the body's",
            vec![queue()],
            "SendMessage",
            text("a\u{1}b"),
            Refused(400, INVALID, BAD_CHARACTER),
        ),
        row(
            "ls test_send_message_with_invalid_payload_characters",
            vec![queue()],
            "SendMessage",
            json!({ "QueueUrl": "q", "MessageBody": "a\u{8}" }),
            Refused(400, "InvalidMessageContents", BAD_CHARACTER),
        ),
        row(
            "ls test_purge_queue_clears_fifo_deduplication_cache",
            purged,
            "ReceiveMessage",
            receive("f.fifo", 1).1,
            Has("/Messages/0/Body", json!("message-2")),
        ),
        row(
            "ls test_successive_purge_calls_fail",
            vec![queue(), ("PurgeQueue", json!({ "QueueUrl": "q" }))],
            "PurgeQueue",
            json!({ "QueueUrl": "q" }),
            Refused(
                403,
                "AWS.SimpleQueueService.PurgeQueueInProgress",
                "Only one PurgeQueue operation on q is allowed every 60 seconds.",
            ),
        ),
    ]
}

fn receives() -> Vec<Row> {
    let ranged = |name: &str, value: i64| json!({ "QueueUrl": "q", name: value });
    let mut dead = with_dead_letters();
    dead.extend([send(), receive("q", 0), receive("q", 0)]);
    let with_attributes = json!({ "QueueUrl": "q", "MessageBody": "b", "MessageAttributes": { "Foo": { "DataType": "String", "StringValue": "Bar" } } });
    let starred = || vec![queue(), ("SendMessage", with_attributes.clone())];
    vec![
        row(
            "ls test_send_receive_max_number_of_messages",
            vec![queue()],
            "ReceiveMessage",
            ranged("MaxNumberOfMessages", 11),
            Refused(
                400,
                INVALID,
                "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
            ),
        ),
        row(
            "ls test_send_receive_wait_time_seconds",
            vec![queue()],
            "ReceiveMessage",
            ranged("WaitTimeSeconds", 21),
            Refused(
                400,
                INVALID,
                "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
            ),
        ),
        row(
            "ls test_dead_letter_queue_message_attributes: the count goes on",
            dead.clone(),
            "ReceiveMessage",
            receive("d", 30).1,
            Has("/Messages/0/Attributes/ApproximateReceiveCount", json!("2")),
        ),
        row(
            "ls test_dead_letter_queue_message_attributes",
            dead,
            "ReceiveMessage",
            receive("d", 30).1,
            Has("/Messages/0/Attributes/DeadLetterQueueSourceArn", json!(arn("q"))),
        ),
        row(
            "ls test_receive_message_message_attribute_names_filters: *",
            starred(),
            "ReceiveMessage",
            receive("q", 0).1,
            Has("/Messages/0/MessageAttributes/Foo/StringValue", json!("Bar")),
        ),
        row(
            "ls test_receive_message_message_attribute_names_filters: *",
            starred(),
            "ReceiveMessage",
            receive("q", 0).1,
            Has("/Messages/0/MD5OfMessageAttributes", json!("ae7155c6026991b6d54b11589678bf9c")),
        ),
    ]
}

fn permissions() -> Vec<Row> {
    let added = |accounts: Value| vec![queue(), permission("cross", accounts)];
    let policy = |principal: Value| {
        json!({
            "Version": "2008-10-17",
            "Id": format!("{}/SQSDefaultPolicy", arn("q")),
            "Statement": [{
                "Sid": "cross", "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "SQS:ReceiveMessage", "Resource": arn("q"),
            }],
        })
    };
    let one = "arn:aws:iam::111111111111:root";
    let two = "arn:aws:iam::668614515564:root";
    let seven: Vec<_> = [
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "GetQueueUrl",
        "PurgeQueue",
        "*",
    ]
    .into();
    vec![
        row(
            "ls test_sqs_permission_lifecycle",
            added(json!(["111111111111"])),
            "GetQueueAttributes",
            get("q"),
            Has("/Attributes/Policy", policy(json!(one))),
        ),
        row(
            "ls test_sqs_permission_lifecycle",
            added(json!(["668614515564", "111111111111"])),
            "GetQueueAttributes",
            get("q"),
            Has("/Attributes/Policy", policy(json!([two, one]))),
        ),
        row(
            "ls test_sqs_permission_lifecycle",
            added(json!(["111111111111"])),
            "AddPermission",
            permission("cross", json!(["668614515564"])).1,
            Refused(400, INVALID, "Value cross for parameter Label is invalid. Reason: Already exists."),
        ),
        row(
            "ls test_sqs_permission_lifecycle",
            vec![queue()],
            "RemovePermission",
            json!({ "QueueUrl": "q", "Label": "cross2" }),
            Refused(400, INVALID, "Value cross2 for parameter Label is invalid. Reason: can't find label."),
        ),
        row(
            "botocore OverLimit; reference AddPermission (seven actions)",
            vec![queue()],
            "AddPermission",
            json!({ "QueueUrl": "q", "Label": "l", "AWSAccountIds": ["111111111111"], "Actions": seven }),
            Refused(403, "OverLimit", "8 Actions were found, maximum allowed is 7."),
        ),
    ]
}

fn moves() -> Vec<Row> {
    let start = || json!({ "SourceArn": arn("d"), "DestinationArn": arn("q"), "MaxNumberOfMessagesPerSecond": 1 });
    let running = || {
        let mut before = with_dead_letters();
        for _ in 0..10 {
            before.push(("SendMessage", json!({ "QueueUrl": "d", "MessageBody": "b" })));
        }
        before.push(("StartMessageMoveTask", start()));
        before
    };
    let mut deleted = running();
    deleted.extend([("settle", json!(1)), ("DeleteQueue", json!({ "QueueUrl": "q" })), ("settle", json!(20))]);
    let no_source = "The resource that you specified for the SourceArn parameter doesn't exist.";
    let no_destination = "The resource that you specified for the DestinationArn parameter doesn't exist.";
    // {"taskId": "10f47a4a", "sourceArn": "arn:aws:sqs:us-east-1:000000000000:d"}
    let stranger =
        "eyJ0YXNrSWQiOiAiMTBmNDdhNGEiLCAic291cmNlQXJuIjogImFybjphd3M6c3FzOnVzLWVhc3QtMTowMDAwMDAwMDAwMDA6ZCJ9";
    vec![
        row(
            "ls test_start_multiple_move_tasks",
            running(),
            "StartMessageMoveTask",
            start(),
            Refused(400, INVALID, ONE_TASK),
        ),
        row(
            "ls test_source_needs_redrive_policy",
            vec![create("d", json!({})), queue()],
            "StartMessageMoveTask",
            start(),
            Refused(400, INVALID, "Source queue must be configured as a Dead Letter Queue."),
        ),
        row(
            "ls test_destination_needs_to_exist",
            with_dead_letters(),
            "StartMessageMoveTask",
            json!({ "SourceArn": arn("d"), "DestinationArn": arn("x") }),
            Refused(404, "ResourceNotFoundException", no_destination),
        ),
        row(
            "ls test_move_task_delete_destination_queue_while_running",
            deleted,
            "ListMessageMoveTasks",
            json!({ "SourceArn": arn("d") }),
            Has("/Results/0/FailureReason", json!("AWS.SimpleQueueService.NonExistentQueue")),
        ),
        row(
            "ls test_cancel_with_invalid_task_handle",
            vec![],
            "CancelMessageMoveTask",
            json!({ "TaskHandle": "foobared" }),
            Refused(400, INVALID, "Value for parameter TaskHandle is invalid."),
        ),
        row(
            "ls test_cancel_with_invalid_source_arn_in_task_handle",
            vec![],
            "CancelMessageMoveTask",
            json!({ "TaskHandle": stranger }),
            Refused(404, "ResourceNotFoundException", no_source),
        ),
        row(
            "ls test_cancel_with_invalid_task_id_in_task_handle",
            with_dead_letters(),
            "CancelMessageMoveTask",
            json!({ "TaskHandle": stranger }),
            Refused(404, "ResourceNotFoundException", "Task does not exist."),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_answers_are_those_that_aws_gave() {
    let rows = [handles(), attributes(), sends(), receives(), permissions(), moves()].into_iter().flatten();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for row in rows {
        checked += 1;
        if let Err(difference) = check(&row).await {
            wrong.push(format!("{}: {} {}: {difference}", row.from, row.action, row.body));
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

async fn check(row: &Row) -> Result<(), String> {
    let server = server_with(Options::default()).await;
    let mut handle = String::new();
    for (action, body) in &row.before {
        match *action {
            "advance" => advance(std::time::Duration::from_secs(body.as_u64().expect("seconds"))).await,
            // Lets a task of the server work for so long.
            "settle" => tokio::time::sleep(std::time::Duration::from_secs(body.as_u64().expect("seconds"))).await,
            _ => {
                let body = body.to_string().replace('@', &handle);
                let answer = server
                    .call(action, body.as_bytes())
                    .await
                    .map_err(|error| format!("{action} before: {error:?}"))?;
                let answer: Value = serde_json::from_slice(&answer).expect("JSON");
                let given = answer.pointer("/Messages/0/ReceiptHandle").and_then(Value::as_str);
                if handle.is_empty() {
                    handle = given.unwrap_or_default().to_owned();
                }
            }
        }
    }
    let body = row.body.to_string().replace('@', &handle);
    let answer = server.call(row.action, body.as_bytes()).await;
    match (&row.answer, answer) {
        (Refused(status, code, message), Err(error)) => {
            let expected = (*status, (*code).to_owned(), message.replace('@', &handle));
            let got = (error.code.status(), error.code.query(), error.message);
            if got == expected { Ok(()) } else { Err(format!("{got:?}, and not {expected:?}")) }
        }
        (Has(pointer, expected), Ok(answer)) => {
            let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
            let found = answer.pointer_mut(pointer).map(Value::take).unwrap_or_default();
            // The host in a URL is the server's own; a policy is JSON in a string.
            let found = match found {
                Value::String(text) if text.starts_with('{') => serde_json::from_str(&text).expect("JSON"),
                Value::String(text) => text.replace(&server.address().to_string(), "host").into(),
                found => found,
            };
            if found == *expected { Ok(()) } else { Err(format!("{found}, and not {expected}")) }
        }
        (Refused(..), Ok(answer)) => Err(format!("taken: {}", String::from_utf8_lossy(&answer))),
        (Has(..), Err(error)) => Err(format!("refused: {error:?}")),
    }
}
