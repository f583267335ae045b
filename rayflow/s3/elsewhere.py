"""Every other place that fsspec knows: a directory, where flows are tried out, and the buckets of others.

Not promised there: content type, metadata and encryption, which fsspec has no common words for; who gives them is warned. On a directory
an object is written beside its place and renamed; `only_new` looks first, and of two writers at once the later may win.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

from rayflow.model.errors import RayflowS3NotFound
from rayflow.s3.bucket import CHUNK_NBYTES, Headers, Source, Together, asked
from rayflow.s3.objects import Facts, RangeInfo
from rayflow.s3.places import range_within
from rayflow.store.filesystems import modified_us

_UNFINISHED = ".unfinished-"


class ForeignBucket:
    """`Bucket` on an fsspec file system whose URLs begin with `scheme`."""

    def __init__(self, fs: Any, scheme: str) -> None:
        self._fs = fs
        self._scheme = scheme
        self._is_directory = scheme in ("file", "local")

    def head(self, url: str) -> Facts:
        told: dict[str, Any] = asked("look at", url, lambda: self._fs.info(self._path(url)))
        if told.get("type") != "file":
            raise RayflowS3NotFound(f"There is no object {url}: it is a directory.")
        return Facts(int(told.get("size") or 0), last_modified=modified_us(told) // 1_000_000)

    def fetch(self, url: str, part: tuple[int | None, int | None] | None, path: str, together: Together) -> tuple[Facts, RangeInfo]:
        facts = self.head(url)
        got = RangeInfo(facts.size, 0, facts.size) if part is None else range_within(facts.size, part, url)

        def download() -> None:
            left = got.request_length
            with self._fs.open(self._path(url), "rb") as source, open(path, "wb") as file:
                source.seek(got.request_offset)
                while left:
                    chunk = source.read(min(CHUNK_NBYTES, left))
                    if not chunk:
                        raise ConnectionError(f"the reply ended {left} bytes early")
                    file.write(chunk)
                    left -= len(chunk)

        asked("read", url, download)
        return facts, got

    def put(self, url: str, source: Source, headers: Headers, together: Together, *, only_new: bool) -> bool:
        if any(headers):
            warnings.warn(
                f"{self._scheme}:// keeps no content type, metadata or encryption: they are dropped.", RuntimeWarning, stacklevel=2
            )
        if only_new and asked("look at", url, lambda: self._fs.exists(self._path(url))):
            return False
        asked("write", url, lambda: self._upload(self._path(url), source))
        return True

    def _upload(self, path: str, source: Source) -> None:
        target = path
        if self._is_directory:
            directory, name = os.path.split(path)
            os.makedirs(directory, exist_ok=True)
            target = os.path.join(directory, f".{name[:100]}{_UNFINISHED}{os.urandom(8).hex()}")
        try:
            with self._fs.open(target, "wb") as file:
                for start in range(0, source.nbytes, CHUNK_NBYTES):
                    file.write(source.read(start, min(start + CHUNK_NBYTES, source.nbytes)))
            if target != path:
                os.replace(target, path)
        except BaseException:
            if target != path and os.path.exists(target):
                os.unlink(target)
            raise

    def list(self, url: str, *, is_deep: bool) -> Iterator[tuple[str, int | None]]:
        path = self._path(url).rstrip("/")

        def look() -> list[dict[str, Any]]:
            try:
                return list(self._fs.find(path, detail=True).values() if is_deep else self._fs.ls(path, detail=True))
            except (FileNotFoundError, NotADirectoryError):
                return []

        told = sorted(asked("list", url, look), key=lambda each: (each["type"] != "file", each["name"]))
        base, below = url.rstrip("/"), len(path) + 1
        for each in told:
            name = each["name"][below:]
            if each["name"] != path and _UNFINISHED not in name:
                yield (f"{base}/{name}", int(each.get("size") or 0)) if each["type"] == "file" else (f"{base}/{name}/", None)

    def _path(self, url: str) -> str:
        return str(self._fs._strip_protocol(url))
