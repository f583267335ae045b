"""Where keys are: the root that an `S3` was made with, and the URL of a key below it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rayflow.flow.current import current
from rayflow.model.errors import RayflowS3InvalidRange, RayflowS3URLException
from rayflow.s3.objects import RangeInfo
from rayflow.settings.here import find_root
from rayflow.settings.reading import StatedSettings
from rayflow.settings.table import DATATOOLS_S3ROOT

if TYPE_CHECKING:
    from rayflow.client import Run
    from rayflow.flow.flowspec import FlowSpec

BESIDE_RUNS = "user-data"
"""Where data of runs are, under a root of rayflow. No flow can have the name, so that nothing takes it for one."""


def root_of_run(run: FlowSpec | Run, bucket: str | None, prefix: str | None, settings: StatedSettings) -> str:
    """The URL below which data of a run are: `<data root>/<Flow>/<run id>`. The data root is the setting DATATOOLS_S3ROOT, else
    `user-data` under the run's own root; `bucket` and `prefix` replace parts of it."""
    from rayflow.flow.flowspec import FlowSpec

    if isinstance(run, FlowSpec):
        if not current.is_running_flow:
            raise RayflowS3URLException("S3(run=self) works in the steps of a running flow. Elsewhere give run=Run('Flow/id') or s3root=.")
        own_root, flow, run_id = current.root, str(current.flow_name), str(current.run_id)
    else:
        flow, run_id = _names_of(run)
        own_root = _root_under(run) or find_root(settings)
    return f"{_data_root(settings, own_root, bucket, prefix)}/{flow}/{run_id}"


def _names_of(run: Run) -> tuple[str, str]:
    try:
        return str(run.parent.id), str(run.id)
    except AttributeError:
        raise RayflowS3URLException(f"S3(run=...) takes self or a Run, such as Run('Flow/id'); got {_shown(run)}.") from None


def _root_under(run: Run) -> str | None:
    from rayflow.client import Run

    return run._root.url if isinstance(run, Run) else None  # pyright: ignore[reportPrivateUsage] - it is nobody else's business


def _data_root(settings: StatedSettings, own_root: str | None, bucket: str | None, prefix: str | None) -> str:
    stated, name = settings[DATATOOLS_S3ROOT], DATATOOLS_S3ROOT.variable
    if not stated and not own_root:
        raise RayflowS3URLException(f"This run has no root, beside which its data could be. Set {name}, to s3://bucket/path say.")
    root = root_url(_as_url(stated), name) if stated else f"{_as_url(own_root or '')}/{BESIDE_RUNS}"
    scheme, _, rest = root.partition("://")
    if scheme == "file":  # a directory has no bucket: it is in the place of one
        return f"s3://{bucket}/{(prefix or '').strip('/')}".rstrip("/") if bucket else f"{root}/{prefix.strip('/')}" if prefix else root
    own_bucket, _, path = rest.partition("/")
    return f"{scheme}://{bucket or own_bucket}/{(prefix or path).strip('/')}".rstrip("/")


def _as_url(root: str) -> str:
    return root.rstrip("/") if "://" in root else f"file://{os.path.abspath(root)}"


def root_url(text: Any, name: str = "s3root") -> str:
    """`text` as a root: a URL with a bucket or a path, without a slash at its end."""
    stated = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    scheme, separator, rest = stated.partition("://") if isinstance(stated, str) else ("", "", "")
    if not separator or not scheme or not rest.strip("/"):
        raise RayflowS3URLException(f"{name} takes the URL of a place in S3, such as s3://bucket/path; got {_shown(text)}.")
    return stated.rstrip("/")


class Place:
    """Makes URLs of keys. `root` None: every key is a URL of S3 itself."""

    def __init__(self, root: str | None) -> None:
        self.root = root

    def url(self, asked: Any) -> str:
        """The URL of a key, or of anything that has one as `key`; of the root, for None. Raises `RayflowS3URLException`."""
        key = getattr(asked, "key", asked)
        if isinstance(key, bytes):
            key = key.decode("utf-8", "replace")
        if not isinstance(key, str) and key is not None:
            raise RayflowS3URLException(f"A key is text; got {_shown(key)}.")
        if self.root is None:
            return _full(key)
        if not key:
            return self.root
        if key.startswith("s3://"):
            raise RayflowS3URLException(
                f"This S3 was made with a root: keys are relative to it, and {_shown(key)} is a URL. Use S3() for URLs."
            )
        _refuse_dots(key)
        return f"{self.root}/{key.lstrip('/')}"

    def object_url(self, asked: Any) -> str:
        """The same, of what can be an object: not of a whole bucket, or of nothing below the root."""
        url = self.url(asked)
        if url.startswith("s3://") and not url[len("s3://") :].partition("/")[2].strip("/"):
            raise RayflowS3URLException(f"{url} is a bucket, not an object in it. Give a key.")
        return url


def _full(key: str | None) -> str:
    bucket, _, path = (key or "").removeprefix("s3://").partition("/")
    if key is not None and key.startswith("s3://") and bucket and path:
        _refuse_dots(path)
        return key
    way = "Specify S3(run=self) in a step, or" if current.is_running_flow else "Make it with s3root= or run= to use relative keys, or"
    raise RayflowS3URLException(f"This S3 was made without a root, and {_shown(key)} is not a URL with a path. {way} give s3://bucket/key.")


def _refuse_dots(key: str) -> None:
    if not {".", ".."}.isdisjoint(key.split("/")) or "\0" in key:
        raise RayflowS3URLException(f"The key {_shown(key)} has '.' or '..' between slashes: it could lead out of its place. Rename it.")


def part_of(asked: Any) -> tuple[int | None, int | None] | None:
    """What part of an object is asked for, as the offset and length that HTTP can say: (offset, None) to the end, (None, n) the last n
    bytes. None: all of it. Raises `RayflowS3InvalidRange` for what no object has."""
    offset, length = getattr(asked, "offset", None), getattr(asked, "length", None)
    if offset is None and length is None:
        return None
    if not all(isinstance(each, int) or each is None for each in (offset, length)):
        raise RayflowS3InvalidRange(f"Offset and length of {_shown(asked.key)} are whole numbers of bytes; got {offset!r}, {length!r}.")
    if length is not None and length < 0:
        return None, -length
    if length == 0 or (offset or 0) < 0:
        wrong = "no bytes" if length == 0 else "bytes before its first"
        raise RayflowS3InvalidRange(
            f"{wrong} of {_shown(asked.key)} are asked for (offset {offset}, length {length}). Give an offset from 0 on and a positive"
            " length, or a negative length for the end of the object."
        )
    return offset or 0, length


def range_within(size: int, part: tuple[int | None, int | None], url: str) -> RangeInfo:
    """The part of an object of `size` bytes. Raises `RayflowS3InvalidRange` where it has nothing there."""
    offset, length = part
    if offset is None:
        offset = max(0, size - (length or 0))
        length = size - offset
    if offset >= size:
        raise RayflowS3InvalidRange(f"{url} has {size} bytes, none from {offset} on.")
    return RangeInfo(size, offset, min(size - offset, length if length is not None else size))


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 120 else text[:117] + "..."
