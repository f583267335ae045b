"""The code package of a run: the flow's directory as a zip, content-addressed, the same bytes for the same files.

What goes in: Python files and the suffixes asked for, below the flow file's directory. What never does: hidden files and directories
(.env, .git, .ssh), virtual environments, caches, the root itself, keys. Extraction trusts nothing: no member leaves its directory.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator

from rayflow.model.errors import StoreCorrupt, StoreMissing, UnsafeName, UsageError
from rayflow.model.layout import FORMAT_FILE, FlowLayout
from rayflow.model.ports import Store

DEFAULT_SUFFIXES = (".py",)
MAX_FILES, MAX_NBYTES = 5_000, 64 << 20
_SKIPPED_DIRECTORIES = frozenset({"__pycache__", "node_modules", "venv", "env", "site-packages", "build", "dist"})
_SECRET_SUFFIXES = (".pem", ".key", ".p12", ".pfx", ".keystore")
_SECRET_NAMES = frozenset({"id_rsa", "id_ed25519", "credentials.json", "secrets.py", "secrets.json", "secrets.toml"})
_EPOCH = (1980, 1, 1, 0, 0, 0)


def files_of(directory: str, suffixes: tuple[str, ...] = DEFAULT_SUFFIXES) -> Iterator[tuple[str, str]]:
    """(path within the package, path on disk) of what belongs in, sorted. At most `MAX_FILES` files and `MAX_NBYTES` bytes: a
    directory that holds more is no flow's directory, and what comes later in its order is left out."""
    count = nbytes = 0
    for folder, subfolders, names in os.walk(directory, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if _is_code_folder(folder, name))
        for name in sorted(names):
            if name.startswith(".") or not name.endswith(suffixes) or name in _SECRET_NAMES or name.endswith(_SECRET_SUFFIXES):
                continue
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            count, nbytes = count + 1, nbytes + os.path.getsize(path)
            if count > MAX_FILES or nbytes > MAX_NBYTES:
                return
            yield os.path.relpath(path, directory), path


def _is_code_folder(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)
    return not (
        name.startswith(".")
        or name in _SKIPPED_DIRECTORIES
        or os.path.exists(os.path.join(path, FORMAT_FILE))
        or os.path.exists(os.path.join(path, "pyvenv.cfg"))
    )


def build_package(script: str, suffixes: tuple[str, ...] = DEFAULT_SUFFIXES) -> bytes:
    """The zip of the flow file `script` and what belongs to it. Deterministic: names sorted, times and modes fixed."""
    directory = os.path.dirname(script)
    members = dict(files_of(directory, suffixes))
    members[os.path.basename(script)] = script
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(members):
            member = zipfile.ZipInfo(name.replace(os.sep, "/"), _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            with open(members[name], "rb") as file:
                archive.writestr(member, file.read())
    return sink.getvalue()


def store_package(store: Store, flow: str, content: bytes) -> str:
    """Puts the package under its digest (hex BLAKE3), once; returns the digest. One that is there counts as written now, so that `gc` lets
    it be until the run has a record."""
    from blake3 import blake3

    digest = blake3(content).hexdigest()
    key = FlowLayout(flow).code(digest)
    path = store.local_path(key)
    if path is None:
        store.write(key, [content])
        return digest
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


def fetch_package(store: Store, flow: str, digest: str, directory: str) -> str:
    """Extracts the package into `directory` and returns it. StoreCorrupt where it is not what was stored, or reaches outside."""
    from blake3 import blake3

    key = FlowLayout(flow).code(digest)
    content = store.read(key)
    if blake3(content).hexdigest() != digest:
        raise StoreCorrupt(f"The code package {key} is damaged.", key)
    try:
        opened = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise StoreCorrupt(f"The code package {key} is no archive: {error}.", key) from error
    with opened as archive:
        members = archive.infolist()
        if len(members) > MAX_FILES + 1 or sum(member.file_size for member in members) > 2 * MAX_NBYTES:
            raise StoreCorrupt(f"The code package {key} is larger than any that rayflow makes.", key)
        for member in members:
            name = member.filename
            if (
                name.startswith("/")
                or "\\" in name
                or ".." in name.split("/")
                or (member.external_attr >> 16) & 0o170000 not in (0, 0o100000)
            ):
                raise StoreCorrupt(f"The code package {key} has a member that could leave its directory: {name!a}.", key)
            target = os.path.join(directory, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(archive.read(member))
    return directory
