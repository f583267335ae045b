"""Whether this installation, this machine and the root are fit for runs: one `Check` for each thing that users were stopped by."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from rayflow.cli.settings import Surroundings
from rayflow.model.errors import RayflowException, StoreMissing
from rayflow.settings.table import SETTINGS

if TYPE_CHECKING:
    from rayflow.model.ports import Store

_SHOWN = ("ray", "pyarrow", "fsspec", "s3fs")
_GIB = 1 << 30
_FULL_NBYTES, _SCARCE_NBYTES, _SHM_NBYTES = 200 << 20, 5 * _GIB, _GIB
_RAY_REFUSES_FROM = 0.95
"""Above this share of its disk Ray creates no more objects (its local_fs_capacity_threshold)."""
_DEADLINE_S = 10.0


class State(Enum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """`fix` is what to do; empty where nothing is to be done."""

    state: State
    told: str
    fix: str = ""


def checks(surroundings: Surroundings, root: str | None) -> Iterator[Check]:
    """All of them, each when it is asked for: those about a bucket take seconds. Writes only beneath the root, and removes it again."""
    yield python_check(sys.version_info[:2])
    yield from package_checks(requires_of("rayflow"))
    wrong = list(setting_checks(surroundings))
    yield from wrong
    try:
        url = surroundings.root(root)
    except RayflowException:
        return  # told with the settings
    yield from root_checks(url)
    if "://" not in url:
        yield disk_check(_existing(url), shutil.disk_usage(_existing(url)))
    yield disk_check(tempfile.gettempdir(), shutil.disk_usage(tempfile.gettempdir()))
    if os.path.isdir("/dev/shm"):
        yield shm_check(shutil.disk_usage("/dev/shm").total)
    yield cluster_check(surroundings)


def python_check(found: tuple[int, int]) -> Check:
    """Of the interpreter."""
    told = f"Python {platform.python_version()} ({sys.executable})"
    if (3, 10) <= found < (3, 14):
        return Check(State.OK, told)
    return Check(State.FAIL, told, "rayflow needs Python 3.10 to 3.13: make an environment with one of them.")


def requires_of(package: str) -> list[str]:
    """What a package says that it needs; nothing where it is not installed as one."""
    with contextlib.suppress(PackageNotFoundError):
        return requires(package) or []
    return []


def package_checks(needed: Iterable[str]) -> Iterator[Check]:
    """Of the packages that are needed here (`ray>=2.56`, markers allowed): the best known, and whatever is wrong."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, needed):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, wanted = requirement.name, str(requirement.specifier)
        fix = f"pip install '{name}{wanted}'"
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Check(State.FAIL, f"{name} is not installed", fix)
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield Check(State.FAIL, f"{name} {found} is installed, and {name}{wanted} is needed", fix)
        elif name in _SHOWN:
            yield Check(State.OK, f"{name} {found}")


def setting_checks(surroundings: Surroundings) -> Iterator[Check]:
    """Of the settings: what is wrong."""
    try:
        stated = surroundings.stated
    except RayflowException as error:
        yield Check(State.FAIL, str(error), "`rayflow configure reset` removes the file.")
        return
    for setting in SETTINGS:
        try:
            _ = stated[setting]
        except RayflowException as error:
            yield Check(State.FAIL, str(error), "`rayflow config` shows every setting, and where it is stated.")


# -- the root ----------------------------------------------------------------------------------------------------------


def root_checks(url: str) -> Iterator[Check]:
    """Of the root: whether it can be reached, read and written, and whether it keeps two drivers of a run apart."""
    from rayflow.store.opening import open_root

    if "://" in url and not url.startswith(("file://", "local://")):
        if url.startswith(("s3://", "s3a://")):
            yield s3_check()
        try:
            yield from _remote(url)
        except RayflowException as error:
            fix = "See to it that the bucket exists and may be read and written, or give another --root."
            yield Check(State.FAIL, f"Root {url}: {error}", fix)
        return
    try:
        open_root(url, create=False)
    except StoreMissing:
        yield from _absent(url)
        return
    except RayflowException as error:
        yield Check(State.FAIL, f"Root {url}: {error}", "Give another root: --root, or `rayflow configure set ROOT`.")
        return
    yield _written(url, url)


def _absent(url: str) -> Iterator[Check]:
    """A local root that is not there yet."""
    place = _existing(url)
    if not os.path.isdir(place):
        yield Check(State.FAIL, f"Root {url}: {place} is a file", "Give a directory: --root, or `rayflow configure set ROOT`.")
    else:
        yield _written(url, place, " (the first run makes it)")


def _written(url: str, directory: str, remark: str = "") -> Check:
    """Tries in a directory of its own within `directory`."""
    from rayflow.store.local import LocalStore
    from rayflow.store.remote import can_create_exclusively

    try:
        with tempfile.TemporaryDirectory(prefix=".rayflow-doctor-", dir=directory) as place:
            is_exclusive = can_create_exclusively(LocalStore(place))
    except (OSError, RayflowException) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        fix = "It can be read. To run flows, make it writable, or give another --root." if not remark else "Give another --root."
        return Check(State.WARN if not remark else State.FAIL, f"Root {url}: nothing can be written in {directory}: {reason}", fix)
    if not is_exclusive:
        fix = "Keep the root on another file system, or see to it that a run is not resumed while it is in progress."
        return Check(State.FAIL, f"Root {url}: its file system lets two programs create the same file", fix)
    return Check(State.OK, f"Root {url}: can be written, and keeps two drivers of a run apart{remark}")


def _remote(url: str) -> Iterator[Check]:
    from rayflow.model.errors import StoreFault
    from rayflow.store.opening import open_root
    from rayflow.store.remote import RemoteStore, can_create_exclusively

    store: Store = RemoteStore(url, deadline_s=_DEADLINE_S)
    next(iter(store.list("")), None)
    with contextlib.suppress(StoreMissing):
        open_root(url, create=False)
    try:
        is_exclusive = can_create_exclusively(store)
    except StoreMissing:
        raise  # there is no such bucket, which listing it did not tell
    except StoreFault as error:
        fix = "To run flows, allow writing and deleting objects there."
        yield Check(State.WARN, f"Root {url}: can be read, and not written: {error}", fix)
        return
    if is_exclusive:
        yield Check(State.OK, f"Root {url}: can be written, and keeps two drivers of a run apart")
    else:
        fix = "See to it that a run is not resumed while it is in progress, or use a server that honours If-None-Match."
        yield Check(State.WARN, f"Root {url}: its server ignores conditional writes (If-None-Match)", fix)


def s3_check() -> Check:
    """Of the credentials for S3: whether there are any. They are not shown."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        found = botocore.session.get_session().get_credentials()
    except BotoCoreError as error:
        return Check(State.FAIL, f"S3 credentials: {error}", "Repair ~/.aws/config, or AWS_PROFILE.")
    if found is None:
        return Check(State.WARN, "S3 credentials: none were found", "Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    return Check(State.OK, f"S3 credentials: found ({found.method})")


# -- this machine ------------------------------------------------------------------------------------------------------


def disk_check(place: str, usage: tuple[int, int, int]) -> Check:
    """Of the disk that `place` is on; `usage` is (total, used, free) in bytes."""
    total, _, free = usage
    told = f"Disk of {place}: {free / _GIB:.1f} GiB free of {total / _GIB:.1f}"
    if free < _FULL_NBYTES:
        return Check(State.FAIL, told, "Make room: `rayflow gc --older-than 30d --delete` removes old runs.")
    if free < _SCARCE_NBYTES or free < total * (1 - _RAY_REFUSES_FROM):
        return Check(State.WARN, told, "Make room before large runs: Ray creates no objects on a disk that is 95 % full.")
    return Check(State.OK, told)


def shm_check(nbytes: int) -> Check:
    """Of the shared memory that Ray keeps its objects in."""
    told = f"/dev/shm: {nbytes / _GIB:.1f} GiB"
    if nbytes < _SHM_NBYTES:
        return Check(State.WARN, told, "Ray keeps objects on disk instead, which is slow. In a container: docker run --shm-size=4g.")
    return Check(State.OK, told)


def cluster_check(surroundings: Surroundings) -> Check:
    """Of the cluster that `rayflow up` keeps."""
    from rayflow.executors.warm import Shelf

    directory = surroundings.state_dir
    with contextlib.suppress(OSError):
        if os.stat(directory).st_mode & 0o077:
            told = f"Local cluster: others may read {directory}, which holds the token of a cluster"
            return Check(State.WARN, told, f"chmod 700 {directory}; until then `rayflow up` refuses, and runs join no cluster.")
    cluster = Shelf(directory).found()
    if cluster is None:
        return Check(State.OK, "Local cluster: none is up; runs start what they need (`rayflow up` keeps one)")
    return Check(State.OK, f"Local cluster: up, {cluster.num_cpus} CPUs, at {cluster.address}")


def _existing(path: str) -> str:
    """The path, or what is nearest above it that exists."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
