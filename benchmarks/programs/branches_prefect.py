"""Two tasks of two CPU seconds each, by Prefect, each in a process (its default, threads, would share one core)."""

from burning import burn
from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner


@task
def left():
    return burn(2.0)


@task
def right():
    return burn(2.0)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def branches():
    futures = [left.submit(), right.submit()]
    assert sum(future.result() for future in futures) > 0
    print("done")


if __name__ == "__main__":
    branches()
