"""The process as a task finds it: environment, directory, streams; and what it leaves behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys

from rayflow import FlowSpec, Step, current, environment, get_namespace, isolated, namespace, step

LEVEL_AT_IMPORT = os.environ.get("SCENARIO_LEVEL")
loads = []


def surroundings():
    """What a task finds."""
    return {
        "level": os.environ.get("SCENARIO_LEVEL"),
        "left": os.environ.get("SCENARIO_LEFT"),
        "home": os.environ.get("HOME"),
        "cwd": os.getcwd(),
        "stdout": (sys.stdout.closed, isinstance(sys.stdout, io.StringIO)),
    }


class Leaks(FlowSpec):
    """Each task spoils its process as well as it can; none finds it spoilt."""

    @step
    def start(self):
        self.found = surroundings()
        spoil(0)
        self.items = list(range(40))
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.found = surroundings()
        print(f"hello {self.index}")
        spoil(self.index)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = [each.found for each in inputs]
        spoil(1)
        self.next(self.end)

    @step
    def end(self):
        self.last = surroundings()
        print("the end")


def spoil(how: int) -> None:
    os.environ["SCENARIO_LEFT"] = "rubbish"
    os.environ.pop("HOME", None)
    os.chdir("/")
    if how % 3 == 0:
        sys.stdout = io.StringIO()
    elif how % 3 == 1:
        sys.stdout.close()
    else:
        sys.stdout = None
        sys.stderr = None


class Environment(FlowSpec):
    @step
    def start(self):
        self.before = (LEVEL_AT_IMPORT, os.environ.get("SCENARIO_LEVEL"))
        self.next(self.leveled)

    @environment(vars={"SCENARIO_LEVEL": "high", "SCENARIO_NUMBER": 5})
    @step
    def leveled(self):
        self.at_import = LEVEL_AT_IMPORT
        self.now = (os.environ["SCENARIO_LEVEL"], os.environ["SCENARIO_NUMBER"])
        self.items = [1, 2, 3]
        self.next(self.body, foreach="items")

    @environment(vars={"SCENARIO_LEVEL": "low"})
    @step
    def body(self):
        self.got = (LEVEL_AT_IMPORT, os.environ["SCENARIO_LEVEL"], os.environ.get("SCENARIO_NUMBER"))
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = {each.got for each in inputs}
        self.merge_artifacts(inputs, include=["before", "at_import", "now"])
        self.after = os.environ.get("SCENARIO_LEVEL")
        self.next(self.end)

    @step
    def end(self):
        self.last = (os.environ.get("SCENARIO_LEVEL"), os.environ.get("SCENARIO_NUMBER"))


class Isolated(FlowSpec):
    """Module state starts afresh in each task."""

    @step
    def start(self):
        self.items = [1, 2, 3]
        self.next(self.body, foreach="items")

    @isolated
    @step
    def body(self):
        loads.append(self.index)
        self.got = (len(loads), os.getpid())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Looks(FlowSpec):
    """Looks for its own run by the client, and in a program that it starts."""

    @step
    def start(self):
        self.number = 7
        self.next(self.end)

    @step
    def end(self):
        pathspec = f"{current.flow_name}/{current.run_id}/start"
        code = f"from rayflow import Step, namespace; namespace(None); print(Step({pathspec!r}).task.data.number)"
        namespace(None)
        self.seen = Step(pathspec).task.data.number
        self.told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


class Namespaced(FlowSpec):
    """What the client sees in a task."""

    @step
    def start(self):
        self.seen = (current.namespace, get_namespace())
        self.next(self.end)

    @step
    def end(self):
        pass


class Current(FlowSpec):
    @step
    def start(self):
        self.lone = about()
        self.items = ["a", "b"]
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.seen = about()
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = [each.seen for each in inputs]
        self.lone = about()
        self.run_object = current.run
        self.start_lone = current.run["start"].task.data.lone
        self.steps = sorted(current.graph["steps"])
        self.next(self.end)

    @step
    def end(self):
        self.unknown = hasattr(current, "nowhere")
        self.got = (current.get("nowhere", 1), "run_id" in current, "nowhere" in current)


def about():
    return {
        name: getattr(current, name)
        for name in "is_running_flow flow_name run_id step_name task_id pathspec retry_count origin_run_id namespace username tags".split()
    }


class Temporary(FlowSpec):
    @step
    def start(self):
        self.where = current.tempdir
        self.next(self.end)

    @step
    def end(self):
        pass
