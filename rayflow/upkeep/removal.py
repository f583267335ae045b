"""Taking away: `rm` of runs, and `gc` of what no run refers to."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rayflow.catalog import wire
from rayflow.catalog.index import flows_of, is_flow, newest_first
from rayflow.catalog.ownership import is_alive, take_epoch, this_process
from rayflow.catalog.reading import open_run
from rayflow.catalog.run import RunRecord, read_run
from rayflow.catalog.tags import forget_tags
from rayflow.model.entry import Entry
from rayflow.model.errors import RayflowException, RayflowNotFound, RunOwnedElsewhere, StoreExists, StoreMissing, UserError
from rayflow.model.layout import FlowLayout, RunLayout, is_run_id
from rayflow.model.ports import Store
from rayflow.model.records import Outcome
from rayflow.upkeep.deployments import needed_by_deployments
from rayflow.upkeep.references import Referring
from rayflow.upkeep.taglog import NO_TAGS, covered_files, look_at_tags

GRACE_US = 24 * 3600 * 1_000_000
"""What belongs to no run, and is younger, may be that of a run which starts just now."""

_SWEPT = ("packs", "blobs", "logs", "checkpoints", "datasets")


@dataclass
class Removal:
    """What is to be taken away, or was: `runs` by name, `nbytes` in `objects` objects. `kept` says what is left alone though it was asked
    for, and why."""

    runs: list[str] = field(default_factory=list[str])
    objects: int = 0
    nbytes: int = 0
    kept: list[str] = field(default_factory=list[str])


def plan_rm(store: Store, runs: Sequence[tuple[str, str]], *, now_us: int, deletes: bool) -> Removal:
    """Removes runs, given as (flow, id); without `deletes` it is only told what that would take away. Objects that other runs refer to
    stay until those are gone too.

    Raises RayflowNotFound for a run that is not there, RunOwnedElsewhere for one that is in progress, UserError for one that an
    unfinished run continues; then nothing is removed.
    """
    found = Removal()
    by_flow: dict[str, set[str]] = defaultdict(set)
    for flow, run_id in runs:
        by_flow[flow].add(run_id)
    for flow, wanted in by_flow.items():
        for run_id in sorted(wanted):
            if not _is_there(store, RunLayout(flow, run_id)):
                raise RayflowNotFound(f"Run('{flow}/{run_id}') does not exist under {store.url}.")
            if _is_in_progress(store, RunLayout(flow, run_id)):
                raise RunOwnedElsewhere(f"Run {run_id} is in progress. Stop it first; then remove it.")
        for run_id, continuation in _needed(store, flow, wanted).items():
            raise UserError(
                f"Run {run_id} is still needed: run {continuation} continues it and has not succeeded. Remove both: "
                f"rayflow rm {run_id} {continuation}."
            )
    for flow, wanted in by_flow.items():
        _Sweep(store, flow, wanted, found, now_us=now_us, deletes=deletes).perform(is_of_all=False)
    return found


def plan_gc(
    store: Store,
    *,
    now_us: int,
    deletes: bool,
    flow: str | None = None,
    older_than_us: int | None = None,
    kept_tags: frozenset[str] = frozenset(),
) -> Removal:
    """Takes away what no run refers to; with `older_than_us` first the runs that started so long before `now_us` (microseconds), except
    those that have one of the tags, are in progress, or are continued by a run that has not succeeded. Without `deletes` it is only told.
    RayflowNotFound for a `flow` that has no runs here.
    """
    if flow is not None and not is_flow(store, flow):
        raise RayflowNotFound(f"There is no flow '{flow}' under {store.url}.")
    found = Removal()
    for name in [flow] if flow is not None else flows_of(store):
        wanted = _old(store, name, now_us - older_than_us, kept_tags, found) if older_than_us is not None else set[str]()
        for run_id, continuation in _needed(store, name, wanted).items():
            found.kept.append(f"{name}/{run_id} is kept: run {continuation} continues it and has not succeeded.")
            wanted.discard(run_id)
        _Sweep(store, name, wanted, found, now_us=now_us, deletes=deletes).perform(is_of_all=True)
    return found


def is_marked(store: Store, layout: RunLayout) -> bool:
    """Whether the run is being removed: nobody may begin to refer to it."""
    return _exists(store, layout.removed)


def _old(store: Store, flow: str, before_us: int, kept_tags: frozenset[str], found: Removal) -> set[str]:
    """The runs that are old enough to go."""
    log = look_at_tags(store, flow) if kept_tags else NO_TAGS
    if log.damages:
        found.kept.append(
            f"Runs of {flow} are kept: {', '.join(sorted(log.damages))} is damaged or gone, so that it is not known which of them have the"
            " tag. Put their tags right (rayflow tag list, rayflow tag add); then remove that file."
        )
        return set()
    old: set[str] = set()
    for entry in newest_first(store, flow):
        if entry.created_us >= before_us:
            continue
        layout = RunLayout(flow, entry.run_id)
        try:
            record = read_run(store, flow, entry.run_id)
        except RayflowNotFound:
            continue
        except RayflowException as fault:
            found.kept.append(f"{flow}/{entry.run_id} is kept: {fault}")
            continue
        if kept_tags.intersection((*log.state.of(record.run_id).applied(record.tags), *record.system_tags)):
            continue
        if _is_in_progress(store, layout):
            found.kept.append(f"{flow}/{entry.run_id} is kept: it is in progress.")
            continue
        old.add(entry.run_id)
    return old


def _is_in_progress(store: Store, layout: RunLayout) -> bool:
    with contextlib.suppress(RayflowException):
        if open_run(store, layout.flow, layout.run).ending is not None:
            return False
    return is_alive(store, layout)


def _needed(store: Store, flow: str, wanted: set[str]) -> dict[str, str]:
    """Of these runs those that a run which stays continues, by id, with the run that does. One that succeeded needs its origin no more:
    what it took over it refers to itself."""
    needed: dict[str, str] = {}
    stay = list(_records(store, flow, wanted)) if wanted else []
    while True:
        more = {
            record.origin: record.run_id
            for record in stay
            if record.origin is not None
            and record.origin in wanted
            and record.origin not in needed
            and (record.run_id in needed or not _has_succeeded(store, record))
        }
        if not more:
            return needed
        needed.update(more)
        stay += [record for run_id in more if (record := _record(store, flow, run_id)) is not None]


def _records(store: Store, flow: str, without: set[str]) -> Iterator[RunRecord]:
    for entry in newest_first(store, flow):
        record = _record(store, flow, entry.run_id) if entry.run_id not in without else None
        if record is not None:
            yield record


def _record(store: Store, flow: str, run_id: str) -> RunRecord | None:
    try:
        return read_run(store, flow, run_id)
    except RayflowException:
        return None


def _has_succeeded(store: Store, record: RunRecord) -> bool:
    try:
        ending = open_run(store, record.flow, record.run_id).ending
    except RayflowException:
        return False
    return ending is not None and ending.outcome is Outcome.SUCCEEDED


def _exists(store: Store, key: str) -> bool:
    try:
        store.read(key, 0, 1)
    except StoreMissing:
        return False
    return True


def _is_there(store: Store, layout: RunLayout) -> bool:
    return next(iter(store.entries(layout.root)), None) is not None


class _Sweep:
    """Marks what the runs of a flow refer to, those that are `removed` aside, and sweeps the rest."""

    def __init__(self, store: Store, flow: str, removed: set[str], found: Removal, *, now_us: int, deletes: bool) -> None:
        self._store = store
        self._flow = flow
        self._removed = removed
        self._found = found
        self._now_us = now_us
        self._deletes = deletes
        self._succeeded: set[str] = set()
        self._marks: set[str] = set()

    def perform(self, *, is_of_all: bool) -> None:
        """`is_of_all`: in all runs that succeeded, and what a removal that was killed left, too."""
        self._mark_removed()
        shared = [*self._store.entries(f"{self._flow}/code"), *self._store.entries(FlowLayout(self._flow).environments)]
        deployments = list(self._store.entries(FlowLayout(self._flow).deployments)) if is_of_all else []
        files = self._files_by_run()
        removed = self._removed | {run for run, entries in files.items() if self._is_left_over(run, entries, is_of_all)}
        try:
            marked = self._marked(removed)
        except RayflowException as fault:
            self._found.kept.append(
                f"Nothing of {self._flow} is removed: a run or a deployment cannot be read, so that it is not known what it needs. {fault}"
                " See `rayflow verify`; `rayflow rm` of that run removes the obstacle."
            )
            self._unmark_removed()
            return
        self._found.runs += [f"{self._flow}/{run}" for run in sorted(self._removed)]
        self._take_names(removed, files)
        for run in sorted(removed):
            self._take_rest(RunLayout(self._flow, run), files.get(run, []), marked)
        if is_of_all:
            for run in sorted(self._succeeded):
                root = RunLayout(self._flow, run).root
                parts = tuple(f"{root}/{name}/" for name in _SWEPT)
                self._take(each for each in files.get(run, []) if each.key.startswith(parts) and each.key not in marked)
            for run, entries in files.items():  # temporary files of writers that died
                if run not in self._succeeded and run not in removed:
                    self._take(each for each in entries if each.is_leaving and self._is_of_age(each))
            self._take(list(covered_files(self._store, self._flow, self._now_us - GRACE_US)))
        self._take(each for each in shared if each.key not in marked and self._is_of_age(each))
        if is_of_all:
            prefix = FlowLayout(self._flow).deployed + "/"
            self._take(each for each in deployments if not each.key.startswith(prefix) and each.key not in marked and self._is_of_age(each))

    def _is_of_age(self, entry: Entry) -> bool:
        return entry.modified_us < self._now_us - GRACE_US

    def _files_by_run(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        prefix = FlowLayout(self._flow).runs
        for entry in self._store.entries(prefix):
            run, _, _ = entry.key[len(prefix) + 1 :].partition("/")
            if is_run_id(run):
                found[run].append(entry)
        return found

    def _is_left_over(self, run: str, entries: Sequence[Entry], is_of_all: bool) -> bool:
        """Whether these are the remains of a run that was removed (what others refer to, or what a killed removal left), or, if that is
        asked too, of a start-up that never got as far as its record."""
        layout = RunLayout(self._flow, run)
        keys = {entry.key for entry in entries}
        if layout.removed in keys:
            return True
        return is_of_all and layout.record not in keys and layout.end not in keys and all(self._is_of_age(entry) for entry in entries)

    def _marked(self, removed: set[str]) -> set[str]:
        """The keys of all that deployments and the other runs refer to."""
        marked = needed_by_deployments(self._store, self._flow)
        referring = Referring(self._store, self._flow)
        for entry in newest_first(self._store, self._flow):
            if entry.run_id in removed:
                continue
            try:
                opened = open_run(self._store, self._flow, entry.run_id)
            except RayflowNotFound:
                continue
            marked.update(reference.key for reference in referring.of_run(opened))
            if opened.ending is not None and opened.ending.outcome is Outcome.SUCCEEDED:
                self._succeeded.add(entry.run_id)
        return marked

    # -- removing a run --------------------------------------------------------------------------------------------------

    def _mark_removed(self) -> None:
        if not self._deletes:
            return
        for run in self._removed:
            layout = RunLayout(self._flow, run)
            with contextlib.suppress(StoreExists):
                self._store.write(layout.removed, [wire.dumps(this_process().to_json())], only_new=True)
                self._marks.add(layout.removed)  # which is not what was to be removed
        begun = _needed(self._store, self._flow, self._removed)
        for run, continuation in begun.items():
            self._found.kept.append(f"{self._flow}/{run} is kept: run {continuation} began to continue it just now.")
            self._store.delete(RunLayout(self._flow, run).removed)
            self._removed.discard(run)

    def _unmark_removed(self) -> None:
        for run in self._removed if self._deletes else ():
            self._store.delete(RunLayout(self._flow, run).removed)

    def _take_names(self, removed: set[str], files: dict[str, list[Entry]]) -> None:
        """Of all of them before anything else, so that nobody finds one of which a part is gone: a run may need what is another's."""
        for run in sorted(removed):
            self._fence(RunLayout(self._flow, run))
        if removed and self._deletes:
            forget_tags(self._store, self._flow, removed)
        named = self._store.entries(FlowLayout(self._flow).index) if removed else ()
        self._take(each for each in named if removed.intersection(each.key.rpartition("/")[2].split(".")[1:2]))
        for run in sorted(removed):
            record = RunLayout(self._flow, run).record
            self._take(each for each in files.get(run, []) if each.key == record)

    def _take_rest(self, layout: RunLayout, entries: Sequence[Entry], marked: set[str]) -> None:
        """What is left of a run, as far as nobody needs it; its mark last, once there is nothing."""
        self._take(each for each in entries if each.key not in marked and each.key not in (layout.removed, layout.record))
        if any(each.key in marked for each in entries):
            return
        if self._deletes:
            for key in list(self._store.list(layout.epochs)):  # that of the fence
                self._store.delete(key)
            self._store.delete(layout.removed)
        self._count(each for each in entries if each.key == layout.removed and each.key not in self._marks)

    def _fence(self, layout: RunLayout) -> None:
        """A driver that was stopped, and wakes up, is to learn that it drives no more."""
        with contextlib.suppress(RayflowException):
            if self._deletes and open_run(self._store, self._flow, layout.run).ending is None:
                take_epoch(self._store, layout)

    def _take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if self._deletes:
                self._store.delete(entry.key)
            self._count([entry])

    def _count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._found.objects += 1
            self._found.nbytes += entry.nbytes
