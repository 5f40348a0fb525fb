"""The jobs that KEDA would make of the ScaledJobs in a rendered overlay, for tools that know Kubernetes' own kinds only.

usage: jobs.py RENDERED.yaml > jobs.yaml
"""

import sys

import yaml

with open(sys.argv[1]) as rendered:
    scaled = [d for d in yaml.safe_load_all(rendered) if d and d["kind"] == "ScaledJob"]
jobs = [{"apiVersion": "batch/v1", "kind": "Job", "metadata": d["metadata"], "spec": d["spec"]["jobTargetRef"]} for d in scaled]
yaml.safe_dump_all(jobs, sys.stdout)
