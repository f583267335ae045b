"""Runs whose root is a bucket: S3 over real HTTP, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter

import fsspec
import pytest

from rayflow.runtime.notices import TaskDone
from rayflow.store import open_root
from scenarios.conftest import by_address
from scenarios.flows import attempts
from scenarios.flows import bucket as bucket_flows
from tests.flaky_http import one_in, proxied

MANY = 16_000_000
"""Numbers of 128 MiB: their upload takes longer than it takes the next task to begin."""


@pytest.fixture
def on_s3(play, bucket, executor):
    """`play`, into a bucket of its own."""
    play.root = bucket()
    play.always = by_address(executor)
    return play


def test_values_arrive_whole_whatever_hands_them_over(on_s3):
    data = on_s3(bucket_flows.Handed, numbers=1_000_000).data

    assert (data.firsts, data.sums) == ([1, 1, 2], {sum(range(1_000_000))})


@pytest.mark.cannot("inline", "values are handed over by Ray")
@pytest.mark.cannot("process", "values are handed over by Ray")
def test_the_next_task_begins_while_the_value_is_uploaded(on_s3):
    told = {}

    def note(notice):
        if isinstance(notice, TaskDone):
            told.setdefault(notice.label.step, time.time())

    played = on_s3(bucket_flows.Handed, numbers=MANY, on_tell=note)

    (use,) = played.tasks("use")
    assert played.data.sums == {MANY * (MANY - 1) // 2}
    assert use.created_at.timestamp() < told["start"] < told["use"]


# -- what it costs, and what is told of it -----------------------------------------------------------------------------


@pytest.fixture
def counted(s3_endpoint):
    """A proxy that only looks."""
    with proxied(s3_endpoint) as proxy:
        yield proxy


def is_beat(request):
    return request.path.endswith("beat.json")


@pytest.mark.cannot("inline", "nothing is different there")
def test_ten_thousand_small_splits_are_few_objects_and_the_newest_run_is_read_in_few_requests(on_s3, bucket, counted):
    on_s3.root = bucket(counted.url)
    played = on_s3(bucket_flows.Many)

    puts = [request.path for request in counted.requests if request.method in ("PUT", "POST") and not is_beat(request)]
    assert played.outcome == "succeeded"
    assert len(puts) < 100, Counter(path.split("/")[5] for path in puts if path.count("/") > 5)

    counted.forget()
    code = "from rayflow import Flow, namespace; namespace(None); run = Flow('Many').latest_run; print(run.id, run.successful)"
    environment = {**os.environ, "RAYFLOW_ROOT": on_s3.root}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert told.split() == [played.run.id, "True"]
    assert len(counted.requests) <= 5, "\n".join(f"{request.method} {request.path}" for request in counted.requests)


@pytest.mark.cannot("process", "the client is the same")
@pytest.mark.cannot("ray", "the client is the same")
def test_what_a_client_has_read_the_next_one_reads_from_its_own_disk(on_s3, bucket, counted, tmp_path):
    on_s3.root = bucket(counted.url)
    on_s3(bucket_flows.Handed, numbers=1_000_000)
    code = "from rayflow import Flow, namespace; namespace(None); run = Flow('Handed').latest_run; print(run['start'].task.data.big[-1])"
    environment = {**os.environ, "RAYFLOW_ROOT": on_s3.root, "RAYFLOW_CACHE": str(tmp_path / "cache")}

    fetched = []
    for _ in range(2):
        counted.forget()
        told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        assert told == "999999\n"
        fetched.append(sum("/blobs/" in request.path or "/packs/" in request.path for request in counted.requests))
    assert (fetched[0] > 0, fetched[1]) == (True, 0)


@pytest.mark.cannot("process", "the store is the same")
@pytest.mark.cannot("ray", "the store is the same")
def test_storage_options_of_fsspec_are_used_and_recorded_nowhere(on_s3, bucket, counted, monkeypatch):
    on_s3.root = bucket()
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "canary-key"}
    options = {"endpoint_url": counted.url, "s3_additional_kwargs": encryption}
    conf: dict[str, object] = {}
    fsspec.config.set_conf_env(conf, {"FSSPEC_S3": json.dumps(options)})  # as it does when a program begins
    monkeypatch.setitem(fsspec.config.conf, "s3", conf["s3"])

    played = on_s3(bucket_flows.Handed, numbers=10)

    assert played.data.sums == {45}
    puts = [request for request in counted.requests if request.method == "PUT" and "/runs/" in request.path]
    assert puts
    assert {request.headers.get("x-amz-server-side-encryption") for request in puts} == {"aws:kms"}
    store = open_root(on_s3.root, create=False)
    assert not any(b"canary-key" in store.read(key) for key in store.list(""))


@pytest.mark.cannot("process", "the launcher is the same")
@pytest.mark.cannot("ray", "the launcher is the same")
def test_of_a_server_that_ignores_conditions_it_is_said_that_nothing_keeps_two_drivers_apart(on_s3, bucket, counted):
    counted.drops_conditions = True
    on_s3.root = bucket(counted.url)

    played = on_s3(bucket_flows.Handed, numbers=10)

    assert any("conditional" in text for text in played.warnings)
    counted.drops_conditions = False
    assert on_s3(bucket_flows.Handed, numbers=10).warnings == []


@pytest.mark.cannot("inline", "processes make more requests")
def test_one_request_in_four_may_fail(on_s3, bucket, s3_endpoint):
    with proxied(s3_endpoint, one_in(4)) as proxy:
        on_s3.root = bucket(proxy.url)

        first, second = on_s3(bucket_flows.Many, splits=500), on_s3(bucket_flows.Handed, numbers=1_000_000)

        assert (first.data.total, second.data.sums) == (sum(number**2 for number in range(500)), {sum(range(1_000_000))})
        assert sum(proxy.done.values()) > 4, proxy.done


@pytest.mark.cannot("inline", "what is printed is stored before the rows are told")
def test_output_that_is_slow_to_arrive_is_waited_for(on_s3, bucket, s3_endpoint):
    def logs_are_slow(method, path):
        return "slow" if method == "PUT" and "/logs/" in path else None

    with proxied(s3_endpoint, logs_are_slow) as proxy:
        on_s3.root = bucket(proxy.url)

        played = on_s3(bucket_flows.Many, splits=3)

        assert proxy.done["slow"] >= 2
        assert played.run["end"].task.stdout == "the end\n"


@pytest.mark.cannot("inline", "a segmentation fault ends the test itself")
def test_the_last_words_of_a_dead_worker_are_kept_and_name_the_line(on_s3):
    played = on_s3(attempts.AlwaysFails, how="segfault", fails=True)

    assert "attempts.py:" in played.failure.message
    assert "last words\n" in played.run["start"].task.stdout
