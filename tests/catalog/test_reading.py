import pytest

from rayflow.catalog import wire
from rayflow.catalog.index import children, flows_of, is_flow, note_end, note_start, runs_of
from rayflow.catalog.ownership import take_epoch
from rayflow.catalog.reading import Ending, drop_ending, open_run, read_ending, write_ending
from rayflow.catalog.run import claim_run, read_run
from rayflow.catalog.takeover import begin, take_over
from rayflow.model.errors import RayflowNotFound, StoreCorrupt, StoreExists
from rayflow.model.records import Outcome
from tests.catalog.building import T0, claimed, lone, opened_out, record


def rows(segment):
    return {"e": "rows", **wire.segment_to_json(segment)}


def test_a_live_run_is_followed_and_its_end_taken_in(store):
    made = claimed(store)
    tenure = begin(store, made.layout)
    opened = open_run(store, "Deep", made.run_id)
    assert (opened.view.totals(), opened.ending) == ({}, None)

    tenure.journal.commit([rows(lone("start"))])
    write_ending(store, made.layout, Ending(Outcome.FAILED, "broke", 5, segments=(lone("start"),), epoch=1))
    opened.refresh()

    assert opened.view.totals() == {"start": 1}
    assert opened.ending is not None and opened.ending.why == "broke"


def test_events_of_a_later_version_are_passed_over(store):
    made = claimed(store)
    begin(store, made.layout).journal.commit([{"e": "weather", "sun": True}, {"no": "kind"}, rows(lone("start"))])

    assert open_run(store, "Deep", made.run_id).view.totals() == {"start": 1}


def test_an_end_counts_until_a_later_driver_goes_on(store):
    layout = claimed(store).layout
    begin(store, layout)
    write_ending(store, layout, Ending(Outcome.FAILED, "first", 5, epoch=1))
    assert read_ending(store, layout) is not None

    tenure = take_over(store, layout)
    assert read_ending(store, layout) is None
    write_ending(store, layout, Ending(Outcome.SUCCEEDED, "second", 6, epoch=tenure.epoch))

    found = read_ending(store, layout)
    assert found is not None and found.why == "second"


def test_a_replaced_driver_cannot_end_a_run_that_ended(store):
    layout = claimed(store).layout
    begin(store, layout)
    take_epoch(store, layout)
    write_ending(store, layout, Ending(Outcome.SUCCEEDED, "second", 6, epoch=2))

    with pytest.raises(StoreExists):
        write_ending(store, layout, Ending(Outcome.FAILED, "first", 5, epoch=1))


def test_a_dropped_end_leaves_the_journal_to_tell(store):
    made = claimed(store)
    begin(store, made.layout).journal.commit([rows(lone("start"))])
    write_ending(store, made.layout, Ending(Outcome.FAILED, "", 5, segments=(lone("start"),), epoch=1))

    drop_ending(store, made.layout)

    opened = open_run(store, "Deep", made.run_id)
    assert (opened.ending, opened.view.totals()) == (None, {"start": 1})


@pytest.mark.parametrize("which", ["record", "end"])
@pytest.mark.parametrize(
    "damage", [lambda text: b"", lambda text: text[:-1], lambda text: text.replace(b"ada", b"eve").replace(b"why", b"who")]
)
def test_a_damaged_record_is_named_with_its_path(store, which, damage):
    made = claimed(store)
    write_ending(store, made.layout, Ending(Outcome.FAILED, "why", 5))
    key = getattr(made.layout, which)
    store.write(key, [damage(store.read(key))])

    with pytest.raises(StoreCorrupt, match=key.rpartition("/")[2]):
        open_run(store, "Deep", made.run_id)


def test_a_run_that_is_not_there_is_said_to_be_so(store):
    with pytest.raises(RayflowNotFound, match=r"Run\('Deep/77'\) does not exist"):
        open_run(store, "Deep", "77")


def test_a_clash_of_generated_ids_takes_the_next_and_of_given_ones_is_told(store):
    claimed(store)

    assert claim_run(store, record(), is_id_given=False).run_id == str(T0 + 1)
    with pytest.raises(StoreExists):
        claim_run(store, record(), is_id_given=True)
    assert read_run(store, "Deep", str(T0 + 1)).user == "ada"


def test_the_index_lists_newest_first_with_how_each_ended(store):
    for number, outcome in enumerate([Outcome.SUCCEEDED, None, Outcome.FAILED]):
        made = claimed(store, str(T0 + number), created_us=T0 + number)
        note_start(store, made)
        if outcome is not None:
            note_end(store, made, outcome)

    found = [(entry.run_id, entry.outcome) for entry in runs_of(store, "Deep")]

    assert found == [(str(T0 + 2), Outcome.FAILED), (str(T0 + 1), None), (str(T0), Outcome.SUCCEEDED)]


def test_a_run_whose_driver_died_before_its_entry_is_listed_all_the_same(store):
    note_start(store, claimed(store, str(T0)))
    claimed(store, str(T0 + 5), created_us=T0 + 5)

    assert [entry.run_id for entry in runs_of(store, "Deep")] == [str(T0 + 5), str(T0)]


def test_of_a_run_that_was_reattached_the_better_end_is_told(store):
    made = claimed(store)
    note_start(store, made)
    for outcome in (Outcome.INTERRUPTED, Outcome.SUCCEEDED, Outcome.INTERRUPTED):
        note_end(store, made, outcome)

    assert [entry.outcome for entry in runs_of(store, "Deep")] == [Outcome.SUCCEEDED]


def test_foreign_names_are_passed_over(store):
    note_start(store, claimed(store))
    for name in ("Deep/index/README", "Deep/index/1.2.3", "lost+found/x", "notes.txt", "Deep/runs/.DS_Store/x"):
        path = f"{store.url}/{name}"
        import os

        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()

    assert [entry.run_id for entry in runs_of(store, "Deep")] == [str(T0)]
    assert flows_of(store) == ["Deep"]
    assert (is_flow(store, "Deep"), is_flow(store, "Other")) == (True, False)
    assert children(store, "Nowhere") == []


def test_opened_segments_keep_their_fan_outs(store):
    made = claimed(store)
    begin(store, made.layout).journal.commit(list(map(rows, opened_out())))

    view = open_run(store, "Deep", made.run_id).view

    assert [view.children("outer", parent) for parent in (0, 1)] == [range(3), range(3, 6)]
