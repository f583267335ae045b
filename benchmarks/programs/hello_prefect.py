"""Three tasks, by Prefect."""

from prefect import flow, task


@task
def start():
    return "hello"


@task
def shout(greeting):
    return greeting.upper()


@task
def end(greeting):
    print(greeting)


@flow
def hello():
    end(shout(start()))


if __name__ == "__main__":
    hello()
