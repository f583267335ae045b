"""What the layers expect of each other across a seam. Each port comes with a contract suite in `rayflow.testing`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rayflow.model.commands import Batch
from rayflow.model.entry import Entry
from rayflow.model.reports import Report
from rayflow.model.spec import Resources


class Store(Protocol):
    """Bytes by key under one root. A key is a relative POSIX path of safe segments; the store knows no flows.

    Every write is durable when the call returns and is visible wholly or not at all. Errors: `StoreMissing` for a key that is not
    there, `StoreExists` for a lost creation, `StoreFault` for the rest, each naming the key and the cause.
    """

    url: str
    can_append: bool
    """Whether `append` works: local disks. Elsewhere a journal is a sequence of created objects."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes [start, stop) of the object."""
        ...

    def write(self, key: str, chunks: Iterable[bytes | memoryview], *, only_new: bool = False) -> int:
        """Stores the chunks as one object and returns its size in bytes. `only_new`: exactly one of several writers wins."""
        ...

    def append(self, key: str, line: bytes, *, is_durable: bool = True) -> None:
        """Adds to the end of the object, creating it. Not promised: atomicity; a torn tail is the reader's to recognise."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under the directory `prefix`, sorted. Nothing where there is no such directory."""
        ...

    def entries(self, prefix: str) -> Iterator[Entry]:
        """What lies under the directory `prefix`, as `list`, with sizes and ages; leavings too."""
        ...

    def delete(self, key: str) -> None:
        """Removes the object, or the leaving that `entries` told of; nothing happens where it is gone already."""
        ...

    def local_path(self, key: str) -> str | None:
        """Where the object lies on this machine's disk; None for other stores. Not promised: that it exists."""
        ...


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of a batch in a gang: batches of the same `gang`, `size` of them, start together or not at all. `main_address` is where the
    first of them runs, which the executor fills in."""

    gang: int
    size: int
    main_address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python of an environment: `path` on this machine; `command` is for other machines, of a shell: it starts the Python there, made
    first where it is not there yet, with the arguments that follow."""

    path: str
    command: str


@dataclass(frozen=True)
class Work:
    """A batch with all that a worker needs to perform it, as bytes that the executor only carries.

    `shared` is the part that many batches have in common (the outer scope of a fan-out): `shared_id` names it, so that an executor
    ships it once. `name` is for dashboards ("train[0:500]").

    `lent` are values that tasks of the batch may want, by the name of their blob: what `RowOffered` brought the driver, which on
    its way to the worker becomes functions that return the bytes, or None where they are lost. `lend_nbytes` is how large a value
    may be for the worker to offer it (0: there is no way to hand it over); `spans_hosts` whether other hosts perform tasks as well.
    `seat`: the batch is a node of a gang; the works of a gang are submitted one after another, its first node first.
    `python`: whose process performs it, and nobody else's work; None: one like the launcher's.
    """

    batch: Batch
    payload: bytes
    shared: bytes
    shared_id: str
    name: str
    resources: Resources = Resources()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    is_isolated: bool = False
    lent: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lend_nbytes: int = 0
    spans_hosts: bool = False
    seat: Seat | None = None
    python: Interpreter | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor can do."""

    can_kill: bool
    """Stops a task that does not listen, and survives the death of one."""
    can_isolate: bool
    """Performs a task in a process of its own."""
    can_fan_out: bool
    """Performs more than one batch at once."""
    can_lend: bool = False
    """Hands values from worker to worker: see `Work.lent`."""


class Executor(Protocol):
    """Performs batches somewhere. Never raises for what happens to a batch: that comes as a report."""

    capabilities: Capabilities

    def submit(self, work: Work) -> None:
        """Starts the batch, now or when there is room. Its reports come out of `poll`."""
        ...

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """The reports that are there, waiting up to `timeout_s` seconds for the first. In the order of each batch, of which `BatchOver` or
        `WorkerDied` is the last."""
        ...

    def cancel(self, batch_id: int, *, is_hard: bool) -> None:
        """Softly: the worker ends the batch after the task in progress. Hard: its process is killed, and `WorkerDied` follows."""
        ...

    def slots(self, resources: Resources) -> int:
        """How many tasks with these needs run at once, at most; 0 where one could never run."""
        ...

    def close(self) -> None:
        """Ends every process that this executor started."""
        ...


class Binding(Protocol):
    """A task's link between the user's `self` and the machinery; kept in the one reserved attribute of a flow object."""

    def load(self, name: str) -> Any:
        """The inherited artifact `name`, decoded; KeyError when no ancestor stored it."""
        ...

    def transition(self, flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """`self.next(*targets, **options)`; raises `InvalidNextException`."""
        ...

    def merge_artifacts(self, flow: Any, inputs: Any, exclude: Sequence[str], include: Sequence[str]) -> None:
        """`self.merge_artifacts(...)`."""
        ...

    def frames(self) -> list[tuple[int, int | None, Any]]:
        """(index, number of splits, value) per enclosing foreach, outermost first."""
        ...

    def innermost_index(self) -> int | None:
        """`self.index`: the first number of the last of `frames`, without making the others."""
        ...

    def innermost_input(self) -> Any:
        """`self.input`: the value of the last of `frames`, without making the others."""
        ...

    @property
    def step_name(self) -> str: ...
