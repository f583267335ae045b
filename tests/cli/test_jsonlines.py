import io
import json
from datetime import datetime, timezone

from rayflow.cli.reporting.jsonlines import JsonReporter
from rayflow.model.indexes import TaskKey
from rayflow.model.records import Outcome
from rayflow.runtime.notices import Progressed, RunEnded, StepsReused, TaskAttemptFailed, TaskStarted

from .telling import FAILURE, GRAPH, label, standing, started


def told(notice):
    out = io.StringIO()
    JsonReporter(out, now=lambda: datetime(2026, 11, 23, 5, 9, 45, 181000, tzinfo=timezone.utc)).tell(notice)
    line = json.loads(out.getvalue())
    assert line.pop("time") == "2026-11-23T05:09:45.181Z"
    return line


def test_a_run_that_starts_is_told_without_its_graph():
    assert told(started(origin="41")) == {
        "event": "run_started",
        "flow": "TrainFlow",
        "run_id": "77",
        "user": "ann",
        "tags": [],
        "root": "/data/.rayflow",
        "origin": "41",
        "is_reattached": False,
    }


def test_a_label_is_spread_into_its_parts():
    assert told(TaskStarted(label(), attempt=1)) == {
        "event": "task_started",
        "run_id": "77",
        "step": "train",
        "task_id": "3",
        "pid": 12,
        "where": "",
        "attempt": 1,
        "is_fallback": False,
    }


def test_a_failed_attempt_carries_the_failure_with_its_frames():
    line = told(TaskAttemptFailed(label(where="[1]"), 0, 2, FAILURE, is_retried=True))

    assert (line["where"], line["failure"]["kind"], line["failure"]["frames"][0]["line"]) == ("[1]", "exception", 58)


def test_progress_and_the_end_list_the_steps():
    step = {"step": "train", "known": 3, "done": 1, "reused": 0, "running": 0, "failed": 0, "seconds": 0.0}

    assert told(Progressed(GRAPH, (standing("train", 3, 1),))) == {"event": "progressed", "steps": [step]}
    assert told(RunEnded("77", Outcome.FAILED, 2.0, (standing("train", 3, 1),), TaskKey("train", 0), None, label())) == {
        "event": "run_ended",
        "run_id": "77",
        "outcome": "failed",
        "seconds": 2.0,
        "steps": [step],
        "failed": {"step": "train", "index": 0, "lap": 0},
        "failure": None,
        "step": "train",
        "task_id": "3",
        "pid": 12,
        "where": "",
    }


def test_what_a_resume_takes_over_is_listed_by_step():
    assert told(StepsReused({"start": 1}, "41")) == {"event": "steps_reused", "tasks": {"start": 1}, "origin": "41"}
