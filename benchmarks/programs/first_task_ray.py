"""When a first Ray task begins: ADDRESS."""

import json
import sys
import time

import ray


@ray.remote
def begun():
    return time.time()


ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print("task", json.dumps({"began": ray.get(begun.remote())}))
