"""A day's ordinary work with boto3, old or current: run with the endpoint URL, and the protocol that it must speak."""

import json
import sys

import boto3
from botocore.config import Config

ENDPOINT = sys.argv[1]
sqs = boto3.client("sqs", endpoint_url=ENDPOINT, config=Config(retries={"total_max_attempts": 1}))
PROTOCOL = sqs.meta.service_model.metadata["protocol"]
assert PROTOCOL == sys.argv[2], PROTOCOL
NAME = f"boto3-{boto3.__version__.replace('.', '-')}"


def refused(error, f, **arguments):
    try:
        f(**arguments)
    except error:
        return
    raise AssertionError(f"{f.__name__} was not refused with {error}")


# Create, tag, describe.
url = sqs.create_queue(QueueName=NAME, Attributes={"VisibilityTimeout": "60"}, tags={"a": "1"})["QueueUrl"]
sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}
assert sqs.get_queue_url(QueueName=NAME)["QueueUrl"] == url
assert sqs.list_queues(QueueNamePrefix=NAME)["QueueUrls"] == [url]
sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0", "VisibilityTimeout": "50"})
attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
assert attributes["VisibilityTimeout"] == "50" and attributes["QueueArn"].endswith(NAME), attributes

# Send, receive, hold, delete; the SDK checks the MD5s.
BODY = "hé <&>\r\n\t\"🚀\" a+b=c%20"
ATTRIBUTES = {
    "text": {"DataType": "String", "StringValue": "v & w"},
    "number": {"DataType": "Number", "StringValue": "7"},
    "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}
sent = sqs.send_message(
    QueueUrl=url, MessageBody=BODY, MessageAttributes=ATTRIBUTES,
    MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}})
[got] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
assert got["Body"] == BODY, got
assert got["MessageAttributes"] == ATTRIBUTES, got
assert got["MessageId"] == sent["MessageId"] and got["Attributes"]["AWSTraceHeader"] == "Root=1-2-3", got
handle = got["ReceiptHandle"]
assert "Messages" not in sqs.receive_message(QueueUrl=url)
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
[got] = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
assert got["Attributes"] == {"ApproximateReceiveCount": "2"}, got
sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])

# Batches, with entries that fail.
entries = [{"Id": f"m{i}", "MessageBody": f"body {i}", "MessageAttributes": ATTRIBUTES} for i in range(9)]
sent = sqs.send_message_batch(QueueUrl=url, Entries=entries + [{"Id": "bad", "MessageBody": "x", "DelaySeconds": 1000}])
assert len(sent["Successful"]) == 9, sent
[failed] = sent["Failed"]
assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidParameterValue", True), failed
messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
assert sorted(m["Body"] for m in messages) == [f"body {i}" for i in range(9)], messages
changed = sqs.change_message_visibility_batch(
    QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": messages[0]["ReceiptHandle"], "VisibilityTimeout": 100}])
assert changed["Successful"] == [{"Id": "a"}], changed
deleted = sqs.delete_message_batch(QueueUrl=url, Entries=[
    {"Id": "good", "ReceiptHandle": messages[0]["ReceiptHandle"]}, {"Id": "bad", "ReceiptHandle": "x"}])
assert [e["Id"] for e in deleted["Successful"]] == ["good"], deleted
assert [e["Code"] for e in deleted["Failed"]] == ["ReceiptHandleIsInvalid"], deleted

# FIFO.
fifo = sqs.create_queue(
    QueueName=NAME + ".fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
for body in "abac":
    assert sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g")["SequenceNumber"]
got = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"])["Messages"]
assert [m["Body"] for m in got] == ["a", "b", "c"], got

# A dead letter, and its way back.
dead = sqs.create_queue(QueueName=NAME + "-dead")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
work = sqs.create_queue(QueueName=NAME + "-work", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})["QueueUrl"]
assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [work]
sqs.send_message(QueueUrl=work, MessageBody="poison")
assert sqs.receive_message(QueueUrl=work)["Messages"]
assert "Messages" not in sqs.receive_message(QueueUrl=work)
task = sqs.start_message_move_task(SourceArn=arn)["TaskHandle"]
assert task
[back] = sqs.receive_message(QueueUrl=work, WaitTimeSeconds=20)["Messages"]
assert back["Body"] == "poison"
[done] = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
assert done["ApproximateNumberOfMessagesToMove"] == 1, done

# Errors, by the classes that programs catch.
e = sqs.exceptions
refused(e.QueueDoesNotExist, sqs.get_queue_url, QueueName="no-such")
refused(e.QueueDoesNotExist, sqs.send_message, QueueUrl=url + "-no-such", MessageBody="x")
refused(e.ReceiptHandleIsInvalid, sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
refused(e.EmptyBatchRequest, sqs.send_message_batch, QueueUrl=url, Entries=[])
refused(e.BatchEntryIdsNotDistinct, sqs.send_message_batch, QueueUrl=url, Entries=[entries[0], entries[0]])
refused(e.QueueNameExists, sqs.create_queue, QueueName=NAME, Attributes={"VisibilityTimeout": "1"})
refused(e.InvalidAttributeName, sqs.set_queue_attributes, QueueUrl=url, Attributes={"NoSuch": "1"})

# Permissions, purge, the end.
sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
assert "123456789012" in policy
sqs.remove_permission(QueueUrl=url, Label="l")
sqs.purge_queue(QueueUrl=url)
refused(e.PurgeQueueInProgress, sqs.purge_queue, QueueUrl=url)
sqs.delete_queue(QueueUrl=url)
refused(e.QueueDoesNotExist, sqs.receive_message, QueueUrl=url)
print(f"ok   boto3 {boto3.__version__} by the {PROTOCOL} protocol")
