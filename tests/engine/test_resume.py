from __future__ import annotations

from dataclasses import replace

from rayflow.engine import plan
from rayflow.model.commands import Reuse
from rayflow.model.events import BatchEnded, Completed
from rayflow.model.indexes import EMPTY
from rayflow.model.records import Outcome

from .bench import FORKED, Bench, fanned
from .flows import Linear, Switch, flow_of


def resumed(bench: Bench, **options: object) -> Bench:
    return Bench(bench.flow, reusable=bench.journal, is_resume=True, **options)


def test_resume_runs_what_was_not_done() -> None:
    bench = fanned(3)
    bench.journal += [bench.segment(batch, batch.indices, (), None) for batch in bench.batches["train"][:2]]

    again = resumed(bench)

    launched = [(b.step, list(b.indices)) for batches in again.batches.values() for b in batches]
    assert (launched, again.whys[-1]) == ([("train", [2])], "not done in the origin")
    assert [c.why for c in again.commands if isinstance(c, Reuse)] == ["reused from run 1"] * 4


def whole() -> Bench:
    bench = Bench(FORKED)
    for step in ("start", "fork", "a", "b", "merge", "after", "end"):
        bench.done(step)
    return bench


def test_resuming_a_finished_run_reuses_everything() -> None:
    again = resumed(whole())

    assert (again.batches, again.finish().outcome) == ({}, Outcome.SUCCEEDED)


def test_resume_of_a_step_runs_it_and_what_follows() -> None:
    again = resumed(whole(), rerun=frozenset({"a"}))

    again.done("a")

    assert (sorted(again.batches), again.whys[-1]) == (["a", "merge"], "input 'a' was re-run")


def test_an_outcome_that_todays_flow_cannot_follow_is_not_reused() -> None:
    bench = Bench(flow_of(Switch("pick", ((Linear("a"),), (Linear("b"),)), "meet")))
    bench.done("start")
    bench.done("pick", case="b")
    today = flow_of(Switch("pick", ((Linear("a"),), (Linear("c"),)), "meet"))

    again = Bench(today, reusable=bench.journal, is_resume=True)

    assert (sorted(again.batches), again.whys[-1]) == (["pick"], "it went to 'b' then, which is no case of it now")


def test_a_dry_run_says_what_a_resume_would_do() -> None:
    dry = plan(FORKED.graph, whole().journal, rerun=frozenset({"a"}))

    assert [reuse.segment.step for reuse in dry.reused] == ["start", "fork", "b"]
    assert [(planned.step, planned.why) for planned in dry.ready] == [("a", "step 'a' is to be re-run")]
    assert dry.later == {"merge": "follows 'a'", "after": "follows 'merge'", "end": "follows 'after'"}


def repaired(**options: object) -> Bench:
    """A resume of a finished run whose `a` lost its data."""
    journal = whole().journal
    lost = [segment for segment in journal if segment.step == "a"]
    return Bench(FORKED, reusable=[segment for segment in journal if segment.step != "a"], lost=lost, is_resume=True, **options)


def repair(bench: Bench, *, is_same: bool) -> None:
    batch = bench.last("a")
    segment = bench.segment(batch, batch.indices, (), None)
    bench.tell(Completed(batch.id, segment, unchanged=segment.indices if is_same else EMPTY))
    bench.tell(BatchEnded(batch.id))


def test_a_task_whose_data_is_damaged_is_performed_alone_where_it_comes_out_the_same() -> None:
    bench = repaired()
    assert (list(bench.batches), bench.whys[-1]) == (["a"], "its data is damaged")

    repair(bench, is_same=True)

    assert (list(bench.batches), bench.finish().outcome) == (["a"], Outcome.SUCCEEDED)


def test_where_it_comes_out_differently_what_follows_is_performed_too() -> None:
    bench = repaired()

    repair(bench, is_same=False)

    assert (list(bench.batches), bench.whys[-1]) == (["a", "merge"], "input 'a' was re-run")


def test_a_task_that_started_from_something_else_is_no_repair() -> None:
    bench = repaired(rerun=frozenset({"fork"}))
    bench.done("fork")

    repair(bench, is_same=True)
    bench.done("b")

    assert list(bench.batches) == ["fork", "a", "b", "merge"]


def test_a_fan_out_that_was_lost_gets_its_ranges_again() -> None:
    bench = fanned(3, slots=3)
    (fan,) = [segment for segment in bench.journal if segment.step == "fan"]
    other = replace(fan, fanout=replace(fan.fanout, base=10, first_id=50))

    again = Bench(bench.flow, reusable=[bench.journal[0]], lost=[other], is_resume=True)
    again.done("fan", counts=[3])

    assert [list(batch.indices) for batch in again.batches["train"]] == [[10], [11], [12]]
