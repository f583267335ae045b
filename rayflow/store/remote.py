"""The store on any fsspec URL: s3, gs, abfs and other object stores, and `memory://` for tests of one process.

What object stores give is taken as it is: a PUT is visible wholly or not at all, and a conditional PUT (`mode="create"`) lets one
writer win. A reply that was lost on the way makes a writer meet its own object; so whoever loses a creation reads it back, and has
won if it finds its own bytes. Hence: **whoever creates with `only_new` writes something of its own** (a pid, a nonce) into the object.

Retried, with jittered backoff, for up to a minute: throttling (429, 503), server errors, lost connections, and 409, which means
that nothing landed. Not retried: missing objects, permissions, conflicts.

Not promised: exclusiveness on servers that ignore the condition (`can_create_exclusively` finds out), and atomicity on
file servers (sftp, smb), which are no object stores.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

from rayflow.model.entry import Entry
from rayflow.model.errors import StoreExists, StoreFault, StoreMissing, UsageError
from rayflow.model.ports import Store
from rayflow.store.filesystems import DEADLINE_S, is_transient, modified_us, open_filesystem, options_for, patiently, status_of
from rayflow.store.keys import safe_key

T = TypeVar("T")

_memory_lock = threading.RLock()
"""fsspec's memory file system is one dictionary for the process, whose writes are visible in parts and whose creates race."""


class RemoteStore:
    """The `Store` port under an fsspec URL. `deadline_s` bounds how long one operation is retried; `options` go to the file system
    (endpoint_url and the like; credentials come from the environment, as everywhere). Safe to use from several threads; a forked
    child makes its own connections."""

    can_append = False

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S, **options: Any) -> None:
        protocol, _, path = url.partition("://")
        self.url = f"{protocol}://{path.rstrip('/')}"
        self._deadline_s = deadline_s
        self._protocol = protocol.lower()
        if not path.strip("/") and self._protocol != "memory":
            raise UsageError(f"The root {url} names no bucket. Give one: {protocol}://bucket/path.")
        self._options = {**options_for(self._protocol), **options}
        self._lock = _memory_lock if self._protocol == "memory" else nullcontext()
        self._pid = 0
        self._opened: tuple[Any, str] | None = None
        self._fs_and_root()

    def __repr__(self) -> str:
        return f"RemoteStore({self.url!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "deadline_s": self._deadline_s, "options": self._options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"], deadline_s=state["deadline_s"], **state["options"])

    def local_path(self, key: str) -> str | None:
        safe_key(key)
        return None

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        if stop is not None and stop <= start:
            return b""
        fs, path = self._at(key)

        def fetch() -> bytes:
            try:
                # `start` is given even where it is 0: without it s3fs asks for the size first, a request more per read.
                return bytes(fs.cat_file(path, start=start, end=stop))
            except OSError as error:
                if status_of(error) == 416:  # a range behind the end
                    return b""
                raise

        return self._persist("read", key, fetch)

    def write(self, key: str, chunks: Iterable[bytes | memoryview], *, only_new: bool = False) -> int:
        fs, path = self._at(key)
        content = b"".join(chunks)
        if not only_new:
            self._persist("write", key, lambda: fs.pipe_file(path, content))
            return len(content)

        def create() -> None:
            try:
                fs.pipe_file(path, content, mode="create")
            except OSError as error:
                if _is_lost(error) and not self._is_ours(key, content):
                    raise StoreExists(f"{self.url}/{key} exists already.", key) from error
                if not _is_lost(error):
                    raise

        self._persist("create", key, create)
        return len(content)

    def append(self, key: str, line: bytes, *, is_durable: bool = True) -> None:
        raise StoreFault(f"{self.url} cannot append to {safe_key(key)} ({len(line)} bytes): objects are only written whole.", key)

    def list(self, prefix: str) -> Iterator[str]:
        return (key for key, _ in self._below(prefix))

    def entries(self, prefix: str) -> Iterator[Entry]:
        return (Entry(key, int(facts.get("size") or 0), modified_us(facts)) for key, facts in self._below(prefix))

    def _below(self, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The keys under `prefix`, sorted, with what the file system says of each."""
        fs, path = self._at(prefix) if prefix else self._fs_and_root()
        root = self._fs_and_root()[1].lstrip("/")
        found: dict[str, dict[str, Any]] = self._persist("list", prefix, lambda: fs.find(path, detail=True), missing={})
        for name in sorted(found):
            key = name.lstrip("/")[len(root) :].lstrip("/")
            if not any(part.startswith(".") for part in key.split("/")) and (not prefix or key.startswith(f"{prefix}/")):
                yield key, found[name]

    def delete(self, key: str) -> None:
        fs, path = self._at(key)
        self._persist("delete", key, lambda: fs.rm_file(path), missing=None)

    def _at(self, key: str) -> tuple[Any, str]:
        fs, root = self._fs_and_root()
        return fs, f"{root}/{safe_key(key)}"

    def _fs_and_root(self) -> tuple[Any, str]:
        """The file system of this process: connections and event loops do not survive a fork."""
        if self._opened is None or self._pid != os.getpid():
            self._opened = open_filesystem(self.url, self._options)
            self._pid = os.getpid()
        return self._opened

    def _is_ours(self, key: str, content: bytes) -> bool:
        if self._protocol == "memory":  # no reply can be lost there
            return False
        try:
            return self.read(key) == content
        except StoreMissing:
            return False

    def _persist(self, deed: str, key: str, act: Callable[[], T], **missing: T) -> T:
        """`act`, again while that may help; its error named at last. `missing` is what it means that the object is not there."""
        try:
            with self._lock:
                return patiently(act, self._deadline_s)
        except FileNotFoundError as error:
            if "missing" in missing:
                return missing["missing"]
            raise StoreMissing(f"There is no {self.url}/{key}.", key) from error
        except StoreFault:
            raise
        except Exception as error:
            raise self._fault(error, deed, key) from error

    def _fault(self, error: Exception, deed: str, key: str) -> StoreFault:
        may_pass = is_transient(error)
        if isinstance(error, PermissionError):
            way_out = "Check the credentials and the policy of the bucket."
        elif may_pass:
            way_out = f"It was retried for {self._deadline_s:.0f} s. Resume when the storage answers again."
        else:
            way_out = "Check the URL and the endpoint."
        made = StoreFault(f"Cannot {deed} {self.url}/{key}: {type(error).__name__}: {str(error)[:300]}. {way_out}", key)
        made.is_retryable = may_pass
        return made


def can_create_exclusively(store: Store) -> bool:
    """Whether the server behind the store honours the condition of `only_new`. Writes and deletes one object. To be asked by each
    driver for its endpoint: a root may have been copied from elsewhere."""
    key = f"probe/{os.urandom(8).hex()}"
    store.write(key, [b"first"], only_new=True)
    try:
        store.write(key, [b"second"], only_new=True)
    except StoreExists:
        return True
    finally:
        store.delete(key)
    return False


def _is_lost(error: BaseException) -> bool:
    """Whether a creation failed since the object was there."""
    return isinstance(error, FileExistsError) or status_of(error) == 412
