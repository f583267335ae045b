"""Values come back equal and with their exact types, in files that other tools read."""

import collections
import datetime
import decimal
import enum
import io
import json
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rayflow.model.errors import ArtifactUnserializable, StoreCorrupt, UserError
from rayflow.store import codecs
from rayflow.store.codecs import Parts, decode, encode, preview_of, registry, texts
from rayflow.store.codecs.frames import _same_value


def through(value, **options):
    encoded = encode(value, **options)
    content = encoded.to_bytes()
    assert encoded.nbytes == len(content)
    return encoded.codec, decode(encoded.codec, bytearray(content))


def same(a, b):
    """Equality with exact types all the way down; NaN equals NaN."""
    return _same_value(a, b)


class Colour(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", "x y")

SHARED = [1]
UNION = pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["x"])])


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        (None, "json"),
        (True, "json"),
        (0, "json"),
        (2**300, "json"),
        (-0.0, "json"),
        (1e300, "json"),
        ("", "text"),
        ("é\u2028\x00\x1b[31m", "text"),
        ("\ud800", "pickle"),
        (b"", "bytes"),
        (b"\x00\xff", "bytes"),
        (bytearray(b"x"), "pickle"),
        (range(1, 10, 3), "range"),
        (range(2**70), "range"),
        (range(10**5000), "pickle"),
        ([], "json"),
        ({}, "json"),
        ({"a": [1, 2.5, None, True, "x", {"b": []}]}, "json"),
        ({"a": (1,)}, "pickle"),
        ({1: "a"}, "pickle"),
        ([{"a": {2}}], "pickle"),
        ([float("nan")], "pickle"),
        (float("inf"), "pickle"),
        (["\ud83d\ude00"], "pickle"),
        ([10**5000], "pickle"),
        ((1, 2), "pickle"),
        ({1, 2}, "pickle"),
        (Colour.RED, "pickle"),
        (Point(1, 2), "pickle"),
        ([Point(1, 2)], "pickle"),
        (collections.OrderedDict(a=1), "pickle"),
        (collections.Counter("aab"), "pickle"),
        (decimal.Decimal("1.10"), "pickle"),
        (datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), "pickle"),
        (np.float64(1.5), "pickle"),
        ([SHARED, SHARED], "pickle"),
        (len, "pickle"),
    ],
    ids=lambda value: ascii(preview_of(value)),
)
def test_a_value_comes_back_with_its_exact_type(value, codec):
    chosen, again = through(value)

    assert (chosen, type(again), same(again, value)) == (codec, type(value), True)


def test_a_list_that_holds_itself_comes_back():
    loop = []
    loop.append(loop)

    assert (again := through(loop)[1])[0] is again


def test_parts_that_were_shared_are_shared_again():
    again = through([SHARED, SHARED])[1]

    assert again[0] is again[1]


def test_a_deep_list_is_no_problem():
    deep = []
    for _ in range(300):
        deep = [deep]

    assert through(deep)[1] == deep


_json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.dictionaries(st.integers(), inner),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(_json_like)
def test_any_plain_value_comes_back_with_its_exact_types(value):
    assert same(through(value)[1], value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["json", "text", "range", "npy", "arrow", "parquet"]), st.binary(max_size=300))
def test_bytes_that_no_codec_wrote_are_damage_or_a_value_and_nothing_else(codec, content):
    try:
        decode(codec, content, name="x")
    except StoreCorrupt as error:
        assert "'x' is damaged" in str(error)


# --- NumPy

_dtypes = [
    *"?bBhHiIlLqQefdgFDG", "<f8", ">f8", ">i2", "S5", "U3", "S0", "V3", "M8[ns]", "m8[s]", "M8[25s]", "O",
    [("a", "i4"), ("b", "f8", (2,))], np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"]}, align=True),
    np.dtype([("é", "i4")]), np.dtype([("a", "i4"), ("", "f8")]), np.dtype([("a", "i4", ())], metadata={"k": 1}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", _dtypes, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_any_array_comes_back_with_dtype_and_shape_and_can_be_written(dtype, shape, order):
    array = np.zeros(shape, dtype, order="F" if order == "F" else "C")
    if order == "strided" and shape:
        array = np.zeros((shape[0] * 2, *shape[1:]), dtype)[::-2]

    again = through(array)[1]

    assert (again.dtype, again.shape, again.flags.writeable, type(again)) == (array.dtype, array.shape, True, np.ndarray)
    assert np.array_equal(again, array)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_random_arrays_come_back_bit_for_bit(data):
    array = data.draw(hnp.arrays(hnp.scalar_dtypes() | hnp.array_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_dims=4)))

    again = through(array)[1]

    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("value", [np.ma.array([1, 2], mask=[0, 1]), np.rec.array([(1, 2.0)]), np.array(["a", None])], ids=str)
def test_kinds_of_arrays_that_npy_would_flatten_are_pickled(value):
    codec, again = through(value)

    assert (codec, type(again), repr(again)) == ("pickle", type(value), repr(value))


def test_an_array_is_aligned_to_64_bytes_in_its_file():
    header = encode(np.arange(10)).chunks[0]

    assert len(header) % 64 == 0


def test_numpy_opens_the_file():
    array = np.arange(12.0).reshape(3, 4).T

    assert np.array_equal(np.load(io.BytesIO(encode(array).to_bytes())), array)


# --- tables


@pytest.mark.parametrize("tables", ["arrow", "parquet"])
@pytest.mark.parametrize(
    "value",
    [
        pa.table({"a": [1, None], "b": ["x", "y"]}),
        pa.table({"a": [1, 2]}, metadata={"mine": "kept"}),
        pa.table({}),
        pa.table({"a": pa.array([], pa.int8())}),
        pa.table([[1], [2]], names=["same", "same"]),
        pa.table({"a": [1, 2, 3]}).slice(1, 1),
        pa.concat_tables([pa.table({"d": pa.array(["a"]).dictionary_encode()}), pa.table({"d": pa.array(["b"]).dictionary_encode()})]),
        pa.table({"n": [[{"a": 1}], None], "t": pa.array([1, 2], pa.duration("ns"))}),
        pa.table({"u": UNION}),
        pa.record_batch({"a": [1, 2]}),
        pa.record_batch({"a": pa.array([], pa.int8())}),
        pa.array([1, None, 3]),
        pa.array([], pa.string()),
        pa.array([1.5, 2.5]).slice(1),
        pa.chunked_array([[1], [2, 3]]),
        pa.chunked_array([], pa.int8()),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.nulls(3),
    ],
    ids=lambda value: str(getattr(value, "schema", getattr(value, "type", None))).replace("\n", ","),
)  # fmt: skip
def test_arrow_values_come_back_equal(value, tables):
    again = through(value, tables=tables)[1]

    assert isinstance(again, pa.Array) if isinstance(value, pa.Array) else type(again) is type(value)
    assert again.equals(value.unify_dictionaries() if isinstance(value, (pa.Table, pa.ChunkedArray)) else value)
    if isinstance(value, (pa.Table, pa.RecordBatch)):
        assert again.schema.equals(value.schema, check_metadata=True)


_frames = {
    "plain": pd.DataFrame({"i": [1, 2], "f": [1.5, np.nan], "b": [True, False], "s": ["x", None], "t": pd.to_datetime(["2020", None])}),
    "small types": pd.DataFrame({"a": np.array([1], "i1"), "b": np.array([1], "u8"), "c": np.array([1], "f2"), "d": np.array([1], "f4")}),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="float64"), "o": pd.Series([], dtype=object)}),
    "no columns": pd.DataFrame(index=[1, 2]),
    "nothing": pd.DataFrame(),
    "named index": pd.DataFrame({"a": [1]}, index=pd.Index(["k"], name="key")),
    "named range": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="n")),
    "multi-index": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", None])),
    "multi-columns": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])),
    "int labels": pd.DataFrame([[1, 2]]),
    "mixed labels": pd.DataFrame([[1, 2]], columns=["a", 3]),
    "same labels": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "named columns": pd.DataFrame([[1]], columns=pd.Index(["a"], name="kind")),
    "categories": pd.DataFrame({"c": pd.Categorical(["a", None, "b"], ["b", "a", "z"], ordered=True), "n": pd.Categorical([1, 2, 1])}),
    "zones": pd.DataFrame({"t": pd.date_range("2020", periods=2, tz="Europe/Paris"), "u": pd.date_range("2020", periods=2, tz="UTC")}),
    "frequency": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D")),
    "periods": pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M")}),
    "intervals": pd.DataFrame({"p": pd.interval_range(0, 2)}),
    "deltas": pd.DataFrame({"d": pd.to_timedelta([1, 2], unit="s")}),
    "nullable": pd.DataFrame({"i": pd.array([1, None], "Int64"), "b": pd.array([True, None], "boolean")}),
    "nullable text": pd.DataFrame({"s": pd.array(["x", None], "string")}),
    "arrow dtypes": pd.DataFrame({"i": pd.array([1, None], "int64[pyarrow]")}),
    "arrow lists": pd.DataFrame({"l": pd.array([[1], None], pd.ArrowDtype(pa.list_(pa.int64())))}),
    "mixed objects": pd.DataFrame({"o": [1, "x"]}),
    "ones and trues": pd.DataFrame({"o": pd.Series([1, True, 1.0], dtype=object)}),
    "object ints": pd.DataFrame({"o": pd.Series([1, 2], dtype=object)}),
    "none and nan": pd.DataFrame({"o": pd.Series(["x", None, np.nan], dtype=object)}),
    "object strings": pd.DataFrame({"o": pd.Series(["x", "y"], dtype=object)}),
    "object strings, None": pd.DataFrame({"o": pd.Series(["x", None, "", "\0é"], dtype=object), "n": [1, 2, 3, 4]}),
    "object strings, NaN": pd.DataFrame({"o": pd.Series([np.nan, "x", np.nan], dtype=object)}),
    "strings and numbers": pd.DataFrame({"o": pd.Series(["x", 1.5], dtype=object)}),
    "nothing but None": pd.DataFrame({"o": pd.Series([None, None], dtype=object)}),
    "nothing but NaN": pd.DataFrame({"o": pd.Series([np.nan, np.nan], dtype=object)}),
    "lone surrogates": pd.DataFrame({"o": pd.Series(["x", "\ud800"], dtype=object)}),
    "strings of NumPy": pd.DataFrame({"o": pd.Series(["x", np.str_("y")], dtype=object)}),
    "few strings": pd.DataFrame({"o": pd.Series(["x", None, "y"] * 1000, dtype=object)}),
    "few strings, NaN": pd.DataFrame({"o": pd.Series(["x", np.nan, "y"] * 1000, dtype=object)}),
    "many strings": pd.DataFrame({"o": pd.Series([f"row {n}" for n in range(70_000)], dtype=object), "n": np.arange(70_000)}),
    "one strange value late": pd.DataFrame({"o": pd.Series([*(f"row {n}" for n in range(70_000)), b"bytes"], dtype=object)}),
    "filtered": pd.DataFrame({"a": np.arange(9.0), "s": list("abcdefghi")})[lambda frame: frame["a"] > 3],
    "filtered, times": pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2020", periods=3))[lambda frame: frame["a"] != 2],
    "concatenated": pd.concat([pd.DataFrame({"s": ["x", None], "f": [1.0, np.nan]})] * 3, ignore_index=True),
    "a category beside": pd.DataFrame({"a": [1, 2], "c": pd.Categorical(["x", "y"]), "o": pd.Series(["p", "q"], dtype=object)}),
    "lists": pd.DataFrame({"o": [[1], [2, 3]]}),
    "dicts": pd.DataFrame({"o": [{"a": 1}, {"b": 2}]}),
    "tuples": pd.DataFrame({"o": [(1, 2), (3,)]}),
    "arrays": pd.DataFrame({"o": [np.arange(2), np.arange(3)]}),
    "dates": pd.DataFrame({"o": [datetime.date(2020, 1, 1)]}),
    "decimals": pd.DataFrame({"o": [decimal.Decimal("1.10"), decimal.Decimal("2")]}),
    "complex": pd.DataFrame({"c": [1 + 2j]}),
    "sparse": pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])}),
    "big-endian": pd.DataFrame({"a": np.array([1, 2], ">i4")}),
    "a function": pd.DataFrame({"o": [len, max]}),
}  # fmt: skip
_frames["attributes"] = _frames["plain"].copy()
_frames["attributes"].attrs = {"unit": "m"}
_frames["flags"] = pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)


def assert_same_frame(again, frame):
    pd.testing.assert_frame_equal(again, frame, check_exact=True, check_column_type="exact", check_index_type="exact")
    assert (again.attrs, again.flags) == (frame.attrs, frame.flags)
    for position in range(frame.shape[1]):
        a, b = again.iloc[:, position], frame.iloc[:, position]
        assert a.dtype == b.dtype
        if a.dtype == object and not isinstance(b.iloc[0] if len(b) else None, np.ndarray):
            assert all(map(same, a, b)), (list(a), list(b))


@pytest.mark.parametrize("tables", ["arrow", "parquet"])
@pytest.mark.parametrize("name", _frames)
def test_any_frame_comes_back_equal(name, tables):
    frame = _frames[name]

    assert_same_frame(through(frame, tables=tables)[1], frame)


@pytest.mark.parametrize(
    "name",
    [
        "plain", "small types", "named index", "categories", "zones", "nullable", "arrow dtypes", "object strings", "object strings, None",
        "object strings, NaN", "few strings", "many strings", "filtered", "concatenated", "a category beside",
    ],
)  # fmt: skip
def test_the_usual_frames_are_arrow_files(name):
    assert through(_frames[name])[0] == "arrow"


@pytest.mark.parametrize("name", [name for name in _frames if _frames[name].shape[1] and name != "flags"])
def test_any_column_comes_back_equal_as_a_series(name):
    series = _frames[name].iloc[:, 0]

    again = through(series)[1]

    pd.testing.assert_series_equal(again, series, check_exact=True, check_index_type="exact")
    assert (type(again.name), again.attrs) == (type(series.name), series.attrs)


@pytest.mark.parametrize("label", [None, "n", 3, ("a", 1), "values"])
def test_a_series_keeps_its_name(label):
    again = through(pd.Series([1, 2], name=label))[1]

    assert (again.name, type(again.name)) == (label, type(label))


@pytest.mark.parametrize("words", [70_000, 3], ids=["many", "few"])
def test_text_objects_that_were_loaded_and_left_alone_are_not_converted_again(words):
    column = pa.chunked_array([pa.array([f"row {n % words}" for n in range(70_000)], pa.large_string())])
    values = texts.decode(column, "None")

    alone = texts.encode(values)
    values[69_999] = "".join(["ro", "w 2"])
    changed, part = texts.encode(values), texts.encode(values[:-1])

    assert [found[0].buffers()[2].address == column.chunk(0).buffers()[2].address for found in (alone, changed, part)] == [
        True,
        False,
        False,
    ]
    assert [found[0].to_pylist()[-1] for found in (changed, part)] == ["row 2", f"row {69_998 % words}"]


def test_loaded_text_is_forgotten_with_its_last_use():
    values = texts.decode(pa.chunked_array([pa.array(["x"] * 20_000)]), "None")
    remembered = texts._address_of(values) in texts._decoded

    address = texts._address_of(values)
    del values

    assert (remembered, address in texts._decoded) == (True, False)


_cells = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
    st.lists(st.floats(), min_size=3, max_size=3),
    st.lists(st.text() | st.none(), min_size=3, max_size=3),
    st.lists(st.booleans() | st.none() | st.integers(), min_size=3, max_size=3),
    st.lists(st.lists(st.integers(0, 3)) | st.none(), min_size=3, max_size=3),
    st.lists(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)), min_size=3, max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=3), _cells, max_size=4))
def test_random_frames_come_back_equal(columns):
    frame = pd.DataFrame({name: pd.Series(values, dtype=object if None in values else None) for name, values in columns.items()})

    assert_same_frame(through(frame)[1], frame)


def test_a_frame_that_was_read_can_be_written_in_place():
    frame = pd.DataFrame({"a": np.arange(5.0), "b": np.arange(5), "s": list("abcde"), "t": pd.date_range("2020", periods=5)})

    again = through(frame)[1]
    again.loc[0, "a"] = 7.0
    again.loc[1, "b"] = 8
    again.loc[2, "s"] = "new"
    again.loc[3, "t"] = pd.Timestamp("2030")

    assert again.iloc[:4].values.tolist() == [
        [7.0, 0, "a", pd.Timestamp("2020-01-01")],
        [1.0, 8, "b", pd.Timestamp("2020-01-02")],
        [2.0, 2, "new", pd.Timestamp("2020-01-03")],
        [3.0, 3, "d", pd.Timestamp("2030")],
    ]


@pytest.mark.parametrize("tables", ["arrow", "parquet"])
@pytest.mark.parametrize(
    "value",
    [
        pl.DataFrame({"a": [1, None], "f": [1.0, float("nan")], "s": ["x", "y"], "b": [True, None]}),
        pl.DataFrame(),
        pl.DataFrame({"a": []}),
        pl.DataFrame({"c": pl.Series(["a", "b"], dtype=pl.Categorical), "e": pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"]))}),
        pl.DataFrame({"l": [[1], None], "st": [{"x": 1}, {"x": 2}], "d": [datetime.date(2020, 1, 1), None]}),
        pl.DataFrame({"td": [datetime.timedelta(1), None]}),
        pl.DataFrame({"z": pl.Series([datetime.datetime(2020, 1, 1)]).dt.replace_time_zone("Europe/Paris")}),
        pl.DataFrame({"d": [decimal.Decimal("1.10")]}),
        pl.DataFrame({"a": pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2))}),
        pl.Series("name", [1, 2]),
        pl.Series("", ["x", None]),
        pl.Series("n", [[1], [2]]),
    ],
    ids=lambda value: str(getattr(value, "schema", None) or getattr(value, "dtype", None)),
)  # fmt: skip
def test_polars_values_come_back_equal(value, tables):
    again = through(value, tables=tables)[1]

    assert (type(again), again.equals(value)) == (type(value), True)
    assert again.schema == value.schema if isinstance(value, pl.DataFrame) else (again.name, again.dtype) == (value.name, value.dtype)


def test_a_lazy_frame_is_refused_with_advice():
    with pytest.raises(ArtifactUnserializable, match=r"'query' \(polars.LazyFrame\).*collect\(\)"):
        encode(pl.DataFrame({"a": [1]}).lazy(), name="query")


# --- pickles


def test_large_buffers_lie_out_of_band_at_multiples_of_64_bytes_and_stay_writable():
    value = {"a": np.arange(1000), "b": [np.ones((50, 50), order="F")], "c": bytearray(b"x" * 10_000)}
    encoded = encode(value)
    content = bytearray(encoded.to_bytes())

    again = decode("pickle", content)

    assert again["a"].flags.writeable and again["b"][0].flags.writeable
    assert np.shares_memory(again["a"], np.frombuffer(content, "u1"))
    at = again["a"].__array_interface__["data"][0] - np.frombuffer(content, "u1").__array_interface__["data"][0]
    assert at % 64 == 0
    assert (again["a"].tolist(), again["b"][0].flags.f_contiguous, again["c"]) == (value["a"].tolist(), True, value["c"])


def test_a_pickle_without_large_buffers_is_a_plain_pickle():
    assert pickle.loads(encode((1, np.arange(3))).to_bytes())[0] == 1


def test_a_read_only_array_stays_read_only():
    array = np.arange(1000)
    array.flags.writeable = False

    assert not through((array,))[1][0].flags.writeable


def test_a_pickle_that_was_cut_is_damage():
    content = encode({"a": np.arange(1000)}).to_bytes()

    for end in (0, 5, 20, 40, 100):
        with pytest.raises(StoreCorrupt, match="'m' is damaged"):
            decode("pickle", content[:end], name="m")


FLOW_FILE = """
import dataclasses, sys
sys.path.insert(0, {root!r})
from rayflow.store.codecs import decode, encode

@dataclasses.dataclass
class Config:
    x: int
    def double(self): return helper(self.x)

def helper(x): return 2 * x

def test_me():
    return lambda y: helper(y)

if __name__ == "__main__":
    mode, path = sys.argv[1:]
    if mode == "write":
        open(path, "wb").write(encode([Config(3), helper, test_me(), Config]).to_bytes())
    else:
        config, function, anonymous, kind = decode("pickle", open(path, "rb").read())
        print(config.double(), function(4), anonymous(5), config == Config(3), isinstance(config, Config), kind is Config)
"""


@pytest.fixture
def flow_file(tmp_path):
    path = tmp_path / "my_flow.py"
    path.write_text(FLOW_FILE.format(root="."))
    subprocess.run([sys.executable, str(path), "write", str(tmp_path / "out.pkl")], check=True)
    return path


def run_python(*arguments, cwd=None):
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, cwd=cwd).stdout.strip()


def test_what_a_script_defines_is_its_own_again_when_the_script_loads_it(flow_file, tmp_path):
    assert run_python(str(flow_file), "read", str(tmp_path / "out.pkl")) == "6 8 10 True True True"


def test_what_a_script_defines_is_the_imported_modules_where_a_worker_imported_it(flow_file, tmp_path):
    program = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import my_flow
        from rayflow.store.codecs import decode
        config, function, anonymous, kind = decode("pickle", open({str(tmp_path / "out.pkl")!r}, "rb").read())
        print(kind is my_flow.Config, function is my_flow.helper, config == my_flow.Config(3), anonymous(5))
    """)
    assert run_python("-c", program) == "True True True 10"


def test_what_a_script_defines_can_be_used_where_the_script_is_unknown(flow_file, tmp_path):
    program = textwrap.dedent(f"""
        from rayflow.store.codecs import decode
        config, function, anonymous, kind = decode("pickle", open({str(tmp_path / "out.pkl")!r}, "rb").read())
        print(config.double(), function(4), anonymous(5), kind(1).x)
    """)
    assert run_python("-c", program) == "6 8 10 1"


def test_classes_of_a_named_module_travel_by_value_where_that_is_asked_for(flow_file, tmp_path):
    write = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import my_flow
        from rayflow.store.codecs import encode
        open({str(tmp_path / "v.pkl")!r}, "wb").write(encode(my_flow.Config(3), by_value_modules=frozenset({{"my_flow"}})).to_bytes())
    """)
    run_python("-c", write)
    read = f"from rayflow.store.codecs import decode; print(decode('pickle', open({str(tmp_path / 'v.pkl')!r}, 'rb').read()).double())"

    assert run_python("-c", read) == "6"


def test_a_module_that_is_missing_on_loading_is_named(flow_file, tmp_path):
    content = b"\x80\x05\x8c\x0bno_such_mod\x8c\x01X\x93."

    with pytest.raises(UserError, match=r"'model' cannot be loaded.*no_such_mod"):
        decode("pickle", content, name="model")


class Holder:
    pass


def holding(**attributes):
    holder = Holder()
    holder.__dict__.update(attributes)
    return holder


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ((n for n in [1]), r"'m' \(generator\) cannot be stored: it is a generator.*list\("),
        (holding(callback=(n for n in [1])), r"Holder\).*its part \.callback is a generator"),
        (holding(a=1, deep={"k": [0, threading.Lock()]}), r"its part \.deep\['k'\]\[1\] is a _thread.lock.*local variables"),
        ([1, {2: threading.Lock()}], r"its part \[1\]\[int key\] is"),
        (holding(stream=sys.__stdout__), r"its part \.stream is a _io.TextIOWrapper.*path or the text"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named_with_its_path_and_the_way_out(value, says):
    with pytest.raises(ArtifactUnserializable, match=says):
        encode(value, name="m")


def test_a_class_that_refuses_to_be_pickled_is_named_with_its_reason():
    class Stubborn:
        def __reduce__(self):
            raise RuntimeError("not me")

    with pytest.raises(ArtifactUnserializable, match=r"\.s is a .*Stubborn \(RuntimeError: not me\)"):
        encode(holding(s=Stubborn()), name="m")


# --- third parties, previews


class Celsius:
    def __init__(self, degrees):
        self.degrees = degrees


class CelsiusCodec:
    name = "celsius"

    def claims(self, value):
        return type(value) is Celsius

    def encode(self, value, options):
        return Parts(".celsius", [bytearray(str(value.degrees).encode())]) if value.degrees > -274 else None

    def decode(self, buffer):
        return Celsius(float(bytes(buffer)))


@pytest.fixture
def celsius(monkeypatch):
    monkeypatch.setattr(registry, "_registered", [])
    codecs.register(CelsiusCodec())


def test_a_codec_of_the_users_own_takes_what_it_claims_and_may_decline(celsius):
    taken, declined = through(Celsius(21.5)), through(Celsius(-300.0))

    assert (taken[0], taken[1].degrees, declined[0], declined[1].degrees) == ("celsius", 21.5, "pickle", -300.0)
    assert through({"a": 1}) == ("json", {"a": 1})


def test_a_codec_cannot_take_a_name_of_ours():
    class Mine(CelsiusCodec):
        name = "json"

    with pytest.raises(UserError, match="'json'"):
        codecs.register(Mine())


def test_a_codec_that_is_not_registered_is_named():
    with pytest.raises(UserError, match=r"'other'.*not registered"):
        decode("other", b"", name="x")


@pytest.mark.parametrize(
    ("value", "preview"),
    [
        (None, "None"),
        (12, "12"),
        (10**100, "int of 333 bits"),
        ("hello", "'hello'"),
        ("\x1b[2J\u202eevil\n", "'\\x1b[2J\\u202eevil\\n'"),
        ([1, "a", [2, 3], {"k": 1}], "[1, 'a', list(2), dict(1)]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, … 100 in all]"),
        ({"a": 1, "b": (1, 2)}, "{'a': 1, 'b': tuple(2)}"),
        (range(5), "range(0, 5)"),
        (np.zeros((3, 4)), "float64 array, shape (3, 4)"),
        (np.float32(0.5), "float32(0.5)"),
        (pd.DataFrame({"a": [1], "b": [2]}), "1 rows x 2 columns: 'a', 'b'"),
        (pd.Series([1]), "1 values, int64"),
        (pl.DataFrame({"a": [1]}), "1 rows x 1 columns: 'a'"),
        (pa.table({"a": [1]}), "1 rows x 1 columns: 'a'"),
        (pa.array([1]), "1 values, int64"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_preview_is_short_and_plain(value, preview):
    assert preview_of(value) == preview


class Rude:
    def __repr__(self):
        raise RuntimeError("never call me")


@settings(max_examples=200, deadline=None)
@given(_json_like | st.binary() | st.builds(Rude) | st.lists(st.builds(Rude)))
def test_any_preview_is_at_most_80_printable_characters(value):
    preview = preview_of(value)

    assert len(preview) <= 80 and preview.isprintable()


def test_json_files_are_json():
    assert json.loads(encode({"a": [1, "é"]}).to_bytes()) == {"a": [1, "é"]}
