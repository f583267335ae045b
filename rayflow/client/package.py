"""The code package of a run."""

from __future__ import annotations

import io
import json
import tarfile
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Any

from rayflow.client.roots import RunHandle
from rayflow.model.errors import RayflowDataMissing
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Store
from rayflow.package.archive import Archive
from rayflow.package.stored import read_package

_INFO = "INFO"


class RayflowCode:
    """The source that a run ran. Read when it is asked for; StoreCorrupt where it is not what was stored, or no package of rayflow's."""

    def __init__(self, store: Store, flow: str, digest: str, script_name: str) -> None:
        self._store = store
        self._flow = flow
        self._digest = digest
        self._script_name = script_name

    @staticmethod
    def of(handle: RunHandle) -> RayflowCode | None:
        """The package of a run; None where it stored none."""
        record = handle.record
        if record.code is None:
            return None
        return RayflowCode(handle.store, record.flow, record.code, record.script)

    @property
    def path(self) -> str:
        """Where the package lies: a zip file."""
        key = FlowLayout(self._flow).code(self._digest)
        return self._store.local_path(key) or f"{self._store.url}/{key}"

    @property
    def script_name(self) -> str:
        """The file name of the flow."""
        return self._script_name.replace("\\", "/").rpartition("/")[2]

    @cached_property
    def archive(self) -> Archive:
        """The package itself."""
        return read_package(self._store, self._flow, self._digest)

    @property
    def info(self) -> dict[str, Any]:
        """What the package says about itself; empty where it says nothing."""
        return json.loads(self.archive.read(_INFO)) if _INFO in self.archive.names else {}

    @property
    def flowspec(self) -> str:
        """The source of the flow's file. `RayflowDataMissing` where the package does not have it."""
        try:
            return self.archive.read(self.script_name).decode("utf-8")
        except KeyError:
            raise RayflowDataMissing(f"The code package {self.path} has no file {self.script_name}.") from None

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of its files, by name."""
        return self.archive.files()

    @property
    def tarball(self) -> tarfile.TarFile:
        """The package as a tar file in memory."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as made:
            for name, file in self.archive.files().items():
                entry = tarfile.TarInfo(name)
                entry.size = len(file)
                made.addfile(entry, io.BytesIO(file))
        content.seek(0)
        return tarfile.open(fileobj=content)

    def extract(self) -> TemporaryDirectory[str]:
        """The package's files in a new temporary directory, to be used in a `with` statement."""
        directory = TemporaryDirectory(prefix="rayflow-code-")
        self.archive.extract(directory.name)
        return directory

    def __str__(self) -> str:
        return f"<RayflowCode: {self.script_name}>"

    __repr__ = __str__
