"""Splits of the newest run of a flow, each by its own path, with its own record and artifacts: FLOW STEP COUNT."""

import json
import random
import sys
import time

from rayflow import Flow, Task, namespace

namespace(None)
flow, step, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
run = Flow(flow).latest_run
known = next(iter(run[step]))
base = int(known.id) - known.index  # the tasks of a fan-out are numbered in its order
indices = [0, count - 1, *random.Random(1).sample(range(count), min(count, 98))]
begin = time.perf_counter()
for index in indices:
    task = Task(f"{run.pathspec}/{step}/{base + index}")
    assert (task.index, task.data.squared, task.successful) == (index, index * index, True)
    assert task.finished_at >= task.created_at
seconds = time.perf_counter() - begin
print("addressed", json.dumps({"tasks": len(indices), "ms_each": seconds / len(indices) * 1000}))
