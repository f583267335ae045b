from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayflow.catalog import takeover
from rayflow.catalog.journal import JournalReader, JournalWriter, frame, unframe
from rayflow.catalog.ownership import take_epoch
from rayflow.catalog.takeover import begin, take_over
from rayflow.model.errors import RunFenced, StoreCorrupt
from rayflow.store.local import LocalStore
from tests.catalog.building import claimed
from tests.catalog.races import Disk, SteppedStore

KEY = "Deep/runs/1/journal/00000001.jsonl"
EVENTS = [{"e": "rows", "n": number, "text": "ä \n\x00" * number} for number in range(4)]
CONTENT = b"".join(frame(event, KEY) for event in EVENTS)


def framed(events) -> list[bytes]:
    return [frame(event, KEY) for event in events]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(store: LocalStore, layout) -> list[object]:
    return [event.get("n") for event in JournalReader(store, layout).read() if event["e"] == "rows"]


@given(st.lists(st.dictionaries(st.text(), values, max_size=4), max_size=5))
def test_what_is_framed_comes_back(events):
    assert list(unframe(b"".join(framed(events)), KEY)) == events


def test_a_file_cut_at_any_byte_gives_the_lines_that_are_whole():
    ends = [len(b"".join(framed(EVENTS[:number]))) for number in range(5)]
    for cut in range(len(CONTENT) + 1):
        assert list(unframe(CONTENT[:cut], KEY)) == EVENTS[: sum(end <= cut for end in ends) - 1]


def test_damage_before_the_last_line_is_named_with_its_place():
    damaged = bytearray(CONTENT)
    damaged[len(frame(EVENTS[0], KEY)) + 20] ^= 1

    with pytest.raises(StoreCorrupt, match=rf"'{KEY}' is damaged at byte {len(frame(EVENTS[0], KEY))}"):
        list(unframe(bytes(damaged), KEY))


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_damage_and_never_another_error(content):
    try:
        list(unframe(content, KEY))
    except StoreCorrupt:
        pass


@given(position=st.integers(0, len(CONTENT) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_read_as_an_event(position, bit):
    damaged = bytearray(CONTENT)
    damaged[position] ^= 1 << bit
    try:
        found = list(unframe(bytes(damaged), KEY))
    except StoreCorrupt:
        return
    assert found == EVENTS[: len(found)]


def test_a_flipped_bit_that_valid_lines_follow_is_named():
    silent = []
    for position in range(len(b"".join(framed(EVENTS[:2])))):
        for bit in range(8):
            damaged = bytearray(CONTENT)
            damaged[position] ^= 1 << bit
            try:
                found = list(unframe(bytes(damaged), KEY))
            except StoreCorrupt:
                continue
            if found != EVENTS:  # the case of a hexadecimal digit says nothing
                silent.append((position, bit))
    assert silent == []


def test_what_a_power_failure_lost_in_the_middle_ends_the_journal():
    first = len(frame(EVENTS[0], KEY))

    assert list(unframe(CONTENT[:first] + bytes(30) + CONTENT[first + 30 :], KEY)) == EVENTS[:1]


def test_what_is_committed_is_read_and_read_on(store):
    layout = claimed(store).layout
    tenure = begin(store, layout)
    reader = JournalReader(store, layout)
    tenure.journal.commit([{"e": "rows", "n": 1}])
    assert [event["n"] for event in reader.read()] == [1]

    tenure.journal.note([{"e": "launched", "n": 2}])
    tenure.journal.commit([{"e": "rows", "n": 3}])

    assert [event["n"] for event in reader.read_new()] == [2, 3]
    assert reader.read_new() == []


def test_a_replaced_writer_may_acknowledge_nothing_and_what_it_still_writes_is_not_read(store):
    layout = claimed(store).layout
    first = begin(store, layout)
    first.journal.commit([{"e": "rows", "n": 1}])
    follower = JournalReader(store, layout)
    follower.read()

    second = take_over(store, layout)
    with pytest.raises(RunFenced, match="was taken over"):
        first.journal.commit([{"e": "rows", "n": 2}])
    second.journal.commit([{"e": "rows", "n": 3}])

    assert read(store, layout) == [1, 3]
    assert [event.get("n") for event in follower.read_new() if event["e"] == "rows"] == [3]


def test_what_a_writer_appended_before_its_successor_looked_is_kept(store):
    layout = claimed(store).layout
    first = begin(store, layout)
    take_epoch(store, layout)
    with pytest.raises(RunFenced):
        first.journal.commit([{"e": "rows", "n": 1}])

    take_over(store, layout)

    assert read(store, layout) == [1], "durable, though nobody was told"


# Found by the schedules of test_races, one in some ten thousand each.


def test_a_journal_that_a_replaced_driver_begins_afterwards_is_not_read(store):
    layout = claimed(store).layout
    first = begin(store, layout)
    second = take_over(store, layout)

    with pytest.raises(RunFenced):
        first.journal.commit([{"e": "rows", "n": 1}])
    second.journal.commit([{"e": "rows", "n": 2}])

    assert read(store, layout) == [2]
    take_over(store, layout)
    assert read(store, layout) == [2]


@pytest.fixture(params=[True, False], ids=["disk", "bucket"])
def both(request):
    return SteppedStore(Disk(can_append=request.param), lambda: None)


@pytest.fixture
def overtaken(both, monkeypatch):
    """Of two that take a run over at once the slower one: it has its epoch, and then the other comes and is done with it."""
    layout = claimed(both).layout
    begin(both, layout).journal.commit([{"e": "rows", "n": 1}])
    others = []

    def take_epoch_slowly(store, layout):
        number = take_epoch(store, layout)
        if not others:
            others.append(None)  # that is the one who overtakes
            others[0] = take_over(store, layout)
            others[0].journal.commit([{"e": "rows", "n": 2}])
        return number

    monkeypatch.setattr(takeover, "take_epoch", take_epoch_slowly)
    return layout, others


def test_a_taker_that_is_overtaken_may_not_go_on(both, overtaken):
    layout, others = overtaken

    with pytest.raises(RunFenced):
        take_over(both, layout)

    assert read(both, layout) == [1, 2]
    assert len(others) == 1


def test_a_taker_that_is_overtaken_seals_nothing_of_whoever_overtook_it(store):
    layout = claimed(store).layout
    begin(store, layout).journal.commit([{"e": "rows", "n": 1}])
    epoch = take_epoch(store, layout)
    other = take_over(store, layout)
    other.journal.commit([{"e": "rows", "n": 2}])
    slow = JournalWriter(store, layout, epoch)
    with pytest.raises(RunFenced):
        slow.commit([{"e": "sealed", "sizes": {layout.journal_file(1): 9_999, layout.journal_file(3): 1}}])

    other.journal.commit([{"e": "rows", "n": 3}])

    assert read(store, layout) == [1, 2, 3]


def test_a_torn_tail_is_passed_over_for_ever_once_it_is_sealed(store):
    layout = claimed(store).layout
    begin(store, layout).journal.commit([{"e": "rows", "n": 1}])
    path = Path(store.local_path(layout.journal_file(1)))
    path.write_bytes(path.read_bytes() + frame({"e": "rows", "n": 2}, layout.journal_file(1))[:-4])

    take_over(store, layout).journal.commit([{"e": "rows", "n": 3}])

    assert read(store, layout) == [1, 3]


def test_a_file_that_lost_what_was_sealed_is_named(store):
    layout = claimed(store).layout
    begin(store, layout).journal.commit([{"e": "rows", "n": 1}])
    take_over(store, layout)
    path = Path(store.local_path(layout.journal_file(1)))
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(StoreCorrupt, match=r"00000001\.jsonl' is cut short"):
        read(store, layout)


class Bucket(LocalStore):
    """A store that cannot append: each group commit is an object, numbered on from epoch to epoch."""

    can_append = False


def test_without_append_a_replaced_writer_meets_its_successors_object(tmp_path):
    store = Bucket(str(tmp_path))
    layout = claimed(store).layout
    first = begin(store, layout)
    first.journal.commit([{"e": "rows", "n": 1}])

    second = take_over(store, layout)
    with pytest.raises(RunFenced):
        first.journal.commit([{"e": "rows", "n": 2}])
    second.journal.commit([{"e": "rows", "n": 3}])

    assert read(store, layout) == [1, 3]


def test_without_append_a_taker_reads_what_the_replaced_writer_got_in(tmp_path):
    class Late(Bucket):
        """The replaced writer's last object arrives between the taker's look and its seal."""

        late: JournalWriter | None = None

        def write(self, key, chunks, *, only_new=False):
            if self.late is not None and key.endswith("00000001.jsonl") and "/journal/" in key:
                writer, self.late = self.late, None
                writer.commit([{"e": "rows", "n": 2}])
            return super().write(key, chunks, only_new=only_new)

    store = Late(str(tmp_path))
    layout = claimed(store).layout
    first = begin(store, layout)
    first.journal.commit([{"e": "rows", "n": 1}])
    store.late = first.journal

    take_over(store, layout)

    assert read(store, layout) == [1, 2]
