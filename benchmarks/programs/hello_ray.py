"""Three Ray tasks, one after another."""

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


ray.init(include_dashboard=False, log_to_driver=False)
print(ray.get(end.remote(shout.remote(start.remote()))))
