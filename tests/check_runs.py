#!/usr/bin/env python3
"""Checks what a user reads off two run.json files: the article's run, and the default one."""
import json
import sys


def steps(target):
    return [d for d in target["decisions"] if d["to"] != d["from"]]


def check(condition, what):
    if not condition:
        sys.exit(f"run.json: {what}")


article, default = (json.load(open(path)) for path in sys.argv[1:3])
for run in (article, default):
    check(run["schema"] == "twinscale/run/1", "schema")
    for name, target in run["targets"].items():
        messages = target["messages"]
        check(messages["sent"] == messages["done"] == 1000, f"{name}: done {messages}")
        check(messages["lost"] == 0, f"{name}: lost {messages}")
        check(target["drain_seconds"] <= target["floor_seconds"], f"{name}: drained after the floor")
        seconds = {int(s["t"]) for s in target["samples"]}
        missing = set(range(1, int(target["drain_seconds"]))) - seconds
        check(not missing, f"{name}: no sample in seconds {sorted(missing)[:5]}")
        for field in ("pod_seconds", "gb_seconds", "invocations", "cold_starts"):
            check(target["usage"][field] is not None or f"usage.{field}" in target["unavailable"], f"{name}: {field} is null and unexplained")

eks = article["targets"]["eks"]
ups = [d for d in steps(eks) if d["to"] > d["from"]]
check([d["from"] for d in ups] + [ups[-1]["to"]] == [1, 4, 8, 15], f"article: {[(d['from'], d['to']) for d in ups]}")
gaps = [b["t"] - a["t"] for a, b in zip(ups, ups[1:])]
check(all(14 <= gap <= 16 for gap in gaps), f"article: steps of {gaps} s")
better = default["targets"]["eks"]
check(better["drain_seconds"] < eks["drain_seconds"], "the default drains no faster than the article")
check(better["peak_capacity"] < eks["peak_capacity"], "the default needs no fewer pods than the article")
print("run.json: ok")
