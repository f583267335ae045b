"""Layer 3: bytes."""

from rayflow.store.local import LocalStore
from rayflow.store.opening import open_root, open_store

__all__ = ["LocalStore", "open_root", "open_store"]
