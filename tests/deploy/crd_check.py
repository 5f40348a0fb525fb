"""Checks the custom resources of a rendered overlay against models of their own types: fields, types, enums.

usage: crd_check.py RENDERED.yaml
"""

import sys

import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus
from pydantic import ValidationError

MODELS = {"keda.sh": keda, "monitoring.coreos.com": prometheus}


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


def group(document):
    return document["apiVersion"].split("/")[0]


def without_resources(document):
    """The models of a container's resources fail on any number; the job itself is checked as Kubernetes' own kind."""
    for container in document["spec"].get("jobTargetRef", {}).get("template", {}).get("spec", {}).get("containers", []):
        del container["resources"]
    return document


def mistakes(document):
    model = getattr(MODELS[group(document)], document["kind"])
    try:
        parsed = model.model_validate(document)
    except ValidationError as error:
        return [".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()]
    return list(unknown(document, parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)))


def main(path):
    with open(path) as rendered:
        documents = [without_resources(d) for d in yaml.safe_load_all(rendered) if d and group(d) in MODELS]
    bad = [f"{d['kind']}: {mistake}" for d in documents for mistake in mistakes(d)]
    print("\n".join(bad), end="\n" if bad else "")
    if not documents:
        sys.exit(f"{path} has no custom resource")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(sys.argv[1])
