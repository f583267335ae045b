"""Ten thousand schedules of drivers that race for one run; and that the usual mistakes would be found."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest

from rayflow.catalog import journal, ownership, takeover
from rayflow.model.errors import RayflowException
from rayflow.runtime import continuing
from tests.catalog import races
from tests.catalog.races import SteppedStore, play

SCHEDULES = 2_000


@pytest.fixture(autouse=True)
def nobody_waits():
    """Whoever wants to drive believes all others dead: at worst that is so, and it must be safe."""
    with mock.patch.object(continuing, "is_alive", lambda *_: False):
        yield


@pytest.mark.parametrize("part", [0, *(pytest.param(number, marks=pytest.mark.nightly) for number in range(1, 25))])
def test_whatever_the_schedule_nothing_acknowledged_is_lost_or_done_twice(part: int):
    for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
        try:
            play(seed)
        except (AssertionError, RayflowException) as fault:
            raise AssertionError(f"seed {seed}: {fault}") from fault


def test_a_seed_is_a_schedule():
    told = [(world.told.begun, world.told.acknowledged, sorted(world.disk.objects)) for world in (play(17), play(17))]

    assert told[0] == told[1]


# -- planted bugs --------------------------------------------------------------------------------------------------------


def acknowledges_before_the_sync():
    real = SteppedStore.append
    return mock.patch.object(SteppedStore, "append", lambda self, key, line, *, is_durable=True: real(self, key, line, is_durable=False))


def does_not_look_at_the_fence():
    return mock.patch.object(journal.JournalWriter, "check_fence", lambda self: None)


def looks_at_the_fence_before_it_commits():
    def commit(self, events):
        self.check_fence()
        lines = b"".join(journal.frame(event, self._layout.journal_file(self._epoch)) for event in events)
        if self._store.can_append:
            self._store.append(self._layout.journal_file(self._epoch), lines)
        else:
            real(self, events)

    real = journal.JournalWriter.commit
    return mock.patch.object(journal.JournalWriter, "commit", commit)


def seals_without_reading_again():
    def take_over(store, layout):
        reader = journal.JournalReader(store, layout)
        reader.read()
        epoch = ownership.take_epoch(store, layout)
        sizes = reader.sizes()
        writer = journal.JournalWriter(store, layout, epoch, next_sequence=len(sizes))
        writer.commit([{"e": "sealed", "sizes": sizes}])
        return takeover.Tenure(epoch, writer)

    return _patched_everywhere("take_over", take_over)


def does_not_seal():
    def take_over(store, layout):
        epoch = ownership.take_epoch(store, layout)
        reader = journal.JournalReader(store, layout)
        reader.read()
        return takeover.Tenure(epoch, journal.JournalWriter(store, layout, epoch, next_sequence=len(reader.sizes())))

    return _patched_everywhere("take_over", take_over)


def seals_what_is_not_on_the_disk():
    def take_over(store, layout):
        with mock.patch.object(SteppedStore, "append", _without_empty_appends(SteppedStore.append)):
            return takeover.take_over(store, layout)

    return _patched_everywhere("take_over", take_over)


def shares_an_epoch():
    def take_epoch(store, layout):
        number = ownership.last_epoch(store, layout) + 1
        store.write(layout.epoch(number), [b"{}"])
        return number

    return mock.patch.object(takeover, "take_epoch", take_epoch)


def claims_without_exclusion():
    def claim(store, origin, run_id):
        if ownership.continuation_of(store, origin) is None:
            store.write(origin.continuation, [races.wire.dumps_checked({"run_id": run_id}, origin.continuation)])
            return run_id
        return ownership.continuation_of(store, origin)

    return mock.patch.object(continuing, "claim_continuation", claim)


def reattaches_to_what_was_continued():
    return mock.patch.object(races, "refuse_continued", lambda store, record: None)


def reads_beyond_the_seal():
    return mock.patch.object(journal.JournalReader, "_note_seal", lambda self, key, content: None)


def takes_zeros_for_damage():
    def unframe(content, key, offset=0):
        for line in content.split(b"\n")[:-1]:
            event = journal._parsed(line, key)
            if event is None:
                raise journal.StoreCorrupt(f"damaged: {key}", key)
            yield event

    return mock.patch.object(journal, "unframe", unframe)


def overwrites_a_group_commit():
    real = SteppedStore.write

    def write(self, key, chunks, *, only_new=False):
        return real(self, key, chunks, only_new=only_new and "/journal/" not in key)

    return mock.patch.object(SteppedStore, "write", write)


def resumes_without_sealing():
    def sealed(store, record):
        return continuing.open_run(store, record.flow, record.run_id), ownership.last_epoch(store, record.layout)

    return mock.patch.object(continuing, "_sealed", sealed)


def _patched_everywhere(name: str, function: Callable[..., object]):
    stack = mock.patch.object(races, name, function), mock.patch.object(continuing, name, function)

    class Both:
        def __enter__(self):
            for patch in stack:
                patch.__enter__()

        def __exit__(self, *fault: object):
            for patch in stack:
                patch.__exit__(*fault)

    return Both()


def _without_empty_appends(real: Callable[..., None]):
    def append(self, key, line, *, is_durable=True):
        if line:
            real(self, key, line, is_durable=is_durable)

    return append


BUGS = [
    acknowledges_before_the_sync,
    does_not_look_at_the_fence,
    looks_at_the_fence_before_it_commits,
    seals_without_reading_again,
    does_not_seal,
    seals_what_is_not_on_the_disk,
    shares_an_epoch,
    claims_without_exclusion,
    reattaches_to_what_was_continued,
    reads_beyond_the_seal,
    takes_zeros_for_damage,
    overwrites_a_group_commit,
    resumes_without_sealing,
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_schedules_find_a_planted_bug(bug: Callable[[], object]):
    with bug():  # type: ignore[attr-defined] - each makes a context manager
        for seed in range(SCHEDULES):
            try:
                play(seed)
            except (AssertionError, RayflowException):
                return
    pytest.fail(f"{SCHEDULES} schedules did not find out")
