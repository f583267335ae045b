"""The archive of a code package: written so that equal files make equal bytes, read so that nothing in it is trusted.

Read are only archives that rayflow could have made: regular files with relative names of plain segments, each once, none below another,
stored or deflated, none larger than it says, and in all no more than a package may have. Whatever else one says (a link, a device, an
absolute path, a name in upper directories, a bomb) is damage: `StoreCorrupt` names the package before anything is written. What is
extracted appears at once or not at all.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from stat import S_IFMT, S_IFREG, S_IMODE

from rayflow.model.errors import StoreCorrupt, UserError

MAX_FILES, MAX_NBYTES = 10_000, 256 << 20
MAX_ARCHIVE_NBYTES = MAX_NBYTES + MAX_FILES * 1024
_MAX_NAME, _MAX_DEPTH, _MAX_RATIO, _MAX_SHOWN = 255, 50, 500, 80
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError)
"""What `zipfile` raises for archives that are none, the last two for methods and passwords that it does not know. UnicodeDecodeError is a
ValueError."""


def why_unsafe(name: str) -> str | None:
    """Why no member may have that name; None where it may."""
    parts = name.split("/")
    reasons = (
        (not name or any(part in ("", ".", "..") for part in parts), "it is no path below the package"),
        ("\\" in name or _DRIVE.match(name) is not None, "it is a path of another system"),
        (_CONTROL.search(name) is not None, "it has characters that no name has"),
        (len(parts) > _MAX_DEPTH, "it lies too deep"),
        (any(len(part.encode("utf-8", "surrogatepass")) > _MAX_NAME for part in parts), "it is too long"),
    )
    return next((why for is_so, why in reasons if is_so), None)


def packed(files: Mapping[str, bytes]) -> bytes:
    """The archive of contents by name. The same for the same files, in whatever order they are given."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = _UNIX
            member.external_attr = (S_IFREG | 0o644) << 16
            archive.writestr(member, files[name])
    return sink.getvalue()


class Archive:
    """The files of a package. `key` names it in errors: StoreCorrupt, from here and from every method, where it is not as ours are."""

    def __init__(self, content: bytes, key: str) -> None:
        self._key = key
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except _UNREADABLE as error:
            raise self._corrupt(f"is no archive: {str(error).rstrip('.')}") from error
        self._members = self._checked(len(content))

    @property
    def names(self) -> list[str]:
        """Its files, in its order."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """The content of a file; KeyError where it has none of that name."""
        member = self._members[name]
        try:
            with self._zip.open(member) as file:
                content = file.read(member.file_size + 1)
        except _UNREADABLE as error:
            raise self._corrupt(f"has a damaged file, {_shown(name)}: {str(error).rstrip('.')}") from error
        if len(content) != member.file_size:
            raise self._corrupt(f"has a file of another size than it says, {_shown(name)}")
        return content

    def files(self) -> dict[str, bytes]:
        """All contents by name."""
        return {name: self.read(name) for name in self._members}

    def extract(self, directory: str) -> str:
        """Puts the files into `directory`, which does not exist or is empty, and returns it: all of them, or none. UserError where they
        cannot be written."""
        directory = os.path.abspath(directory)
        partial = f"{directory}.{uuid.uuid4().hex[:12]}.partial"
        try:
            os.makedirs(partial)
            with contextlib.suppress(FileNotFoundError):
                os.chmod(partial, S_IMODE(os.stat(directory).st_mode))
            for name in self._members:
                self._write(os.path.join(partial, name), name)
            os.rename(partial, directory)
        except OSError as error:
            raise UserError(f"The code package cannot be extracted into {directory}: {error.strerror}.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return directory

    def _write(self, path: str, name: str) -> None:
        content = self.read(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "xb") as file:
                file.write(content)
        except FileExistsError as error:  # on a disk that does not tell upper from lower case
            raise self._corrupt(f"has two files that are one here, {_shown(name)}") from error

    # -- what is believed ----------------------------------------------------------------------------------------------

    def _checked(self, nbytes: int) -> dict[str, zipfile.ZipInfo]:
        members = self._zip.infolist()
        total = sum(member.file_size for member in members)
        if len(members) > MAX_FILES or total > MAX_NBYTES or total > _MAX_RATIO * max(nbytes, 1):
            raise self._corrupt("is larger than any that rayflow makes")
        found: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = member.orig_filename  # of `filename`, zipfile has cut off what follows a NUL
            why = _why_odd(member) or why_unsafe(name)
            if why is not None:
                raise self._corrupt(f"has a member that no package has, {_shown(name)}: {why}")
            if name in found:
                raise self._corrupt(f"has two files of one name, {_shown(name)}")
            found[name] = member
        for name in found:
            above = name.rpartition("/")[0]
            while above:
                if above in found:
                    raise self._corrupt(f"has a file where a directory must be, {_shown(above)}")
                above = above.rpartition("/")[0]
        return found

    def _corrupt(self, what: str) -> StoreCorrupt:
        return StoreCorrupt(f"The code package {self._key} {what}.", self._key)


def _why_odd(member: zipfile.ZipInfo) -> str | None:
    """Why the member is none of ours, apart from its name."""
    if member.flag_bits & 0x1:
        return "it is encrypted"
    if member.compress_type not in _METHODS:
        return "its compression is unknown"
    if S_IFMT(member.external_attr >> 16) not in (0, S_IFREG):
        return "it is no regular file"
    if member.filename != member.orig_filename:
        return "it has two names"
    return None


def _shown(name: str) -> str:
    return ascii(name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}...")
