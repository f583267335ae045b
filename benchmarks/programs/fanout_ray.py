"""One Ray task per item, as its users write it."""

import json
import sys
import time

import ray


@ray.remote
def square(number):
    return number, number * number


ray.init(include_dashboard=False, log_to_driver=False)
count = int(sys.argv[1])
ray.get([square.remote(number) for number in range(100)])
begin = time.perf_counter()
squares = ray.get([square.remote(number) for number in range(count)])
seconds = time.perf_counter() - begin
assert squares[-1] == (count - 1, (count - 1) ** 2)
print("fanout", json.dumps({"per_s": count / seconds, "seconds": seconds}))
