"""Protocol checks of the embedded queue with boto3: run with the endpoint URL; one line a check, exit 1 if any fails.

The server's clock runs 10 times faster, so waits and timeouts here are in its seconds.
"""

import hashlib
import json
import socket
import sys
import threading
import time
import traceback

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
sqs = boto3.client(
    "sqs",
    endpoint_url=ENDPOINT,
    config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20),
)
CHECKS = []
made = 0


def check(f):
    CHECKS.append(f)
    return f


def queue(fifo=False, **attributes):
    global made
    made += 1
    name = f"boto3-{made}" + (".fifo" if fifo else "")
    if fifo:
        attributes["FifoQueue"] = "true"
    return sqs.create_queue(QueueName=name, Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]


def arn(url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(url, n=10, **more):
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=n, **more).get("Messages", [])


def counts(url):
    a = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return tuple(int(a["ApproximateNumberOfMessages" + kind]) for kind in ("", "NotVisible", "Delayed"))


def refused(code, f, *args, **kwargs):
    try:
        f(*args, **kwargs)
    except ClientError as error:
        got = error.response["Error"]["Code"]
        assert got == code, f"code {got}, not {code}: {error}"
        return error
    raise AssertionError(f"not refused, {code} was expected")


def policy(dlq, most):
    return json.dumps({"deadLetterTargetArn": arn(dlq), "maxReceiveCount": most})


@check
def create_get_url_and_list():
    url = queue()
    name = url.rsplit("/", 1)[1]
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert url in sqs.list_queues(QueueNamePrefix="boto3-")["QueueUrls"]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="no-such")


@check
def listing_is_paged():
    for _ in range(3):
        queue()
    first = sqs.list_queues(QueueNamePrefix="boto3-", MaxResults=2)
    assert len(first["QueueUrls"]) == 2 and first["NextToken"]
    second = sqs.list_queues(QueueNamePrefix="boto3-", MaxResults=2, NextToken=first["NextToken"])
    assert not set(first["QueueUrls"]) & set(second["QueueUrls"])


@check
def creating_again_finds_the_queue_and_other_attributes_are_refused():
    url = queue(VisibilityTimeout=31)
    name = url.rsplit("/", 1)[1]
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "31"})["QueueUrl"] == url
    refused("QueueAlreadyExists", sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "32"})


@check
def queue_names_are_checked():
    for bad in ["a b", "x" * 81, "dots.in.it", ""]:
        refused("InvalidParameterValue", sqs.create_queue, QueueName=bad)
    refused("InvalidParameterValue", sqs.create_queue, QueueName="a", Attributes={"FifoQueue": "true"})
    refused("InvalidParameterValue", sqs.create_queue, QueueName="a.fifo")


@check
def a_queue_that_is_not_there():
    error = refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="no-such")
    assert isinstance(error, sqs.exceptions.QueueDoesNotExist)
    assert error.response["Error"]["Message"] == "The specified queue does not exist."
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused("AWS.SimpleQueueService.NonExistentQueue", sqs.send_message, QueueUrl=ENDPOINT + "/0/no-such", MessageBody="x")


@check
def a_deleted_queue_is_gone():
    url = queue()
    sqs.delete_queue(QueueUrl=url)
    refused("AWS.SimpleQueueService.NonExistentQueue", sqs.send_message, QueueUrl=url, MessageBody="x")
    refused("AWS.SimpleQueueService.NonExistentQueue", sqs.delete_queue, QueueUrl=url)


@check
def attributes_have_the_defaults_of_sqs():
    got = sqs.get_queue_attributes(QueueUrl=queue(), AttributeNames=["All"])["Attributes"]
    expected = {
        "VisibilityTimeout": "30", "DelaySeconds": "0", "MessageRetentionPeriod": "345600",
        "MaximumMessageSize": "1048576", "ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true",
    }
    assert {k: got[k] for k in expected} == expected
    assert got["QueueArn"].startswith("arn:aws:sqs:us-east-1:000000000000:boto3-")
    assert abs(int(got["CreatedTimestamp"]) - time.time()) < 10_000 and "FifoQueue" not in got


@check
def attributes_can_be_asked_for_one_by_one():
    url = queue(VisibilityTimeout=7)
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"])
    assert got["Attributes"] == {"VisibilityTimeout": "7"}
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["NoSuch"])


@check
def attributes_can_be_changed():
    url = queue()
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "9", "DelaySeconds": "1"})
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout", "DelaySeconds"])["Attributes"]
    assert got == {"VisibilityTimeout": "9", "DelaySeconds": "1"}


@check
def attributes_out_of_range_are_refused():
    url = queue()
    for name, values in {
        "VisibilityTimeout": ["-1", "43201", "x"], "DelaySeconds": ["901"], "MessageRetentionPeriod": ["59", "1209601"],
        "MaximumMessageSize": ["1023", "1048577"], "ReceiveMessageWaitTimeSeconds": ["21"], "Policy": ["{"],
    }.items():
        for value in values:
            refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value})
            refused("InvalidAttributeValue", sqs.create_queue, QueueName="bad", Attributes={name: value})
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"NoSuch": "1"})
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "true"})


@check
def a_message_comes_back_as_it_was_sent():
    url, body = queue(), 'ünï "quoted" \\ \n\t<&> 🚀'
    sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    [got] = receive(url)
    assert (got["Body"], got["MessageId"]) == (body, sent["MessageId"])
    assert got["MD5OfBody"] == sent["MD5OfMessageBody"] and "Attributes" not in got


def md5_of(attributes):
    md5 = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        kind, data = (2, value["BinaryValue"]) if "BinaryValue" in value else (1, value["StringValue"].encode())
        for part in (name.encode(), value["DataType"].encode()):
            md5.update(len(part).to_bytes(4, "big") + part)
        md5.update(bytes([kind]) + len(data).to_bytes(4, "big") + data)
    return md5.hexdigest()


@check
def attributes_of_every_type_come_back_with_their_md5():
    url = queue()
    attributes = {
        "text": {"DataType": "String", "StringValue": "ü"},
        "number.one": {"DataType": "Number.int", "StringValue": "-1.5e3"},
        "bytes": {"DataType": "Binary.gif", "BinaryValue": b"\x00\xff\x10"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    assert sent["MD5OfMessageAttributes"] == md5_of(attributes)
    [got] = receive(url, MessageAttributeNames=["All"])
    assert got["MessageAttributes"] == attributes and got["MD5OfMessageAttributes"] == md5_of(attributes)


@check
def attributes_are_chosen_by_name_and_prefix():
    url = queue(VisibilityTimeout=0)
    attributes = {name: {"DataType": "String", "StringValue": "v"} for name in ("a.one", "a.two", "b")}
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    for names, expected in ([["a.*"], ["a.one", "a.two"]], [["b"], ["b"]], [[".*"], ["a.one", "a.two", "b"]], [["c"], []], [[], []]):
        [got] = receive(url, MessageAttributeNames=names)
        assert sorted(got.get("MessageAttributes", {})) == expected, names
        chosen = {name: attributes[name] for name in expected}
        assert got.get("MD5OfMessageAttributes") == (md5_of(chosen) if chosen else None)


@check
def the_trace_header_is_kept_and_has_an_md5():
    url = queue()
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="x", MessageSystemAttributes=header)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of(header)
    [got] = receive(url, MessageSystemAttributeNames=["AWSTraceHeader"])
    assert got["Attributes"] == {"AWSTraceHeader": header["AWSTraceHeader"]["StringValue"]}
    bad = {"AWSTraceHeader": {"DataType": "Number", "StringValue": "1"}}
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageSystemAttributes=bad)


@check
def message_attributes_are_checked():
    url = queue()
    text = {"DataType": "String", "StringValue": "v"}
    for bad in [
        {"": text}, {"AWS.x": text}, {"amazon.x": text}, {".x": text}, {"x.": text}, {"a..b": text}, {"a b": text},
        {"x" * 257: text}, {"x": {"DataType": "String", "StringValue": ""}}, {"x": {"DataType": "Nope", "StringValue": "v"}},
        {"x": {"DataType": "Number", "StringValue": "one"}}, {"x": {"DataType": "Binary", "BinaryValue": b""}},
        {"x": {"DataType": "", "StringValue": "v"}}, {f"n{i}": text for i in range(11)},
    ]:
        refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageAttributes=bad)
    assert counts(url) == (0, 0, 0)


@check
def system_attributes_tell_the_messages_history():
    url = queue(VisibilityTimeout=0)
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="tenant")
    receive(url)
    [got] = receive(url, AttributeNames=["All"])
    got = got["Attributes"]
    assert got["ApproximateReceiveCount"] == "2" and got["SenderId"] and got["MessageGroupId"] == "tenant"
    assert int(got["SentTimestamp"]) <= int(got["ApproximateFirstReceiveTimestamp"])
    assert "SequenceNumber" not in got
    refused("InvalidAttributeName", receive, url, AttributeNames=["NoSuch"])


@check
def bodies_are_checked():
    url = queue()
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="")
    for bad in ["\x00", "a\x0b", "\ufffe", "\uffff"]:
        refused("InvalidMessageContents", sqs.send_message, QueueUrl=url, MessageBody=bad)
    for good in ["\t\r\n ", "\ud7ff\ue000\ufffd"]:
        sqs.send_message(QueueUrl=url, MessageBody=good)


@check
def one_mebibyte_fits_and_one_byte_more_does_not():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1048576)
    assert len(receive(url)[0]["Body"]) == 1048576
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x" * 1048577)
    attribute = {"a": {"DataType": "String", "StringValue": "v"}}
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x" * 1048569, MessageAttributes=attribute)
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1048568, MessageAttributes=attribute)


@check
def the_queues_own_maximum_message_size_counts():
    url = queue(MaximumMessageSize=1024)
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1024)
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x" * 1025)


@check
def delays_hide_a_message_and_are_checked():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=5)
    assert counts(url) == (0, 0, 1)
    [got] = receive(url, WaitTimeSeconds=20)
    assert got["Body"] == "later"
    for bad in (-1, 901):
        refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", DelaySeconds=bad)


@check
def a_message_can_undo_the_queues_delay():
    url = queue(DelaySeconds=900)
    sqs.send_message(QueueUrl=url, MessageBody="late")
    sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
    assert [m["Body"] for m in receive(url)] == ["now"] and counts(url) == (0, 1, 1)


@check
def a_batch_sends_ten_and_names_each():
    url = queue()
    entries = [{"Id": f"e{i}", "MessageBody": f"b{i}"} for i in range(10)]
    sent = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [e["Id"] for e in sent["Successful"]] == [e["Id"] for e in entries] and not sent.get("Failed")
    assert sent["Successful"][3]["MD5OfMessageBody"] == hashlib.md5(b"b3").hexdigest()
    assert sorted(m["Body"] for m in receive(url)) == sorted(e["MessageBody"] for e in entries)


@check
def batches_are_refused_as_a_whole():
    url = queue()
    batch = lambda entries: sqs.send_message_batch(QueueUrl=url, Entries=entries)
    entry = lambda id, body="x": {"Id": id, "MessageBody": body}
    prefix = "AWS.SimpleQueueService."
    refused(prefix + "EmptyBatchRequest", batch, [])
    refused(prefix + "TooManyEntriesInBatchRequest", batch, [entry(f"e{i}") for i in range(11)])
    refused(prefix + "BatchEntryIdsNotDistinct", batch, [entry("a"), entry("a")])
    refused(prefix + "InvalidBatchEntryId", batch, [entry("a b")])
    refused(prefix + "InvalidBatchEntryId", batch, [entry("x" * 81)])
    refused(prefix + "BatchRequestTooLong", batch, [entry("a", "x" * 600_000), entry("b", "x" * 600_000)])
    assert counts(url) == (0, 0, 0)


@check
def a_batch_fails_entry_by_entry():
    url = queue()
    sent = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "\x00"},
        {"Id": "late", "MessageBody": "x", "DelaySeconds": 901},
    ])
    assert [e["Id"] for e in sent["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"], e["SenderFault"]) for e in sent["Failed"]] == [
        ("bad", "InvalidMessageContents", True), ("late", "InvalidParameterValue", True)]
    assert counts(url) == (1, 0, 0)


@check
def receive_parameters_are_checked():
    url = queue()
    for bad in ({"MaxNumberOfMessages": 0}, {"MaxNumberOfMessages": 11}, {"WaitTimeSeconds": -1}, {"WaitTimeSeconds": 21},
                {"VisibilityTimeout": -1}, {"VisibilityTimeout": 43201}, {"ReceiveRequestAttemptId": "only-fifo"}):
        refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, **bad)


@check
def one_message_is_the_default_and_an_empty_queue_answers_without_messages():
    url = queue()
    for i in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=queue())


@check
def a_received_message_is_hidden_until_its_visibility_ends():
    url = queue(VisibilityTimeout=20)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [first] = receive(url)
    assert not receive(url) and counts(url) == (0, 1, 0)
    [second] = receive(url, WaitTimeSeconds=20) or receive(url, WaitTimeSeconds=20)
    assert second["MessageId"] == first["MessageId"] and second["ReceiptHandle"] != first["ReceiptHandle"]


@check
def a_long_poll_wakes_on_arrival():
    url = queue()
    got = []
    thread = threading.Thread(target=lambda: got.extend(receive(url, WaitTimeSeconds=20)))
    thread.start()
    time.sleep(0.2)
    began = time.time()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    thread.join()
    assert [m["Body"] for m in got] == ["x"] and time.time() - began < 1.0


@check
def a_long_poll_ends_empty_when_its_time_is_over():
    began = time.time()
    assert not receive(queue(), WaitTimeSeconds=5)
    assert 0.4 < time.time() - began < 3


@check
def the_queues_own_wait_counts():
    url = queue(ReceiveMessageWaitTimeSeconds=5)
    began = time.time()
    assert not receive(url)
    assert time.time() - began > 0.4
    began = time.time()
    assert not receive(url, WaitTimeSeconds=0)
    assert time.time() - began < 0.4


@check
def a_client_that_goes_away_takes_no_message_with_it():
    url = queue()
    host, port = ENDPOINT.removeprefix("http://").split(":")
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
    for _ in range(5):
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(
                b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.05)
    time.sleep(0.2)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert counts(url) == (1, 0, 0), counts(url)
    assert len(receive(url)) == 1


@check
def a_deleted_message_is_gone_and_deleting_again_succeeds():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [got] = receive(url)
    for _ in range(2):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    assert counts(url) == (0, 0, 0)


@check
def a_stale_handle_deletes_nothing_and_succeeds():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [first] = receive(url, VisibilityTimeout=0)
    [second] = receive(url, VisibilityTimeout=600)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert counts(url) == (0, 1, 0)
    # It changes the visibility all the same, as on AWS.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    assert counts(url) == (1, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    assert counts(url) == (0, 0, 0)


@check
def an_expired_handle_still_deletes_if_nobody_has_received_since():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [got] = receive(url, VisibilityTimeout=0)
    assert counts(url) == (1, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    assert counts(url) == (0, 0, 0)


@check
def garbage_handles_are_refused():
    url, other = queue(), queue()
    sqs.send_message(QueueUrl=other, MessageBody="x")
    [foreign] = receive(other)
    for handle in ("garbage", "AQEB" * 40, foreign["ReceiptHandle"]):
        refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle=handle)
        refused("ReceiptHandleIsInvalid", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)


@check
def deletes_fail_entry_by_entry():
    url = queue()
    for _ in range(2):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    entries = [{"Id": f"m{i}", "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(receive(url))]
    got = sqs.delete_message_batch(QueueUrl=url, Entries=entries + [{"Id": "bad", "ReceiptHandle": "garbage"}])
    assert [e["Id"] for e in got["Successful"]] == ["m0", "m1"]
    assert [(e["Id"], e["Code"]) for e in got["Failed"]] == [("bad", "ReceiptHandleIsInvalid")]
    assert counts(url) == (0, 0, 0)


@check
def visibility_zero_gives_a_message_back_and_wakes_a_poll():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [got] = receive(url)
    back = []
    thread = threading.Thread(target=lambda: back.extend(receive(url, WaitTimeSeconds=20)))
    thread.start()
    time.sleep(0.1)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=0)
    thread.join()
    assert [m["MessageId"] for m in back] == [got["MessageId"]]


@check
def visibility_is_checked_and_a_handle_lasts_until_the_message_is_deleted():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [got] = receive(url)
    change = lambda timeout: sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=timeout)
    for bad in (-1, 43201):
        refused("InvalidParameterValue", change, bad)
    time.sleep(0.01)
    refused("InvalidParameterValue", change, 43200)
    change(43100)
    change(0)
    # A handle whose timeout is over hides the message again; one of a deleted message does not.
    change(10)
    assert counts(url) == (0, 1, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    refused("InvalidParameterValue", change, 10)


@check
def visibility_changes_fail_entry_by_entry():
    url = queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [got] = receive(url)
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
        {"Id": "good", "ReceiptHandle": got["ReceiptHandle"], "VisibilityTimeout": 0},
        {"Id": "bad", "ReceiptHandle": "garbage", "VisibilityTimeout": 0}])
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"]) for e in answer["Failed"]] == [("bad", "ReceiptHandleIsInvalid")]
    assert counts(url) == (1, 0, 0)


@check
def purge_empties_a_queue_once_a_minute():
    url = queue()
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    receive(url, 1)
    sqs.purge_queue(QueueUrl=url)
    assert counts(url) == (0, 0, 0)
    refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.purge_queue, QueueUrl=url)


@check
def tags_are_set_listed_and_removed():
    url = sqs.create_queue(QueueName="boto3-tagged", tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2", "c": "3"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "c"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}
    refused("InvalidParameterValue", sqs.tag_queue, QueueUrl=url, Tags={"aws:x": "1"})
    refused("InvalidParameterValue", sqs.tag_queue, QueueUrl=url, Tags={f"t{i}": "" for i in range(50)})


@check
def permissions_become_statements_of_the_policy():
    url = queue()
    sqs.add_permission(QueueUrl=url, Label="one", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
    refused("InvalidParameterValue", sqs.add_permission, QueueUrl=url, Label="one", AWSAccountIds=["1"], Actions=["*"])
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    [statement] = json.loads(got)["Statement"]
    assert statement["Sid"] == "one" and statement["Action"] == "SQS:SendMessage"
    sqs.remove_permission(QueueUrl=url, Label="one")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    refused("InvalidParameterValue", sqs.remove_permission, QueueUrl=url, Label="one")


@check
def a_message_received_too_often_goes_to_the_dead_letter_queue():
    dlq = queue()
    url = queue(RedrivePolicy=policy(dlq, 2), VisibilityTimeout=0)
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert receive(url) and receive(url) and not receive(url)
    assert counts(url) == (0, 0, 0) and counts(dlq) == (1, 0, 0)
    [got] = receive(dlq, AttributeNames=["All"])
    assert got["MessageId"] == sent["MessageId"] and got["Attributes"]["DeadLetterQueueSourceArn"] == arn(url)


@check
def redrive_policies_are_checked():
    url, dlq = queue(), queue()
    for bad in ["{", "{}", json.dumps({"deadLetterTargetArn": arn(dlq)}), policy(dlq, 0), policy(dlq, 1001),
                json.dumps({"deadLetterTargetArn": arn(dlq) + "-no", "maxReceiveCount": 1}), policy(queue(fifo=True), 1)]:
        refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"RedrivePolicy": bad})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy(dlq, "5")})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])


@check
def a_dead_letter_queue_says_who_may_use_it():
    dlq, url = queue(), queue()
    allow = lambda policy: sqs.set_queue_attributes(QueueUrl=dlq, Attributes={"RedriveAllowPolicy": json.dumps(policy)})
    use = lambda: sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy(dlq, 1)})
    allow({"redrivePermission": "denyAll"})
    refused("InvalidParameterValue", use)
    allow({"redrivePermission": "byQueue", "sourceQueueArns": [arn(url)]})
    use()
    refused("InvalidAttributeValue", allow, {"redrivePermission": "nobody"})


@check
def dead_letter_sources_are_listed():
    dlq = queue()
    url = queue(RedrivePolicy=policy(dlq, 1))
    assert sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"] == [url]
    assert sqs.list_dead_letter_source_queues(QueueUrl=url)["queueUrls"] == []


def moved(source):
    for _ in range(200):
        [task] = sqs.list_message_move_tasks(SourceArn=source)["Results"]
        if task["Status"] != "RUNNING":
            return task
        time.sleep(0.02)
    raise AssertionError("the move task does not end")


@check
def a_move_task_brings_dead_letters_back():
    dlq = queue()
    url = queue(RedrivePolicy=policy(dlq, 1), VisibilityTimeout=0)
    for i in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=str(i))
    receive(url), receive(url)
    assert counts(dlq) == (5, 0, 0)
    assert sqs.start_message_move_task(SourceArn=arn(dlq))["TaskHandle"]
    task = moved(arn(dlq))
    assert task["Status"] == "COMPLETED" and task["ApproximateNumberOfMessagesMoved"] == 5 and "TaskHandle" not in task
    assert counts(url) == (5, 0, 0) and counts(dlq) == (0, 0, 0)


@check
def a_move_task_has_a_destination_a_rate_and_can_be_cancelled():
    dlq, other = queue(), queue()
    queue(RedrivePolicy=policy(dlq, 1))
    for _ in range(3):
        sqs.send_message_batch(QueueUrl=dlq, Entries=[{"Id": str(i), "MessageBody": "x"} for i in range(10)])
    start = lambda **more: sqs.start_message_move_task(SourceArn=arn(dlq), DestinationArn=arn(other), **more)
    refused("InvalidParameterValue", start, MaxNumberOfMessagesPerSecond=501)
    handle = start(MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    refused("InvalidParameterValue", start)
    sqs.cancel_message_move_task(TaskHandle=handle)
    for _ in range(200):
        [task] = sqs.list_message_move_tasks(SourceArn=arn(dlq))["Results"]
        if task["Status"] == "CANCELLED":
            break
        time.sleep(0.02)
    assert task["Status"] == "CANCELLED" and counts(dlq)[0] + counts(other)[0] == 30 and counts(dlq)[0] > 0
    refused("ResourceNotFoundException", sqs.cancel_message_move_task, TaskHandle=handle)


@check
def move_tasks_need_a_dead_letter_queue():
    url = queue()
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=arn(url))
    refused("ResourceNotFoundException", sqs.start_message_move_task, SourceArn=arn(url) + "-no")
    refused("ResourceNotFoundException", sqs.list_message_move_tasks, SourceArn=arn(url) + "-no")


@check
def retention_ends_messages():
    url = queue(MessageRetentionPeriod=60)
    sqs.send_message(QueueUrl=url, MessageBody="old")
    assert counts(url) == (1, 0, 0)
    time.sleep(6.2)
    assert counts(url) == (0, 0, 0) and not receive(url)


@check
def fifo_keeps_order_and_locks_the_group():
    url = queue(fifo=True)
    sequence = [sqs.send_message(QueueUrl=url, MessageBody=str(i), MessageGroupId="g", MessageDeduplicationId=str(i))["SequenceNumber"] for i in range(5)]
    assert sequence == sorted(sequence) and len(sequence[0]) == 20
    first = receive(url, 2, AttributeNames=["All"])
    assert [m["Body"] for m in first] == ["0", "1"] and first[0]["Attributes"]["SequenceNumber"] == sequence[0]
    assert first[0]["Attributes"]["MessageGroupId"] == "g" and first[0]["Attributes"]["MessageDeduplicationId"] == "0"
    assert not receive(url)
    for m in first:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
    assert [m["Body"] for m in receive(url)] == ["2", "3", "4"]


@check
def fifo_gives_back_in_order():
    url = queue(fifo=True)
    for i in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(i), MessageGroupId="g", MessageDeduplicationId=str(i))
    for m in reversed(receive(url)):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"], VisibilityTimeout=0)
    assert [m["Body"] for m in receive(url)] == ["0", "1", "2"]


@check
def a_delete_opens_the_group_for_a_poll_that_waits():
    url = queue(fifo=True)
    for i in range(2):
        sqs.send_message(QueueUrl=url, MessageBody=str(i), MessageGroupId="g", MessageDeduplicationId=str(i))
    [held] = receive(url, 1)
    got = []
    thread = threading.Thread(target=lambda: got.extend(receive(url, WaitTimeSeconds=20)))
    thread.start()
    time.sleep(0.1)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
    thread.join()
    assert [m["Body"] for m in got] == ["1"]


@check
def fifo_takes_a_duplicate_once():
    url = queue(fifo=True)
    send = lambda body: sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId="same")
    first, second = send("a"), send("b")
    assert first["MessageId"] == second["MessageId"] and first["SequenceNumber"] == second["SequenceNumber"]
    assert [m["Body"] for m in receive(url)] == ["a"]


@check
def fifo_can_deduplicate_by_content_and_by_group():
    url = queue(fifo=True, ContentBasedDeduplication="true")
    for group in ("g", "h"):
        sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId=group)
    [got] = receive(url, AttributeNames=["All"])
    assert got["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"same").hexdigest()
    url = queue(fifo=True, ContentBasedDeduplication="true", DeduplicationScope="messageGroup")
    for group in ("g", "h", "h"):
        sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId=group)
    assert counts(url) == (2, 0, 0)


@check
def fifo_parameters_are_checked():
    url, standard = queue(fifo=True), queue()
    send = lambda **more: sqs.send_message(QueueUrl=url, MessageBody="x", **more)
    refused("MissingParameter", send, MessageDeduplicationId="d")
    refused("InvalidParameterValue", send, MessageGroupId="g")
    refused("InvalidParameterValue", send, MessageGroupId="g", MessageDeduplicationId="d", DelaySeconds=1)
    refused("InvalidParameterValue", send, MessageGroupId="a b", MessageDeduplicationId="d")
    refused("InvalidParameterValue", send, MessageGroupId="g", MessageDeduplicationId="x" * 129)
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=standard, MessageBody="x", MessageDeduplicationId="d")
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=standard, Attributes={"ContentBasedDeduplication": "true"})


@check
def an_expired_fifo_handle_does_not_delete():
    url = queue(fifo=True)
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d")
    [got] = receive(url, VisibilityTimeout=0)
    assert counts(url) == (1, 0, 0)
    refused("InvalidParameterValue", sqs.delete_message, QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])


@check
def the_same_receive_attempt_brings_the_same_messages():
    url = queue(fifo=True)
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d")
    attempt = {"ReceiveRequestAttemptId": "one"}
    [first], [second] = receive(url, **attempt), receive(url, **attempt)
    assert first["ReceiptHandle"] == second["ReceiptHandle"]
    assert not receive(url, ReceiveRequestAttemptId="two")


@check
def a_fifo_dead_letter_keeps_its_group():
    dlq = queue(fifo=True)
    url = queue(fifo=True, RedrivePolicy=policy(dlq, 1), VisibilityTimeout=0)
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d")
    assert receive(url) and not receive(url)
    [got] = receive(dlq, AttributeNames=["All"])
    assert got["Attributes"]["MessageGroupId"] == "g"


@check
def twenty_clients_get_each_message_once():
    url = queue()
    for k in range(20):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": f"{k}-{i}"} for i in range(10)])
    bodies, threads = [], []

    def drain():
        while messages := receive(url, VisibilityTimeout=3600):
            bodies.extend(m["Body"] for m in messages)

    for _ in range(20):
        threads.append(threading.Thread(target=drain))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 200 == len(set(bodies))


@check
def unknown_actions_and_bad_json_are_told_apart():
    import urllib.error
    import urllib.request

    def post(target, body):
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        try:
            urllib.request.urlopen(urllib.request.Request(ENDPOINT, body, headers))
        except urllib.error.HTTPError as error:
            return json.load(error)["__type"].split("#")[1]

    assert post("AmazonSQS.NoSuch", b"{}") == "UnknownOperationException"
    assert post("ListQueues", b"{}") == "UnknownOperationException"
    for bad in (b"{", b"[]", b'{"QueueUrl": 7}', b"\xff"):
        assert post("AmazonSQS.SendMessage", bad) == "SerializationException", bad


failed = 0
for f in CHECKS:
    if len(sys.argv) > 2 and sys.argv[2] not in f.__name__:
        continue
    try:
        f()
        print("ok  ", f.__name__.replace("_", " "))
    except Exception:
        failed += 1
        print("FAIL", f.__name__.replace("_", " "))
        traceback.print_exc(file=sys.stdout)
print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed")
sys.exit(failed > 0)
