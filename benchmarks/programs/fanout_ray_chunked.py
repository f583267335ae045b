"""Items in chunks, cut by hand, one Ray task per chunk: ADDRESS KIND COUNT CHUNKS."""

import json
import sys
import time

import ray
from durations import work


@ray.remote
def square(numbers, kind, count):
    squares = []
    for number in numbers:
        if kind != "trivial":
            work(kind, number, count)
        squares.append((number, number * number))
    return squares


address, kind, count, chunks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
ray.get([square.remote(range(1), "trivial", count) for _ in range(100)])
begin = time.perf_counter()
size = -(-count // chunks)
parts = ray.get([square.remote(range(first, min(first + size, count)), kind, count) for first in range(0, count, size)])
squares = [each for part in parts for each in part]
seconds = time.perf_counter() - begin
assert len(squares) == count
assert squares[-1] == (count - 1, (count - 1) ** 2)
print("fanout", json.dumps({"per_s": count / seconds, "seconds": seconds}))
