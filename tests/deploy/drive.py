"""Drives what emulator.sh deployed: makes the EKS target's queues and role, sends messages, and checks where they went.

usage: drive.py refuses-plain-http STACK      drive.py bridge STACK      drive.py function STACK
       drive.py public-url STACK TOKEN
       drive.py prepare-eks STATE.json ENV KEYS      drive.py may-not KEYS      drive.py worker | drained
       drive.py sqs ENDPOINT QUEUE send COUNT | empty
       drive.py registry STATE.json      drive.py compared RUN.json MESSAGES
"""

import base64
import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, EndpointConnectionError

ENDPOINT = "http://127.0.0.1:4566"
NAME = "twinscale"  # of the EKS target's queue


def client(service, **keys):
    return boto3.client(service, endpoint_url=ENDPOINT, **keys)


sqs, iam, functions, tables = client("sqs"), client("iam"), client("lambda"), client("dynamodb")


def check(holds, otherwise):
    if not holds:
        sys.exit(f"drive.py: {otherwise}")


def until(holds, seconds, otherwise):
    """Looks every 200 ms, for a bounded time."""
    end = time.monotonic() + seconds
    while not holds():
        check(time.monotonic() < end, f"after {seconds} s {otherwise()}")
        time.sleep(0.2)


def counts(url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(found[name]) for name in names)


def outputs(stack):
    found = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in found}


def take_all(url):
    """Everything in a queue, deleted as it comes."""
    taken = []
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
    ).get("Messages"):
        taken += messages
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return taken


def remembered(table, count):
    """A table has so many keys, all of them done: what ended otherwise was released."""
    items = [item for page in tables.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]
    claimed = [item for item in items if "holder" in item]
    check(len(items) == count and not claimed, f"{table} has {len(items)} keys, not {count}; in progress: {claimed[:3]}")
    print(f"-- {table}: {count} keys, one for each message that was done")


# IAM covers the batch calls by the single ones; the emulator wants them by name. So roles get them here, and only here:
# the same resource, the same verb.
def with_batches(policy):
    batched = {"sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = actions + [f"{action}Batch" for action in actions if action in batched]
    return policy


def refuses_plain_http(stack):
    """The template's queues take nothing over plain HTTP, which is all that the emulator speaks."""
    at = outputs(stack)
    for key in ("QueueUrl", "DeadLetterQueueUrl"):
        try:
            sqs.send_message(QueueUrl=at[key], MessageBody="over plain HTTP")
        except ClientError as error:
            check("AccessDenied" in error.response["Error"]["Code"], f"{key}: {error}")
        else:
            sys.exit(f"drive.py: {key} takes messages over plain HTTP")
    print("-- function: its queues refuse plain HTTP")


def bridge(stack):
    """Makes up for what the emulator is not: it does not tell functions where it is, wants batch actions by name, and hands
    a template's numbers on as text.
    """
    at = outputs(stack)
    for name in (at["FunctionName"], at["HttpFunctionName"]):
        set_environment(name, AWS_ENDPOINT_URL=ENDPOINT, AWS_EC2_METADATA_DISABLED="true")
    for mapping in functions.list_event_source_mappings(FunctionName=at["FunctionName"])["EventSourceMappings"]:
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], BatchSize=int(mapping["BatchSize"]), ScalingConfig={"MaximumConcurrency": 100}
        )
    resources = client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    for resource in resources:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        role = resource["PhysicalResourceId"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            policy = json.loads(policy) if isinstance(policy, str) else policy
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(with_batches(policy)))


def post_send(url, body, headers):
    """POST /send: status and answer. The emulator answers for the host that the URL names."""
    connection = http.client.HTTPConnection(urlsplit(ENDPOINT).netloc, timeout=60)
    connection.request("POST", "/send", body, {**headers, "host": urlsplit(url).netloc})
    response = connection.getresponse()
    return response.status, response.read().decode()


def send_by_url(url, count):
    """Signed as HttpAuth=AWS_IAM wants it."""
    body = json.dumps({"Messages": count})
    request = AWSRequest(method="POST", url=f"{url.rstrip('/')}/send", data=body, headers={"content-type": "application/json"})
    SigV4Auth(boto3.Session().get_credentials(), "lambda", "us-east-1").add_auth(request)
    status, answer = post_send(url, body, dict(request.headers))
    check(status == 200, f"/send answered {status}: {answer}")
    return json.loads(answer)


def public_url(stack, token):
    """With HttpAuth=NONE whoever has the token sends, unsigned, and nobody else does."""
    url = outputs(stack)["HttpUrl"]
    expected = {f"Bearer {token}": 200, "Bearer another": 401, None: 401}
    for given, status in expected.items():
        headers = {"content-type": "application/json", **({"authorization": given} if given else {})}
        answered = post_send(url, json.dumps({"Messages": 1}), headers)
        check(answered[0] == status, f"/send with {'no token' if given is None else given} answered {answered}, not {status}")
    print("-- function: HttpAuth=NONE lets in the token, and answers 401 to others")


def set_environment(function, **changes):
    environment = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": {**environment, **changes}})


def function(stack):
    """Good, failing and rejected messages through the deployed functions: all end where they belong."""
    at = outputs(stack)
    queue, dead, journal = at["QueueUrl"], at["DeadLetterQueueUrl"], at["JournalQueueUrl"]
    set_environment(
        at["FunctionName"], WORK_WAIT="constant:20ms", WORK_RETRY_SHARE="0.3", WORK_REJECT_SHARE="0.1", BACKOFF_MAX_SECS="1"
    )
    answer = send_by_url(at["HttpUrl"], 100)
    check(answer.get("accepted") == 100, f"/send answered {answer}")
    until(lambda: counts(queue) == (0, 0), 120, lambda: f"{counts(queue)} messages are left")
    rejected = take_all(dead)
    # 100 messages, each rejected in the end with 0.1 / 0.7: 1 to 40 allows for more than five standard deviations.
    check(1 <= len(rejected) <= 40, f"{len(rejected)} messages were rejected")
    reasons = [message.get("MessageAttributes", {}) for message in rejected]
    check(all(reasons), "a rejected message has no reason")
    records = [json.loads(message["Body"]) for message in take_all(journal)]
    check(records, "the journal is empty")
    remembered(at["IdempotencyTable"], 100 - len(rejected))
    print(f"-- function: 100 sent by its URL, {100 - len(rejected)} done, {len(rejected)} rejected, {len(records)} journal records")
    set_environment(
        at["FunctionName"], WORK_WAIT="uniform:1s-2.5s", WORK_RETRY_SHARE="0", WORK_REJECT_SHARE="0", BACKOFF_MAX_SECS="900"
    )


def registry(state):
    """The repository with terraform's settings; prints the credentials for pushing to it."""
    worker = values(json.loads(Path(state).read_text()), "aws_ecr_repository.worker")
    ecr = client("ecr")
    ecr.create_repository(repositoryName=worker["name"], imageTagMutability=worker["image_tag_mutability"])
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    print(base64.b64decode(token).decode())


def arn(url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def values(state, address):
    """Of a resource of the one module that the root calls."""
    (module,) = state["values"]["root_module"]["child_modules"]
    return next(r["values"] for r in module["resources"] if r["address"] == f"{module['address']}.{address}")


def prepare_eks(state, environment, keys):
    """Queues and table with terraform's attributes, the role with terraform's policy, and keys of that role alone."""
    state = json.loads(Path(state).read_text())
    dead = sqs.create_queue(QueueName=f"{NAME}-dead")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 10})
    work = values(state, "aws_sqs_queue.work")
    attributes = {"VisibilityTimeout": str(work["visibility_timeout_seconds"]), "RedrivePolicy": redrive}
    url = sqs.create_queue(QueueName=NAME, Attributes=attributes)["QueueUrl"]
    table = values(state, "aws_dynamodb_table.keys[0]")
    tables.create_table(
        TableName=table["name"],
        BillingMode=table["billing_mode"],
        KeySchema=[{"AttributeName": table["hash_key"], "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": a["name"], "AttributeType": a["type"]} for a in table["attribute"]],
    )
    account = arn(url).split(":")[4]
    policy = values(state, 'aws_iam_role_policy.may["consume"]')["policy"].replace(":123456789012:", f":{account}:")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=f"{NAME}-consume", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    policy = json.dumps(with_batches(json.loads(policy)))
    iam.put_role_policy(RoleName=f"{NAME}-consume", PolicyName="consume", PolicyDocument=policy)
    given = client("sts").assume_role(RoleArn=role, RoleSessionName="worker")["Credentials"]
    Path(keys).write_text(
        f"AWS_ACCESS_KEY_ID={given['AccessKeyId']}\nAWS_SECRET_ACCESS_KEY={given['SecretAccessKey']}\n"
        f"AWS_SESSION_TOKEN={given['SessionToken']}\n"
    )
    journal = sqs.create_queue(QueueName=f"{NAME}-journal")["QueueUrl"]
    Path(environment).write_text(
        f"IDEMPOTENCY_TABLE={table['name']}\nJOURNAL_QUEUE_URL={journal}\nQUEUE_URL={url}\nDLQ_URL={dead}\nAWS_ENDPOINT_URL={ENDPOINT}\nAWS_EC2_METADATA_DISABLED=true\n"
    )


def may_not(keys):
    """The consume role is refused what the worker does not need."""
    given = dict(line.split("=", 1) for line in Path(keys).read_text().split())
    role = {name.lower(): value for name, value in given.items()}
    worker, writer = client("sqs", **role), client("dynamodb", **role)
    url = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=f"{NAME}-dead")["QueueUrl"]
    refused = {
        "send to its own queue": lambda: worker.send_message(QueueUrl=url, MessageBody="x"),
        "receive from the dead-letter queue": lambda: worker.receive_message(QueueUrl=dead),
        "purge": lambda: worker.purge_queue(QueueUrl=url),
        "delete the queue": lambda: worker.delete_queue(QueueUrl=url),
        "read its table": lambda: writer.scan(TableName=f"{NAME}-keys"),
    }
    for what, attempt in refused.items():
        try:
            attempt()
        except ClientError as error:
            check("AccessDenied" in error.response["Error"]["Code"], f"{what}: {error}")
        else:
            sys.exit(f"drive.py: the consume role may {what}")
    print(f"-- worker: its role is refused to {', '.join(refused)}")


def compared(path, messages):
    """Every message done on both targets, none lost."""
    run = json.loads(Path(path).read_text())
    check(run["schema"] == "twinscale/run/1" and run["engine"] == "aws", f"{path} is no run of the engine aws")
    for name in ("eks", "lambda"):
        target = run["targets"][name]
        counted = target["messages"]
        check((counted["sent"], counted["done"], counted["lost"]) == (messages, messages, 0), f"{name}: {counted}")
        check(target["drain_seconds"] and target["latency_seconds"] and target["unavailable"], f"{name}: {target}")
        print(f"-- compare --engine aws: {name} did {counted['done']} of {messages} in {target['drain_seconds']:.1f} s")


def worker():
    """Fills the queue that the pod consumes, and waits until it has begun but not ended."""
    url = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    for batch in range(10):
        entries = [{"Id": str(i), "MessageBody": f"{batch}-{i}"} for i in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    until(lambda: sum(counts(url)) <= 80, 60, lambda: f"the pod has left {counts(url)} of 100 messages")
    print("-- worker: 100 sent, the pod consumes under its role")


def drained():
    """After SIGTERM nothing is in flight: what was not done is back in the queue, at once."""
    url = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    visible, in_flight = counts(url)
    check(in_flight == 0, f"{in_flight} messages are stranded in flight")
    check(visible > 0, "the pod was not stopped in the middle of its work")
    check(counts(sqs.get_queue_url(QueueName=f"{NAME}-dead")["QueueUrl"]) == (0, 0), "something was dead-lettered")
    print(f"-- worker: drained on SIGTERM, {visible} messages back in the queue, none in flight")
    # The 100 of `compared`, and of the 100 of `worker` those that are not back.
    remembered(f"{NAME}-keys", 200 - visible)


def plain(endpoint, queue, what, count="0"):
    """Sends to any queue service, or checks that it has nothing left."""
    there = boto3.client("sqs", endpoint_url=endpoint)

    def url():
        try:
            return there.get_queue_url(QueueName=queue)["QueueUrl"]
        except EndpointConnectionError:
            return None

    until(url, 30, lambda: f"{endpoint} does not answer")
    if what == "send":
        for i in range(int(count)):
            there.send_message(QueueUrl=url(), MessageBody=str(i))
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = there.get_queue_attributes(QueueUrl=url(), AttributeNames=names)["Attributes"]
    check(sum(map(int, found.values())) == int(count), f"{queue} has {found}, not {count} messages")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {
        "refuses-plain-http": refuses_plain_http,
        "bridge": bridge,
        "function": function,
        "public-url": public_url,
        "prepare-eks": prepare_eks,
        "may-not": may_not,
        "registry": registry,
        "sqs": plain,
        "compared": lambda path, messages: compared(path, int(messages)),
        "worker": worker,
        "drained": drained,
    }[command](*arguments)
