"""Every store passes the same contract; what only local disks can do follows it."""

import errno
import gc
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import uuid

import pytest

from rayflow.model.errors import StoreCorrupt, StoreExists, StoreFault, StoreMissing, StoreReadOnly
from rayflow.store import open_store
from rayflow.store.layered import LayeredStore, lay_over
from rayflow.store.local import LocalStore, fault
from rayflow.store.remote import RemoteStore, can_create_exclusively
from rayflow.testing.store_contract import StoreContract


class TestLocalDisk(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalStore(str(tmp_path / "root"))


class OverAnother(LayeredStore):
    def __init__(self, url):
        super().__init__(LocalStore(url), [LocalStore(f"{url}-below")])


class TestLayered(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return OverAnother(str(tmp_path / "root"))


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no tmpfs here")
class TestTmpfs(StoreContract):
    @pytest.fixture
    def store(self):
        path = f"/dev/shm/rayflow-test-{uuid.uuid4().hex}"
        yield LocalStore(path)
        subprocess.run(["rm", "-rf", path], check=True)


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self):
        store = RemoteStore(f"memory://{uuid.uuid4().hex}/root")
        yield store
        for key in store.list(""):
            store.delete(key)


def _race(url, number, results):
    store = LocalStore(url)
    won = 0
    for attempt in range(50):
        try:
            store.write(f"race/{attempt}", [f"process {number}".encode()], only_new=True)
            won += 1
        except StoreExists:
            pass
    results.put(won)


def test_of_eight_processes_exactly_one_creates_each_of_fifty_objects(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    racers = [context.Process(target=_race, args=(str(tmp_path), number, results)) for number in range(8)]

    for racer in racers:
        racer.start()
    won = sum(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()

    assert (won, len(list(LocalStore(str(tmp_path)).list("race")))) == (50, 50)


@pytest.mark.parametrize(
    "sizes", [[0], [1] * 2000, [3, 0, 40 << 20, 5], [16 << 20] * 2, [10 << 20] * 5], ids=["none", "many", "one", "even", "odd"]
)
def test_chunks_of_any_number_and_size_become_one_object(tmp_path, sizes):
    store = LocalStore(str(tmp_path))
    chunks = [bytes([65 + number % 26]) * size for number, size in enumerate(sizes)]

    written = store.write("x", chunks)

    assert (written, store.read("x")) == (sum(sizes), b"".join(chunks))


@pytest.mark.parametrize("taken", [1, 5, 8, 9])
def test_what_the_system_takes_in_parts_is_written_whole(tmp_path, monkeypatch, taken):
    monkeypatch.setattr(os, "writev", lambda fd, views: os.write(fd, b"".join(views)[:taken]))
    store = LocalStore(str(tmp_path))

    store.write("x", [b"abcde", b"", b"fgh", b"i"])

    assert store.read("x") == b"abcdefghi"


def test_objects_that_are_written_together_are_all_there(tmp_path):
    store = LocalStore(str(tmp_path))

    store.write_together({f"d/{n % 3}/{n}": [str(n).encode(), b"!"] for n in range(50)})
    store.write_together({})

    assert {key: store.read(key) for key in store.list("")} == {f"d/{n % 3}/{n}": f"{n}!".encode() for n in range(50)}


def test_of_objects_that_cannot_all_be_written_nothing_is_left_in_parts(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("d/taken/x", [b"."])

    with pytest.raises(StoreFault, match="d/taken"):
        store.write_together({"d/a": [b"whole"], "d/taken": [b"a directory is here"], "d/b": [b"whole"]})

    assert {path.name: path.is_file() and path.read_bytes() for path in (tmp_path / "d").iterdir()} == {"a": b"whole", "taken": False}


def test_temporary_files_and_droppings_are_no_objects(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("d/x", [b"."])
    (tmp_path / "d" / ".0123.tmp").write_bytes(b"torn")
    (tmp_path / ".DS_Store").write_bytes(b"")

    assert list(store.list("")) == ["d/x"]


def test_loops_of_links_are_not_followed(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("d/x", [b"."])
    (tmp_path / "d" / "loop").symlink_to(tmp_path)

    assert list(store.list("")) == ["d/x"]


def test_the_umask_is_respected(tmp_path):
    store = LocalStore(str(tmp_path))
    before = os.umask(0o027)
    try:
        store.write("w/x", [b"."])
        store.append("j/x", b".")
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("w", "w/x", "j/x")]
    assert modes == [0o750, 0o640, 0o640]


def test_deleting_the_last_object_removes_the_empty_directories(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("a/b/c", [b"."])
    store.write("a/d", [b"."])

    store.delete("a/b/c")

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "d"]


def test_writers_and_pruning_deleters_do_not_trip_over_each_other(tmp_path):
    store = LocalStore(str(tmp_path))
    failures = []

    def churn(name):
        try:
            for _ in range(100):
                store.write(f"deep/er/{name}", [b"."])
                store.delete(f"deep/er/{name}")
        except StoreFault as error:
            failures.append(error)

    threads = [threading.Thread(target=churn, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_an_append_to_a_deleted_file_is_an_error_not_a_loss(tmp_path):
    store = LocalStore(str(tmp_path))
    store.append("j/1", b"one\n")
    (tmp_path / "j" / "1").unlink()

    with pytest.raises(StoreFault, match="was deleted"):
        store.append("j/1", b"two\n")


def test_a_store_that_is_dropped_leaves_no_file_open(tmp_path):
    store = LocalStore(str(tmp_path))
    store.append("journal/1.jsonl", b"line")
    (held,) = store._appends.values()

    del store
    gc.collect()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held)


def test_more_journals_than_open_files_are_kept_apart(tmp_path):
    store = LocalStore(str(tmp_path))
    for lap in range(2):
        for number in range(100):
            store.append(f"j/{number}", f"{number}:{lap} ".encode(), is_durable=False)

    assert all(store.read(f"j/{number}") == f"{number}:0 {number}:1 ".encode() for number in range(100))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "owner and the mode"),
        (errno.EIO, "I/O error"),
        (errno.ENAMETOOLONG, "shorter root"),
        (errno.ENOTDIR, "A file lies"),
    ],
)
def test_a_fault_names_the_path_and_the_way_out(number, says):
    made = fault(OSError(number, os.strerror(number)), "/root/x", "write")

    assert type(made) is StoreFault
    assert "/root/x" in str(made) and says in str(made)


def test_a_read_only_file_system_has_its_own_fault():
    assert type(fault(OSError(errno.EROFS, "Read-only file system"), "/root/x", "write")) is StoreReadOnly


def test_a_stale_network_handle_may_be_tried_again():
    assert fault(OSError(errno.ESTALE, "stale"), "/root/x", "write").is_retryable


_FULL_DISK = """
import resource, signal, sys
from rayflow.model.errors import StoreFault
from rayflow.store.local import LocalStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = LocalStore(sys.argv[1])
store.write("kept", [b"old"])
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    store.write("kept", [bytes(5_000)] * 4)
except StoreFault as error:
    print(error)
print(store.read("kept"), list(store.list("")))
"""


def test_a_write_that_the_system_cuts_short_leaves_the_old_object_and_no_rest(tmp_path):
    done = subprocess.run([sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)

    assert "File too large" in done.stdout and f"{tmp_path}/kept" in done.stdout
    assert done.stdout.endswith("b'old' ['kept']\n")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_root_that_cannot_be_made_is_told_with_its_path():
    with pytest.raises(StoreFault, match="/proc/nope"):
        LocalStore("/proc/nope/root").write("x", [b"."])


def test_memory_stores_of_one_url_share_their_objects_and_others_do_not():
    name = uuid.uuid4().hex
    RemoteStore(f"memory://{name}").write("x", [b"1"])

    assert RemoteStore(f"memory://{name}").read("x") == b"1"
    with pytest.raises(StoreMissing):
        RemoteStore(f"memory://{name}2").read("x")


def test_the_probe_finds_that_memory_creates_exclusively_and_leaves_nothing():
    store = RemoteStore(f"memory://{uuid.uuid4().hex}")

    assert (can_create_exclusively(store), list(store.list(""))) == (True, [])


def test_a_root_reads_what_it_lacks_from_those_below_and_writes_above(tmp_path):
    below, above = LocalStore(str(tmp_path / "below")), str(tmp_path / "above")
    deepest = LocalStore(str(tmp_path / "deepest"))
    below.write("a/x", [b"below"])
    deepest.write("a/z", [b"deepest"])
    lay_over(above, deepest.url)
    lay_over(above, below.url)
    lay_over(above, below.url)

    store = open_store(above)
    store.write("a/y", [b"above"])

    assert [store.read(f"a/{name}") for name in "xyz"] == [b"below", b"above", b"deepest"]
    assert (list(store.list("a")), list(below.list("a"))) == (["a/y"], ["a/x"])
    assert [store.local_path(f"a/{name}") for name in "xz"] == [str(tmp_path / "below/a/x"), str(tmp_path / "deepest/a/z")]
    store.write("a/x", [b"hides it"])
    store.delete("a/z")
    assert (store.read("a/x"), below.read("a/x"), store.read("a/z")) == (b"hides it", b"below", b"deepest")
    with pytest.raises(StoreMissing):
        store.read("a/w")


def test_what_does_not_say_which_roots_are_below_is_damaged(tmp_path):
    (tmp_path / "over.json").write_text("[]")

    with pytest.raises(StoreCorrupt, match=r"over\.json does not say which roots"):
        open_store(str(tmp_path))
