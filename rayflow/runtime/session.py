"""What a worker process keeps between batches: the flow class, its constants, the store, the capture of output."""

from __future__ import annotations

import os
import pickle
import socket
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.catalog.scope import Scope
from rayflow.catalog.view import RunView, view_of
from rayflow.client.lineage import Lineage
from rayflow.client.reader import StoreReader
from rayflow.executors.progress import ProgressWord
from rayflow.flow.binding import PerTask, bound_class
from rayflow.flow.current import RunContext
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.ports import Store, Work
from rayflow.model.records import Artifact
from rayflow.package.stored import fetch_package
from rayflow.runtime.capture import Capture, Copied
from rayflow.runtime.environments import with_own_packages
from rayflow.runtime.loading import load_flow
from rayflow.runtime.logfiles import LogFiles
from rayflow.runtime.shared import Shared
from rayflow.store import open_store
from rayflow.store.blobs import Blobs

_KEPT = 8
_IMMUTABLE_CODECS = frozenset({"text", "bytes", "range"})
_SCALARS = (int, float, str, bool, type(None))


@dataclass
class Session:
    """Everything of one run that outlives a batch in this process."""

    run_id: str
    store: Store
    blobs: Blobs
    reader: StoreReader
    flow_class: type[FlowSpec]
    bound: type[FlowSpec]
    run_context: RunContext
    progress: ProgressWord | None
    node: str = field(default_factory=socket.gethostname)
    _captures: OrderedDict[str, Capture | Copied] = field(default_factory=OrderedDict[str, Any])

    def capture(self, shared: Shared, step: str) -> Capture | Copied:
        """The output files of this process for `step`; those of the step before are closed."""
        capture = self._captures.get(step)
        if capture is None:
            for other in self._captures.values():
                other.close()
            self._captures.clear()
            kind = Copied if shared.is_inline else Capture
            files = LogFiles(self.store, shared.record.layout, shared.progress_dir)
            capture = self._captures[step] = kind(files, step, shared.max_log_nbytes)
            capture.start()
        return capture


_shared: OrderedDict[str, Shared] = OrderedDict()
_sessions: dict[str, Session] = {}


def shared_of(shared_id: str, content: bytes) -> Shared:
    """The shared part of a batch, decoded once per process."""
    known = _shared.get(shared_id)
    if known is None:
        known = _shared[shared_id] = pickle.loads(content)
        while len(_shared) > _KEPT:
            _shared.popitem(last=False)
    return known


def session_of(shared: Shared, work: Work) -> Session:
    """The session of the shared part's run. The launcher's environment and directory come first, and the `environment` of the step, of
    which a worker of Ray has only one: the flow's module may look at them. So does a Python with packages of its own."""
    record = shared.record
    session = _sessions.get(record.run_id)
    if session is None:
        _sessions.clear()  # a worker belongs to one run at a time; inline tests run several, one after another
        _enter_surroundings(shared, work.environment)
        source = shared.source
        if work.python is not None:
            source = replace(source, sys_path=with_own_packages(source.sys_path))
        session = _sessions[record.run_id] = _new_session(replace(shared, source=source))
    return session


def _enter_surroundings(shared: Shared, environment: Mapping[str, str]) -> None:
    if shared.environ is not None:
        own = {name: value for name, value in os.environ.items() if name.startswith(("RAY_", "CUDA_VISIBLE"))}
        os.environ.clear()
        os.environ.update({**shared.environ, **own, **environment})
    if shared.is_inline:
        return
    os.environ["RAYFLOW_RUN_ID"] = shared.record.run_id
    if shared.cwd and os.path.isdir(shared.cwd):
        os.chdir(shared.cwd)


def _new_session(shared: Shared) -> Session:
    record = shared.record
    store = open_store(shared.root)
    blobs = Blobs(store, record.flow, record.run_id, tables=shared.tables, by_value_modules=frozenset({shared.source.module}))
    flow_class = load_flow(shared.source, lambda code: fetch_package(store, record.flow, code, _code_directory(shared, code)))
    word = None
    if shared.progress_dir and os.path.isdir(shared.progress_dir):
        word = ProgressWord(f"{shared.progress_dir}/{os.getpid()}")
    return Session(
        run_id=record.run_id,
        store=store,
        blobs=blobs,
        reader=StoreReader(store, record.flow, record.run_id),
        flow_class=flow_class,
        bound=bound_class(flow_class, values_of(blobs, {**record.constants, **record.parameters})),
        run_context=run_context_of(shared),
        progress=word,
    )


def _code_directory(shared: Shared, code: str) -> str:
    """Where this process extracts the code package: with the driver's progress words, which are removed when the run is over."""
    if os.path.isdir(shared.progress_dir):
        return os.path.join(shared.progress_dir, f"code-{code[:16]}-{os.getpid()}")
    return tempfile.mkdtemp(prefix="rayflow-code-")


def values_of(blobs: Blobs, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """Parameters and constants for `bound_class`: small immutable ones decoded now, the others for each task that asks."""
    values: dict[str, Any] = {}
    for name, artifact in artifacts.items():
        if artifact.inline is not None:
            value = blobs.load(artifact, name)
            if artifact.codec in _IMMUTABLE_CODECS or isinstance(value, _SCALARS):
                values[name] = value
                continue
        values[name] = PerTask(lambda artifact=artifact, name=name: blobs.load(artifact, name))
    return values


def run_context_of(shared: Shared) -> RunContext:
    """What `current` says about the run."""
    record = shared.record

    def open_here(pathspec: str) -> Any:
        return _open(shared.root, pathspec)

    def tempdir() -> str:
        from rayflow.settings.reading import read_settings
        from rayflow.settings.table import TEMPDIR

        return read_settings(os.environ, os.getcwd())[TEMPDIR] or "."

    def trigger() -> Any:
        from rayflow.client.trigger import Trigger

        return Trigger(record.facts["trigger"], open_here)

    return RunContext(
        flow_name=record.flow,
        run_id=record.run_id,
        origin_run_id=record.origin,
        username=record.user,
        namespace=record.facts.get("namespace", f"user:{record.user}") or None,
        tags=frozenset(record.tags),
        parameter_names=tuple(record.parameters),
        graph=lambda: dict(record.graph_info),
        open=open_here,
        tempdir=tempdir,
        extras=record.facts.get("current", {}),
        trigger=trigger if record.facts.get("trigger") else None,
        root=shared.root,
    )


def _open(root: str, pathspec: str) -> Any:
    from rayflow.client.objects import open_pathspec

    return open_pathspec(root, pathspec)


def lineage_of(session: Session, shared: Shared, scope: Scope) -> Lineage:
    """What a batch can see of its run."""
    view: RunView = view_of(shared.record, (*shared.outer, *scope.segments))
    for fanout in scope.fanouts:
        view.add_fanout(fanout)
    return Lineage(view, session.reader)
