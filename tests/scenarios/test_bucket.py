"""Runs whose root is a bucket: S3 over real HTTP, on loopback."""

from __future__ import annotations

import time

import pytest

from rayflow.runtime.notices import TaskDone
from scenarios.conftest import by_address
from scenarios.flows import bucket

MANY = 16_000_000
"""Numbers of 128 MiB: their upload takes longer than it takes the next task to begin."""


@pytest.fixture
def on_s3(play, bucket, executor):
    """`play`, into a bucket of its own."""
    play.root = bucket()
    play.always = by_address(executor)
    return play


def test_values_arrive_whole_whatever_hands_them_over(on_s3):
    data = on_s3(bucket.Handed, numbers=1_000_000).data

    assert (data.firsts, data.sums) == ([1, 1, 2], {sum(range(1_000_000))})


@pytest.mark.cannot("inline", "values are handed over by Ray")
@pytest.mark.cannot("process", "values are handed over by Ray")
def test_the_next_task_begins_while_the_value_is_uploaded(on_s3):
    told = {}

    def note(notice):
        if isinstance(notice, TaskDone):
            told.setdefault(notice.label.step, time.time())

    played = on_s3(bucket.Handed, numbers=MANY, on_tell=note)

    (use,) = played.tasks("use")
    assert played.data.sums == {MANY * (MANY - 1) // 2}
    assert use.created_at.timestamp() < told["start"] < told["use"]
