"""Which codec takes which value.

Builtins are found by their exact type, libraries by the top module of the type (so that nothing is imported that the user has
not imported already), third parties by asking them in the order of their priority. What nobody takes is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rayflow.model.errors import StoreCorrupt, UserError
from rayflow.store.codecs import declared, pickles, plain
from rayflow.store.codecs.preview import preview_of, type_name

if TYPE_CHECKING:
    from rayflow.store.datasets import Place

Chunk = bytes | memoryview
"""A piece of an encoded value."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to encode. `tables`: "arrow" or "parquet". Classes and functions of `by_value_modules` (and of `__main__`) travel with
    the value, since another process may not be able to import them. `name` is the artifact's, for messages; `place` where values that
    are directories are written."""

    name: str = ""
    tables: str = "arrow"
    by_value_modules: frozenset[str] = frozenset()
    place: Place | None = None


class Parts(NamedTuple):
    """An encoded value: the extension of its file and its bytes in order. `codec` where it differs from who was asked, `preview` where the
    value itself is not to be looked at."""

    extension: str
    chunks: Iterable[bytes | bytearray | memoryview]
    codec: str = ""
    preview: str = ""


class Codec(Protocol):
    """A way to store some values. `name` is recorded with each of them and must never change its meaning."""

    name: str

    def claims(self, value: object) -> bool:
        """Whether `encode` should be asked. Must be quick: it is called for every value."""
        ...

    def encode(self, value: Any, options: Options) -> Parts | None:
        """The value as bytes; None to leave it to the next codec."""
        ...

    def decode(self, buffer: memoryview) -> Any:
        """The value. `buffer` may be a private, writable mapping of a file: views of it may be returned."""
        ...


class Encoded(NamedTuple):
    """A value as bytes, with what is recorded about it. The chunks may be views of the value: write them before it changes.
    (A tuple, since one is made per artifact of every task.)"""

    codec: str
    type: str
    preview: str
    nbytes: int
    extension: str
    chunks: list[Chunk]

    def to_bytes(self) -> bytes:
        chunks = self.chunks
        return bytes(chunks[0]) if len(chunks) == 1 else b"".join(chunks)


_LIBRARIES = {
    "numpy": "rayflow.store.codecs.arrays",
    "pyarrow": "rayflow.store.codecs.tables",
    "pandas": "rayflow.store.codecs.frames",
    "polars": "rayflow.store.codecs.frames",
    "ray": "rayflow.store.datasets",
}
"""Top module of a type -> the module here whose `encode(value, options)` knows it."""

CUSTOM = "custom:"
"""How the names of codecs begin of what serializers of the user's stored: see `foreign`."""

_DECODERS: dict[str, Callable[[memoryview], Any]] = {**plain.DECODERS, "pickle": pickles.decode}
_DECODER_MODULES = {
    "npy": "rayflow.store.codecs.arrays",
    "arrow": "rayflow.store.codecs.tables",
    "parquet": "rayflow.store.codecs.tables",
    "sliced": "rayflow.store.slices",
    "dataset": "rayflow.store.datasets",
}
_registered: list[tuple[int, Codec]] = []


def register(codec: Codec, priority: int = 0) -> None:
    """Lets `codec` have the values it claims, before the built-in ones; of several the highest priority goes first. To be called
    in every process that stores or loads such values: at the top of the flow's module, say."""
    if codec.name.startswith(CUSTOM) or codec.name in _DECODER_MODULES or codec.name in plain.DECODERS or codec.name == "pickle":
        raise UserError(f"A codec cannot be called {codec.name!r}: rayflow's own is. Give it a name of your own.")
    _registered[:] = [entry for entry in _registered if entry[1].name != codec.name]
    _registered.append((priority, codec))
    _registered.sort(key=lambda entry: -entry[0])
    _DECODERS[codec.name] = codec.decode


def claims() -> Callable[[object], bool] | None:
    """Whether a codec or serializer of the user's may want a value, plain as it may be; None where there is none to ask."""
    if not _registered and not declared.types:
        return None
    from rayflow.store.codecs import foreign

    return lambda value: any(codec.claims(value) for _, codec in _registered) or foreign.claimant(value, is_plain=True) is not None


def encode(
    value: object,
    *,
    name: str = "",
    tables: str = "arrow",
    by_value_modules: frozenset[str] = frozenset(),
    place: Place | None = None,
) -> Encoded:
    """`value` as bytes. Raises `ArtifactUnserializable`, which names the attribute at fault."""
    kind = type(value)
    plainly = None if _registered or declared.types else plain.ENCODERS.get(kind)
    if plainly is not None:
        found = plainly(value)
        if found is not None:
            codec, extension, content = found
            return Encoded(codec, type_name(kind), preview_of(value), len(content), extension, [content])
    codec, parts = _parts_of(value, Options(name, tables, by_value_modules, place))
    chunks: list[Chunk] = [chunk if isinstance(chunk, bytes) else memoryview(chunk).cast("B") for chunk in parts.chunks if len(chunk)]
    nbytes = sum(map(len, chunks))
    return Encoded(parts.codec or codec, type_name(kind), parts.preview or preview_of(value), nbytes, parts.extension, chunks)


def decode(codec: str, buffer: bytes | bytearray | memoryview, *, name: str = "") -> Any:
    """The value that `codec` stored in `buffer`. Raises `StoreCorrupt` where the bytes are not what that codec writes, `UserError`
    where a module that it needs is missing here. Arrays are writable where `buffer` is."""
    decoder = _DECODERS.get(codec)
    if decoder is None:
        if codec.startswith(CUSTOM):
            from rayflow.store.codecs import foreign

            return foreign.decode(codec, bytes(buffer), name)
        module = _DECODER_MODULES.get(codec)
        if module is None:
            raise UserError(f"Artifact {name!r} was stored by the codec {codec!r}, which is not registered here: import its module first.")
        decoder = _DECODERS[codec] = import_module(module).DECODERS[codec]
    view = buffer if isinstance(buffer, memoryview) else memoryview(buffer)
    try:
        return decoder(view)
    except ImportError as error:
        raise UserError(f"Artifact {name!r} cannot be loaded: {error}. Install what it needs, then load it again.") from error
    except _damage_errors(codec) as error:
        raise StoreCorrupt(f"Artifact {name!r} is damaged: not valid {codec} ({error}).") from error


def _parts_of(value: object, options: Options) -> tuple[str, Parts]:
    kind = type(value)
    for _, codec in _registered:
        if codec.claims(value):
            parts = codec.encode(value, options)
            if parts is not None:
                return codec.name, parts
    plainly = plain.ENCODERS.get(kind)
    found = plainly(value) if plainly is not None else None
    if found is None or declared.types:
        from rayflow.store.codecs import foreign

        serializer = foreign.claimant(value, is_plain=found is not None)
        if serializer is not None:
            codec, content = foreign.encode(serializer, value, options.name)
            return codec, Parts(".bin", [content])
    if found is not None:
        return found[0], Parts(found[1], [found[2]])
    if plainly is None:
        module = _LIBRARIES.get(kind.__module__.partition(".")[0])
        if module is not None:
            parts = import_module(module).encode(value, options)
            if parts is not None:
                return parts.codec, parts
    return "pickle", Parts(".pkl", pickles.encode(value, options.name, options.by_value_modules))


def _damage_errors(codec: str) -> tuple[type[Exception], ...]:
    if codec == "pickle":
        return pickles.DAMAGE
    if codec in _DECODER_MODULES:
        # numpy and pyarrow raise the whole tree for a wrong header; no user code runs in them.
        return (Exception,)
    return (ValueError, TypeError, RecursionError) if codec in plain.DECODERS else ()
