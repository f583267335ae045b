"""Puts the parts of one run together: what workers are sent, who performs batches, who tells the user."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rayflow.catalog.run import RunRecord
from rayflow.catalog.view import RunView
from rayflow.executors.inline import InlineExecutor
from rayflow.executors.process import ProcessExecutor
from rayflow.executors.ray import RayExecutor
from rayflow.executors.ray_options import is_of_this_machine
from rayflow.executors.room import NodeKind
from rayflow.flow.definition import FlowDefinition
from rayflow.model.errors import UsageError
from rayflow.model.ports import Store
from rayflow.package.gathering import PackedFiles
from rayflow.runtime.cells import cells_of
from rayflow.runtime.crew import ENTRY, Crew, cpu_count, gains_from_cluster, needs_cluster
from rayflow.runtime.loading import file_digest, module_name_of, register_inline
from rayflow.runtime.logfiles import LogFiles
from rayflow.runtime.narrator import Narrator
from rayflow.runtime.notices import Reporter, Warned
from rayflow.runtime.settings import Settings
from rayflow.runtime.shared import FlowSource, Shared

if TYPE_CHECKING:
    from rayflow.executors.warm import Loan


LOCAL = "local"
"""As an address: a cluster of the run's own, even where a warm one is up."""


@dataclass(frozen=True)
class Parts:
    """What the conductor works with."""

    crew: Crew
    shared: Shared
    narrator: Narrator


@contextlib.contextmanager
def assemble(
    definition: FlowDefinition,
    settings: Settings,
    store: Store,
    record: RunRecord,
    reporter: Reporter,
    view: RunView,
    files: PackedFiles | None,
) -> Generator[Parts]:
    """The parts of a run whose code package was made of `files`; every process that they start has ended when the block is left."""
    is_inline = settings.executor == "inline"
    if store.url.startswith("memory://") and not is_inline:
        raise UsageError("A memory:// root lives in one process: use it with --executor inline, or give a directory as --root.")
    source = source_of(definition, record.code, record.facts.get("compat"), files)
    if is_inline:
        register_inline(source, definition.flow_class)
    calls_ray = _calls_ray_itself(settings)  # asked before our own executor imports it
    with _progress_dir(record.run_id, is_inline=is_inline) as progress_dir, _loan(definition, settings, calls_ray) as loan:
        shared = Shared(
            root=store.url,
            record=record,
            source=source,
            specs=definition.specs,
            cwd=os.getcwd(),
            environ=_sent_environ(settings, loan),
            max_log_nbytes=settings.max_log_mb << 20,
            max_num_splits=settings.max_num_splits,
            tables=settings.tables,
            is_inline=is_inline,
            progress_dir=progress_dir,
        )
        ray = _ray(definition, settings, loan, progress_dir, calls_ray)
        may_begin_early = not (calls_ray or (ray and ray.address))
        spare = RayExecutor(ENTRY, progress_dir=progress_dir) if ray is None and _may_turn_long(definition, settings) else None
        crew = _crew(definition, settings, reporter, (ray, spare), may_begin_early=may_begin_early)
        narrator = Narrator(reporter, LogFiles(store, record.layout, progress_dir), view, definition.specs, is_inline=is_inline)
        try:
            yield Parts(crew, shared, narrator)
        finally:
            crew.close()


@contextlib.contextmanager
def _loan(definition: FlowDefinition, settings: Settings, calls_ray: bool) -> Generator[Loan | None]:
    """The warm cluster, where the run is to join it and there is one."""
    gains = settings.executor == "ray" or (settings.executor == "auto" and gains_from_cluster(definition.graph, definition.specs))
    if settings.address or not settings.state_dir or not (gains or calls_ray):
        yield None
        return
    from rayflow.executors.warm import Shelf

    with Shelf(settings.state_dir).borrowed() as loan:
        yield loan


def _calls_ray_itself(settings: Settings) -> bool:
    """User code that calls Ray must find the run's cluster, not start another."""
    return settings.executor == "auto" and "ray" in sys.modules


def _ray(definition: FlowDefinition, settings: Settings, loan: Loan | None, progress_dir: str, calls_ray: bool) -> RayExecutor | None:
    """The executor on Ray, where the run may use it. Its start begins here, before anything that is not needed for it."""
    address = None if settings.address == LOCAL else settings.address
    wants = settings.executor == "ray" or (
        settings.executor == "auto" and bool(address or loan or calls_ray or needs_cluster(definition.specs))
    )
    if not wants:
        return None
    kinds = tuple(NodeKind(*kind) for kind in settings.node_kinds) if address else ()
    ray = RayExecutor(ENTRY, address, loan.cluster if loan else None, progress_dir=progress_dir, kinds=kinds)
    ray.start()
    return ray


def _may_turn_long(definition: FlowDefinition, settings: Settings) -> bool:
    """Whether the flow has a fan-out, for which Ray may be started later."""
    return settings.executor == "auto" and any(node.is_foreach for node in definition.graph)


def _crew(
    definition: FlowDefinition,
    settings: Settings,
    reporter: Reporter,
    clusters: tuple[RayExecutor | None, RayExecutor | None],
    *,
    may_begin_early: bool,
) -> Crew:
    """`clusters`: the one that starts or has started, and the one that may be started later. `may_begin_early`: child processes may
    perform what is ready before Ray is there."""
    ray, spare = clusters
    process: ProcessExecutor | None = None
    inline: InlineExecutor | None = None
    cpus = min(cpu_count(), settings.max_workers or cpu_count())
    match settings.executor:
        case "inline":
            from rayflow.runtime.worker import perform

            inline = InlineExecutor(perform)
        case "process":
            process = ProcessExecutor(ENTRY, cpus)
        case "ray":
            pass
        case "auto":
            if ray is None or may_begin_early:
                process = ProcessExecutor(ENTRY, cpus)
        case other:
            raise UsageError(f"There is no executor {other!r}. Choose auto, ray, process or inline.")
    if process is not None:
        process.warm_up()
    return Crew(
        definition.graph,
        definition.specs,
        process=process,
        ray=ray,
        inline=inline,
        spare=spare,
        is_strict=settings.is_strict,
        patience_s=settings.patience_s,
        warn=lambda text: reporter.tell(Warned(text)),
    )


def source_of(definition: FlowDefinition, code: str | None, compat: str | None = None, files: PackedFiles | None = None) -> FlowSource:
    """Where workers find the flow class, and in which mode they load it."""
    flow_class = definition.flow_class
    path, name = definition.script_path, flow_class.__qualname__
    search = tuple(dict.fromkeys([os.path.dirname(path), *_own_sys_path()])) if path else _own_sys_path()
    if not path or not os.path.isfile(path) or "<locals>" in name:
        import cloudpickle

        content = cloudpickle.dumps(flow_class)
        return FlowSource(name, flow_class.__module__, sys_path=search, pickled=content, cells=cells_of(flow_class), compat=compat)
    module = flow_class.__module__
    if module == "__main__":
        module = module_name_of(path)
    return FlowSource(name, module, path, file_digest(path), search, code, files, compat=compat)


def _own_sys_path() -> tuple[str, ...]:
    """What the launcher has on its path besides the installation: workers get it too."""
    installed = (sys.prefix, sys.base_prefix)
    return tuple(os.path.abspath(entry) for entry in sys.path if entry and not os.path.abspath(entry).startswith(installed))


def _sent_environ(settings: Settings, loan: Loan | None) -> dict[str, str] | None:
    """The launcher's environment, for workers of this machine that did not inherit it."""
    if loan is not None:
        return {**os.environ, **loan.environ}
    return dict(os.environ) if is_of_this_machine(settings.address) else None


@contextlib.contextmanager
def _progress_dir(run_id: str, *, is_inline: bool) -> Generator[str]:
    """A directory for the workers' progress words. Those of drivers that were killed are swept."""
    if is_inline:
        yield ""
        return
    top = os.path.join(tempfile.gettempdir(), f"rayflow-{os.getuid()}")
    os.makedirs(top, mode=0o700, exist_ok=True)
    for name in os.listdir(top):
        pid = name.partition("-")[0]
        if pid.isdecimal() and not os.path.exists(f"/proc/{pid}") and os.path.isdir("/proc/self"):
            shutil.rmtree(os.path.join(top, name), ignore_errors=True)
    path = os.path.join(top, f"{os.getpid()}-{run_id}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
