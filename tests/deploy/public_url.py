"""Checks that a transformed template lets everybody in by the function URL exactly where HttpAuth is NONE.

usage: public_url.py template.json
"""

import json
import sys
from pathlib import Path

NEEDED = {"lambda:InvokeFunctionUrl": ("FunctionUrlAuthType", "NONE"), "lambda:InvokeFunction": ("InvokedViaFunctionUrl", True)}


def main(path):
    template = json.loads(Path(path).read_text())
    found = {}
    for resource in template["Resources"].values():
        permission = resource.get("Properties", {})
        if resource["Type"] != "AWS::Lambda::Permission" or permission.get("Principal") != "*":
            continue
        condition = template["Conditions"].get(resource.get("Condition"))
        if condition != {"Fn::Equals": [{"Ref": "HttpAuth"}, "NONE"]}:
            sys.exit(f"public_url.py: {permission['Action']} is given to everybody under {condition}")
        field, value = NEEDED[permission["Action"]]
        if permission.get(field) != value:
            sys.exit(f"public_url.py: {permission['Action']} lacks {field} {value}")
        found[permission["Action"]] = True
    lacking = set(NEEDED) - set(found)
    if lacking:
        sys.exit(f"public_url.py: with HttpAuth=NONE nobody is given {', '.join(sorted(lacking))}: Lambda answers 403")


if __name__ == "__main__":
    main(sys.argv[1])
