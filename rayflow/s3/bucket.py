"""What the S3 client needs of whatever serves a URL, and what it makes of the errors that come from there."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeVar

from rayflow.model.errors import (
    RayflowException,
    RayflowS3AccessDenied,
    RayflowS3Exception,
    RayflowS3InsufficientDiskSpace,
    RayflowS3InvalidRange,
    RayflowS3NotFound,
)
from rayflow.s3.objects import Facts, RangeInfo
from rayflow.store.filesystems import DEADLINE_S, is_transient, patiently, status_of

T = TypeVar("T")

PART_NBYTES = 16 << 20
"""Larger objects travel in parts of this size, several at once."""
CHUNK_NBYTES = 1 << 20
"""How much of a download is in memory at once, per connection."""

_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Headers(NamedTuple):
    """What is stored with an object."""

    content_type: str | None = None
    metadata: Mapping[str, str] = {}
    encryption: str | None = None


class Source(Protocol):
    """What is uploaded: `nbytes` long, read in pieces from any thread."""

    nbytes: int

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop)."""
        ...


Together = Callable[[list[Callable[[], object]]], None]
"""Performs pieces of work, several at once, and raises what the first of them that failed raised."""


class Bucket(Protocol):
    """Objects by URL. Each request is made again while that may help; errors are those of the S3 family (see `asked`)."""

    def head(self, url: str) -> Facts:
        """What is known of an object. `RayflowS3NotFound` where there is none."""
        ...

    def fetch(self, url: str, part: tuple[int | None, int | None] | None, path: str, together: Together) -> tuple[Facts, RangeInfo]:
        """Writes the object, or that part of it, to the file `path`."""
        ...

    def put(self, url: str, source: Source, headers: Headers, together: Together, *, only_new: bool) -> bool:
        """Stores the object, wholly or not at all. With `only_new`, only where there is none: False if there was one."""
        ...

    def list(self, url: str, *, is_deep: bool) -> Iterator[tuple[str, int | None]]:
        """URLs and sizes of the objects below the directory `url`; unless `is_deep`, of those directly in it, and the directories in it,
        with a slash at the end and without a size."""
        ...


def asked(deed: str, url: str, act: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    """`act`, again while that may help, which stderr is told; what it raises at last becomes an error of the S3 family."""

    def tell(error: BaseException, attempt: int) -> None:
        text = f"S3: cannot {deed} {url} (attempt {attempt}): {_told(error)}. Trying again."
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the task's own output

    try:
        return patiently(act, deadline_s, tell)
    except RayflowException:
        raise
    except Exception as error:
        raise _named(error, deed, url, deadline_s) from error


def _named(error: Exception, deed: str, url: str, deadline_s: float) -> RayflowException:
    if isinstance(error, FileNotFoundError):
        return RayflowS3NotFound(f"There is no {url}." if "bucket" not in str(error) else f"There is no bucket for {url}.")
    if isinstance(error, PermissionError) or status_of(error) in (401, 403):
        return RayflowS3AccessDenied(f"Cannot {deed} {url}: {_told(error)}. Check the credentials and the policy of the bucket.")
    if status_of(error) == 412:
        return RayflowS3Exception(f"{url} changed while it was read. Read it again.")
    if status_of(error) == 416:
        return RayflowS3InvalidRange(f"{url} has no bytes in the part that was asked for.")
    if isinstance(error, OSError) and error.errno in _OUT_OF_SPACE:
        return RayflowS3InsufficientDiskSpace(f"{url} does not fit on the disk: {error}. Give a larger one with S3(tmproot=...).")
    way_out = "Check the URL, the endpoint and the credentials."
    if is_transient(error):
        way_out = f"It was tried again for {deadline_s:.0f} s."
    made = RayflowS3Exception(f"Cannot {deed} {url}: {_told(error)}. {way_out}")
    made.is_retryable = is_transient(error)
    return made


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}".rstrip(".: ")
