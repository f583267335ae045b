"""The S3 client where there is no S3: on a directory, and on another file system that fsspec knows."""

import os
import uuid

import pytest

from rayflow import S3
from rayflow.s3 import RayflowS3InvalidRange, RayflowS3NotFound, RayflowS3URLException, S3GetObject


@pytest.fixture(params=["file", "memory"])
def s3(request, tmp_path):
    root = f"file://{tmp_path}/place" if request.param == "file" else f"memory://{uuid.uuid4().hex}/place"
    with S3(s3root=root, tmproot=str(tmp_path)) as s3:
        yield s3


@pytest.fixture
def filled(s3):
    s3.put_many([("a/0.txt", "zero"), ("a/b/1.txt", "one"), ("f/4 #.txt", b"four"), ("a/empty", "")])
    return s3


def test_objects_come_back(filled):
    found = filled.get_many(["f/4 #.txt", "a/0.txt", "a/empty"])

    assert [(each.key, each.text, each.size, each.exists) for each in found] == [
        ("f/4 #.txt", "four", 4, True),
        ("a/0.txt", "zero", 4, True),
        ("a/empty", "", 0, True),
    ]


def test_listings_are_those_of_a_bucket(filled):
    flat = [(each.key, each.size) for each in filled.list_paths(["a", "none"])]
    deep = sorted((each.key, each.size) for each in filled.list_recursive())
    below = [each.key for each in filled.get_recursive(["a/b"])]

    assert flat == [("0.txt", 4), ("empty", 0), ("b", None)]
    assert deep == [("a/0.txt", 4), ("a/b/1.txt", 3), ("a/empty", 0), ("f/4 #.txt", 4)]
    assert below == ["1.txt"]


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ((1, 2), "er", (4, 1, 2)),
        ((1, None), "ero", (4, 1, 3)),
        ((None, -3), "ero", (4, 1, 3)),
        ((None, -9), "zero", (4, 0, 4)),
        ((2, 9), "ro", (4, 2, 2)),
    ],
)
def test_parts_are_those_of_a_bucket(filled, part, text, told):
    found = filled.get(S3GetObject("a/0.txt", *part))

    assert (found.text, tuple(found.range_info)) == (text, told)


def test_what_is_not_there_is_told_as_of_a_bucket(filled):
    for missing in ("none", "a"):
        with pytest.raises(RayflowS3NotFound):
            filled.get(missing)
        assert not filled.info(missing, return_missing=True).exists
    with pytest.raises(RayflowS3InvalidRange, match="none from 4 on"):
        filled.get(S3GetObject("a/0.txt", 4, 1))


def test_an_object_that_exists_is_left_as_it_is_if_told_so(filled):
    put = filled.put_many([("a/0.txt", "other"), ("new", "new")], overwrite=False)

    assert ([key for key, _ in put], filled.get("a/0.txt").text) == (["new"], "zero")


def test_headers_that_cannot_be_kept_are_warned_of(s3):
    with pytest.warns(RuntimeWarning, match="keeps no content type"):
        s3.put("x", "x", metadata={"who": "Ada"})


def test_no_key_leads_out_of_the_root(s3):
    for key in ("../x", "a/../../x", "..", "a/..", "/../x"):
        with pytest.raises(RayflowS3URLException, match="lead out"):
            s3.put(key, "x")


def test_an_upload_that_fails_leaves_nothing(tmp_path):
    class Failing(__import__("io").BytesIO):
        def read(self, *size):
            raise ValueError("no more")

    with S3(s3root=f"file://{tmp_path}/place") as s3:
        with pytest.raises(Exception, match="no more"):
            s3.put("x", Failing(b"x" * 10))

        assert (s3.list_recursive(), os.listdir(tmp_path / "place")) == ([], [])


def test_downloads_lie_where_the_setting_says(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("RAYFLOW_TEMPDIR", str(temporary))

    with S3(s3root=f"file://{tmp_path}/place") as s3:
        s3.put("x", "text")
        assert s3.get("x").path.startswith(f"{temporary}{os.sep}")
    assert list(temporary.iterdir()) == []
