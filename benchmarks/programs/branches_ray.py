"""Two Ray tasks of two CPU seconds each: ADDRESS."""

import sys

import ray
from burning import burn

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
work = ray.remote(burn)
assert sum(ray.get([work.remote(2.0), work.remote(2.0)])) > 0
print("done")
