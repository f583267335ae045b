"""Dynamic outputs, by Dagster, in one process (its other executor starts a process per split): COUNT."""

import json
import sys
import time

from dagster import DagsterInstance, DynamicOut, DynamicOutput, execute_job, in_process_executor, job, op, reconstructable

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100


@op(out=DynamicOut())
def numbers():
    for number in range(COUNT):
        yield DynamicOutput(number, mapping_key=str(number))


@op
def square(number):
    return time.time(), number * number


@op
def join(found):
    assert len(found) == COUNT
    seconds = time.time() - min(begin for begin, _ in found)
    print("fanout", json.dumps({"per_s": COUNT / seconds, "seconds": seconds}))


@job(executor_def=in_process_executor)
def fanout():
    join(numbers().map(square).collect())


if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        assert execute_job(reconstructable(fanout), instance=instance).success
