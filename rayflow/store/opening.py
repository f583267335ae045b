"""Opening a root: which store serves a URL, and whether this program may use what lies there."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from rayflow.model.errors import StoreCorrupt, StoreExists, StoreFault, StoreMissing, StoreNewer, UsageError
from rayflow.model.layout import FORMAT_FILE, OVER_FILE
from rayflow.store.local import LocalStore

if TYPE_CHECKING:  # the ports pull in every noun of the model: 30 ms that opening a store does not need
    from rayflow.model.ports import Store

FORMAT_VERSION = 1

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def open_store(url: str) -> Store:
    """The store for `url`: a path or `file://` is a local directory, any other scheme goes through fsspec. Touches nothing."""
    if not url or "\0" in url:
        raise UsageError(f"The root {url!a} is neither a path nor a URL.")
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _local(os.path.expanduser(url))
    if scheme.group(1).lower() in ("file", "local"):
        return _local(os.path.expanduser(url[scheme.end() :]))
    from rayflow.store.remote import RemoteStore

    return RemoteStore(url)


def _local(path: str) -> Store:
    if not os.path.exists(os.path.join(path, OVER_FILE)):
        return LocalStore(path)
    from rayflow.store.layered import LayeredStore, roots_below

    upper = LocalStore(path)
    return LayeredStore(upper, [open_store(below) for below in roots_below(upper)])


def open_root(url: str, *, create: bool) -> Store:
    """The store for `url`, once its format file was read. Where there is none: with `create` it is written (any number of
    processes may do so at once), else `StoreMissing`. Raises `StoreNewer` for a root of a newer program, which is left unharmed;
    `StoreCorrupt` for a format file that is none; `StoreFault` where `create` cannot write."""
    store = open_store(url)
    try:
        _check(store, store.read(FORMAT_FILE))
    except StoreMissing:
        if not create:
            raise StoreMissing(
                f"There is no rayflow root at {store.url} (no {FORMAT_FILE}). Run a flow first, or give its root with --root.",
                FORMAT_FILE,
            ) from None
        _refuse_occupied(store)
        _create(store)
    return store


def _check(store: Store, text: bytes) -> None:
    try:
        version = json.loads(text)["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(
            f"{store.url}/{FORMAT_FILE} does not say a format version: this is no rayflow root, or it is damaged.", FORMAT_FILE
        ) from error
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise StoreNewer(
            f"The root {store.url} has format {version!r}, this rayflow knows formats up to {FORMAT_VERSION}. Upgrade rayflow.", FORMAT_FILE
        )


def _refuse_occupied(store: Store) -> None:
    """A local path that is a file cannot become a root."""
    path = store.local_path(FORMAT_FILE)
    if path is not None and os.path.lexists(store.url) and not os.path.isdir(store.url):
        raise StoreFault(f"{store.url} is a file, not a directory. Give another root with --root.", FORMAT_FILE)


def _create(store: Store) -> None:
    text = json.dumps({"format": "rayflow", "version": FORMAT_VERSION}).encode() + b"\n"
    try:
        store.write(FORMAT_FILE, [text], only_new=True)
    except StoreExists:
        _check(store, store.read(FORMAT_FILE))
