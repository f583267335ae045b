"""Performs batches as Ray tasks. The only module of rayflow that imports ray, and only when it is used.

A batch is one streaming task: `num_cpus` and the rest from `@resources`, `max_retries=0` (Ray would replay it from its first
task), reports as its yielded values, which the driver owns.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rayflow.executors.deaths import death_of
from rayflow.executors.entry import load_entry, prepare_entry
from rayflow.executors.local import LocalCluster
from rayflow.executors.progress import Progress, find_progress, read_progress
from rayflow.executors.ray_cluster import Cluster, cluster_now
from rayflow.executors.ray_faults import failure_of, peak_in
from rayflow.executors.ray_gangs import PlacedGangs
from rayflow.executors.ray_libraries import attend
from rayflow.executors.ray_options import is_of_this_machine, options_of
from rayflow.executors.room import NodeKind, Room
from rayflow.executors.watch import Watch
from rayflow.model.errors import ClusterFault
from rayflow.model.ports import Capabilities, Work
from rayflow.model.records import Failure, FailureKind
from rayflow.model.reports import BatchOver, BatchStarted, Report, RowOffered
from rayflow.model.spec import Resources

if TYPE_CHECKING:
    from rayflow.executors.connecting import Admission
    from rayflow.executors.warm import WarmCluster

_log = logging.getLogger(__name__)
_SHARED_KEPT = 4
_WARM_UP_S = 5.0
_LAST_LOOK_S = 1.0
_ENDING_S = 2.0
"""A worker that is at no task of its batch for so long is not about to end it: it imports, or hangs."""
_LOOK_AT_NODES_S = 2.0
"""How often the nodes of a cluster that others run are looked at: they come and go."""
LOOK_FOR_CANCEL_S = 0.2
"""How often a worker asks whether its batch was cancelled: a look costs 2 ms where all cores are busy."""


@dataclass(eq=False)
class _Flight:
    """A batch under way: its Ray generator, and the last that was heard of it."""

    work: Work
    generator: Any
    started: BatchStarted | None = None
    is_over: bool = False
    is_doomed: bool = False
    """To be killed as soon as it has begun, or its worker is at it."""
    doomed_at: float = 0.0
    was_killed: bool = False
    offer: RowOffered | None = None
    """Of which not all values have arrived: each is an item of the stream by itself, which stays where it is."""


@dataclass(eq=False)
class RayExecutor:
    """`address`: that cluster is joined; else `warm`, the one that `rayflow up` keeps. Neither: a cluster of this machine is started for
    the run and ended with it. `progress_dir` is where workers of this machine keep their progress words.

    `start` begins the boot in the background (4-5 s for a cluster of its own, of which nothing can be taken away by settings); `is_ready`
    tells when batches start at once: a first worker is there, which takes 1 s on a cluster that is up. `submit` before that waits.
    """

    entry: str
    address: str | None = None
    warm: WarmCluster | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    progress_dir: str = ""
    kinds: tuple[NodeKind, ...] = ()
    capabilities: Capabilities = Capabilities(can_kill=True, can_isolate=True, can_fan_out=True, can_lend=True)
    _boot: threading.Thread | None = None
    _fault: BaseException | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _ray: Any = None
    _perform: Any = None
    _perform_once: Any = None
    _token: str = field(default_factory=lambda: os.urandom(8).hex())
    _flights: dict[Any, _Flight] = field(default_factory=dict[Any, _Flight])
    _shared: dict[str, Any] = field(default_factory=dict[str, Any])
    _cluster: Cluster = Cluster()
    _closing: threading.Event = field(default_factory=threading.Event)
    _own: LocalCluster | None = None
    _admission: Admission | None = None
    _owns_connection: bool = False
    gangs: PlacedGangs = field(default_factory=PlacedGangs)
    _untold: list[Report] = field(default_factory=list[Report])
    _watch: Watch = field(default_factory=Watch)

    def start(self) -> None:
        """Begins to boot or join the cluster, in the background."""
        if self.address is None and self.warm is None and not _is_connected():
            self._own = LocalCluster(num_cpus=self.num_cpus, num_gpus=self.num_gpus)  # at once: importing Ray takes 0.3 s
        self._boot = threading.Thread(target=self._live, name="rayflow-ray", daemon=True)
        self._boot.start()

    @property
    def is_ready(self) -> bool:
        """Whether the cluster is there. ClusterFault when it could not be started or reached, or the warm one was ended."""
        if self.warm is not None and not self._watch.sees(self.warm):
            raise ClusterFault("The warm cluster ended while the run was using it. What is committed stays: resume the run.")
        if self._fault is not None:
            raise ClusterFault(self._boot_message(self._fault)) from self._fault
        return self._ready.is_set()

    def wait_until_ready(self) -> None:
        if self._boot is None:
            self.start()
        while not self._ready.wait(0.5):
            if self.is_ready:
                return
        if not self.is_ready:
            raise ClusterFault("Ray did not start.")

    def _live(self) -> None:
        self._connect()
        while not self._closing.wait(_LOOK_AT_NODES_S):
            if self.address is not None and self._fault is None:  # nodes of a cluster of one's own neither come nor go
                with contextlib.suppress(Exception):  # a cluster that is lost says so to those who use it
                    self._cluster = cluster_now(self._ray, self.kinds)
        if self._ray is not None and self._owns_connection and self._fault is None:
            self._ray.shutdown()

    def _connect(self) -> None:
        try:
            import ray

            logging.getLogger("ray").setLevel(logging.ERROR)  # it says on stderr what its users need not know

            self._ray = ray
            if ray.is_initialized():
                _log.debug("the process is connected to a cluster already; it is used")
            else:
                self._owns_connection = True
                self._init(ray)
            self._perform = ray.remote(_perform)
            self._perform_once = ray.remote(max_calls=1)(_perform)
            self._cluster = cluster_now(ray, self.kinds)
            self._warm_up(ray)
        except BaseException as fault:  # noqa: BLE001 - told to whoever asks is_ready, whatever Ray raised
            self._fault = fault
        finally:
            self._ready.set()

    def _init(self, ray: Any) -> None:
        from rayflow.executors.connecting import Admission, on_loopback, show_token

        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}
        if self.address is not None:
            show_token()
            ray.init(address=self.address, **options)
            return
        address, token_path = (self.warm.address, self.warm.token_path) if self.warm is not None else self._own_address()
        self._admission = Admission(token_path)
        with on_loopback(ray):
            ray.init(address=address, **options)

    def _own_address(self) -> tuple[str, str]:
        """Of the cluster for this run alone, and the path of its token, once it is there."""
        assert self._own is not None
        while (address := self._own.address) is None:
            if self._closing.is_set():
                raise ClusterFault("It was not needed any more.")
        return address, self._own.token_path

    def _warm_up(self, ray: Any) -> None:
        """No-op tasks, so that workers start while the launcher still reads the flow. Waits for the first, unless others use all CPUs.

        They import what the first report of a fan-out needs (0.3 to 0.6 s of CPU). Left to the first report, that was 20 % of the rate of
        100,000 trivial splits; to a thread of the worker, what user code forks would inherit the locks of its imports.
        """
        warm = ray.remote(_warm).options(num_cpus=1, max_retries=0)
        begun = [warm.remote(self.entry) for _ in range(max(1, min(4, self._cluster.room.slots(Resources()))))]
        prepare_entry(self.entry)  # the driver will need the same, and has to wait anyway
        deadline = time.monotonic() + _WARM_UP_S
        while not self._closing.is_set() and time.monotonic() < deadline and not ray.wait(begun, num_returns=1, timeout=0.1)[0]:
            pass

    def submit(self, work: Work) -> None:
        self.wait_until_ready()
        if work.seat is None:
            self._begin(work)
            return
        self.gangs.add(work)
        self._begin_gangs()

    def _begin_gangs(self) -> None:
        """Begins those that have got their room."""
        for work, where in list(self.gangs.placed()):
            self._begin(work, where)

    def _begin(self, work: Work, where: Any = None) -> None:
        is_here = self._own is not None or self.warm is not None or is_of_this_machine(self.address)
        options = options_of(work, where, is_elsewhere=not is_here)
        function = self._perform_once if work.is_isolated else self._perform
        key = self._cancel_key(work.batch.id)
        work = replace(work, lend_nbytes=self._cluster.lend_nbytes, spans_hosts=self._cluster.spans_hosts)
        generator = function.options(**options).remote(self.entry, replace(work, shared=b""), self._share(work), key, time.time())
        self._flights[generator] = _Flight(work, generator)

    def _share(self, work: Work) -> Any:
        """The reference of the shared part: put once, by the driver, who outlives every worker."""
        reference = self._shared.get(work.shared_id)
        if reference is None:
            reference = self._shared[work.shared_id] = self._ray.put(work.shared)
            while len(self._shared) > _SHARED_KEPT:
                self._shared.pop(next(iter(self._shared)))  # tasks under way hold their own reference
        return reference

    def poll(self, timeout_s: float) -> Sequence[Report]:
        reports, self._untold = self._untold, list[Report]()
        if self.gangs.are_waiting:
            self._begin_gangs()
        if reports:
            return reports
        if not self._flights:
            if timeout_s > 0:
                time.sleep(min(timeout_s, 0.05))
            return ()
        for flight in [flight for flight in self._flights.values() if flight.is_doomed and flight.started is not None]:
            self._kill(flight)
        generators = list(self._flights)
        ready, _ = self._ray.wait(generators, num_returns=1, timeout=timeout_s, fetch_local=False)
        if ready and len(generators) > 1:
            ready, _ = self._ray.wait(generators, num_returns=len(generators), timeout=0, fetch_local=False)
        for generator in ready:
            reports.extend(self._next(self._flights[generator]))
        return reports

    def _next(self, flight: _Flight) -> Sequence[Report]:
        try:
            reference = next(flight.generator)
            if flight.offer is not None:
                return self._arrived(flight, flight.offer, reference)
            reports: Sequence[Report] = pickle.loads(self._ray.get(reference))
        except StopIteration:  # without an error too where the task was cancelled in the moment before it began
            return self._ended(flight, Failure(FailureKind.DIED, "Ray ended it without a word."))
        except Exception as fault:  # noqa: BLE001 - Ray raises many unrelated classes; each means that the batch is over
            return self._ended(flight, failure_of(fault), fault)
        for report in reports:
            if isinstance(report, BatchStarted):
                flight.started = report
                if flight.is_doomed:
                    self._kill(flight)
            if isinstance(report, RowOffered):
                flight.offer = report
                return ()
            flight.is_over = isinstance(report, BatchOver)
        return reports

    def _arrived(self, flight: _Flight, offer: RowOffered, reference: Any) -> Sequence[Report]:
        """One value more of an offer, which is told when all are there."""
        blob = next(blob for blob, known in offer.values.items() if known is None)
        flight.offer = offer = replace(offer, values={**offer.values, blob: reference})
        if None in offer.values.values():
            return ()
        flight.offer = None
        return [offer]

    def _ended(self, flight: _Flight, failure: Failure, fault: Exception | None = None) -> Sequence[Report]:
        """The stream of a batch is over: a death, unless all was told before the worker went, or its node."""
        del self._flights[flight.generator]
        if flight.work.seat is not None:
            self.gangs.over(flight.work.batch.id)
        if flight.is_over:
            return ()
        batch, started = flight.work.batch, flight.started
        if flight.was_killed and failure.kind is FailureKind.DIED:
            failure = Failure(FailureKind.DIED, "It was cancelled, and its process was killed.")
        word: Progress | None = None
        if started is None and failure.kind is not FailureKind.LOST:
            word = find_progress(self.progress_dir, batch.id)
        elif started is not None and started.node == socket.gethostname() and failure.kind is not FailureKind.LOST:
            word = read_progress(started.progress, batch.id)
        return [death_of(batch, failure, word, peak_in(fault, started.pid) if fault and started else 0)]

    def cancel(self, batch_id: int, *, is_hard: bool) -> None:
        if self.gangs.withdraw(batch_id):
            self._untold.append(BatchOver(batch_id))
        for flight in self._flights.values():
            if flight.work.batch.id != batch_id:
                continue
            if is_hard and flight.started is not None:
                self._kill(flight)
            else:
                flight.is_doomed = is_hard
                self._tell_cancelled(batch_id)

    def _tell_cancelled(self, batch_id: int) -> None:
        _cluster_words().__dict__["_internal_kv_put"](self._cancel_key(batch_id), b"1")

    def _kill(self, flight: _Flight) -> None:
        """Ends the worker of a batch that has begun.

        One that has not must never be cancelled by Ray: if it is just being sent to its worker, Ray calls it failed, finds it completed a
        moment later, and aborts this very process ("Tried to complete task that was not pending", Ray 2.60). It looks for the word of its
        cancel before it begins, and is killed once it says that it has. The same happens to one that is just ending (seen in one run of
        the tests on Ray in three): so a worker of this machine, whose progress word says what it is at, is killed by its pid, without Ray.
        Ray is asked for those of other machines, where that moment remains, and for one that is at no task for long: it is not ending.
        """
        started = flight.started
        flight.doomed_at = flight.doomed_at or time.monotonic()
        is_seen = started is not None and started.node == socket.gethostname() and os.path.exists(started.progress)
        if started is None or not is_seen or time.monotonic() - flight.doomed_at > _ENDING_S:
            flight.is_doomed = False
            self._ray.cancel(flight.generator, force=True)
        elif read_progress(started.progress, flight.work.batch.id) is not None:
            flight.is_doomed, flight.was_killed = False, True
            with contextlib.suppress(ProcessLookupError):
                os.kill(started.pid, signal.SIGKILL)
        else:  # between two tasks, or through with them: it sees the word of its cancel, or is seen again
            flight.is_doomed = True
            self._tell_cancelled(flight.work.batch.id)

    def _cancel_key(self, batch_id: int) -> bytes:
        """Batch ids are a run's, and a process may drive several runs, one after another, over one connection."""
        return f"rayflow:cancel:{self._token}:{batch_id}".encode()

    def slots(self, resources: Resources) -> int:
        self.wait_until_ready()
        return self._cluster.room.in_flight(resources)

    @property
    def room(self) -> Room:
        """What there is room for, as last seen."""
        self.wait_until_ready()
        return self._cluster.room

    def close(self) -> None:
        if not self._owns_connection:  # what is under way would go on; with a connection of its own, Ray ends it
            self._end_flights()
            self.gangs.close()
        self._flights.clear()
        self._shared.clear()
        self._closing.set()
        if self._boot is None:
            return
        is_lost = self.warm is not None and not self.warm.is_kept
        if not is_lost:  # Ray cannot leave a cluster that is gone
            self._boot.join()
        if self._own is not None:
            self._own.end(is_orderly=False)
        if self._admission is not None:
            self._admission.end()

    def _end_flights(self) -> None:
        """Kills what has begun, and sees for a moment that what is about to begin does not."""
        for flight in list(self._flights.values()):
            self.cancel(flight.work.batch.id, is_hard=True)
        deadline = time.monotonic() + _LAST_LOOK_S
        while any(flight.started is None or flight.is_doomed for flight in self._flights.values()) and time.monotonic() < deadline:
            self.poll(0.05)

    def _boot_message(self, fault: BaseException) -> str:
        said = f"{type(fault).__name__}: {fault}"
        if self.address is not None:
            return f"The Ray cluster at {self.address} could not be joined: {said}. Check --address and that it is running."
        if self.warm is not None:
            return f"The warm cluster could not be joined: {said}. `rayflow down` drops it, and `--address local` does without it."
        return f"Ray could not be started on this machine: {said}. `--executor process` runs without it."


def _is_connected() -> bool:
    """Whether this process is on a cluster already."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def _perform(entry: str, work: Work, shared: bytes, cancel_key: bytes, submitted: float) -> Iterator[Any]:
    """The Ray task. Yields pickled lists of reports; after an offer each of its values, as a list of buffers."""
    full = replace(work, shared=shared, lent={blob: partial(_fetched, reference) for blob, reference in work.lent.items()})
    has_waited = abs(time.time() - submitted) > _LAST_LOOK_S / 2  # else the driver that cancelled it still looks
    if has_waited and _cluster_words().__dict__["_internal_kv_get"](cancel_key) is not None:
        yield pickle.dumps([BatchOver(work.batch.id)], protocol=5)
        return
    looked = time.monotonic()

    def is_cancelled() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK_FOR_CANCEL_S:
            return False
        looked = time.monotonic()
        return _cluster_words().__dict__["_internal_kv_get"](cancel_key) is not None

    if not faulthandler.is_enabled():
        faulthandler.enable(file=2)  # a crash says where, in the log of the task
    for reports in load_entry(entry)(full, is_cancelled):
        attend(work.resources, reports)
        offer = reports[0] if reports else None
        if isinstance(offer, RowOffered):
            yield pickle.dumps([replace(offer, values=dict.fromkeys(offer.values))], protocol=5)
            for encoded in offer.values.values():
                yield [pickle.PickleBuffer(chunk) for chunk in encoded.chunks]
        else:
            yield pickle.dumps(reports, protocol=5)


def _fetched(reference: Any) -> bytearray | memoryview | None:
    """The bytes of a value that another worker offered. What lies in the object store is read-only: a single buffer is given as it is,
    several are copied into one that is the caller's own."""
    import ray
    from ray.exceptions import RayError

    try:
        chunks = [memoryview(chunk).cast("B") for chunk in ray.get(reference)]
    except RayError:
        return None
    return chunks[0] if len(chunks) == 1 else bytearray().join(chunks)


def _warm(entry: str) -> None:
    prepare_entry(entry)


def _cluster_words() -> Any:
    """The key-value store of Ray's GCS: 0.2 ms a look. Not quite public, so that it is named here alone."""
    from ray.experimental import internal_kv

    return internal_kv
