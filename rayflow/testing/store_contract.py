"""The contract of the `Store` port as a test class: a store passes by subclassing it with a `store` fixture.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self): return MyStore(...)

The fixture gives an empty store. `reopened` may be overridden where another instance must see the same objects.
"""

from __future__ import annotations

import threading
import time

import pytest

from rayflow.model.errors import StoreExists, StoreFault, StoreMissing, UnsafeName
from rayflow.model.ports import Store

UNSAFE_KEYS = (
    "", "/", "/etc/passwd", "..", "../../x", "a/../../x", "a/..", "a//b", "a/", ".", "./a", "a/.hidden", "nul\0", "back\\slash",
)  # fmt: skip


class StoreContract:
    """What every store promises (see `rayflow.model.ports.Store`)."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    def reopened(self, store: Store) -> Store:
        """Another instance on the same objects."""
        return type(store)(store.url)  # type: ignore[call-arg] - every store of ours is made from its URL

    def test_what_was_written_is_read_back(self, store: Store) -> None:
        size = store.write("a/b/c.bin", [b"one", memoryview(b"-two"), b""])

        assert (size, store.read("a/b/c.bin")) == (7, b"one-two")

    def test_another_instance_reads_it_too(self, store: Store) -> None:
        store.write("a/b.bin", [b"here"])

        assert self.reopened(store).read("a/b.bin") == b"here"

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        store.write("a/empty", [])

        assert (store.read("a/empty"), list(store.list("a"))) == (b"", ["a/empty"])

    @pytest.mark.parametrize(
        ("start", "stop", "expected"),
        [(0, None, b"0123456789"), (3, None, b"3456789"), (3, 5, b"34"), (0, 99, b"0123456789"), (4, 4, b""), (50, 60, b"")],
    )
    def test_a_range_is_read(self, store: Store, start: int, stop: int | None, expected: bytes) -> None:
        store.write("digits", [b"0123456789"])

        assert store.read("digits", start, stop) == expected

    def test_a_large_object_of_many_chunks_is_read_back(self, store: Store) -> None:
        chunk = bytes(range(256)) * 4096

        size = store.write("large", (chunk for _ in range(9)))

        assert (size, store.read("large") == chunk * 9) == (9 << 20, True)

    def test_a_second_write_replaces_the_first(self, store: Store) -> None:
        store.write("a", [b"the first, which is longer"])
        store.write("a", [b"second"])

        assert store.read("a") == b"second"

    def test_what_is_not_there_is_missing_and_named(self, store: Store) -> None:
        store.write("there/one", [b"1"])

        for key in ("nowhere", "there/two", "there/one/below"):
            with pytest.raises(StoreMissing, match=key):
                store.read(key)

    def test_a_creation_of_what_exists_is_refused_and_harms_nothing(self, store: Store) -> None:
        store.write("claim", [b"mine"], only_new=True)

        with pytest.raises(StoreExists, match="claim"):
            store.write("claim", [b"yours"], only_new=True)

        assert store.read("claim") == b"mine"

    def test_of_many_threads_exactly_one_creates(self, store: Store) -> None:
        winners: list[tuple[int, int]] = []

        def race(thread: int) -> None:
            for attempt in range(20):
                try:
                    store.write(f"race/{attempt}", [f"thread {thread}".encode()], only_new=True)
                    winners.append((attempt, thread))
                except StoreExists:
                    pass

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(attempt for attempt, _ in winners) == list(range(20))
        assert all(store.read(f"race/{attempt}") == f"thread {thread}".encode() for attempt, thread in winners)

    def test_a_reader_beside_a_writer_sees_whole_objects_only(self, store: Store) -> None:
        store.write("flip", [b"a" * 100_000])
        seen: set[bytes] = set()
        writer = threading.Thread(target=lambda: [store.write("flip", [letter * 100_000]) for letter in (b"b", b"a") * 15])

        writer.start()
        while writer.is_alive():
            seen.add(store.read("flip"))
        writer.join()

        assert seen <= {b"a" * 100_000, b"b" * 100_000}

    def test_keys_are_listed_by_directory_and_sorted(self, store: Store) -> None:
        for key in ("d/b", "d/a/2", "d/a/10", "d/a-b/1", "e/x", "dd/y", "top"):
            store.write(key, [b"."])

        assert list(store.list("d")) == ["d/a-b/1", "d/a/10", "d/a/2", "d/b"]
        assert list(store.list("d/a")) == ["d/a/10", "d/a/2"]
        assert list(store.list("")) == ["d/a-b/1", "d/a/10", "d/a/2", "d/b", "dd/y", "e/x", "top"]
        assert list(store.list("none")) == []

    def test_entries_tell_sizes_and_ages(self, store: Store) -> None:
        begun_us = time.time_ns() // 1000
        for key, content in (("d/b", b"12345"), ("d/a/1", b""), ("dd/y", b".")):
            store.write(key, [content])

        found = list(store.entries("d"))

        assert [(entry.key, entry.nbytes, entry.is_leaving) for entry in found] == [("d/a/1", 0, False), ("d/b", 5, False)]
        assert all(abs(entry.modified_us - begun_us) < 60_000_000 for entry in found)
        assert [entry.key for entry in store.entries("")] == ["d/a/1", "d/b", "dd/y"]
        assert list(store.entries("none")) == []

    def test_a_new_object_is_listed_at_once(self, store: Store) -> None:
        list(store.list("l"))
        store.write("l/1", [b"."])

        assert (list(store.list("l")), list(self.reopened(store).list("l"))) == (["l/1"], ["l/1"])

    def test_what_was_deleted_is_gone_and_may_be_deleted_again(self, store: Store) -> None:
        store.write("d/x", [b"."])

        store.delete("d/x")
        store.delete("d/x")

        assert list(store.list("")) == []
        with pytest.raises(StoreMissing):
            store.read("d/x")

    def test_a_deleted_object_can_be_created_again(self, store: Store) -> None:
        store.write("d/x", [b"1"], only_new=True)
        store.delete("d/x")

        store.write("d/x", [b"2"], only_new=True)

        assert store.read("d/x") == b"2"

    @pytest.mark.parametrize("key", UNSAFE_KEYS)
    def test_no_key_leaves_the_root(self, store: Store, key: str) -> None:
        for deed in (lambda: store.read(key), lambda: store.write(key, [b"x"]), lambda: store.delete(key), lambda: store.local_path(key)):
            with pytest.raises(UnsafeName):
                deed()

    def test_lines_are_appended_where_the_store_can(self, store: Store) -> None:
        if not store.can_append:
            with pytest.raises(StoreFault, match="append"):
                store.append("journal/1", b"line\n")
            return

        store.append("journal/1", b"one\n")
        store.append("journal/1", b"two\n", is_durable=False)
        self.reopened(store).append("journal/1", b"three\n")
        store.append("journal/1", b"four\n")

        assert store.read("journal/1") == b"one\ntwo\nthree\nfour\n"

    def test_a_failing_source_of_chunks_leaves_nothing_behind(self, store: Store) -> None:
        store.write("kept", [b"old"])

        def broken() -> object:
            yield b"half"
            raise RuntimeError("the value could not be read")

        for key in ("kept", "fresh"):
            with pytest.raises(RuntimeError):
                store.write(key, broken())  # type: ignore[arg-type]

        assert (store.read("kept"), list(store.list(""))) == (b"old", ["kept"])
