"""Reading the files of which a package is made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from rayflow.model.errors import UsageError, UserError
from rayflow.model.layout import FORMAT_FILE
from rayflow.package.archive import MAX_FILES, MAX_NBYTES, packed, why_unsafe
from rayflow.package.ignoring import IGNORE_FILE, Ignores, ignores_of
from rayflow.package.modules import Source, sources_of
from rayflow.package.secrets import holds_secret, is_secret_name

DEFAULT_SUFFIXES = (".py",)
BIG_NBYTES = 16 << 20
"""From here on its largest files are told, though it is made."""
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
PULLED_FILE = ".rayflow-pulled"
"""In a directory that the code of a run was brought back to: a copy of the flow, which is no part of it."""
_MARKERS = frozenset({FORMAT_FILE, PULLED_FILE, "pyvenv.cfg", "conda-meta"})
"""What makes a directory a root of runs, a copy, a virtual environment, one of conda."""
_MAX_DEPTH = 40
_SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """What a package is asked to hold: the flow's file with its directory, suffixes besides `.py`, modules from elsewhere."""

    script: str
    suffixes: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackedFiles:
    """The files of a package on the disk, and `state`: a digest of their sizes and times when they were read."""

    paths: tuple[str, ...]
    state: str

    @property
    def are_unchanged(self) -> bool:
        """Whether all are on this machine, and have been left alone since."""
        return _state_of(self.paths) == self.state


@dataclass(frozen=True)
class Package:
    """An archive, the `sizes` of its files by name, and where they are. `remarks` are what the user is to know: what was left out, and
    that it is big."""

    content: bytes
    sizes: dict[str, int]
    files: PackedFiles
    remarks: tuple[str, ...] = ()


@dataclass
class _Found:
    """The files that belong in, by their names within the package, and those that were left behind, by reason."""

    files: dict[str, str] = field(default_factory=dict[str, str])
    secrets: list[str] = field(default_factory=list[str])
    links: list[str] = field(default_factory=list[str])
    unreadable: list[str] = field(default_factory=list[str])
    unsafe: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory that is looked through. `name` is within its source, `above` are the real paths of it and of what it lies in."""

    path: str
    name: str
    above: tuple[str, ...]


def suffixes_of(text: str) -> tuple[str, ...]:
    """`.py,.json` -> what files may end with. UsageError for what is no suffix."""
    suffixes = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for suffix in suffixes:
        if any(letter in suffix for letter in "*?/\\"):
            raise UsageError(f"--package-suffixes: {suffix!r} is no suffix. Give how the names of files end, such as .json,.yaml.")
    return suffixes


def modules_of(text: str) -> tuple[str, ...]:
    """`common,company.tools` -> names of modules."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def build_package(wanted: Wanted) -> Package:
    """Reads what belongs in. UserError, which names the file, for what cannot be read, for a flow that holds a secret, and for a package
    that is too large; UsageError for a module that is not there."""
    found = _found(wanted)
    sizes = {name: _size(path) for name, path in found.files.items()}
    _refuse_too_large(sizes)
    contents: dict[str, bytes] = {}
    script = os.path.basename(wanted.script)
    state = _state_of(tuple(found.files[name] for name in sorted(found.files)))
    for name in sorted(found.files):
        content = _content(found.files[name])
        if not holds_secret(name, content):
            contents[name] = content
        elif name == script:
            raise UserError(
                f"{wanted.script} holds a secret, which would be stored with every run. Take it out, and read it from the environment, or "
                "by @secrets."
            )
        else:
            found.secrets.append(name)
    paths = tuple(found.files[name] for name in contents)
    if len(paths) < len(found.files):
        state = _state_of(paths)
    sizes = {name: len(content) for name, content in contents.items()}
    return Package(packed(contents), sizes, PackedFiles(paths, state), tuple(_remarks(found, sizes)))


def _found(wanted: Wanted) -> _Found:
    found = _Found()
    suffixes = (*DEFAULT_SUFFIXES, *wanted.suffixes)
    directory = os.path.dirname(os.path.abspath(wanted.script))
    for module in wanted.modules:
        for source in sources_of(module):
            if os.path.isdir(source.path):
                _look_through(source, suffixes, found)
            else:
                found.files[source.name] = source.path
    _look_through(Source(directory), suffixes, found)  # comes last: what lies beside the flow is what it imports
    found.files[os.path.basename(wanted.script)] = wanted.script
    return found


def _look_through(source: Source, suffixes: tuple[str, ...], found: _Found) -> None:
    real = os.path.realpath(source.path)
    ignores = ignores_of(source.path)
    left = [_Folder(source.path, "", (real,))]
    while left:
        folder = left.pop()
        try:
            with os.scandir(folder.path) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            found.unreadable.append(_joined(source.name, folder.name))
            continue
        if folder.name and not _MARKERS.isdisjoint(entry.name for entry in listed):
            continue
        for entry in listed:
            name = _joined(folder.name, entry.name)
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                _look_at(entry, _joined(source.name, name), name, real, suffixes, ignores, found)
            elif entry.name not in _SKIPPED and not ignores(f"{name}/"):
                left += _below(entry, folder, name, real, source, found)


def _below(entry: os.DirEntry[str], folder: _Folder, name: str, real: str, source: Source, found: _Found) -> Iterator[_Folder]:
    """The directory, where it is to be looked through."""
    target = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(folder.above[-1], entry.name)
    if not _is_within(target, real):
        if _has_modules(entry.path):
            found.links.append(_joined(source.name, name))
        return
    if target not in folder.above and len(folder.above) < _MAX_DEPTH:  # a link to what it lies in has no end
        yield _Folder(entry.path, name, (*folder.above, target))


def _look_at(
    entry: os.DirEntry[str], member: str, name: str, real: str, suffixes: tuple[str, ...], ignores: Ignores, found: _Found
) -> None:
    if not entry.name.endswith(suffixes) or ignores(name) or not entry.is_file():
        return
    if is_secret_name(member):
        found.secrets.append(member)
    elif entry.is_symlink() and not _is_within(os.path.realpath(entry.path), real):
        found.links.append(member)
    elif why_unsafe(member) is not None:
        found.unsafe.append(member)
    else:
        found.files[member] = entry.path


def _joined(above: str, name: str) -> str:
    return f"{above}/{name}" if above and name else above or name


def _is_within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def _has_modules(directory: str) -> bool:
    try:
        return any(name.endswith(".py") for name in os.listdir(directory))
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} vanished while the code package was made. Start again.")
    return UserError(
        f"{path} cannot be read for the code package: {error.strerror}. Make it readable, or name it in {IGNORE_FILE} beside the flow."
    )


def _state_of(paths: Sequence[str]) -> str:
    """Empty where one of them is not there."""
    from blake3 import blake3

    digest = blake3()
    try:
        for path in paths:
            status = os.stat(path)
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    except OSError:
        return ""
    return digest.hexdigest()


# -- what is told ------------------------------------------------------------------------------------------------------


def _refuse_too_large(sizes: dict[str, int]) -> None:
    total = sum(sizes.values())
    if len(sizes) > MAX_FILES or total > MAX_NBYTES:
        raise UserError(
            f"The code package would have {_megabytes(total)} in {len(sizes):,} files, more than the {_megabytes(MAX_NBYTES)} and "
            f"{MAX_FILES:,} files that it may have. {_largest(sizes)} Give the flow a directory of its own, or name what it does not need "
            f"in {IGNORE_FILE} beside it."
        )


def _remarks(found: _Found, sizes: dict[str, int]) -> Iterator[str]:
    total = sum(sizes.values())
    if total > BIG_NBYTES:
        yield (
            f"The code package has {_megabytes(total)} in {len(sizes):,} files. {_largest(sizes)} Name what the flow does not need in "
            f"{IGNORE_FILE}."
        )
    left_out = (
        (found.secrets, "what looks like a secret", f"Name it in {IGNORE_FILE}, and nothing is said of it."),
        (found.links, "links that lead out of the flow's directory", "Name their modules with --package-modules."),
        (found.unreadable, "directories that cannot be read", f"Name them in {IGNORE_FILE}, and nothing is said of them."),
        (found.unsafe, "files whose names not every system can have", "Rename them."),
    )
    for names, what, way_out in left_out:
        if names:
            yield f"Left out of the code package: {what} ({_listed(sorted(names))}). {way_out}"


def _largest(sizes: dict[str, int]) -> str:
    largest = nlargest(_SHOWN, sizes.items(), key=lambda item: item[1])
    return f"The largest: {', '.join(f'{name} ({_megabytes(nbytes)})' for name, nbytes in largest)}."


def _listed(names: Sequence[str]) -> str:
    shown = [ascii(name)[1:-1] if why_unsafe(name) else name for name in names[:_SHOWN]]
    return ", ".join([*shown, *([f"and {len(names) - _SHOWN:,} more"] if len(names) > _SHOWN else [])])


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e6:,.1f} MB"
