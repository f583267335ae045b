"""What the remote store does when the file system below it fails: a scripted one stands in for the network."""

import uuid

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rayflow.model.errors import StoreExists, StoreFault, StoreMissing, UsageError
from rayflow.store import open_store
from rayflow.store.remote import RemoteStore


class HttpError(Exception):
    def __init__(self, status, code=""):
        super().__init__(f"HTTP {status}")
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {"Code": code}}


def failed(status, code=""):
    error = OSError(f"HTTP {status}")
    error.__cause__ = HttpError(status, code)
    return error


class FlakyFileSystem(MemoryFileSystem):
    """Each call takes the next entry of the script: an error to raise instead, or ("after", error) to raise once it was done."""

    protocol = "flaky"
    store = {}
    pseudo_dirs = [""]
    script = []
    calls = 0

    def _next(self, act):
        type(self).calls += 1
        entry = self.script.pop(0) if self.script else None
        if isinstance(entry, tuple):
            act()
            raise entry[1]
        if entry is not None:
            raise entry
        return act()

    def cat_file(self, path, start=None, end=None, **kwargs):
        return self._next(lambda: super(FlakyFileSystem, self).cat_file(path, start=start, end=end, **kwargs))

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        return self._next(lambda: super(FlakyFileSystem, self).pipe_file(path, value, mode=mode, **kwargs))


fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)


@pytest.fixture
def store():
    FlakyFileSystem.script, FlakyFileSystem.calls = [], 0
    return RemoteStore(f"flaky://{uuid.uuid4().hex}", deadline_s=5)


@pytest.mark.parametrize("error", [failed(503, "SlowDown"), failed(500), failed(429), ConnectionResetError("reset"), TimeoutError("slow")])
def test_a_transient_error_is_tried_again(store, error):
    FlakyFileSystem.script = [error, error]

    store.write("x", [b"1"])

    assert store.read("x") == b"1"


def test_a_reply_that_ended_early_is_no_bad_request(store):
    cut = type("ContentLengthError", (Exception,), {"code": 400})("not enough data")
    error = type("ClientPayloadError", (Exception,), {})("the reply is not complete")
    error.__cause__ = cut
    FlakyFileSystem.script = [error]

    store.write("x", [b"1"])

    assert store.read("x") == b"1"


def test_a_permission_error_is_told_at_once(store):
    FlakyFileSystem.script = [PermissionError("Access Denied")]

    with pytest.raises(StoreFault, match="credentials"):
        store.write("x", [b"1"])

    assert FlakyFileSystem.calls == 1


def test_a_creation_whose_reply_was_lost_is_believed_after_reading_it_back(store):
    FlakyFileSystem.script = [("after", ConnectionResetError("reset"))]

    assert store.write("claim", [b"by process 7"], only_new=True) == 12


@pytest.mark.parametrize("conflict", [failed(412, "PreconditionFailed"), FileExistsError("claim")])
def test_a_conflict_with_another_writer_is_a_lost_creation(store, conflict):
    store.write("claim", [b"theirs"])
    FlakyFileSystem.script = [conflict]

    with pytest.raises(StoreExists):
        store.write("claim", [b"mine"], only_new=True)

    assert store.read("claim") == b"theirs"


def test_a_409_landed_nothing_and_is_tried_again(store):
    FlakyFileSystem.script = [failed(409, "ConditionalRequestConflict")]

    store.write("claim", [b"mine"], only_new=True)

    assert store.read("claim") == b"mine"


def test_what_stays_broken_ends_within_the_deadline_and_says_so():
    store = RemoteStore(f"flaky://{uuid.uuid4().hex}", deadline_s=0.5)
    FlakyFileSystem.script = [failed(503)] * 1000

    with pytest.raises(StoreFault, match="It was retried") as caught:
        store.read("x")

    FlakyFileSystem.script = []
    assert caught.value.is_retryable


def test_a_missing_object_is_not_waited_for(store):
    with pytest.raises(StoreMissing):
        store.read("x")

    assert FlakyFileSystem.calls == 1


@pytest.mark.parametrize("url", ["nosuchscheme://x/y", "", "s3://", "pa\0th"])
def test_a_root_that_is_none_is_refused_with_a_hint(url):
    with pytest.raises(UsageError, match="root"):
        open_store(url)
