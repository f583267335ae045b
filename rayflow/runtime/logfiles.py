"""Where the output of workers lies while they live: in the root, or, where that is a bucket, in a directory of this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from rayflow.model.errors import StoreFault
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store

STREAMS = ("out", "err", "marks")


@dataclass(frozen=True)
class LogFiles:
    """The output files of a run. `scratch` is a directory that the driver and the workers of its machine share, or empty."""

    store: Store
    layout: RunLayout
    scratch: str = ""

    def path(self, name: str, stream: str) -> str | None:
        """The file on this machine; None where it lies on another, as far as this process can know. Not promised: that it exists."""
        path = self.store.local_path(self.layout.log(name, stream))
        if path is None and self.scratch and os.path.isdir(self.scratch):
            return os.path.join(self.scratch, "logs", *f"{name}.{stream}".split("/"))
        return path

    def keep(self, name: str, paths: Sequence[str | None] = ()) -> None:
        """Puts what was printed into the bucket: at the end of a batch by the worker, and by the driver when the worker died.
        Output is worth less than the run: where the bucket does not answer, the commit that follows says so."""
        if self.store.local_path(self.layout.record) is not None:
            return
        for stream, path in zip(STREAMS, paths or [self.path(name, stream) for stream in STREAMS], strict=True):
            with contextlib.suppress(OSError, StoreFault):
                content = _content(path)
                if content:
                    self.store.write(self.layout.log(name, stream), [content])


def _content(path: str | None) -> bytes:
    if path is None:
        return b""
    with open(path, "rb") as file:
        return file.read()
