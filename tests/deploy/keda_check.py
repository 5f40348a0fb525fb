"""Checks the KEDA objects of a rendered overlay against the models of KEDA's own types: fields, types, enums.

usage: keda_check.py RENDERED.yaml
"""

import sys

import yaml
from cloudcoil.models.keda import v1alpha1
from pydantic import ValidationError


def unknown(given, understood, path=""):
    """Fields that the model dropped, which the API server would prune without a word."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(understood, dict) or key not in understood:
                yield f"{path}{key}: unknown field"
            else:
                yield from unknown(value, understood[key], f"{path}{key}.")
    elif isinstance(given, list):
        for index, (item, other) in enumerate(zip(given, understood)):
            yield from unknown(item, other, f"{path}{index}.")


def mistakes(document):
    model = getattr(v1alpha1, document["kind"])
    try:
        parsed = model.model_validate(document)
    except ValidationError as error:
        return [".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()]
    return list(unknown(document, parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)))


def main(path):
    with open(path) as rendered:
        documents = [d for d in yaml.safe_load_all(rendered) if d and d["apiVersion"].startswith("keda.sh/")]
    bad = [f"{d['kind']}: {mistake}" for d in documents for mistake in mistakes(d)]
    print("\n".join(bad), end="\n" if bad else "")
    if not documents and "emulator" not in path:
        sys.exit(f"{path} has no KEDA object")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(sys.argv[1])
