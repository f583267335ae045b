"""The code package of a run."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Any

from rayflow.client.roots import RunHandle
from rayflow.model.errors import RayflowDataMissing, StoreCorrupt
from rayflow.model.layout import FlowLayout
from rayflow.model.ports import Store

_INFO = "INFO"


class RayflowCode:
    """The source that a run ran. Read when it is asked for."""

    def __init__(self, store: Store, key: str, script_name: str) -> None:
        self._store = store
        self._key = key
        self._script_name = script_name

    @staticmethod
    def of(handle: RunHandle) -> RayflowCode | None:
        """The package of a run; None where it stored none."""
        record = handle.record
        if record.code is None:
            return None
        return RayflowCode(handle.store, FlowLayout(record.flow).code(record.code), record.script)

    @property
    def path(self) -> str:
        """Where the package lies: a zip file."""
        return self._store.local_path(self._key) or f"{self._store.url}/{self._key}"

    @property
    def script_name(self) -> str:
        """The file name of the flow."""
        return self._script_name.replace("\\", "/").rpartition("/")[2]

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(io.BytesIO(self._store.read(self._key)))
        except zipfile.BadZipFile as error:
            raise StoreCorrupt(f"The code package {self.path} is damaged: {error}.", self._key) from error

    @property
    def info(self) -> dict[str, Any]:
        """What the package says about itself; empty where it says nothing."""
        return json.loads(self._archive.read(_INFO)) if _INFO in self._archive.namelist() else {}

    @property
    def flowspec(self) -> str:
        """The source of the flow's file. `RayflowDataMissing` where the package does not have it."""
        try:
            return self._archive.read(self.script_name).decode("utf-8")
        except KeyError:
            raise RayflowDataMissing(f"The code package {self.path} has no file {self.script_name}.") from None

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of its files, by name."""
        return {member.filename: self._archive.read(member) for member in self._archive.infolist() if not member.is_dir()}

    @property
    def tarball(self) -> tarfile.TarFile:
        """The package as a tar file in memory."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as made:
            for member in self._archive.infolist():
                if not member.is_dir():
                    entry = tarfile.TarInfo(member.filename)
                    entry.size = member.file_size
                    made.addfile(entry, io.BytesIO(self._archive.read(member)))
        content.seek(0)
        return tarfile.open(fileobj=content)

    def extract(self) -> TemporaryDirectory[str]:
        """The package's files in a new temporary directory, to be used in a `with` statement."""
        directory = TemporaryDirectory(prefix="rayflow-code-")
        self._archive.extractall(directory.name)  # a member never leaves the directory: zipfile drops ".." and roots
        return directory

    def __str__(self) -> str:
        return f"<RayflowCode: {self.script_name}>"

    __repr__ = __str__
