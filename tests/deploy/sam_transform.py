"""Turns a SAM template into the CloudFormation that AWS would make of it, without AWS, so that linters see its resources.

usage: sam_transform.py TEMPLATE.yaml > template.json
"""

import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template names none; AWS would be asked for their ARNs."""

    def load(self):
        return {}


def main(path):
    with open(path) as file:
        template = yaml_parse(file.read())
    # A local folder would be uploaded first: any S3 address does.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
