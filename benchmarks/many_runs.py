"""A root with many runs, made quickly out of one run that was really performed."""

from __future__ import annotations

import os

from rayflow.catalog import wire
from rayflow.catalog.index import children, runs_of
from rayflow.model.layout import FlowLayout
from rayflow.store.opening import open_store

APART_US = 1_000_000


def multiply(root: str, flow: str, count: int) -> None:
    """Adds copies until there are `count` runs, each a second older than the one before. What names its run is rewritten, the rest is
    linked."""
    store = open_store(root)
    entry = runs_of(store, flow)[0]
    index, runs = (os.path.join(root, part) for part in (FlowLayout(flow).index, FlowLayout(flow).runs))
    names = children(store, FlowLayout(flow).index)
    original = os.path.join(runs, entry.run_id)
    files = [os.path.relpath(os.path.join(top, name), original) for top, _, found in os.walk(original) for name in found]
    texts = {}
    for name in ("run.json", "end.json"):
        with open(os.path.join(original, name), "rb") as file:
            texts[name] = wire.dumps(wire.loads_checked(file.read(), _key(flow, entry.run_id, name)))
    for number in range(1, count):
        run_id = str(int(entry.run_id) - number * APART_US)
        for name in files:
            path = os.path.join(runs, run_id, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if name in texts:
                form = wire.loads(texts[name].replace(entry.run_id.encode(), run_id.encode()))
                with open(path, "wb") as file:
                    file.write(wire.dumps_checked(form, _key(flow, run_id, name)))
            else:
                os.link(os.path.join(original, name), path)
        for name in names:
            place, _, kind = name.split(".")
            os.link(os.path.join(index, name), os.path.join(index, f"{int(place) + number * APART_US:017d}.{run_id}.{kind}"))


def _key(flow: str, run_id: str, name: str) -> str:
    return f"{FlowLayout(flow).runs}/{run_id}/{name}"
