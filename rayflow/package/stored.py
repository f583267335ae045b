"""Code packages under the root: each once, under the digest of its bytes (hex BLAKE3)."""

from __future__ import annotations

import contextlib
import os

from rayflow.model.errors import StoreCorrupt, StoreMissing, UnsafeName, UsageError
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Store
from rayflow.package.archive import MAX_ARCHIVE_NBYTES, Archive


def digest_of(content: bytes) -> str:
    """What the package is called."""
    from blake3 import blake3

    return blake3(content).hexdigest()


def store_package(store: Store, flow: str, content: bytes) -> str:
    """Puts the package under its digest, once; returns the digest. One that is there counts as written now, so that `gc` lets it be until
    the run has a record."""
    digest = digest_of(content)
    key = FlowLayout(flow).code(digest)
    path = store.local_path(key)
    if path is not None:
        with contextlib.suppress(OSError):
            os.utime(path)
            return digest
    store.write(key, [content])
    return digest


def stored_package(store: Store, flow: str, digest: str) -> str:
    """The digest, where the flow has that package. UsageError where it has none."""
    try:
        store.read(FlowLayout(flow).code(digest), 0, 1)
    except (StoreMissing, UnsafeName):
        raise UsageError(f"Flow {flow} has no code package {digest} in {store.url}. Leave --code out, or give its root.") from None
    return digest


def read_package(store: Store, flow: str, digest: str) -> Archive:
    """The package. StoreCorrupt where it is not what was stored, or no archive of ours."""
    key = FlowLayout(flow).code(digest)
    content = store.read(key, 0, MAX_ARCHIVE_NBYTES + 1)
    if len(content) > MAX_ARCHIVE_NBYTES:
        raise StoreCorrupt(f"The code package {key} is larger than any that rayflow makes.", key)
    if digest_of(content) != digest:
        raise StoreCorrupt(f"The code package {key} is damaged: its content is not what its name says.", key)
    return Archive(content, key)


def fetch_package(store: Store, flow: str, digest: str, directory: str) -> str:
    """Extracts the package into `directory`, which does not exist or is empty, and returns it. Errors as of `read_package`."""
    return read_package(store, flow, digest).extract(directory)
