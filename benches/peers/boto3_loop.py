#!/usr/bin/env python3
"""A loop as boto3's documentation has it: receive ten, delete ten; in sixteen threads, until it is killed."""

import sys
import threading

import boto3
from botocore.config import Config

LOOPS = 16
# A client may be shared by threads.
client = boto3.client("sqs", config=Config(max_pool_connections=LOOPS))
url = client.get_queue_url(QueueName="jobs")["QueueUrl"]


def loop():
    while True:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        messages = answer.get("Messages", [])
        if not messages:
            continue
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        if client.delete_message_batch(QueueUrl=url, Entries=entries).get("Failed"):
            sys.exit("a delete failed")


threads = [threading.Thread(target=loop, daemon=True) for _ in range(LOOPS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
