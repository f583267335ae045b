"""`current`: what the running code may ask about its run and task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn


class Parallel(NamedTuple):
    """`current.parallel`: the gang that the task is a node of. `main_ip` is the address of the host where node 0 runs, `control_task_id`
    the id of its task; `node_index` counts from 0 to `num_nodes` - 1."""

    main_ip: str
    num_nodes: int
    node_index: int
    control_task_id: str


@dataclass(frozen=True)
class RunContext:
    """What all tasks of a run share; made once per process.

    `graph` is called when somebody asks for `current.graph`. `open` gives the client object of a pathspec ("Flow/run" or
    "Flow/run/step/task"), injected since the client is a layer above; `tempdir` is called when somebody asks, too. `root` is where the run
    is stored.
    `extras` are further attributes: `project_name` ...
    """

    flow_name: str
    run_id: str | None = None
    origin_run_id: str | None = None
    username: str | None = None
    namespace: str | None = None
    tags: frozenset[str] = frozenset()
    parameter_names: Sequence[str] = ()
    graph: Callable[[], dict[str, Any]] | None = None
    open: Callable[[str], Any] | None = None
    tempdir: Callable[[], str] | None = None
    extras: Mapping[str, Any] | None = None
    trigger: Callable[[], Any] | None = None
    root: str | None = None


@dataclass(slots=True)
class TaskContext:
    """One attempt of one task. `task_id` may be a function, called when somebody asks; `extras` win over the run's."""

    run: RunContext
    step_name: str
    task_id: str | Callable[[], str]
    retry_count: int = 0
    extras: Mapping[str, Any] | None = None


class Current:
    """Outside a run every attribute is None or False; an unknown one raises AttributeError.

    One per process: the worker installs the context before the user's code runs (`_enter`) and takes it away after it. Threads of
    user code see the task that is being performed.
    """

    def __init__(self) -> None:
        self._run: RunContext | None = None
        self._task: TaskContext | None = None

    def _enter(self, task: TaskContext) -> None:
        """Installs a task's context. Costs two assignments: 100,000 tasks a minute call it."""
        self._run = task.run
        self._task = task

    def _enter_run(self, run: RunContext | None) -> None:
        """Installs a run without a task: while callable Parameter defaults are evaluated."""
        self._run = run
        self._task = None

    def _leave(self) -> None:
        """Back to "outside a run"."""
        self._run = None
        self._task = None

    @property
    def is_running_flow(self) -> bool:
        return self._task is not None

    @property
    def flow_name(self) -> str | None:
        return None if self._run is None else self._run.flow_name

    @property
    def run_id(self) -> str | None:
        return None if self._run is None else self._run.run_id

    @property
    def step_name(self) -> str | None:
        return None if self._task is None else self._task.step_name

    @property
    def task_id(self) -> str | None:
        if self._task is None:
            return None
        task_id = self._task.task_id
        return task_id if isinstance(task_id, str) else task_id()

    @property
    def pathspec(self) -> str | None:
        """ "Flow/run/step/task"."""
        return None if self._task is None else f"{self.flow_name}/{self.run_id}/{self.step_name}/{self.task_id}"

    @property
    def retry_count(self) -> int:
        return 0 if self._task is None else self._task.retry_count

    @property
    def origin_run_id(self) -> str | None:
        return None if self._run is None else self._run.origin_run_id

    @property
    def namespace(self) -> str | None:
        return None if self._run is None else self._run.namespace

    @property
    def username(self) -> str | None:
        return None if self._run is None else self._run.username

    @property
    def tags(self) -> set[str] | None:
        return None if self._run is None else set(self._run.tags)

    @property
    def parameter_names(self) -> list[str] | None:
        return None if self._run is None else list(self._run.parameter_names)

    @property
    def tempdir(self) -> str | None:
        """Where temporary files belong: the setting TEMPDIR, else "."."""
        if self._run is None:
            return None
        return "." if self._run.tempdir is None else self._run.tempdir()

    @property
    def trigger(self) -> Any:
        """The `Trigger` that started the run; None where nothing did."""
        return None if self._run is None or self._run.trigger is None else self._run.trigger()

    @property
    def graph(self) -> dict[str, Any]:
        """The description of the graph; RuntimeError where there is no flow."""
        if self._run is None or self._run.graph is None:
            raise RuntimeError("current.graph was asked for outside a flow. Use it in a step.")
        return self._run.graph()

    @property
    def root(self) -> str | None:
        """Where the run is stored: a directory or a URL."""
        return None if self._run is None else self._run.root

    @property
    def run(self) -> Any:
        """The client's object of this run; None outside a task."""
        return self._opened(f"{self.flow_name}/{self.run_id}")

    @property
    def task(self) -> Any:
        """The client's object of this task; None outside a task."""
        return self._opened(self.pathspec or "")

    def _opened(self, pathspec: str) -> Any:
        if self._task is None or self._task.run.open is None:
            return None
        return self._task.run.open(pathspec)

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, or `default` where there is none."""
        return getattr(self, name, default)

    def __contains__(self, name: str) -> bool:
        """Whether the attribute is there and not None."""
        return getattr(self, name, None) is not None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            for context in (self._task, self._run):
                if context is not None and context.extras and name in context.extras:
                    return context.extras[name]
        return _refuse(name)

    def __reduce__(self) -> str:
        return "current"  # pickled functions that mention it find the one of their process


def _refuse(name: str) -> NoReturn:
    raise AttributeError(
        f"`current` has no attribute '{name}'. It may need a decorator (@checkpoint, @parallel, @project) or a running task."
    )


current = Current()
