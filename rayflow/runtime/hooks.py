"""`@exit_hook`: functions of the user's that are called once a run is over, each in a process of its own.

What they print goes where this process prints. That one fails is told, and changes nothing.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from rayflow.flow.definition import FlowDefinition
from rayflow.model.errors import UserError
from rayflow.model.records import Outcome
from rayflow.runtime.compat import active, enter
from rayflow.runtime.notices import Reporter, Warned


def call_exit_hooks(definition: FlowDefinition, root: str, run_id: str, outcome: Outcome, reporter: Reporter) -> None:
    """Calls the hooks for this outcome, in their order."""
    which = "on_success" if outcome is Outcome.SUCCEEDED else "on_error"
    for decorator in definition.decorators:
        if decorator.name != "exit_hook":
            continue
        for hook in _listed(decorator.attributes[which]):
            name = hook if isinstance(hook, str) else hook.__name__
            try:
                code = _performed(_function(hook, definition.flow_class), root, f"{definition.name}/{run_id}")
            except Exception as error:  # noqa: BLE001 - the user's function, and whatever it refers to
                reporter.tell(Warned(f"Exit hook '{name}' could not be called: {type(error).__name__}: {error}"))
                continue
            if code:
                reporter.tell(Warned(f"Exit hook '{name}' failed with exit code {code}; the run is what it was."))


def _listed(hooks: Any) -> Iterable[Any]:
    return [hooks] if isinstance(hooks, str) or callable(hooks) else hooks or ()


def _function(hook: Callable[..., Any] | str, flow_class: type) -> Callable[..., Any]:
    """The function itself; a name is one of the flow's module, or a dotted path."""
    if not isinstance(hook, str):
        return hook
    module, _, name = hook.rpartition(".")
    found = getattr(importlib.import_module(module) if module else sys.modules[flow_class.__module__], name, None)
    if not callable(found):
        raise UserError(f"there is no function {hook!r}. Give a function, its name in the flow's file, or its dotted path.")
    return found


def _performed(function: Callable[..., Any], root: str, pathspec: str) -> int:
    """The exit code of the process that called the function."""
    import cloudpickle

    call = pickle.dumps((sys.path, active(), cloudpickle.dumps(function), root, pathspec))
    sys.stdout.flush()
    # Where stdout is for programs it is redirected in this process, and so it is in that one.
    out = sys.stdout if hasattr(sys.stdout, "fileno") and sys.stdout is not sys.__stdout__ else None
    return subprocess.run([sys.executable, "-m", "rayflow.runtime.hooks"], input=call, stdout=out, check=False).returncode


def _main() -> None:
    sys.path[:], compat, function, root, pathspec = pickle.load(sys.stdin.buffer)
    enter(compat)
    hook = pickle.loads(function)
    if "run" not in inspect.signature(hook).parameters:
        hook()
        return
    from rayflow.client import open_pathspec

    hook(run=open_pathspec(root, pathspec))


if __name__ == "__main__":
    _main()
