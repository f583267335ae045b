"""Large values: a NumPy array, a pyarrow table and a pandas frame with numbers and strings, and reading every page of them."""

import numpy as np

PAGE = 4096
ROW_NBYTES = 8 + 8 + 8 + 14  # two numbers, an offset of pyarrow's large strings, fourteen characters


def make(kind, nbytes):
    """About so many bytes."""
    if kind == "numpy":
        return np.arange(nbytes // 8, dtype=np.float64)
    import pyarrow as pa

    rows = nbytes // ROW_NBYTES
    numbers = np.arange(rows)
    names = pa.array([f"customer-{number:05d}" for number in range(10_000)], pa.large_string()).take(pa.array(numbers % 10_000))
    table = pa.table({"price": numbers * 0.5, "count": numbers, "name": names})
    return table.to_pandas() if kind == "pandas" else table


def buffers(value):
    """The bytes of the value as they lie in memory, without a copy."""
    if isinstance(value, np.ndarray):
        return [value]
    import pyarrow as pa

    if isinstance(value, pa.Table):
        chunks = [chunk for column in value.columns for chunk in column.chunks]
    else:
        numbers = [value[name].to_numpy() for name in ("price", "count")]
        names = pa.array(value["name"])
        return [*numbers, *buffers(pa.table({"name": names}))]
    return [np.frombuffer(buffer, np.uint8) for chunk in chunks for buffer in chunk.buffers() if buffer is not None]


def read(parts):
    """Reads every page. The same sum for the same value."""
    return float(sum(int(part.view(np.uint8)[::PAGE].sum(dtype=np.int64)) for part in parts))


def nbytes_of(parts):
    return sum(part.nbytes for part in parts)
