import io
import re

from rayflow.cli.reporting.notebook import NotebookReporter
from rayflow.model.records import Outcome
from rayflow.runtime.notices import Draining, Progressed, RunEnded, StepsReused, TaskAttemptFailed, TaskDone, TaskSaid, Waiting, Warned

from .telling import FAILURE, GRAPH, TRACEBACK, Clock, label, standing, started


class Cell:
    """The output of a cell: what was displayed, and what was said."""

    def __init__(self):
        self.clock, self.out, self.err = Clock(), io.StringIO(), io.StringIO()
        self.shown = []
        self.reporter = NotebookReporter(self.out, self.err, lambda bundle, is_first: self.shown.append((is_first, bundle)), self.clock)

    def told(self, *notices):
        for notice in notices:
            if isinstance(notice, (int, float)):
                self.clock.seconds += notice
            else:
                self.reporter.tell(notice)
        return self

    @property
    def text(self):
        return " ".join(re.sub(r"<[^>]*>", " ", self.shown[-1][1]["text/html"]).split())


def progressed(*standings):
    return Progressed(GRAPH, standings)


def test_one_display_changes_in_place_and_ends_with_the_outcome():
    start = standing("start", 1, 1)
    cell = Cell().told(started(), 1, progressed(start, standing("train", 300, 100, running=2, failed=1)))
    during = cell.text
    cell.told(1, RunEnded("77", Outcome.SUCCEEDED, 2.5, (start, standing("train", 300, 300))))

    assert [is_first for is_first, _ in cell.shown] == [True, False, False]
    assert during == "TrainFlow/77 running step done failed time start 1 0.0s train 100 of 300 1 0.0s"
    assert cell.text == "TrainFlow/77 succeeded in 2.5s step done failed time start 1 0.0s train 300 1.0s"
    assert cell.shown[-1][1]["text/plain"] == "Run TrainFlow/77 succeeded in 2.5s\n  start: 1\n  train: 300"


def test_it_draws_at_most_four_times_a_second():
    cell = Cell().told(started())
    for _ in range(100):
        cell.told(0.01, progressed(standing("train", 100, 1, running=1)))

    assert 1 + 3 <= len(cell.shown) <= 1 + 4


def test_what_is_waited_for_stands_beside_the_state_until_something_happens():
    cell = Cell().told(started(), 1, Waiting("Ray is <starting>"))
    waiting = cell.text
    cell.told(1, progressed(standing("start", 1, 0, running=1)))

    assert waiting == "TrainFlow/77 running, waiting: Ray is &lt;starting&gt;"
    assert "waiting" not in cell.text


def test_tasks_are_quoted_and_a_traceback_is_left_to_the_exception():
    where = label(where="[2]")
    lines = ["<flow TrainFlow step train[2] (input: 3)> failed:", *TRACEBACK.rstrip("\n").split("\n"), "not of the traceback"]
    cell = Cell().told(
        started(),
        TaskSaid(where, "fit \x1b[2Jing"),
        *(TaskSaid(where, line, is_error=True) for line in lines),
        TaskAttemptFailed(where, 0, 2, FAILURE, is_retried=True, seconds=41.0),
        Draining("interrupted", 1, 5.0),
    )

    assert cell.out.getvalue() == "[train[2]] fit ing\n"
    assert cell.err.getvalue().splitlines() == [
        "[train[2]] not of the traceback",
        "train[2] failed (attempt 1 of 2) after 41s: LinAlgError: Last 2 dimensions must be square (/src/model.py:21); it is retried",
    ]
    assert cell.text == "TrainFlow/77 ending"


def test_what_was_held_back_of_a_task_that_succeeds_after_all_is_shown():
    said = TaskSaid(label(), "<flow TrainFlow step train> failed:", is_error=True)

    assert Cell().told(started(), said, TaskDone(label(), 1.0)).err.getvalue() == "[train] <flow TrainFlow step train> failed:\n"


def test_warnings_and_what_is_reused_are_said():
    cell = Cell().told(started(origin="76"), StepsReused({"start": 1, "train": 2}, "76"), Warned("mind \x07 this"))

    assert (cell.out.getvalue(), cell.err.getvalue()) == ("3 tasks of run 76 reused\n", "Warning: mind \\x07 this\n")


def test_a_failed_run_is_red_and_its_failures_are_counted():
    failed = [TaskAttemptFailed(label(task_id=str(n)), 0, 1, FAILURE, is_retried=False) for n in range(9)]
    cell = Cell().told(started(), *failed, RunEnded("77", Outcome.FAILED, 1.0, (standing("train", 9, 0, failed=9),)))

    assert "#c62828" in cell.shown[-1][1]["text/html"]
    assert cell.text == "TrainFlow/77 failed in 1.0s step done failed time train 0 of 9 9 0.0s"
    assert len(cell.err.getvalue().splitlines()) == 3 + 1
