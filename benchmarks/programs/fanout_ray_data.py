"""Ray Data maps a function over a range: ADDRESS KIND COUNT."""

import json
import sys
import time

import ray
from durations import work

address, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def square(row):
    number = int(row["id"])
    if kind != "trivial":
        work(kind, number, count)
    return {"number": number, "squared": number * number}


ray.init(address=address, log_to_driver=False, logging_level="ERROR")
ray.data.DataContext.get_current().enable_progress_bars = False
ray.data.range(100).map(lambda row: row).materialize()
begin = time.perf_counter()
squares = ray.data.range(count).map(square).materialize()
seconds = time.perf_counter() - begin
assert squares.max("squared") == (count - 1) ** 2
print("fanout", json.dumps({"per_s": count / seconds, "seconds": seconds}))
