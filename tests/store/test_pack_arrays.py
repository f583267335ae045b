"""Arrays made buffer by buffer are those that `pyarrow.array` makes, without what that imports."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayflow.store.packs import arrays

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


def lists(values):
    return st.lists(st.none() | values, max_size=70)


@settings(deadline=None)
@given(lists(INT64))
def test_numbers(values):
    assert arrays.numbers(values).equals(pa.array(values, pa.int64()))


@settings(deadline=None)
@given(lists(st.floats(allow_nan=False)))
def test_floats(values):
    assert arrays.floats(values).equals(pa.array(values, pa.float64()))


@settings(deadline=None)
@given(lists(st.booleans()))
def test_booleans(values):
    assert arrays.booleans(values).equals(pa.array(values, pa.bool_()))


@settings(deadline=None)
@given(lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts(values):
    assert arrays.texts(values).equals(pa.array(values, pa.string()))


@settings(deadline=None)
@given(lists(st.binary()))
def test_binaries(values):
    assert arrays.binaries(values).equals(pa.array(values, pa.binary()))


@settings(deadline=None)
@given(st.lists(INT64, max_size=70))
def test_integers(values):
    assert arrays.integers(values).equals(pa.array(values, pa.int64()))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["ok", "caught", "failed"]), min_size=1))
def test_labels(values):
    assert arrays.labels(values).to_pylist() == values


@pytest.mark.parametrize("values", [range(3, 90, 2), [1 << 40, -5]])
def test_ranges_and_lists_give_the_same_kind(values):
    assert arrays.numbers(values).equals(pa.array(list(values), pa.int64()))


def test_what_does_not_fit_is_refused():
    with pytest.raises(OverflowError):
        arrays.numbers([1 << 63])


def test_a_report_of_rows_imports_no_pandas():
    code = (
        "import sys; from rayflow.store.packs import RowsEncoder, Pack, merge; from rayflow.model.records import Status, Artifact\n"
        "encoder = RowsEncoder(lambda name, value: Artifact('json', 'list', 2, '[]', b'[]'))\n"
        "values = {'a': 1, 'b': 'text', 'c': None, 'd': True, 'e': 0.5, 'f': [], 'g': b'x'}\n"
        "encoder.add(0, 0, 1, 0.5, Status.OK, 0, 0, 0, 0, 0, values); encoder.add(1, 0, 1, 0.5, Status.CAUGHT, 0, 0, 0, 0, 0, {'a': 2})\n"
        "merge([encoder.flush(1, 'host', 'log')]); print('pandas' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
