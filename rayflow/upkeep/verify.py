"""Whether what runs refer to is there, and as it was stored."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from blake3 import blake3

from rayflow.catalog.journal import JournalReader
from rayflow.catalog.ownership import continuation_of
from rayflow.catalog.reading import OpenedRun, open_run
from rayflow.catalog.view import RunView
from rayflow.model.errors import StoreCorrupt, StoreFault, StoreMissing
from rayflow.model.indexes import EMPTY, IndexSet
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store
from rayflow.model.records import Segment
from rayflow.upkeep.references import Reference, Referring
from rayflow.upkeep.taglog import look_at_tags

_PIECE_NBYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """An object that is not as it was stored: `key` names it, `problem` says what is wrong with it ("is gone"), `what` what it holds. The
    tasks `indices` of `step` need it, so that a resume performs them again, and what follows from them; `step` is None for records,
    code, parameters and output, which no task can bring back."""

    key: str
    problem: str
    what: str
    step: str | None = None
    indices: IndexSet = EMPTY

    def __str__(self) -> str:
        return f"{self.key} {self.problem}: {self.what}"


@dataclass
class Verified:
    """What was looked at of one run (or, without `run_id`, of what belongs to the whole flow), and what was found: `steps` are those that
    a resume performs again, in the graph's order: those with damaged tasks, and what follows from them, unless they come out the
    same."""

    flow: str
    run_id: str
    objects: int = 0
    nbytes: int = 0
    damages: list[Damage] = field(default_factory=list[Damage])
    steps: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`Flow/run`, or the flow."""
        return f"{self.flow}/{self.run_id}".rstrip("/")


def verify_tags(store: Store, flow: str) -> Verified:
    """Reads every change of the tags of the flow's runs."""
    log = look_at_tags(store, flow)
    damages = [Damage(key, problem, "changes of the tags of runs") for key, problem in sorted(log.damages.items())]
    return Verified(flow, "", log.objects, log.nbytes, damages)


def verify_run(store: Store, flow: str, run_id: str) -> Verified:
    """Reads every object that the run refers to, those of its origins too, and compares it with its digest. Raises nothing for what is
    damaged, RayflowNotFound for a run that is not there."""
    found = Verified(flow, run_id)
    layout = RunLayout(flow, run_id)
    try:
        opened = open_run(store, flow, run_id)
    except StoreFault as fault:
        found.damages.append(_of_fault(fault, "a record of the run", layout.record))
        return found
    checker = _Checker(store, is_thorough=True)
    found.damages += _of_records(opened)
    referring = Referring(store, flow)
    found.damages += _of_references(checker, lambda: referring.of_record(opened.record), "what the record of the run refers to")
    found.damages += _of_references(checker, lambda: referring.of_failed(opened), "what failed attempts stored")
    found.damages += _of_references(checker, lambda: referring.of_checkpoints(opened), "the checkpoints of tasks")
    for segment in opened.view.segments():
        found.damages += _of_segment(checker, referring, segment, segment.run or run_id)
    found.objects, found.nbytes = checker.objects, checker.nbytes
    graph, damaged = opened.record.graph, {damage.step for damage in found.damages if damage.step is not None}
    again = damaged.union(*(graph.descendants(step) for step in damaged))
    found.steps = tuple(node.name for node in graph if node.name in again)
    return found


def damages_of(opened: OpenedRun, segments: Iterable[Segment], *, is_thorough: bool) -> list[tuple[Segment, list[Damage]]]:
    """What is damaged of some segments that the run may take over, segment by segment. Not `is_thorough`: what is gone or has another
    length; that takes one listing per directory, and reads no value."""
    checker = _Checker(opened.store, is_thorough=is_thorough)
    referring = Referring(opened.store, opened.record.flow)
    found: list[tuple[Segment, list[Damage]]] = []
    for segment in segments:
        layout = RunLayout(opened.record.flow, segment.run or opened.record.run_id)
        if is_thorough or segment.pack is None or checker.has_blobs(layout):
            found.append((segment, _of_segment(checker, referring, segment, layout.run)))
        else:  # everything is in the pack
            key = layout.pack(segment.pack)
            problem = checker.problem(Reference(key, f"the records of tasks of {segment.step}"))
            found.append(
                (
                    segment,
                    [Damage(key, problem, f"the records of tasks of {segment.step}", segment.step, segment.indices)] if problem else [],
                )
            )
    return found


def damages_of_values(opened: OpenedRun, *, is_thorough: bool) -> list[Damage]:
    """What is damaged of the parameters and constants of a run: no task can compute them again."""
    checker = _Checker(opened.store, is_thorough=is_thorough)
    referring = Referring(opened.store, opened.record.flow)
    return _of_references(checker, lambda: referring.of_values(opened.record), "the parameters of the run")


def _of_records(opened: OpenedRun) -> list[Damage]:
    """The journal, which whoever goes on with the run reads, and the claim. A journal that was cut ends like one that is being written: it
    must tell of all that the end of the run tells of."""
    store, layout = opened.store, opened.layout
    damages: list[Damage] = []
    told = OpenedRun(store, opened.record, RunView(opened.record))
    looks: dict[str, Callable[[], object]] = {
        "the journal of the run": lambda: told.absorb(JournalReader(store, layout).read()),
        "which run continues it": lambda: continuation_of(store, layout),
    }
    for what, look in looks.items():
        try:
            look()
        except StoreFault as fault:
            damages.append(_of_fault(fault, what, layout.journal))
    known = told.view.totals()
    missing = sum(max(0, count - known.get(step, 0)) for step, count in opened.view.totals().items())
    if missing and not damages:
        damages.append(Damage(layout.journal, f"lacks {missing:,} of the tasks that the end of the run tells of", "the journal of the run"))
    return damages


def _of_references(checker: _Checker, references: Callable[[], Iterable[Reference]], what: str) -> list[Damage]:
    damages: list[Damage] = []
    try:
        for reference in references():
            problem = checker.problem(reference)
            if problem is not None:
                damages.append(Damage(reference.key, problem, reference.what))
    except StoreFault as fault:
        damages.append(_of_fault(fault, what, ""))
    return damages


def _of_segment(checker: _Checker, referring: Referring, segment: Segment, run: str) -> list[Damage]:
    """What is damaged of a segment. Where its pack is, or a list of parts, none of its tasks is good."""
    damages: dict[str, tuple[Reference, str, list[int] | None]] = {}
    told = f"what tasks of {segment.step} stored"
    try:
        for reference in referring.of_segment(segment, run):
            problem = checker.problem(reference)
            if problem is None:
                continue
            indices = None if reference.index is None or reference.is_output else [reference.index]
            known = damages.get(reference.key)
            if known is None:
                damages[reference.key] = (reference, problem, indices)
            elif known[2] is not None and indices is not None:
                known[2].extend(indices)
    except StoreFault as fault:
        if not any(fault.key.endswith(known) for known in damages):  # a path ends in the key that was told already
            return [*_made(damages, segment), _of_fault(fault, told, "", segment.step, segment.indices)]
    return _made(damages, segment)


def _made(damages: dict[str, tuple[Reference, str, list[int] | None]], segment: Segment) -> list[Damage]:
    made: list[Damage] = []
    for reference, problem, indices in damages.values():
        if reference.is_output:
            made.append(Damage(reference.key, problem, reference.what))
            continue
        which = segment.indices if indices is None else IndexSet.of(array("q", sorted(set(indices))))
        others = f" and of {len(which) - 1:,} more" if indices is not None and len(which) > 1 else ""
        made.append(Damage(reference.key, problem, reference.what + others, segment.step, which))
    return made


def _of_fault(fault: StoreFault, what: str, key: str, step: str | None = None, indices: IndexSet = EMPTY) -> Damage:
    problem = "is gone" if isinstance(fault, StoreMissing) else "is damaged"
    if not isinstance(fault, (StoreMissing, StoreCorrupt)):
        problem = f"cannot be read ({fault})"
    return Damage(fault.key or key, problem, what, step, indices)


class _Checker:
    """Looks at objects, each once. Sizes come from listings: one per directory."""

    def __init__(self, store: Store, *, is_thorough: bool) -> None:
        self._store = store
        self._is_thorough = is_thorough
        self._sizes: dict[str, dict[str, int]] = {}
        self._problems: dict[str, str | None] = {}
        self._good: dict[str, int] = {}

    @property
    def objects(self) -> int:
        """How many are as they were stored."""
        return len(self._good)

    @property
    def nbytes(self) -> int:
        return sum(self._good.values())

    def problem(self, reference: Reference) -> str | None:
        """What is wrong with the object; None where nothing is."""
        if reference.key not in self._problems or reference.least_nbytes:
            self._problems[reference.key] = self._look(reference)
        return self._problems[reference.key]

    def has_blobs(self, layout: RunLayout) -> bool:
        return bool(self._sizes_in(layout.blobs))

    def _look(self, reference: Reference) -> str | None:
        size = self._size_of(reference.key)
        if reference.is_output and not reference.least_nbytes:
            return None  # of tasks that printed nothing a bucket has no output
        if size is None:
            return "is gone"
        if reference.nbytes is not None and size != reference.nbytes:
            return f"has {size:,} bytes instead of {reference.nbytes:,}"
        if size < reference.least_nbytes:
            return f"has {size:,} bytes instead of {reference.least_nbytes:,} or more"
        if self._is_thorough and reference.digest is not None:
            try:
                if not self._digest_of(reference.key, size).startswith(reference.digest):
                    return "is not what was stored"
            except StoreMissing:
                return "is gone"
            except StoreFault as fault:
                return f"cannot be read ({fault})"
        self._good[reference.key] = size
        return None

    def _size_of(self, key: str) -> int | None:
        return self._sizes_in(key.rpartition("/")[0]).get(key)

    def _sizes_in(self, directory: str) -> dict[str, int]:
        sizes = self._sizes.get(directory)
        if sizes is None:
            sizes = self._sizes[directory] = {entry.key: entry.nbytes for entry in self._store.entries(directory)}
        return sizes

    def _digest_of(self, key: str, size: int) -> str:
        """The hex BLAKE3 of the object, read piece by piece: what mapped files are trusted for is not believed here."""
        hasher = blake3(max_threads=blake3.AUTO)
        for start in range(0, size, _PIECE_NBYTES):
            hasher.update(self._store.read(key, start, min(size, start + _PIECE_NBYTES)))
        return hasher.hexdigest()
