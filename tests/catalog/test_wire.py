from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayflow.catalog import wire
from rayflow.catalog.reading import Ending
from rayflow.catalog.run import RunRecord
from rayflow.model.indexes import Fanout, IndexSet, TaskKey
from rayflow.model.records import (
    Artifact,
    FailedAttempt,
    Failure,
    FailureKind,
    LogSpan,
    Outcome,
    Row,
    Segment,
    Status,
    Taken,
    UserFrame,
)
from tests.catalog.building import record

names = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
counts = st.integers(0, 2**62)
texts = st.text(max_size=20)
artifacts = st.one_of(
    st.builds(Artifact, st.just("json"), texts, counts, texts, inline=texts.map(lambda text: text.encode("utf-8", "surrogatepass"))),
    st.builds(Artifact, st.just("pickle"), texts, counts, texts, inline=st.binary(max_size=50)),
    st.builds(Artifact, names, texts, counts, texts, blob=names, digest=names, run=st.none() | names),
)
frames = st.builds(UserFrame, texts, st.integers(1, 10**6), texts, texts)
failures = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    texts,
    texts,
    texts,
    st.lists(frames, max_size=2).map(tuple),
    st.none() | st.integers(-64, 255),
)
rows = st.builds(
    Row,
    st.sampled_from(Status),
    st.integers(0, 9),
    counts,
    st.integers(0, 10**9).map(lambda micros: micros / 1e6),
    counts,
    counts,
    texts,
    st.dictionaries(names, artifacts, max_size=2),
    st.none() | st.builds(LogSpan, texts, counts, counts, counts, counts),
    st.none() | failures,
)
index_sets = st.one_of(
    st.builds(lambda start, length: IndexSet.span(start, start + length), st.integers(0, 10**9), st.integers(1, 1000)),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=6, unique=True).map(IndexSet.of),
)
fanouts = st.builds(
    lambda base, parents, number, first_id: Fanout("step", base, parents, number, first_id),
    counts,
    index_sets,
    st.integers(0, 1000),
    counts,
)
segments = st.builds(
    Segment,
    st.just("step"),
    index_sets,
    st.integers(0, 5),
    st.none() | names,
    st.none() | st.builds(Taken, st.lists(names, min_size=1, max_size=3).map(tuple), st.none() | st.binary(min_size=1, max_size=9)),
    st.none() | fanouts,
    names,
    st.none() | names,
    counts,
    st.none() | index_sets,
    st.lists(rows, max_size=2).map(tuple),
    st.integers(0, 10**9).map(lambda micros: micros / 1e6),
    counts,
)
attempts = st.builds(FailedAttempt, st.builds(TaskKey, names, counts, st.integers(0, 5)), rows, st.booleans(), st.none() | names)


def again(form):
    return wire.loads(wire.dumps(form))


@given(segments)
def test_a_segment_comes_back(segment):
    assert wire.segment_from_json(again(wire.segment_to_json(segment))) == segment


@given(attempts)
def test_a_failed_attempt_comes_back(attempt):
    assert wire.failed_attempt_from_json(again(wire.failed_attempt_to_json(attempt))) == attempt


@given(st.lists(segments, max_size=2).map(tuple), st.lists(attempts, max_size=1).map(tuple), st.none() | failures, counts)
def test_an_ending_comes_back(held, failed, failure, epoch):
    ending = Ending(Outcome.FAILED, "why", 1, TaskKey("step", 3, 1), failure, held, failed, epoch)

    assert Ending.from_json(again(ending.to_json())) == ending


@given(st.dictionaries(names, artifacts, max_size=3), st.none() | names)
def test_the_record_of_a_run_comes_back(parameters, origin):
    made = record(parameters=parameters, origin=origin, tags=("a",), facts={"host": "h"})

    found = RunRecord.from_json(again(made.to_json()))

    assert replace(found, graph=made.graph) == made
    assert [(node.name, node.kind, node.targets, node.frames, node.joins) for node in found.graph] == [
        (node.name, node.kind, node.targets, node.frames, node.joins) for node in made.graph
    ]


forms = st.dictionaries(texts, st.integers() | texts | st.none(), min_size=1, max_size=4)


@given(forms)
def test_a_checked_form_comes_back_and_is_plain_json(form):
    text = wire.dumps_checked(form, "a/key")

    assert wire.loads_checked(text, "a/key") == form
    assert {name for name in wire.loads(text) if name != "crc32"} | {"crc32"} == {*form, "crc32"}


@given(forms, st.data())
def test_no_flipped_bit_and_no_cut_passes_the_check(form, data):
    text = bytearray(wire.dumps_checked(form, "a/key"))
    position = data.draw(st.integers(0, len(text) - 1))
    cut = bytes(text[:position])
    text[position] ^= 1 << data.draw(st.integers(0, 7))

    for damaged in (bytes(text), cut):
        with pytest.raises(ValueError):
            wire.loads_checked(damaged, "a/key")
