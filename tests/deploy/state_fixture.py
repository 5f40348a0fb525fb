"""Cuts `terraform show -json` of a state to what validate reads, in an order that stays: crates/lab/tests/validate/state.json.

usage: state_fixture.py STATE.json
"""
import json
import sys

READ = {
    "aws_sqs_queue",
    "aws_sqs_queue_policy",
    "aws_sqs_queue_redrive_allow_policy",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_eks_pod_identity_association",
}


def resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def known(value):
    # What a provider makes up, the schema stub calls stub-….
    return value not in (None, "", [], {}) and not str(value).startswith("stub")


with open(sys.argv[1]) as file:
    shown = json.load(file)
kept = [
    {
        "address": resource["address"],
        "type": resource["type"],
        "values": {name: value for name, value in resource["values"].items() if known(value)},
    }
    for resource in resources(shown["values"]["root_module"])
    if resource["type"] in READ
]
kept.sort(key=lambda resource: resource["address"])
json.dump({"values": {"root_module": {"resources": kept}}}, sys.stdout, indent=1, sort_keys=True)
print()
