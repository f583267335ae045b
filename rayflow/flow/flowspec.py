"""`FlowSpec`: the class that flows derive from, and the user's `self` in a step."""

# The descriptors below are part of the class: they read its reserved attribute.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rayflow.flow.parse import parse
from rayflow.model.errors import UserError
from rayflow.model.graph import Graph

if TYPE_CHECKING:
    from rayflow.client import Run
    from rayflow.model.ports import Binding

_SHOWN_INPUT = 20


class _LazyGraph:
    """`_graph`, read from the source when it is first asked for. Kept on each class: that of a base class is another."""

    def __get__(self, instance: object, owner: type[FlowSpec]) -> Graph:
        known = owner.__dict__.get("_rayflow_graph")
        if known is not None:
            return known
        graph = parse(owner)
        type.__setattr__(owner, "_rayflow_graph", graph)
        return graph


class _Name:
    """`name`: the class name, until the flow assigns an artifact of that name."""

    def __get__(self, instance: FlowSpec | None, owner: type[FlowSpec]) -> Any:
        if instance is not None and instance._rayflow is not None:
            try:
                instance.__dict__["name"] = instance._rayflow.load("name")
            except KeyError:
                return owner.__name__
            return instance.__dict__["name"]
        return owner.__name__


class _Run:
    """`run`, of the class alone: `self.run` is the user's own step, Parameter or artifact, or nothing."""

    def __get__(self, instance: FlowSpec | None, owner: type[FlowSpec]) -> Callable[..., Run]:
        if instance is not None:
            raise AttributeError("run")  # after which `__getattr__` looks for an inherited artifact of that name

        def run(**arguments: Any) -> Run:
            """Runs the flow, with this process as its driver, and returns the run. `arguments` are Parameters, and options of the
            command line: `tags`, `max_workers`, `executor`, `root`, `decospecs`, ... Raises TaskFailedException where the flow failed."""
            from rayflow.cli.main import call_flow

            __tracebackhide__ = True  # pyright: ignore[reportUnusedVariable] - IPython reads it: the user's call is what counts
            return call_flow(owner, arguments)

        return run


class FlowSpec:
    """Derive from it, mark methods with `@step`, and end each but the last with `self.next(...)`.

    `MyFlow()` runs the command line of the script; `MyFlow(use_cli=False)` only builds an object, which iterates over the
    steps. Everything that a step assigns to `self` is an artifact; `_rayflow` is the one attribute that is not the user's.
    `MyFlow.run(alpha=1, tags=["x"])` runs the flow from a program or a notebook and returns the client's `Run`. Where a flow has a step
    called `run`, that is what `MyFlow.run` means, and `super(MyFlow, MyFlow).run(alpha=1)` or `Runner` runs it.
    """

    _rayflow: Binding | None = None
    _graph = _LazyGraph()
    name = _Name()
    run = _Run()

    def __init__(self, use_cli: bool = True) -> None:
        if use_cli:
            # The one upward import of the code base: a script's last line is its command line.
            from rayflow.cli.main import run_flow_script

            run_flow_script(type(self))

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return (getattr(self, node.name) for node in self._graph)

    @property
    def script_name(self) -> str:
        """The file of the flow, without its directory."""
        module = sys.modules.get(type(self).__module__)
        return os.path.basename(getattr(module, "__file__", None) or self._graph.file)

    @property
    def _current_step(self) -> str | None:
        return None if self._rayflow is None else self._rayflow.step_name

    @property
    def index(self) -> int | None:
        """The position in the innermost foreach; None outside."""
        return None if self._rayflow is None else self._rayflow.innermost_index()

    @property
    def input(self) -> Any:
        """The element of the innermost foreach that this task is for, of a table its row as a dictionary; None outside."""
        return None if self._rayflow is None else self._rayflow.innermost_input()

    def foreach_stack(self) -> list[tuple[int, int | None, Any]]:
        """(index, number of splits, value) of each enclosing foreach, outermost first."""
        return [] if self._rayflow is None else list(self._rayflow.frames())

    def next(self, *targets: Any, **options: Any) -> None:
        """Says which step follows; the last statement of a step. `InvalidNextException` where that cannot be followed.

        `next(self.a)`, `next(self.a, self.b)`, `next(self.a, foreach="items")`, `next(self.a, num_parallel=4)`,
        `next({"x": self.a, "y": self.b}, condition="kind")`. A foreach is over the elements of the artifact; over the rows of a table.
        """
        if self._rayflow is None:
            _refuse_outside(self, "next")
        self._rayflow.transition(self, targets, options)

    def merge_artifacts(self, inputs: Any, exclude: Sequence[str] | None = None, include: Sequence[str] | None = None) -> None:
        """In a join: takes over each artifact on which all inputs that have it agree, unless `self` has it already.

        Raises `UnhandledInMergeArtifactsException` for those that differ and `MissingInMergeArtifactsException` for an
        `include` that exists nowhere; then nothing is set.
        """
        if self._rayflow is None:
            _refuse_outside(self, "merge_artifacts")
        step = self._rayflow.step_name
        if not self._graph[step].takes_inputs:
            raise UserError(
                f"merge_artifacts can only be called in a join and step *{step}* is not a join. A join takes a second parameter: "
                f"def {step}(self, inputs)."
            )
        if exclude and include:
            raise UserError("The arguments exclude and include of merge_artifacts are mutually exclusive. Give one of them.")
        self._rayflow.merge_artifacts(self, inputs, exclude or (), include or ())

    def __getattr__(self, name: str) -> Any:
        """An inherited artifact, kept in the instance from now on."""
        binding = self._rayflow
        if binding is not None and name[:2] != "__":
            try:
                value = self.__dict__[name] = binding.load(name)
            except KeyError:
                pass
            else:
                return value
        raise AttributeError(f"Flow {type(self).__name__} has no attribute '{name}'")

    def __str__(self) -> str:
        if self._rayflow is None:
            return f"<flow {type(self).__name__}>"
        shown = f"<flow {type(self).__name__} step {self._rayflow.step_name}"
        frames = self._rayflow.frames()
        if frames:
            value = str(frames[-1][2])
            value = value if len(value) <= _SHOWN_INPUT else value[:_SHOWN_INPUT] + "..."
            shown += f"[{','.join(str(index) for index, _, _ in frames)}] (input: {value})"
        return shown + ">"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UserError(
            f"{self} cannot be pickled: a flow object, *self* or an element of *inputs*, is not a value. Store the attributes that you "
            "need instead, e.g. self.x = input.some_var."
        )


def _refuse_outside(flow: FlowSpec, method: str) -> NoReturn:
    raise UserError(f"{type(flow).__name__}.{method}() was called outside a task. It belongs in a step, which a run performs.")
