"""Puts the queues of the template and of terraform, with their policies, into an emulator that serves TLS, and uses them.

usage: tls.py ENDPOINT deploy TEMPLATE.json [STATE.json]     prints the URLs of the work queues
       tls.py ENDPOINT refused URL...      tls.py ENDPOINT send URL COUNT      tls.py ENDPOINT emptied URL
"""

import json
import sys
import time
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

STACK = "twinscale-tls"


def client(endpoint, service):
    return boto3.client(service, endpoint_url=endpoint)


def check(holds, otherwise):
    if not holds:
        sys.exit(f"tls.py: {otherwise}")


def deploy(endpoint, template, state=None):
    template = json.loads(Path(template).read_text())
    kept = {name: of for name, of in template["Resources"].items() if of["Type"].startswith("AWS::SQS::")}
    policies = [of for of in kept.values() if of["Type"] == "AWS::SQS::QueuePolicy"]
    check(len(policies) >= 3, f"the template has {len(policies)} policies of queues")
    body = {"Parameters": template["Parameters"], "Conditions": template["Conditions"], "Resources": kept}
    body["Outputs"] = {"QueueUrl": {"Value": {"Ref": "Queue"}}}
    formation = client(endpoint, "cloudformation")
    formation.create_stack(StackName=STACK, TemplateBody=json.dumps(body))
    formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    (output,) = formation.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    print(output["OutputValue"])
    if state:
        print(of_terraform(endpoint, json.loads(Path(state).read_text())))


def of_terraform(endpoint, state):
    """A queue with the policy that terraform gives the work queue, of which only the account is another here."""
    (module,) = state["values"]["root_module"]["child_modules"]
    tls_only = f'{module["address"]}.aws_sqs_queue_policy.tls_only["work"]'
    policy = next(r["values"]["policy"] for r in module["resources"] if r["address"] == tls_only)
    sqs = client(endpoint, "sqs")
    url = sqs.create_queue(QueueName="twinscale")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.loads(policy)
    for statement in policy["Statement"]:
        check(statement["Resource"].endswith(":twinscale"), f"the policy is of another queue: {statement}")
        statement["Resource"] = arn
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return url


def refused(endpoint, *urls):
    """The emulator takes a request for one that came over plain HTTP when what stands before it says so."""
    over_http = client(endpoint, "sqs")
    mark = lambda request, **_: request.headers.add_header("x-forwarded-proto", "http")  # noqa: E731
    over_http.meta.events.register("before-sign.sqs", mark)
    for url in urls:
        for what, call in {
            "a message": lambda url=url: over_http.send_message(QueueUrl=url, MessageBody="over plain HTTP"),
            "a receive": lambda url=url: over_http.receive_message(QueueUrl=url),
        }.items():
            try:
                call()
            except ClientError as error:
                check("AccessDenied" in error.response["Error"]["Code"], f"{url}: {error}")
            else:
                sys.exit(f"tls.py: {url} takes {what} over plain HTTP")


def send(endpoint, url, count):
    sqs = client(endpoint, "sqs")
    for number in range(int(count)):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))


def emptied(endpoint, url):
    sqs = client(endpoint, "sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    end = time.monotonic() + 60
    while any(int(count) for count in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()):
        check(time.monotonic() < end, f"{url}: the worker has left messages")
        time.sleep(0.2)


if __name__ == "__main__":
    endpoint, command, *arguments = sys.argv[1:]
    {"deploy": deploy, "refused": refused, "send": send, "emptied": emptied}[command](endpoint, *arguments)
