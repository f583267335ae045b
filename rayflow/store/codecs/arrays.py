"""NumPy arrays as `.npy` (numpy/lib/format.py, versions 1 to 3): header padded to 64 bytes, then the array's own memory.

Left to pickle: subclasses, arrays of objects or variable-width strings, and dtypes whose description does not give them back.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from rayflow.store.codecs.registry import Options, Parts

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MAX_HEADER = 1 << 20


def encode(value: Any, _options: Options) -> Parts | None:
    if type(value) is not np.ndarray or not _is_exact(value.dtype):
        return None
    if not (value.flags.c_contiguous or value.flags.f_contiguous):
        copy = np.zeros(value.shape, value.dtype)  # zeros: what lies between the fields of a structure must not be stray memory
        copy[...] = value
        value = copy
    header = io.BytesIO()
    # None lets numpy take the oldest version that holds the names of the fields: 3 (UTF-8) is not readable by its own reader below.
    np.lib.format.write_array_header_2_0(header, np.lib.format.header_data_from_array_1_0(value))
    flat = value.reshape(-1, order="C" if value.flags.c_contiguous else "F")
    if flat.nbytes == 0:
        return Parts(".npy", [header.getvalue()], "npy")
    return Parts(".npy", [header.getvalue(), flat.view(np.uint8).data], "npy")


def _is_exact(dtype: np.dtype[Any]) -> bool:
    if dtype.hasobject or dtype.char == "T" or dtype.metadata or dtype.itemsize == 0:
        return False
    try:
        description = np.lib.format.dtype_to_descr(dtype)
        str(description).encode("latin1")
        again = np.lib.format.descr_to_dtype(description)
    except (ValueError, TypeError):
        return False
    return again == dtype and again.isalignedstruct == dtype.isalignedstruct


def decode(buffer: memoryview) -> Any:
    """The array, as a view of `buffer`: writable where that is."""
    head = io.BytesIO(buffer[:_MAX_HEADER])
    version = np.lib.format.read_magic(head)
    shape, is_fortran, dtype = _HEADERS[version](head, max_header_size=_MAX_HEADER)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    return np.ndarray(shape, dtype, buffer, offset=head.tell(), order="F" if is_fortran else "C")


DECODERS: dict[str, Callable[[memoryview], Any]] = {"npy": decode}
