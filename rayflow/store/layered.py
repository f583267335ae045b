"""A local root over others: what it does not hold itself is read from below, and all that is written stays above.

For spins: the one task that they perform starts from values of a run in another root, which is not to change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from rayflow.model.entry import Entry
from rayflow.model.errors import StoreCorrupt, StoreFault, StoreMissing
from rayflow.model.layout import OVER_FILE
from rayflow.model.ports import Store
from rayflow.store.local import LocalStore


class LayeredStore:
    """The `Store` port on `upper`, of which single objects that are missing are read from `lower`. Listings are those of `upper` alone, so
    that the runs below are none of this root's."""

    def __init__(self, upper: Store, lower: Sequence[Store]) -> None:
        self.url = upper.url
        self.can_append = upper.can_append
        self._upper = upper
        self._lower = tuple(lower)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        try:
            return self._upper.read(key, start, stop)
        except StoreMissing:
            for store in self._lower:
                with suppress(StoreMissing):
                    return store.read(key, start, stop)
            raise

    def write(self, key: str, chunks: Iterable[bytes | memoryview], *, only_new: bool = False) -> int:
        return self._upper.write(key, chunks, only_new=only_new)

    def append(self, key: str, line: bytes, *, is_durable: bool = True) -> None:
        self._upper.append(key, line, is_durable=is_durable)

    def list(self, prefix: str) -> Iterator[str]:
        return self._upper.list(prefix)

    def entries(self, prefix: str) -> Iterator[Entry]:
        return self._upper.entries(prefix)

    def delete(self, key: str) -> None:
        self._upper.delete(key)

    def local_path(self, key: str) -> str | None:
        """That of the layer which holds the object; where none does, of the upper one."""
        path = self._upper.local_path(key)
        if path is None or os.path.exists(path):
            return path
        for store in self._lower:
            below = store.local_path(key)
            if below is not None and os.path.exists(below):
                return below
            if below is None and self._holds(store, key):
                return None
        return path

    def _holds(self, store: Store, key: str) -> bool:
        try:
            store.read(key, 0, 1)
        except StoreFault:
            return False
        return True


def roots_below(root: LocalStore) -> list[str]:
    """The URLs of the roots that the local root lies over; none for most roots. StoreCorrupt for a file that does not say."""
    try:
        found: list[str] = json.loads(root.read(OVER_FILE))["roots"]
    except StoreMissing:
        return []
    except (ValueError, KeyError, TypeError) as error:
        path = root.local_path(OVER_FILE)
        raise StoreCorrupt(f"{path} does not say which roots are below this one: remove it, and the spins beside it.", OVER_FILE) from error
    return [str(url) for url in found]


def lay_over(root: str, below: str) -> None:
    """Has the local root, which is made if need be, lie over the root `below` as well."""
    store = LocalStore(root)
    known = roots_below(store)
    if below not in known:
        store.write(OVER_FILE, [json.dumps({"roots": [below, *known]}).encode()])


__all__ = ["LayeredStore", "lay_over", "roots_below"]
