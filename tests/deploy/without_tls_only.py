"""Takes the policies that refuse plain HTTP out of a template, for an emulator that speaks nothing else.

usage: without_tls_only.py TEMPLATE.yaml
"""

import json
import sys

from samtranslator.yaml_helper import yaml_parse


def main(path):
    with open(path) as file:
        template = yaml_parse(file.read())
    resources = template["Resources"]
    template["Resources"] = {name: r for name, r in resources.items() if r["Type"] != "AWS::SQS::QueuePolicy"}
    with open(path, "w") as file:
        json.dump(template, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
