"""A task mapped over items, by Prefect, with its default task runner (threads): COUNT."""

import json
import sys
import time

from prefect import flow, task


@task
def square(number):
    return time.time(), number * number


@flow
def fanout(count: int):
    found = square.map(range(count)).result()
    assert found[-1][1] == (count - 1) ** 2
    return time.time() - min(begin for begin, _ in found)


if __name__ == "__main__":
    count = int(sys.argv[1])
    seconds = fanout(count)
    print("fanout", json.dumps({"per_s": count / seconds, "seconds": seconds}))
