"""Two ops of two CPU seconds each, by Dagster, with its default executor (a process per op)."""

from burning import burn
from dagster import DagsterInstance, execute_job, job, op, reconstructable


@op
def left():
    return burn(2.0)


@op
def right():
    return burn(2.0)


@op
def join(one, other):
    assert one + other > 0
    print("done")


@job
def branches():
    join(left(), right())


if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        assert execute_job(reconstructable(branches), instance=instance).success
