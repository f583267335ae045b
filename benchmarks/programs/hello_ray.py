"""Three Ray tasks, one after another: ADDRESS."""

import sys

import ray


@ray.remote
def start():
    return "hello"


@ray.remote
def shout(greeting):
    return greeting.upper()


@ray.remote
def end(greeting):
    return greeting


ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(ray.get(end.remote(shout.remote(start.remote()))))
