"""Three ops, by Dagster, with its default executor (a process per op)."""

from dagster import DagsterInstance, execute_job, job, op, reconstructable


@op
def start():
    return "hello"


@op
def shout(greeting):
    return greeting.upper()


@op
def end(greeting):
    print(greeting)


@job
def hello():
    end(shout(start()))


if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        assert execute_job(reconstructable(hello), instance=instance).success
