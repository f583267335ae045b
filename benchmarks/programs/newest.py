"""The newest run of a flow and one small artifact of it, after the import: FLOW VALUE."""

import json
import sys
import time

from rayflow import Flow, namespace

namespace(None)
begin = time.perf_counter()
greeting = Flow(sys.argv[1]).latest_run["end"].task.data.greeting
seconds = time.perf_counter() - begin
assert greeting == sys.argv[2]
print("newest", json.dumps({"ms": seconds * 1000}))
