"""The S3 client on S3 over real HTTP: moto's server. What it answers call by call is compared with Metaflow's in tests/metaflow."""

import io
import os
import random
import subprocess
import sys
import tempfile

import pytest

from rayflow import S3
from rayflow.flow.multicore import parallel_map
from rayflow.s3 import (
    RayflowS3AccessDenied,
    RayflowS3Exception,
    RayflowS3InsufficientDiskSpace,
    RayflowS3InvalidObject,
    RayflowS3InvalidRange,
    RayflowS3NotFound,
    RayflowS3URLException,
    S3GetObject,
    S3PutObject,
)
from rayflow.s3.amazon import AmazonBucket
from rayflow.s3.bucket import PART_NBYTES, Headers, asked
from rayflow.s3.parallel import Crew
from rayflow.s3.sources import BytesSource
from tests.flaky_http import one_in, proxied


@pytest.fixture
def root(bucket):
    return bucket()


@pytest.fixture
def s3(root, tmp_path):
    with S3(s3root=root, tmproot=str(tmp_path)) as s3:
        yield s3


@pytest.fixture
def counted(s3_endpoint, bucket):
    """A proxy that counts requests, and a root behind it."""
    with proxied(s3_endpoint) as proxy:
        root = bucket(proxy.url)
        yield proxy, root


def large(nbytes):
    return random.Random(0).randbytes(nbytes)


def test_what_is_put_comes_back_and_the_results_are_in_the_order_of_the_keys(s3):
    names = [f"{number}.txt" for number in random.Random(1).sample(range(200), 200)]

    put = s3.put_many([(name, name) for name in names])
    got = s3.get_many(reversed(names))

    assert [key for key, _ in put] == names
    assert [(each.key, each.text) for each in got] == [(name, name) for name in reversed(names)]


@pytest.mark.parametrize("kind", ["bytes", "file", "path"])
def test_a_large_object_goes_there_and_comes_back_in_parts(counted, tmp_path, kind):
    proxy, root = counted
    content = large(2 * PART_NBYTES + PART_NBYTES // 2)
    (tmp_path / "large").write_bytes(content)

    with S3(s3root=root, tmproot=str(tmp_path)) as s3:
        if kind == "path":
            s3.put_files([("large", str(tmp_path / "large"))])
        else:
            s3.put("large", content if kind == "bytes" else io.BytesIO(content))
        whole, part = s3.get_many(["large", S3GetObject("large", 5, 2 * PART_NBYTES)])

        assert whole.blob == content
        assert part.blob == content[5 : 5 + 2 * PART_NBYTES]
        assert tuple(part.range_info) == (len(content), 5, 2 * PART_NBYTES)
    assert (proxy.told["PUT"], proxy.told["POST"], proxy.told["GET"]) == (3, 2, 5)


def test_a_large_download_never_is_in_memory(root, tmp_path):
    program = f"""
import resource
from rayflow import S3
with S3(s3root={root!r}) as s3:
    s3.get("small")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = s3.get("large")
    print(found.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    with S3(s3root=root, tmproot=str(tmp_path)) as s3:
        s3.put("small", "x")
        s3.put("large", bytes(200 << 20))

    told = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100)

    size, grown_kib = map(int, told.stdout.split())
    assert size == 200 << 20
    assert grown_kib < 60 << 10


def test_an_object_that_changes_between_its_parts_is_not_mixed(s3_endpoint, bucket, tmp_path):
    with proxied(s3_endpoint) as proxy:
        root = bucket(proxy.url)
        with S3(s3root=root, tmproot=str(tmp_path)) as s3:
            s3.put("changing", bytes(3 * PART_NBYTES))
            with S3(s3root=root, client_params={"endpoint_url": s3_endpoint}) as other:
                gets = iter(range(9))

                def change(method, path):
                    if method == "GET" and next(gets) == 1:
                        other.put("changing", b"1" * (3 * PART_NBYTES))

                proxy.choose = change
                with pytest.raises(RayflowS3Exception, match="changed while it was read"):
                    s3.get("changing")


def test_nothing_is_asked_for_nothing(counted):
    proxy, root = counted

    with S3(s3root=root) as s3:
        s3.put("x", "x")
        proxy.forget()
        found = [s3.get_many([]), s3.info_many([]), s3.list_paths([]), s3.list_recursive([]), s3.get_recursive([]), s3.put_many([])]

    assert (found, dict(proxy.told)) == ([[]] * 6, {})


def test_the_facts_about_an_object_come_with_the_object(counted, tmp_path):
    proxy, root = counted

    with S3(s3root=root, tmproot=str(tmp_path)) as s3:
        s3.put("x", "x", content_type="text/plain", metadata={"who": "Ada"})
        proxy.forget()
        found = s3.get("x")

    assert (found.metadata, found.content_type, dict(proxy.told)) == ({"who": "Ada"}, "text/plain", {"GET": 1})


def test_of_two_writers_that_do_not_overwrite_one_wins(s3_endpoint, bucket, tmp_path):
    with proxied(s3_endpoint) as proxy:
        root = bucket(proxy.url)
        with S3(s3root=root, tmproot=str(tmp_path)) as s3, S3(s3root=root, client_params={"endpoint_url": s3_endpoint}) as other:

            def overtake(method, path):
                if method == "PUT":
                    other.put("x", "the other's")

            proxy.choose = overtake
            put = s3.put_many([("x", "mine")], overwrite=False)

            assert (put, s3.get("x").text) == ([], "the other's")


def test_an_object_may_ask_for_an_encryption_of_its_own(s3, root):
    with S3(s3root=root, encryption="AES256") as encrypting:
        encrypting.put("by all", "x")
    s3.put_many([S3PutObject("by itself", value="x", encryption="AES256"), ("by none", "x")])

    assert [each.encryption for each in s3.info_many(["by all", "by itself", "by none"])] == ["AES256", "AES256", None]


def test_neither_siblings_nor_other_runs_come_along(s3):
    s3.put_many([("a/1", ""), ("ab/1", ""), ("a", "")])

    assert [each.url for each in s3.get_recursive(["a"])] == [s3.put("a", ""), s3.put("a/1", "")]


@pytest.mark.parametrize("made", [io.BytesIO, lambda content: io.BufferedReader(io.BytesIO(content))])
def test_a_file_is_stored_from_its_beginning_and_stays_open(s3, made):
    file = made(b"0123456789")
    file.seek(4)

    s3.put("x", file)

    assert (s3.get("x").text, file.closed) == ("0123456789", False)


def test_a_temporary_file_is_a_file(s3):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"temporary")

        s3.put("x", file)

    assert s3.get("x").text == "temporary"


# -- the directory of downloads ----------------------------------------------------------------------------------------


def test_the_end_of_the_block_removes_what_was_downloaded(root, tmp_path):
    with S3(s3root=root, tmproot=str(tmp_path)) as s3:
        s3.put("a.csv.gz", "x")
        path = s3.get("a.csv.gz").path
        assert os.path.isfile(path) and path.endswith("a.csv.gz")

    assert os.listdir(tmp_path) == []


def test_an_object_keeps_its_file_after_its_s3_was_forgotten(root, tmp_path):
    S3(s3root=root).put("x", "still here")

    found = S3(s3root=root, tmproot=str(tmp_path)).get("x")
    assert found.text == "still here"
    del found

    assert os.listdir(tmp_path) == []


def test_nothing_is_left_of_a_download_that_failed(s3, tmp_path):
    s3.put("x", "x")
    s3.get("x")

    with pytest.raises(RayflowS3NotFound):
        s3.get("none")
    s3.get("none", return_missing=True)

    assert [len(files) for _, _, files in os.walk(tmp_path)] == [0, 1]


def test_where_there_is_no_place_for_downloads_the_way_out_is_named(root, tmp_path):
    s3 = S3(s3root=root, tmproot=str(tmp_path / "not" / "there"))
    s3.put("x", "x")

    with pytest.raises(RayflowS3Exception, match=r"S3\(tmproot="):
        s3.get("x")


def test_a_full_disk_is_named():
    def fill():
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    with pytest.raises(RayflowS3InsufficientDiskSpace, match=r"does not fit .*S3\(tmproot="):
        asked("read", "s3://bucket/x", fill)


def test_forked_processes_use_the_s3_of_their_parent(s3):
    s3.put_many([(f"{number}", f"{number}") for number in range(4)])

    found = parallel_map(lambda key: [each.text for each in s3.get_many([key, "0"])], ["0", "1", "2", "3"], max_parallel=2)

    assert found == [["0", "0"], ["1", "0"], ["2", "0"], ["3", "0"]]
    assert s3.get("0").text == "0"


# -- a network that fails ----------------------------------------------------------------------------------------------


def test_transfers_survive_a_network_that_fails_one_request_in_four(s3_endpoint, bucket, tmp_path, capfd):
    names = [str(number) for number in range(40)]
    content = large(2 * PART_NBYTES + 1)

    with proxied(s3_endpoint, one_in(4)) as proxy:
        with S3(s3root=bucket(proxy.url), tmproot=str(tmp_path)) as s3:
            s3.put_many([(name, name) for name in names])
            s3.put("large", content)
            got = [each.text for each in s3.get_many(names)]
            same = s3.get("large").blob == content
            listed = {each.key: each.size for each in s3.list_paths()}
        assert sum(proxy.done.values()) > 20

    assert (got, same) == (names, True)
    assert listed == {"large": len(content), **{name: len(name) for name in names}}
    assert "Trying again" in capfd.readouterr().err


class ForgetfulServer:
    """In the place of s3fs: completed the upload, whose confirmation was lost, and no longer knows it when it is asked again."""

    def __init__(self, held_nbytes):
        self.held_nbytes = held_nbytes

    def call_s3(self, method, **arguments):
        if method == "complete_multipart_upload":
            unknown = OSError("there is no such upload")
            unknown.response = {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise FileNotFoundError("there is no such upload") from unknown
        return {"UploadId": "1", "ETag": "tag", "ContentLength": self.held_nbytes}


def test_an_upload_whose_confirmation_was_lost_is_done():
    source = BytesSource(bytes(2 * PART_NBYTES + 1))

    def put(held_nbytes):
        server = AmazonBucket(ForgetfulServer(held_nbytes))
        return server.put("s3://bucket/x", source, Headers(), Crew().together, only_new=False)

    assert put(held_nbytes=source.nbytes)
    with pytest.raises(RayflowS3NotFound):
        put(held_nbytes=3)


def test_what_does_not_pass_is_told_after_the_deadline(capfd):
    def refuse():
        raise ConnectionResetError("reset")

    with pytest.raises(RayflowS3Exception, match="tried again for 0 s") as caught:
        asked("read", "s3://bucket/x", refuse, deadline_s=0.2)

    assert caught.value.is_retryable
    assert "S3: cannot read s3://bucket/x (attempt 1): ConnectionResetError: reset. Trying again." in capfd.readouterr().err


def test_a_lack_of_permission_is_told_at_once(s3_endpoint, bucket):
    with pytest.raises(RayflowS3AccessDenied, match="policy of the bucket"):
        asked("read", "s3://bucket/x", lambda: (_ for _ in ()).throw(PermissionError("denied")))


def test_several_failures_are_told_as_that_of_the_first_key(s3):
    s3.put("x", "x")

    with pytest.raises(RayflowS3NotFound, match="none1"):
        s3.get_many(["x", "none1", "x", "none2"])


# -- nonsense ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda s3: s3.get_many("abc"), RayflowS3URLException, "several keys"),
        (lambda s3: s3.put_many("abc"), RayflowS3URLException, "several keys"),
        (lambda s3: s3.get(5), RayflowS3URLException, "A key is text"),
        (lambda s3: s3.get("../x"), RayflowS3URLException, "'..'"),
        (lambda s3: s3.put("a/../../x", "x"), RayflowS3URLException, "'..'"),
        (lambda s3: s3.get("s3://bucket/x"), RayflowS3URLException, "relative"),
        (lambda s3: s3.put("x", 5), RayflowS3InvalidObject, "type int"),
        (lambda s3: s3.put("x", io.StringIO("x")), RayflowS3InvalidObject, "opened with 'rb'"),
        (lambda s3: s3.put("x", "x", metadata={"a": object()}), RayflowS3InvalidObject, "JSON"),
        (lambda s3: s3.put_many([("x",)]), RayflowS3InvalidObject, "pair"),
        (lambda s3: s3.put_many([("good", "x"), ("bad", 5)]), RayflowS3InvalidObject, "bad"),
        (lambda s3: s3.put_files([("x", "/not/there")]), RayflowS3NotFound, "/not/there"),
        (lambda s3: s3.put_files([("x", "/tmp")]), RayflowS3InvalidObject, "not a file"),
        (lambda s3: s3.get(S3GetObject("x", 0, 0)), RayflowS3InvalidRange, "no bytes"),
        (lambda s3: s3.get(S3GetObject("x", -2, None)), RayflowS3InvalidRange, "before its first"),
        (lambda s3: s3.get(S3GetObject("x", "a", None)), RayflowS3InvalidRange, "whole numbers"),
        (lambda s3: s3.get_many([S3GetObject("x", 100, 2)]), RayflowS3InvalidRange, "no bytes"),
    ],
)
def test_nonsense_is_named(s3, act, error, says):
    s3.put("x", "x")

    with pytest.raises(error, match=says):
        act(s3)
    assert [each.key for each in s3.list_recursive()] == ["x"]


@pytest.mark.parametrize("root", ["not a url", "s3://", "/tmp/x", 5, "nonsense://x"])
def test_a_root_that_is_none_is_named(root):
    with pytest.raises(RayflowS3URLException, match="s3://bucket/path"):
        S3(s3root=root).list_paths()


def test_what_is_listed_comes_in_the_order_of_the_keys(s3):
    s3.put_many([("b/1", "x"), ("a/1", "x"), ("a/2", "x")])

    for listed in (s3.list_paths, s3.list_recursive):
        assert [found.url[-3:] for found in listed(["b", "a"])] == ["b/1", "a/1", "a/2"]
