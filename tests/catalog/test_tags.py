"""The log of changes of tags: one order, few reads, and what becomes of damage."""

from __future__ import annotations

import multiprocessing
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from rayflow.catalog.tags import FORGOTTEN, TagChange, TagState, change_tags, forget_tags, numbers_of, read_tag_file, read_tags
from rayflow.model.errors import StoreCorrupt
from rayflow.store.local import LocalStore
from rayflow.store.opening import open_root

WRITERS = 8


class Counting(LocalStore):
    """Counts what is read."""

    reads = 0

    def read(self, key, start=0, stop=None):
        self.reads += 1
        return super().read(key, start, stop)


def add(store, run: str, *tags: str, known: TagState | None = None) -> TagState:
    return change_tags(store, "F", lambda state: {run: TagChange(frozenset(tags) - state.of(run).added)}, known)


def remove(store, run: str, *tags: str) -> TagState:
    return change_tags(store, "F", lambda _: {run: TagChange(removed=frozenset(tags))})


def tags(state: TagState, run: str) -> list[str]:
    return sorted(state.of(run).applied(["first"]))


def path_of(store, number: int):
    return store.local_path(f"F/tags/{number:08d}.json")


def damage(store, number: int) -> None:
    with open(path_of(store, number), "r+b") as file:
        file.seek(60)
        file.write(b"#")


def test_changes_have_one_order_and_the_last_one_of_a_tag_counts(store):
    add(store, "1", "a", "b")
    remove(store, "1", "a", "first")
    add(store, "2", "c")
    add(store, "1", "a")

    state = read_tags(store, "F")

    assert (tags(state, "1"), tags(state, "2"), tags(state, "3"), state.number) == (["a", "b"], ["c", "first"], ["first"], 4)


def test_a_change_that_changes_nothing_is_not_written(store):
    add(store, "1", "a")

    assert add(store, "1", "a").number == 1
    assert list(numbers_of(store, "F")) == [1]


def test_any_history_is_read_the_same_at_once_and_bit_by_bit(store):
    rng = random.Random(7)
    expected = {run: {"first"} for run in "123"}
    followed = TagState()
    for _ in range(150):
        run, tag = rng.choice("123"), rng.choice("abcd")
        if rng.random() < 0.1:
            forget_tags(store, "F", [run])
            expected[run] = {"first"}
        elif rng.random() < 0.5:
            add(store, run, tag)
            expected[run].add(tag)
        else:
            remove(store, run, tag)
            expected[run].discard(tag)
        if rng.random() < 0.4:
            followed = read_tags(store, "F", followed)

    for state in (read_tags(store, "F"), read_tags(store, "F", followed)):
        assert {run: set(tags(state, run)) for run in "123"} == expected


def test_thousands_of_changes_are_read_from_a_few_files(tmp_path):
    store = Counting(str(tmp_path))
    state = TagState()
    for number in range(700):
        state = add(store, str(number % 100), f"t{number % 30}", f"x{number}", known=state)

    store.reads = 0
    state = read_tags(store, "F")

    assert store.reads == bin(700).count("1")
    assert len(state.of("7").added) == 10
    assert read_tags(store, "F", state) is state and store.reads == bin(700).count("1")


@pytest.mark.parametrize(("count", "number"), [(6, 4), (6, 6), (7, 4), (7, 6), (7, 7)])
def test_of_a_damaged_file_only_its_own_change_is_lost_and_the_next_writer_leaves_it_behind(store, count, number):
    for each in range(1, count + 1):
        add(store, str(each), f"t{each}")
    damage(store, number)

    state = read_tags(store, "F")
    add(store, "new", "t")

    there = [each for each in range(1, count + 1) if state.of(str(each)).added]
    assert (there, state.damages) == ([each for each in range(1, count + 1) if each != number], {f"F/tags/{number:08d}.json": "is damaged"})
    found = read_tags(store, "F")
    assert ([each for each in range(1, count + 1) if found.of(str(each)).added], found.damages) == (there, {})
    assert found.of("new").added == {"t"}


def test_a_file_that_others_cover_is_not_missed_and_one_that_none_covers_is_named(store):
    for each in range(1, 7):
        add(store, str(each), "t")

    store.delete("F/tags/00000003.json")
    assert read_tags(store, "F").damages == {}
    store.delete("F/tags/00000004.json")

    state = read_tags(store, "F")
    assert state.damages == {"F/tags/00000004.json": "is gone"}
    assert [each for each in range(1, 7) if state.of(str(each)).added] == [1, 2, 5, 6]


def test_files_that_changed_places_are_not_believed(store):
    add(store, "1", "a")
    add(store, "1", "b")
    with open(path_of(store, 1), "rb") as first:
        content = first.read()
    with open(path_of(store, 2), "wb") as second:
        second.write(content)

    with pytest.raises(StoreCorrupt, match="00000002"):
        read_tag_file(store, "F/tags/00000002.json")


def test_foreign_files_are_passed_over(store):
    add(store, "1", "a")
    for name in ("notes.txt", "1.json", "00000002.json.bak"):
        store.write(f"F/tags/{name}", [b"?"])

    assert add(store, "1", "b").number == 2


def test_a_run_that_is_forgotten_leaves_nothing_to_one_of_the_same_id(store):
    add(store, "again", "a")
    forget_tags(store, "F", ["again", "other"])

    state = read_tags(store, "F")
    assert (state.of("again"), state.number) == (FORGOTTEN, 2) or tags(state, "again") == ["first"]
    forget_tags(store, "F", ["again"])
    assert read_tags(store, "F").number == 2


def write_many(url: str, me: int, count: int) -> list[int]:
    store, state, numbers = open_root(url, create=True), None, []
    for number in range(count):
        state = add(store, f"r{number % 3}", f"w{me}-{number}", known=state)
        numbers.append(state.number)
    return numbers


@pytest.mark.parametrize("kind", ["threads", "processes", "bucket"])
def test_of_eight_writers_each_change_lands_once(request, tmp_path, kind):
    count = 3 if kind == "bucket" else 15
    url = request.getfixturevalue("bucket")() if kind == "bucket" else str(tmp_path / "root")
    jobs = [(url, me, count) for me in range(WRITERS)]
    if kind == "processes":
        with multiprocessing.get_context("spawn").Pool(WRITERS) as pool:
            told = pool.starmap(write_many, jobs)
    else:
        with ThreadPoolExecutor(WRITERS) as pool:
            told = list(pool.map(lambda job: write_many(*job), jobs))

    state = read_tags(open_root(url, create=False), "F")

    assert sorted(number for numbers in told for number in numbers) == list(range(1, WRITERS * count + 1))
    assert {tag for run in ("r0", "r1", "r2") for tag in state.of(run).added} == {
        f"w{me}-{n}" for me in range(WRITERS) for n in range(count)
    }


def test_two_writers_of_the_same_change_know_their_own(tmp_path):
    contents = set()
    for place in "ab":
        store = LocalStore(str(tmp_path / place))
        add(store, "1", "same")
        contents.add(store.read("F/tags/00000001.json"))

    assert len(contents) == 2  # so a bucket tells whose it is, where the reply to a creation was lost
