"""Checks the custom resources of rendered overlays: KEDA's against its own CRDs, as an API server that prunes nothing, and the
Prometheus operator's against models of their types.

usage: crd_check.py FOLDER_OF_CRDS RENDERED.yaml...
"""

import sys
from pathlib import Path

import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus
from jsonschema import Draft7Validator
from pydantic import ValidationError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MODELS = {"keda.sh": keda, "monitoring.coreos.com": prometheus}


def strict(schema):
    """A CRD's schema as JSON Schema, in which an unknown field is a mistake: the API server would prune it without a word."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # `properties` and the like have fields' names as keys, which are no keywords.
    names = {"properties", "patternProperties", "definitions"}
    out = {
        key: {name: strict(of) for name, of in value.items()} if key in names else strict(value)
        for key, value in schema.items()
        if key not in ("format", "pattern", "description")
    }
    if out.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    open_ended = out.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in out
    if "properties" in out and not open_ended:
        out["additionalProperties"] = False
    if out.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def validators(folder):
    found = {}
    for path in sorted(Path(folder).glob("*.yaml")) if Path(folder).is_dir() else []:
        crd = yaml.load(path.read_text(), LOADER)["spec"]
        for version in crd["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # An object's metadata is Kubernetes' own.
            schema["properties"]["metadata"] = {"type": "object"}
            found[(f"{crd['group']}/{version['name']}", crd["names"]["kind"])] = Draft7Validator(schema)
    return found


def unknown(given, understood, path=""):
    """Fields that a model dropped."""
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


def by_model(document):
    # The models of a container's resources fail on any number; the job itself is checked as Kubernetes' own kind.
    for container in document["spec"].get("jobTargetRef", {}).get("template", {}).get("spec", {}).get("containers", []):
        del container["resources"]
    model = getattr(MODELS[group(document)], document["kind"])
    try:
        parsed = model.model_validate(document)
    except ValidationError as error:
        return [".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()]
    return list(unknown(document, parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)))


def mistakes(document, crds):
    crd = crds.get((document["apiVersion"], document["kind"]))
    if crd is None:
        return by_model(document)
    return [".".join(map(str, e.absolute_path)) + ": " + e.message for e in crd.iter_errors(document)]


def main(folder, *paths):
    crds, bad = validators(folder), False
    for path in paths:
        documents = [d for d in yaml.load_all(Path(path).read_text(), LOADER) if d and group(d) in MODELS]
        if not documents:
            sys.exit(f"{path} has no custom resource")
        for document in documents:
            for mistake in mistakes(document, crds):
                print(f"{path}: {document['kind']}: {mistake}")
                bad = True
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
