"""One Ray task per item, as its users write it: ADDRESS KIND COUNT."""

import json
import sys
import time

import ray
from durations import work


@ray.remote
def square(number, kind, count):
    if kind != "trivial":
        work(kind, number, count)
    return number, number * number


address, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
ray.get([square.remote(number, "trivial", count) for number in range(100)])
begin = time.perf_counter()
squares = ray.get([square.remote(number, kind, count) for number in range(count)])
seconds = time.perf_counter() - begin
assert squares[-1] == (count - 1, (count - 1) ** 2)
print("fanout", json.dumps({"per_s": count / seconds, "seconds": seconds}))
