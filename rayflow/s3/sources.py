"""What is uploaded: bytes, open files, and files by their path, each read in pieces from any thread."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Mapping
from typing import Any

from rayflow.model.errors import RayflowS3InvalidObject, RayflowS3NotFound
from rayflow.s3.bucket import Headers
from rayflow.s3.objects import ATTRIBUTES_HEADER


class BytesSource:
    """A value that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.nbytes = len(content)

    def read(self, start: int, stop: int) -> bytes:
        return self._content[start:stop]


class FileSource:
    """An open binary file, from its beginning, wherever it stands."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.nbytes: int = file.seek(0, io.SEEK_END)

    def read(self, start: int, stop: int) -> bytes:
        with self._lock:
            self._file.seek(start)
            pieces: list[bytes] = []
            while start < stop and (piece := self._file.read(stop - start)):
                pieces.append(piece)
                start += len(piece)
        if start < stop:
            raise RayflowS3InvalidObject("The file became shorter while it was uploaded.")
        return b"".join(pieces)


class PathSource:
    """A file by its path, open only while a piece is read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.nbytes = os.stat(path).st_size

    def read(self, start: int, stop: int) -> bytes:
        with open(self._path, "rb") as file:
            return FileSource(file).read(start, stop)


def source_of(value: Any, key: str) -> BytesSource | FileSource:
    """What `put` was given for `key`. Raises `RayflowS3InvalidObject` for anything but text, bytes and binary files."""
    if isinstance(value, str):
        return BytesSource(value.encode())
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BytesSource(bytes(value))
    if not isinstance(value, io.IOBase) and hasattr(value, "file"):
        value = value.file  # what `tempfile` makes
    if not isinstance(value, io.IOBase) or isinstance(value, io.TextIOBase):
        raise RayflowS3InvalidObject(
            f"The value for {key!a} is of type {type(value).__name__}. Give text, bytes or a file opened with 'rb'."
        )
    if value.closed or not value.readable() or not value.seekable():
        raise RayflowS3InvalidObject(f"The file for {key!a} cannot be read and sought. Give one that is open with 'rb', or its bytes.")
    return FileSource(value)


def path_source(path: Any, key: str) -> PathSource:
    """The local file for `key`. Raises `RayflowS3NotFound` where there is none."""
    if not isinstance(path, (str, os.PathLike)) or not os.path.exists(path):
        raise RayflowS3NotFound(f"There is no local file {path!a}, which is to become {key!a}.")
    if not os.path.isfile(path):
        raise RayflowS3InvalidObject(f"{os.fspath(path)!a}, which is to become {key!a}, is not a file. Name the files in it.")
    return PathSource(os.fspath(path))


def headers_of(key: str, content_type: str | None, metadata: Mapping[str, Any] | None, encryption: str | None) -> Headers:
    """What is stored with the object of `key`. Raises `RayflowS3InvalidObject` for metadata that JSON cannot say."""
    if not metadata:
        return Headers(content_type, {}, encryption)
    try:
        return Headers(content_type, {ATTRIBUTES_HEADER: json.dumps(metadata)}, encryption)
    except (TypeError, ValueError) as error:
        raise RayflowS3InvalidObject(f"The metadata of {key!a} cannot be written as JSON: {error}. Give texts and numbers.") from error
