"""What a worker tells its driver. Picklable values; a batch is a stream of them that ends with `BatchOver` or `WorkerDied`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rayflow.model.indexes import IndexSet, Lane
from rayflow.model.records import Failure, Row, Taken

OWN = -1


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """The worker took the batch up; its output goes to `logs/<log_name>.out` and `.err`, from these offsets on.

    `progress` is the file on `node` that holds the worker's progress word (see `rayflow.executors.progress`)."""

    batch_id: int
    pid: int
    node: str
    log_name: str | None = None
    out_begin: int = 0
    err_begin: int = 0
    progress: str = ""


@dataclass(frozen=True, slots=True)
class RowsDone:
    """Tasks of the batch that are done, not yet committed. Their rows are `rows`, or `columns`: one Arrow IPC stream
    (see `store.packs`). `counts` are the numbers of splits of a foreach step, one per task.

    `lane` is None for the tasks which the batch was launched with, and says where those stand that followed in the same go.
    `busy_s` is the time in the steps' code; `spent_s`, said of the batch's own tasks, all that the worker spent on them and on what
    followed them, the slowest of them `slowest_s`."""

    batch_id: int
    indices: IndexSet
    rows: tuple[Row, ...] = ()
    columns: bytes | None = None
    taken: Taken | None = None
    counts: Sequence[int] | None = None
    busy_s: float = 0.0
    spent_s: float = 0.0
    slowest_s: float = 0.0
    caught: int = 0
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class RowOffered:
    """A lone task is done, and its large values are being stored: `done` is what it reports once they are. Meanwhile they can be had
    from `values`, by the name of the blob that each will be: what the worker encoded, which on its way through the executor becomes
    what that executor fetches it by. `target`: the one step that follows; None where there are several, or none.
    `limit_nbytes`: how much of such values is worth keeping at once."""

    batch_id: int
    done: RowsDone
    target: str | None
    values: Mapping[str, Any]
    limit_nbytes: int


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt of one task failed; `is_retried` where another attempt follows without the scheduler's doing.

    `is_death`: said by the driver of a worker that died; the scheduler learns of it by `WorkerDied`."""

    batch_id: int
    index: int
    attempt: int
    failure: Failure
    row: Row
    is_retried: bool = False
    is_death: bool = False
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class BatchOver:
    """The worker is through with the batch; what it did not report is handed back."""

    batch_id: int


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """Said by the executor, for a worker that cannot speak any more. The suspect is of the batch's own step where `suspect_step` is `OWN`,
    else of the step at that position in the graph, which was performed in the same go, at lap `suspect_lap`. `peak_nbytes` is the highest
    resident size of the process, 0 where unknown."""

    batch_id: int
    failure: Failure
    suspect: int | None = None
    suspect_attempt: int = 0
    is_exact: bool = False
    suspect_step: int = OWN
    suspect_lap: int = 0
    peak_nbytes: int = 0


Report = BatchStarted | RowsDone | RowOffered | AttemptFailed | BatchOver | WorkerDied
