"""Messages over a pipe: a length of eight bytes, then a pickle. Both ends are rayflow processes of one user on one machine."""

from __future__ import annotations

import os
import pickle
import struct
from typing import Any

_LENGTH = struct.Struct("<Q")


def send(descriptor: int, message: Any) -> None:
    """Writes one message; BrokenPipeError when the other end is gone."""
    body = pickle.dumps(message, protocol=5)
    view = memoryview(_LENGTH.pack(len(body)) + body)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> Any:
    """Reads one message, waiting for it; EOFError when the other end is gone."""
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size))
    return pickle.loads(_exactly(descriptor, length))


def _exactly(descriptor: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
