"""Serializers of the user's own: which is asked about what, what is stored, and what is told when one fails."""

import json
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

from rayflow.datastore.artifacts import (
    ArtifactSerializer,
    SerializationFormat,
    SerializationMetadata,
    SerializedBlob,
    SerializerStore,
    list_serializer_status,
)
from rayflow.model.errors import ArtifactUnserializable, RayflowException, UserError
from rayflow.model.layout import RunLayout
from rayflow.model.records import Status
from rayflow.store import LocalStore, codecs
from rayflow.store.blobs import Blobs
from rayflow.store.codecs import decode, encode, shelf
from rayflow.store.packs import Pack, RowsEncoder, merge, write_pack


@pytest.fixture(autouse=True)
def empty_shelf():
    """Each test has only the serializers that it declares."""
    with shelf.emptied():
        yield


class Point:
    def __init__(self, x):
        self.x = x


def declared(name="point", takes=lambda obj: isinstance(obj, Point), says=None, **attributes):
    """A serializer class, made anew, whose bytes begin with its name. `attributes` replace methods."""

    def serialize(cls, obj, format=SerializationFormat.STORAGE):
        content = f"{name} {obj.x if isinstance(obj, Point) else obj}".encode()
        return [SerializedBlob(content)], SerializationMetadata(str(type(obj)), len(content), f"{name}-v1", says or {})

    def deserialize(cls, data, metadata=None, format=SerializationFormat.STORAGE):
        return (name, data[0].decode().partition(" ")[2], metadata)

    methods = {
        "can_serialize": lambda cls, obj: takes(obj),
        "can_deserialize": lambda cls, metadata: metadata.encoding == f"{name}-v1",
        "serialize": serialize,
        "deserialize": deserialize,
        **{key: value for key, value in attributes.items() if callable(value)},
    }
    plain = {key: value for key, value in attributes.items() if not callable(value)}
    namespace = {"TYPE": name, "__module__": __name__, **{key: classmethod(value) for key, value in methods.items()}, **plain}
    return type(ArtifactSerializer)(name.title(), (ArtifactSerializer,), namespace)


def status_of(name):
    return next(each for each in list_serializer_status() if each["name"] == name)


def test_a_value_goes_through_the_serializer_that_takes_it():
    declared(says={"unit": "m"})

    encoded = encode(Point(3), name="p")
    name, text, metadata = decode(encoded.codec, encoded.to_bytes())

    assert (encoded.to_bytes(), encoded.extension, encoded.type) == (b"point 3", ".bin", f"{__name__}.Point")
    assert (name, text, metadata.size, metadata.encoding, metadata.obj_type) == ("point", "3", 7, "point-v1", str(Point))
    assert metadata.serializer_info == {"unit": "m", "source": "test_serializers.py"}


def test_other_values_are_stored_as_ever():
    declared()

    assert [encode(value).codec for value in (1, "a", [1], {"a": 1}, (1, 2), np.arange(3))] == [
        "json",
        "text",
        "json",
        "json",
        "pickle",
        "npy",
    ]


def test_the_lowest_priority_goes_first_and_of_equal_ones_the_last_declared():
    for name, priority in (("late", 200), ("first", 50), ("second", 50), ("never", 10_000)):
        declared(name, PRIORITY=priority)

    assert [each.TYPE for each in SerializerStore.get_ordered_serializers()] == ["second", "first", "late", "never"]
    assert encode(Point(1)).to_bytes() == b"second 1"


def test_behind_our_own_codecs_nobody_is_asked_to_serialize():
    declared("never", PRIORITY=10_000)

    assert encode(Point(1)).codec == "pickle"


def test_a_type_that_is_declared_again_replaces_the_first():
    declared(takes=lambda obj: True)
    declared(takes=lambda obj: isinstance(obj, Point))

    assert (encode((1, 2)).codec, len(list_serializer_status())) == ("pickle", 1)


def test_a_type_that_is_declared_again_counts_as_the_last_declared():
    declared("one", takes=lambda obj: False)
    declared("two")
    declared("one")

    assert encode(Point(1)).to_bytes() == b"one 1"


def test_a_type_that_is_only_inherited_is_refused():
    base = declared()

    with pytest.raises(TypeError, match="of its own"):
        type(base)("Derived", (base,), {"PRIORITY": 1})


def test_abstract_classes_are_no_serializers():
    type(ArtifactSerializer)("Partial", (ArtifactSerializer,), {"TYPE": "partial"})
    declared("none", TYPE=None)

    assert list_serializer_status() == []


def test_plain_values_are_asked_about_too():
    declared("number", takes=lambda obj: type(obj) is int)

    assert encode(7).to_bytes() == b"number 7"


@pytest.mark.parametrize("values", [[2, 3], ["text", "text"], [1, 2, "text", "other", Point(3)], [1, 0], ["other"]])
def test_a_fan_out_stores_what_a_lone_task_would(tmp_path, values):
    declared("number", takes=lambda obj: type(obj) is int and obj > 1)
    declared("shout", takes=lambda obj: obj == "text")
    store, run = LocalStore(str(tmp_path)), RunLayout("Flow", "1")
    blobs = Blobs(store, "Flow", "1")
    encoder = RowsEncoder(blobs.put)
    for index, value in enumerate(values):
        encoder.add(index, 0, 0, 0.0, Status.OK, 0, 0, 0, 0, 0, {"a": value})
    (part,) = merge([encoder.flush()])
    pack = Pack.open(store, run.pack(write_pack(store, run, "train", "1", part)))

    lone = [blobs.put("a", value).codec for value in values]
    with shelf.emptied():  # a reader has no serializers: what it finds is what was stored
        in_pack = [pack.artifact(position, "a").codec for position in range(len(values))]

    assert in_pack == lone


# -- failures ----------------------------------------------------------------------------------------------------------


def broken(*arguments, **options):
    raise ValueError("no luck")


def test_a_serializer_that_cannot_say_what_it_takes_is_passed_over_with_a_warning():
    declared("good")
    declared("bad", can_serialize=broken, can_deserialize=broken, PRIORITY=1)

    with pytest.warns(RuntimeWarning, match="Bad was passed over: can_serialize raised ValueError: no luck"):
        encoded = encode(Point(1))
    with pytest.warns(RuntimeWarning, match="can_deserialize"):
        name, _, _ = decode(encoded.codec, encoded.to_bytes())

    assert (name, status_of("bad")["dispatch_error_count"], status_of("bad")["last_error"]) == ("good", 2, "dispatch: ValueError: no luck")


def test_a_serializer_that_fails_is_named_with_the_artifact():
    declared(serialize=broken)

    with pytest.raises(ArtifactUnserializable, match="Serializer Point failed on artifact 'y': ValueError: no luck"):
        encode(Point(1), name="y")


def test_errors_of_the_family_pass_as_they_are():
    class Refusal(RayflowException):
        pass

    def refuse(cls, obj, format=None):
        raise Refusal("not today")

    declared(serialize=refuse)

    with pytest.raises(Refusal, match=r"^not today$"):
        encode(Point(1), name="y")


def metadata(encoding="e", info=None):
    return SerializationMetadata("t", 1, encoding, info)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (None, "must return"),
        (b"x", "must return"),
        (([SerializedBlob(b"x")], "e"), "must return"),
        (([], metadata()), "0 blobs"),
        (([SerializedBlob(b"x"), SerializedBlob(b"y")], metadata()), "2 blobs"),
        (([SerializedBlob("key")], metadata()), "no SerializedBlob of bytes"),
        (([b"x"], metadata()), "no SerializedBlob of bytes"),
        (([SerializedBlob(b"x")], metadata("")), "encoding"),
        (([SerializedBlob(b"x")], metadata("a#b")), "encoding"),
        (([SerializedBlob(b"x")], metadata(None)), "encoding"),
        (([SerializedBlob(b"x")], metadata(info={"a": object()})), "JSON"),
        (([SerializedBlob(b"x")], metadata(info={"a": "b" * 5000})), "Put it into the blob"),
    ],
)
def test_what_is_no_blob_with_metadata_is_named(made, says):
    declared(serialize=lambda cls, obj, format=None: made)

    with pytest.raises(ArtifactUnserializable, match=f"Serializer Point failed on artifact 'y': .*{says}"):
        encode(Point(1), name="y")


def test_a_blob_is_bytes():
    with pytest.raises(TypeError, match="got int"):
        SerializedBlob(1)

    assert (SerializedBlob(b"x").needs_save, SerializedBlob("key").needs_save) == (True, False)


def test_without_its_serializer_a_value_says_who_wrote_it():
    declared()
    encoded = encode(Point(1))

    with shelf.emptied(), pytest.raises(UserError, match=r"Artifact 'y' .*'point-v1'.* One of test_serializers.py wrote it"):
        decode(encoded.codec, encoded.to_bytes(), name="y")


def test_what_the_deserializer_raises_is_the_users_own():
    declared(deserialize=broken)
    encoded = encode(Point(1))

    with pytest.raises(ValueError, match="no luck"):
        decode(encoded.codec, encoded.to_bytes(), name="y")


def test_a_codec_cannot_look_like_a_serializer():
    class Codec:
        name = "custom:x"

    with pytest.raises(UserError, match="custom:x"):
        codecs.register(Codec())


# -- what a serializer needs -------------------------------------------------------------------------------------------


def test_a_serializer_waits_for_the_module_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    declared(setup_imports=lambda cls, context=None: cls.lazy_import("needed_by_a_test"))
    before = (encode(Point(1)).codec, status_of("point")["state"], status_of("point")["awaiting_modules"])

    (tmp_path / "needed_by_a_test.py").write_text("there = True")
    __import__("needed_by_a_test")
    after = encode(Point(1)).to_bytes()

    assert before == ("pickle", "pending_on_imports", ["needed_by_a_test"])
    assert (after, status_of("point")["state"]) == (b"point 1", "active")
    monkeypatch.delitem(sys.modules, "needed_by_a_test")


def test_a_serializer_that_does_not_start_is_left_out_and_says_why():
    declared("one", setup_imports=lambda cls: broken())
    declared("two", setup_imports=lambda cls: __import__("os").there_is_no_such_thing)

    assert encode(Point(1)).codec == "pickle"
    assert (status_of("one")["state"], status_of("one")["last_error"]) == ("broken", "ValueError: no luck")
    assert status_of("two")["state"] == "broken"


def test_a_missing_name_of_a_module_is_not_waited_for_forever():
    def setup(cls):
        from os import there_is_no_such_name  # noqa: F401

    declared(setup_imports=setup)
    states = []
    for _ in range(3):
        encode(Point(1))
        states.append(status_of("point")["state"])

    assert states[-1] == "broken"


def test_a_serializer_is_set_up_when_it_is_needed_and_once():
    done = []
    declared(setup_imports=lambda cls, context=None: done.append(context))
    before = list(done)

    encode(Point(1))
    encode(Point(2))

    assert (before, done) == ([], [None])


def test_a_serializer_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("RAYFLOW_ENABLED_ARTIFACT_SERIALIZER", '["-point"]')
    declared()

    assert (encode(Point(1)).codec, status_of("point")["state"]) == ("pickle", "disabled")


def test_lazy_import_takes_no_name_that_is_taken():
    made = declared()

    assert made.lazy_import("os.path") is made.path
    with pytest.raises(ValueError, match="another alias"):
        made.lazy_import("json", "serialize")


# -- packages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    """Runs code in a fresh process, where a package is installed that has a serializer of sets and whole numbers."""
    info = tmp_path / "setpack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: setpack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rayflow.serializers]\nset = setpack.inner:Sets\nlost = setpack.nowhere:Lost\n")
    (tmp_path / "setpack").mkdir()
    (tmp_path / "setpack" / "__init__.py").write_text("")
    (tmp_path / "setpack" / "inner.py").write_text(
        textwrap.dedent("""
        import json
        from rayflow.datastore.artifacts import ArtifactSerializer, SerializationMetadata, SerializedBlob
        class Sets(ArtifactSerializer):
            TYPE = "set"
            @classmethod
            def can_serialize(cls, obj):
                return isinstance(obj, (set, int))
            @classmethod
            def can_deserialize(cls, metadata):
                return metadata.encoding == "set-v1"
            @classmethod
            def serialize(cls, obj, format="storage"):
                return [SerializedBlob(json.dumps(sorted(obj)).encode())], SerializationMetadata("set", 1, "set-v1", {})
            @classmethod
            def deserialize(cls, data, metadata=None, format="storage"):
                return set(json.loads(data[0]))
        """)
    )

    def perform(code, is_installed=True):
        path = f"sys.path.append({str(tmp_path)!r})" if is_installed else ""
        told = subprocess.run(
            [sys.executable, "-c", f"import sys\n{path}\n{code}"], capture_output=True, text=True, check=False, timeout=60
        )
        return told.stdout.strip() or told.stderr

    return perform


STORE = "from rayflow.store.codecs import decode, encode\n"


def test_a_package_makes_its_serializer_known(package):
    told = package(STORE + "made = encode({1, 2})\nprint(made.codec, '\\n', decode(made.codec, made.to_bytes()))")

    assert told == 'custom:set-v1#{"info":{"source":"setpack"},"type":"set"} \n {1, 2}'


def test_what_a_package_offers_is_loaded_when_something_needs_it_and_not_for_plain_values(package):
    told = package(
        STORE + "encode('text'), encode([1]), encode(5)\nprint('setpack.inner' in sys.modules, 'importlib.metadata' in sys.modules)\n"
        "encode({1})\nprint('setpack.inner' in sys.modules, encode(5).codec)\n"
        "from rayflow.datastore.artifacts import ArtifactSerializer\n"
        "nothing = classmethod(lambda cls, *told, **more: False)\n"
        "names = ('can_serialize', 'can_deserialize', 'serialize', 'deserialize')\n"
        "type(ArtifactSerializer)('Own', (ArtifactSerializer,), {'TYPE': 'own', **dict.fromkeys(names, nothing)})\n"
        "print(encode(5).codec)"
    )

    assert told == "False False\nTrue json\njson"


def test_where_the_package_is_missing_it_is_named(package):
    codec = 'custom:set-v1#{"info":{"source":"setpack"},"type":"set"}'

    assert "One of setpack wrote it" in package(STORE + f"decode({codec!r}, b'[1]', name='y')", is_installed=False)


def test_the_status_tells_of_packages_that_do_not_start(package):
    told = package(
        "import json\nfrom rayflow.datastore.artifacts import list_serializer_status\n"
        "print(json.dumps([[each['name'], each['state'], each['source'], each['awaiting_modules']] for each in list_serializer_status()]))"
    )

    assert json.loads(told) == [["set", "active", "setpack", []], ["lost", "pending_on_imports", "setpack", ["setpack.nowhere"]]]


def test_the_formats_have_metaflows_values():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (SerializationFormat.STORAGE, SerializationFormat.WIRE) == ("storage", "wire")
