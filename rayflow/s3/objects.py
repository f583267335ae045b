"""What goes into the S3 client and what comes out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import BufferedIOBase, RawIOBase
from typing import Any, NamedTuple

PutValue = RawIOBase | BufferedIOBase | str | bytes
"""What `put` stores: text (as UTF-8), bytes, or a binary file that can be read and sought, from its beginning."""

ATTRIBUTES_HEADER = "metaflow-user-attributes"
"""The header of an object that carries the user's metadata, as JSON: Metaflow's, so that either program reads what the other wrote."""


class S3GetObject(NamedTuple):
    """A part of an object: `length` bytes from `offset` on. No `length`: to the end; a negative one: so many bytes from the end."""

    key: str
    offset: int | None = None
    length: int | None = None


class S3PutObject(NamedTuple):
    """An object to store, by `put_many` from `value`, by `put_files` from the file at `path`, with its own headers."""

    key: str
    value: PutValue | None = None
    path: str | None = None
    content_type: str | None = None
    encryption: str | None = None
    metadata: dict[str, str] | None = None


class RangeInfo(NamedTuple):
    """Which bytes were downloaded: `request_length` of them from `request_offset` on, of an object of `total_size` bytes."""

    total_size: int
    request_offset: int = 0
    request_length: int = -1


class Facts(NamedTuple):
    """What a bucket tells of an object: its size in bytes, its headers, and when it was written, in seconds since 1970. `tag` changes with
    the object's content, where the bucket knows one."""

    size: int
    content_type: str | None = None
    headers: Mapping[str, str] = {}
    last_modified: int | None = None
    encryption: str | None = None
    tag: str | None = None


class S3Object:
    """A path or an object in S3, with a local copy if it was downloaded. Made by the methods of `S3`.

    The local copy is removed when its `S3` is closed, else when nobody refers to either any more.
    """

    def __init__(
        self,
        url: str,
        prefix: str | None = None,
        *,
        size: int | None = None,
        path: str | None = None,
        facts: Facts | None = None,
        range_info: RangeInfo | None = None,
        keeper: object = None,
    ) -> None:
        self._url = url
        self._is_below = prefix is not None and prefix != url
        self._prefix = prefix if self._is_below else None
        self._path = path
        self._size = os.stat(path).st_size if path else facts.size if facts else size
        self._facts = facts
        self._range_info = range_info
        self._keeper = keeper
        """What removes the local copy when it goes."""

    @property
    def url(self) -> str:
        """Where the object is."""
        return self._url

    @property
    def prefix(self) -> str | None:
        """The prefix that was asked for, if the object was found below one."""
        return self._prefix

    @property
    def key(self) -> str:
        """The object's name below `prefix`; without a prefix, its URL."""
        if self._prefix is None:
            return self._url
        return self._url[len(self._prefix.rstrip("/")) + 1 :].rstrip("/")

    @property
    def exists(self) -> bool:
        """Whether there is such an object: False for missing ones, and for prefixes."""
        return self._size is not None

    @property
    def size(self) -> int | None:
        """Bytes: of the local copy if there is one, else of the object; None where there is no object."""
        return self._size

    @property
    def downloaded(self) -> bool:
        """Whether there is a local copy, which `path`, `blob` and `text` give."""
        return self._path is not None

    @property
    def path(self) -> str | None:
        """The local copy; None if the object was not downloaded."""
        return self._path

    @property
    def blob(self) -> bytes | None:
        """The bytes of the local copy; None if the object was not downloaded."""
        if self._path is None:
            return None
        with open(self._path, "rb") as file:
            return file.read()

    @property
    def text(self) -> str | None:
        """The local copy as UTF-8 text, what is none replaced; None if the object was not downloaded."""
        content = self.blob
        return None if content is None else content.decode("utf-8", errors="replace")

    @property
    def has_info(self) -> bool:
        """Whether anything is known besides size and time: content type, metadata, encryption or range."""
        return any(fact is not None for fact in (self.content_type, self.metadata, self.range_info, self.encryption))

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the user gave `put` as `metadata`; None where nothing was, or was not asked for."""
        stated = self._facts.headers.get(ATTRIBUTES_HEADER) if self._facts else None
        return None if stated is None else json.loads(stated)

    @property
    def content_type(self) -> str | None:
        """The object's MIME type, if it was asked for."""
        return self._facts.content_type if self._facts else None

    @property
    def encryption(self) -> str | None:
        """How the server encrypts the object, if it says so and was asked."""
        return self._facts.encryption if self._facts else None

    @property
    def range_info(self) -> RangeInfo | None:
        """Which bytes were downloaded; None if none were, or it was not asked for."""
        return self._range_info

    @property
    def last_modified(self) -> int | None:
        """When the object was written, in seconds since 1970, if it was asked for."""
        return self._facts.last_modified if self._facts else None

    def __repr__(self) -> str:
        if self._size is None:
            return f"<S3Object {self._url} (no object)>"
        return f"<S3Object {self._url} ({self._size} bytes, {'downloaded' if self._path else 'not downloaded'})>"
