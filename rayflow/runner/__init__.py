"""Flows from programs and notebooks: `Runner` for a flow file, `NBRunner` for a flow of a notebook cell.

    with Runner("train.py") as runner:
        running = runner.run(steps=50, tags=["best"])
    assert running.status == "successful"
    print(running.run["choose"].task.data.best)

What it is: `runner` and `nbrunner` are the two ways in, `executing` is what they return, `surveyed` asks the flow which options it has,
`cell` makes a file of a notebook's class, and `process` is one command in a process of its own. `deployer` and `deployed` are the same for
schedulers: who deploys, what is deployed, and runs that were started of it.

A run is the flow's own command line, `python train.py run ...`, in a child process: what happens there is what happens when a person
types it, and whatever the flow imports, changes or breaks stays out of the caller. Its output goes to two files that the child writes by
itself, so that nobody has to pump it; which run it is, it writes into a third (`--runner-attribute-file`).

Arguments are checked in the caller, so the flow is asked for its options first, by `python train.py output-options` (0.2 s, once for
each state of the file). Rejected: importing the flow in the caller, as Metaflow does. It saves those 0.2 s, but two flows whose
directories both hold a `helpers.py` then get the same one, and an edited flow is checked against what was imported before.

A child that is still at work is ended when its `Runner` is cleaned up, when the interpreter ends, and at SIGTERM: by SIGTERM, so that the
run is recorded as interrupted and its tasks end, after two seconds more urgently, after ten by SIGKILL. It is in a session of its own, so
that Ctrl-C reaches it through the caller alone. Not promised: the same for a caller that dies by SIGKILL. There the run goes on to its end.

`MyFlow.run(...)` is something else: the driver is the calling process itself (see `rayflow.cli.calling`).
"""

from rayflow.runner.executing import ExecutingRun, ExecutingTask
from rayflow.runner.nbrunner import NBRunner, NBRunnerInitializationError
from rayflow.runner.runner import Runner

__all__ = ["ExecutingRun", "ExecutingTask", "NBRunner", "NBRunnerInitializationError", "Runner"]
