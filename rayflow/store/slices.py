"""A large sequence in parts, so that who wants a few neighbours reads the part that they lie in.

What a foreach fans out over is read by every batch. From a local root it is mapped; from a bucket each worker would download all of
it. There arrays, tables, lists and tuples from 8 MiB on are stored as parts of about 4 MiB, each a blob with a digest of its own, and the
artifact (codec "sliced") is their list.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rayflow.model.records import Artifact
from rayflow.store.codecs import Encoded, preview_of, type_name

FROM_NBYTES = 8 << 20
"""What is smaller is stored, and read, as one."""

_PART_NBYTES = 4 << 20
_KEPT_PARTS = 4
_LIBRARIES = frozenset({"numpy", "pyarrow", "pandas", "polars"})


@dataclass(frozen=True)
class Slices:
    """Where the `count` elements of a sequence lie: those from `starts[k]` on in `parts[k]`, which names its owner."""

    count: int
    starts: tuple[int, ...]
    parts: tuple[Artifact, ...]


class Sliced(Sequence[Any]):
    """The elements of a sequence that lies in parts, for 0 <= i < len. `load` gives the elements of a part; the last four are kept.

    Not promised: safety for use from several threads.
    """

    def __init__(self, slices: Slices, load: Callable[[Artifact], Sequence[Any]]) -> None:
        self._slices = slices
        self._load = load
        self._loaded: OrderedDict[int, Sequence[Any]] = OrderedDict()
        self._last: tuple[range, Sequence[Any]] = (range(0), ())

    def __len__(self) -> int:
        return self._slices.count

    def __getitem__(self, position: Any) -> Any:
        span, elements = self._last
        if position not in span:
            span, elements = self._last = self._at(position)
        return elements[position - span.start]

    def _at(self, position: int) -> tuple[range, Sequence[Any]]:
        starts, count = self._slices.starts, self._slices.count
        if not 0 <= position < count:
            raise IndexError(position)
        number = bisect_right(starts, position) - 1
        elements = self._loaded.get(number)
        if elements is None:
            elements = self._loaded[number] = self._load(self._slices.parts[number])
            if len(self._loaded) > _KEPT_PARTS:
                self._loaded.popitem(last=False)
        else:
            self._loaded.move_to_end(number)
        return range(starts[number], starts[number + 1] if number + 1 < len(starts) else count), elements


def is_divisible(value: Any) -> bool:
    """Whether `cut` can be asked: for lists, tuples, arrays and tables of more than one element."""
    if type(value) not in (list, tuple):
        is_known = type(value).__module__.partition(".")[0] in _LIBRARIES
        if not (is_known and (hasattr(value, "slice") or hasattr(value, "iloc") or hasattr(value, "shape"))):
            return False
    return len(value) > 1


def nbytes_of(value: Any) -> int | None:
    """How much memory an array or an Arrow table takes; None where only encoding it would tell."""
    nbytes = getattr(value, "nbytes", None)
    has_objects = getattr(getattr(value, "dtype", None), "hasobject", False)
    return nbytes if isinstance(nbytes, int) and not has_objects else None


def cut(value: Any, nbytes: int) -> Iterator[tuple[int, Any]]:
    """(first position, part) of parts of equal length and about 4 MiB, if the whole takes `nbytes`; of at least one element each."""
    length = len(value)
    count = min(length, max(1, nbytes // _PART_NBYTES))
    bounds = [number * length // count for number in range(count + 1)]
    for start, stop in pairwise(bounds):
        yield start, _part(value, start, stop)


def _part(value: Any, start: int, stop: int) -> Any:
    if hasattr(value, "iloc"):
        return value.iloc[start:stop]
    return value.slice(start, stop - start) if hasattr(value, "slice") else value[start:stop]


def encode(slices: Slices, value: Any) -> Encoded:
    """The list of the parts as what an artifact holds that stands for `value`."""
    parts = [[part.codec, part.type, part.nbytes, part.blob, part.digest, part.run, _text(part.inline)] for part in slices.parts]
    content = json.dumps({"count": slices.count, "starts": slices.starts, "parts": parts}, separators=(",", ":")).encode()
    return Encoded("sliced", type_name(type(value)), preview_of(value), len(content), ".json", [content])


def _text(inline: bytes | None) -> str | None:
    return None if inline is None else b64encode(inline).decode()


def decode(buffer: memoryview) -> Slices:
    form = json.loads(bytes(buffer))
    parts = [
        Artifact(codec, kind, nbytes, inline=None if inline is None else b64decode(inline), blob=blob, digest=digest, run=run)
        for codec, kind, nbytes, blob, digest, run, inline in form["parts"]
    ]
    return Slices(form["count"], tuple(form["starts"]), tuple(parts))


DECODERS: dict[str, Callable[[memoryview], Any]] = {"sliced": decode}
