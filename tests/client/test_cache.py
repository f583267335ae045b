from __future__ import annotations

import os
import threading

import pytest

from rayflow.client.cache import Cache, CachedStore, cached
from rayflow.model.errors import UsageError
from rayflow.settings import read_settings
from rayflow.store.local import LocalStore
from rayflow.store.remote import RemoteStore

PACK, RECORD = "F/runs/1/packs/train/0001-ab.arrow", "F/runs/1/run.json"


class Bucket(RemoteStore):
    """In memory, and counts what is read."""

    def __init__(self, name: str) -> None:
        super().__init__(f"memory://{name}")
        self.reads: list[str] = []

    def read(self, key, start=0, stop=None):
        self.reads.append(key)
        return super().read(key, start, stop)


@pytest.fixture
def bucket(tmp_path):
    store = Bucket(tmp_path.name)
    store.write(PACK, [b"0123456789"])
    store.write(RECORD, [b"{}"])
    return store


def files(cache: Cache) -> list[str]:
    return sorted(os.path.join(place, name) for place, _, names in os.walk(cache.directory) for name in names)


def test_values_are_fetched_once_by_all_processes_together_and_all_else_each_time(bucket, tmp_path):
    for _ in range(2):
        store = CachedStore(bucket, Cache(str(tmp_path / "c"), 10_000))
        assert (store.read(PACK), store.read(PACK, 2, 4), store.read(RECORD)) == (b"0123456789", b"23", b"{}")

    assert bucket.reads == [PACK, PACK, RECORD, RECORD]


@pytest.mark.parametrize("damage", [b"", b"x" * 20, b"x" * 80])
def test_what_the_disk_damaged_is_fetched_again(bucket, tmp_path, damage):
    cache = Cache(str(tmp_path / "c"), 10_000)
    assert CachedStore(bucket, cache).read(PACK) == b"0123456789"
    (path,) = files(cache)
    with open(path, "wb") as file:
        file.write(damage)

    assert [CachedStore(bucket, cache).read(PACK) for _ in range(2)] == [b"0123456789"] * 2
    assert bucket.reads == [PACK, PACK]


def test_only_the_user_may_read_what_is_kept(tmp_path):
    cache = Cache(str(tmp_path / "c"), 10_000)
    cache.put("a", b"secret")

    (path,) = files(cache)
    assert [os.stat(each).st_mode & 0o777 for each in (cache.directory, os.path.dirname(path), path)] == [0o700, 0o700, 0o600]


def test_what_was_not_used_for_longest_goes_first_and_nothing_that_is_not_the_caches(tmp_path):
    cache = Cache(str(tmp_path / "c"), 1_100)
    (tmp_path / "c" / "ab").mkdir(parents=True)
    foreign = [tmp_path / "c" / "thesis.tex", tmp_path / "c" / "ab" / "data.csv"]
    for path in foreign:
        path.write_bytes(b"x" * 5_000)
    for number in range(8):
        cache.put(str(number), bytes(100))
        os.utime(cache._path(str(number)), (number, number))
    assert cache.get("0") == bytes(100)  # used now

    cache.put("8", bytes(100))

    assert [number for number in range(9) if cache.get(str(number)) is not None] == [0, 4, 5, 6, 7, 8]
    assert all(path.exists() for path in foreign)


def test_a_value_that_would_push_out_all_others_is_not_kept(tmp_path):
    cache = Cache(str(tmp_path / "c"), 1_000)
    cache.put("large", bytes(300))

    assert (cache.get("large"), files(cache)) == (None, [])


def test_a_cache_that_cannot_be_written_is_no_error(bucket, tmp_path):
    (tmp_path / "file").write_text("")

    assert CachedStore(bucket, Cache(str(tmp_path / "file"), 10_000)).read(PACK) == b"0123456789"


def test_many_threads_share_it(bucket, tmp_path):
    cache, wrong = Cache(str(tmp_path / "c"), 2_000), []

    def use(number: int) -> None:
        for turn in range(200):
            name = str((turn + number) % 40)
            found = cache.get(name)
            if found not in (None, name.encode() * 50):
                wrong.append(found)
            cache.put(name, name.encode() * 50)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert sum(map(os.path.getsize, files(cache))) < 4_000


def test_the_environment_says_where_and_how_much(bucket, tmp_path):
    def made(**environ):
        return cached(bucket, read_settings({"HOME": "/home/ada", **environ}, "/"))

    assert made(RAYFLOW_CACHE="off") is bucket
    assert (made()._cache.directory, made()._cache.limit_nbytes) == ("/home/ada/.cache/rayflow", 10 * 10**9)
    assert made(XDG_CACHE_HOME="/scratch")._cache.directory == "/scratch/rayflow"
    assert made(RAYFLOW_CACHE="/mine", RAYFLOW_CACHE_GB="0.5")._cache.limit_nbytes == 5 * 10**8
    local = LocalStore(str(tmp_path))
    assert cached(local, read_settings({"RAYFLOW_CACHE": "/mine"}, "/")) is local


@pytest.mark.parametrize("limit", ["many", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(bucket, limit):
    with pytest.raises(UsageError, match=r"RAYFLOW_CACHE_GB is '.*'. Give a number of gigabytes, such as 10\."):
        cached(bucket, read_settings({"RAYFLOW_CACHE_GB": limit}, "/"))
