"""Everything else: pickle protocol 5, large buffers out of band, so that a mapped file is the value's memory.

Without buffers the file is a plain pickle. With buffers (NumPy arrays inside a dict, a model or a data frame) it is

    offset  0   b"RAYPKL5\\n"
            8   u64 number of buffers n, u64 size of the pickle p        (little-endian, as all numbers)
           24   n x (u64 offset, u64 size)                               from the start of the file
                the pickle, p bytes
                the buffers, each at a multiple of 64 bytes

Classes and functions that another process may not be able to import (those of `__main__` and of `by_value_modules`: the flow's own
script) are stored by value *and* by name: a process that has loaded the same script finds its own class (so that isinstance and
dataclass equality hold), any other gets the stored copy.

"The same script" means a module of that name, `__main__`, or one called like the file, whose file has the same base name.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import threading
from io import BytesIO
from types import FunctionType
from typing import Any

from rayflow.model.errors import ArtifactUnserializable

_MAGIC = b"RAYPKL5\n"
_ALIGNMENT = 64
_MIN_OUT_OF_BAND = 512
_PROTOCOL = 5
_registry_lock = threading.RLock()
"""cloudpickle keeps one list of modules for the process."""

DAMAGE = (pickle.UnpicklingError, EOFError, struct.error)
"""What unpickling raises where the bytes are wrong; all else comes from the user's own classes."""


def encode(value: object, name: str, by_value_modules: frozenset[str]) -> list[bytes | bytearray | memoryview]:
    """The chunks of the file. Raises `ArtifactUnserializable`."""
    buffers: list[memoryview] = []
    try:
        body = dumps(value, by_value_modules, buffers)
    except Exception as error:
        from rayflow.store.codecs.culprit import accuse

        raise ArtifactUnserializable(accuse(value, name, by_value_modules, error)) from error
    return _with_buffers(body, buffers) if buffers else [body]


def dumps(value: object, by_value_modules: frozenset[str], buffers: list[memoryview]) -> bytes:
    """The pickle; what it holds out of band is added to `buffers`."""

    def keep(buffer: pickle.PickleBuffer) -> bool:
        try:
            view = buffer.raw()
        except BufferError:  # not contiguous
            return True
        if view.nbytes < _MIN_OUT_OF_BAND:
            return True
        buffers.append(view)
        return False

    try:
        body = pickle.dumps(value, _PROTOCOL, buffer_callback=keep)
    except Exception:  # noqa: BLE001 - see encode(); cloudpickle decides
        body = None
    if body is None or b"__main__" in body or any(module.encode() in body for module in by_value_modules):
        buffers.clear()
        body = _dumps_by_value(value, by_value_modules | {"__main__"}, keep)
    return body


def _dumps_by_value(value: object, modules: frozenset[str], keep: Any) -> bytes:
    import cloudpickle

    class ByValuePickler(cloudpickle.Pickler):
        """Stores classes and functions of `modules` by name and by value."""

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, (type, FunctionType)) and obj.__module__ in modules and _named(obj.__module__, obj.__qualname__) is obj:
                file = os.path.basename(getattr(sys.modules[obj.__module__], "__file__", None) or "")
                return _resolve, (obj.__module__, file, obj.__qualname__, _by_value(obj, modules))
            return super().reducer_override(obj)

    sink = BytesIO()
    ByValuePickler(sink, _PROTOCOL, buffer_callback=keep).dump(value)
    return sink.getvalue()


def _by_value(obj: Any, modules: frozenset[str]) -> bytes:
    """A class or function as cloudpickle's own copy, whatever module it lives in."""
    import cloudpickle

    with _registry_lock:
        known = cloudpickle.list_registry_pickle_by_value()
        added = [sys.modules[name] for name in modules if name in sys.modules and name not in known and name != "__main__"]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            return cloudpickle.dumps(obj, _PROTOCOL)
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def _named(module_name: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module_name)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _resolve(module_name: str, file: str, qualname: str, copy: bytes) -> Any:
    """This process's own class or function of that name and script, else the stored copy."""
    for candidate in (module_name, "__main__", file.partition(".")[0]):
        here = getattr(sys.modules.get(candidate), "__file__", None)
        if here and os.path.basename(here) == file:
            found = _named(candidate, qualname)
            if isinstance(found, (type, FunctionType)):
                return found
    return pickle.loads(copy)


def _with_buffers(body: bytes, buffers: list[memoryview]) -> list[bytes | bytearray | memoryview]:
    at = len(_MAGIC) + 16 + 16 * len(buffers) + len(body)
    table: list[int] = []
    padded: list[bytes | bytearray | memoryview] = []
    for buffer in buffers:
        gap = -at % _ALIGNMENT
        if gap:
            padded.append(bytes(gap))
        padded.append(buffer)
        table += (at + gap, buffer.nbytes)
        at += gap + buffer.nbytes
    head = _MAGIC + struct.pack(f"<{2 + len(table)}Q", len(buffers), len(body), *table)
    return [head, body, *padded]


def decode(buffer: memoryview) -> Any:
    """The value; its large buffers are views of `buffer`, read-only ones where they were when stored."""
    if bytes(buffer[: len(_MAGIC)]) != _MAGIC:
        return pickle.loads(buffer)
    count, size = struct.unpack_from("<2Q", buffer, len(_MAGIC))
    start = len(_MAGIC) + 16 + 16 * count
    if start + size > len(buffer):
        raise pickle.UnpicklingError("it ends too early")
    table = struct.unpack_from(f"<{2 * count}Q", buffer, len(_MAGIC) + 16)
    views = [buffer[offset : offset + nbytes] for offset, nbytes in zip(table[::2], table[1::2], strict=True)]
    return pickle.loads(buffer[start : start + size], buffers=views)
