"""One step, performed by itself: its inputs are given, what it did is returned, its exceptions are the test's."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rayflow.flow.binding import PerTask, bound_class, instance_of, read_only_names
from rayflow.flow.current import RunContext, TaskContext, current
from rayflow.flow.definition import FlowDefinition, define
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.includefile import IncludedFile
from rayflow.flow.parameters import ParameterContext
from rayflow.flow.resolve import resolve
from rayflow.flow.transition import Transition, check_taken, decide
from rayflow.model.errors import MissingInMergeArtifactsException, UnhandledInMergeArtifactsException, UsageError


class StepResult:
    """What a step did: artifacts that it assigned or changed as attributes, `artifacts` as a mapping, `next_steps` in the order of
    `self.next`, `items` the sequence that a foreach fans out over (None for other steps)."""

    def __init__(self, artifacts: dict[str, Any], transition: Transition | None) -> None:
        self.artifacts = artifacts
        self.next_steps: tuple[str, ...] = transition.targets if transition else ()
        self.items: Sequence[Any] | None = transition.items if transition else None

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["artifacts"][name]
        except KeyError:
            raise AttributeError(f"The step stored no artifact '{name}'. It stored: {', '.join(self.artifacts) or 'nothing'}.") from None

    def __repr__(self) -> str:
        return f"StepResult({self.artifacts!r}, next_steps={self.next_steps!r})"


def run_step(
    step: Callable[..., Any],
    *,
    inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    params: Mapping[str, Any] | None = None,
    input: Any = None,  # noqa: A002 - the word that the step uses: self.input
    index: int | None = None,
) -> StepResult:
    """Performs `MyFlow.step` in this process: no store, no Ray, no other step. Typically under a millisecond.

    `inputs` are the artifacts that the step inherits; for a join a sequence of mappings, or a mapping from branch to mapping.
    `params` are parameter values (the defaults of the others apply). `input` and `index` are those of the enclosing foreach.
    What the step raises is raised here. `@retry`, `@catch` and `@timeout` do not act. UsageError for what is no step of a flow.
    """
    flow_class = _flow_of(step)
    definition = define(flow_class)
    name = step.__name__
    values = resolve(definition, dict(params or {}), {}, ParameterContext(flow_name=definition.name, user_name="test"))
    plain = {key: value.content if isinstance(value, IncludedFile) else value for key, value in values.items()}
    constants = {key: PerTask(lambda value=value: pickle.loads(pickle.dumps(value))) for key, value in definition.constants.items()}
    bound = bound_class(flow_class, {**constants, **plain})
    binding = _LooseBinding(definition, name, inputs, input, index, bound)
    flow = instance_of(bound, binding)
    current._enter(TaskContext(RunContext(definition.name, "test", username="test"), name, "1"))  # pyright: ignore[reportPrivateUsage]
    try:
        if definition.graph[name].takes_inputs:
            step(flow, binding.joined)
        else:
            step(flow)
    finally:
        current._leave()  # pyright: ignore[reportPrivateUsage]
    check_taken(definition.graph[name], binding.taken)
    hidden = {"_rayflow", *read_only_names(bound)}
    stored = {key: value for key, value in flow.__dict__.items() if key not in hidden}
    return StepResult({**binding.merged, **stored}, binding.taken)


def _flow_of(step: Callable[..., Any]) -> type[FlowSpec]:
    """The flow class whose step this function is."""
    queue: list[type[FlowSpec]] = [FlowSpec]
    while queue:
        candidate = queue.pop()
        queue.extend(candidate.__subclasses__())
        if candidate.__dict__.get(getattr(step, "__name__", "")) is step:
            return candidate
    raise UsageError(f"{step!r} is not a step of a flow. Give it as MyFlow.my_step.")


class _Joined:
    """`inputs` of a join, from mappings."""

    def __init__(self, elements: list[tuple[str, FlowSpec]]) -> None:
        self._elements = elements

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[FlowSpec]:
        return (element for _, element in self._elements)

    def __getitem__(self, position: int) -> FlowSpec:
        return self._elements[position][1]

    def __getattr__(self, branch: str) -> FlowSpec:
        for name, element in reversed(self._elements):
            if name == branch:
                return element
        raise AttributeError(f"inputs has no branch '{branch}'. Give inputs as a mapping from branch to artifacts.")

    def table(self, *names: str) -> Any:
        import pyarrow as pa

        return pa.table({name: [getattr(element, name) for element in self] for name in names})


class _LooseBinding:
    """A binding whose ancestors are a mapping."""

    def __init__(self, definition: FlowDefinition, step: str, inputs: Any, value: Any, index: int | None, bound: type[FlowSpec]) -> None:
        self.step_name = step
        self.taken: Transition | None = None
        self.merged: dict[str, Any] = {}
        self._inherited: Mapping[str, Any] = {}
        self._frames: list[tuple[int, int | None, Any]] = []
        if index is not None or value is not None:
            self._frames = [(index or 0, None, value)]
        self.joined = _Joined([])
        if definition.graph[step].takes_inputs:
            branches = inputs.items() if isinstance(inputs, Mapping) else (("", each) for each in inputs or ())
            made = [
                (name, instance_of(bound, _LooseBinding(definition, definition.graph.start, each, None, None, bound)))
                for name, each in branches
            ]
            self.joined = _Joined(made)
        else:
            self._inherited = inputs or {}

    def load(self, name: str) -> Any:
        return self.merged[name] if name in self.merged else self._inherited[name]

    def names(self) -> list[str]:
        return list(self._inherited)

    def transition(self, flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        self.taken = decide(flow, targets, options, self.taken)

    def frames(self) -> list[tuple[int, int | None, Any]]:
        return self._frames

    def innermost_index(self) -> int | None:
        return self._frames[-1][0] if self._frames else None

    def innermost_input(self) -> Any:
        return self._frames[-1][2] if self._frames else None

    def merge_artifacts(self, flow: Any, inputs: Any, exclude: Sequence[str], include: Sequence[str]) -> None:
        found: dict[str, Any] = {}
        conflicts: list[str] = []
        for each in inputs:
            for name in each.__dict__["_rayflow"].names():
                if name in exclude or (include and name not in include) or name in flow.__dict__:
                    continue
                value = getattr(each, name)
                if name in found and pickle.dumps(found[name]) != pickle.dumps(value):
                    conflicts.append(name)
                found.setdefault(name, value)
        if conflicts:
            raise UnhandledInMergeArtifactsException(f"The branches differ in {', '.join(conflicts)}.", conflicts)
        missing = [name for name in include if name not in found and not hasattr(flow, name)]
        if missing:
            raise MissingInMergeArtifactsException(f"No branch has {', '.join(missing)}.", missing)
        self.merged.update(found)
