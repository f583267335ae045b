import io

from rich.console import Console

from rayflow.cli.reporting.live import LiveReporter
from rayflow.cli.reporting.screen import Screen
from rayflow.model.errors import InvalidNextException, block
from rayflow.model.records import Outcome
from rayflow.runtime.failures import failure_of
from rayflow.runtime.notices import Draining, Progressed, RunEnded, StepsReused, TaskAttemptFailed, TaskDone, TaskSaid, Waiting, Warned

from .telling import FAILURE, GRAPH, PROMPT, TRACEBACK, Clock, label, standing, started


def told(*notices, is_verbose=False):
    """What stands on the terminal above and after the live area, as text."""
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None, markup=False, emoji=False, highlight=False)
    reporter = LiveReporter(console, PROMPT, facts="process", version="0.1.0", is_verbose=is_verbose, is_animated=False, clock=clock)
    for notice in notices:
        if isinstance(notice, (int, float)):
            clock.seconds += notice
        else:
            reporter.tell(notice)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def drawn(screen, now, width=100, height=22):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(screen.draw(now, height))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def screen_of(*standings, steps=("start", "train", "join", "end"), **state):
    screen = Screen(steps=steps, **state)
    screen.update(standings, 0.0)
    return screen


def test_the_live_area_has_one_line_per_step_and_a_foreach_is_one_bar():
    start = standing("start", 1, 1)
    screen = screen_of(start, standing("train", 10_000, 2_000, running=8))
    screen.update((start, standing("train", 10_000, 5_000, running=8, failed=1)), 4.0)

    assert drawn(screen, 4.0) == (
        " ✓  start\n ⠋  train  ━━━━━━━━━━━━              5,000/10,000  750/s  6.7s left  8 running, 1 failed\n ·  join\n ·  end"
    )


def test_what_is_waited_for_and_an_ending_stand_below_the_steps():
    screen = screen_of(standing("start", 1, 0, running=1))
    screen.waits_for, screen.ending = "Ray is starting", "ending: 1 task may go on for 5.0s"

    assert drawn(screen, 1.0) == (
        " ⠋  start  running  1.0s\n ·  train\n ·  join\n ·  end\n waiting: Ray is starting\n ending: 1 task may go on for 5.0s"
    )


def test_a_flow_of_many_steps_fits_the_screen_and_shows_what_works():
    names = [f"s{number}" for number in range(60)]
    done = [standing(name, 1, 1, reused=1) for name in names[:30]]
    screen = screen_of(*done, standing("s30", 1, 0, running=1), steps=names)

    lines = drawn(screen, 0.0, height=10).split("\n")

    assert lines == [
        " ⋮  26 more steps",
        " ✓  s26            reused",
        " ✓  s27            reused",
        " ✓  s28            reused",
        " ✓  s29            reused",
        " ⠋  s30            running",
        " ·  s31",
        " ·  s32",
        " ·  s33",
        " ⋮  26 more steps",
    ]


def test_a_terminal_without_utf8_gets_ascii_marks():
    screen = screen_of(standing("start", 1, 1), standing("train", 1, 0, running=1), is_ascii=True)

    assert drawn(screen, 0.0) == " +  start\n |  train  running\n .  join\n .  end"


def test_a_run_is_opened_by_a_header_and_closed_by_a_table():
    text = told(
        started(origin="41"),
        StepsReused({"start": 1}, "41"),
        Progressed(GRAPH, (standing("start", 1, 1, reused=1), standing("train", 3, 1, running=2))),
        250,
        Progressed(GRAPH, (standing("start", 1, 1, reused=1), standing("train", 3, 3))),
        RunEnded("77", Outcome.SUCCEEDED, 250.4, (standing("start", 1, 1, reused=1), standing("train", 3, 3))),
    )

    assert text == (
        "rayflow 0.1.0 · TrainFlow · run 77 · resumes 41 · process · root /data/.rayflow\n"
        " 1 task of run 41 reused\n"
        " step    done   reused    time\n"
        " start      1        1    0.0s\n"
        " train      3            4m10s\n"
        "Done! in 4m10s · run 77 · rayflow show 77"
    )


def test_a_failure_shows_the_users_frames_and_ends_with_the_command_that_continues():
    text = told(
        started(),
        TaskAttemptFailed(label(where="[1]"), 1, 2, FAILURE, is_retried=False, seconds=41.2, node="node-3"),
        RunEnded("77", Outcome.FAILED, 42.0, (standing("train", 3, 2, failed=1), standing("join", 1, 0)), failure=FAILURE, label=label()),
    )

    assert text == (
        "rayflow 0.1.0 · TrainFlow · run 77 · process · root /data/.rayflow\n"
        " step      done   failed   time\n"
        " train   2 of 3        1   0.0s\n"
        "\n"
        "✗ train[1] failed (attempt 2 of 2) after 41s on node-3\n"
        "    /src/train.py:58 in train    self.model = fit(X, y)\n"
        "    /src/model.py:21 in fit      w = solve(A, b)\n"
        "  LinAlgError: Last 2 dimensions must be square\n"
        "  1 framework frame hidden (-v shows them)\n"
        "  output    python train.py logs 77/train/3\n"
        "  continue  python train.py resume"
    )


def test_a_verbose_failure_shows_the_whole_traceback():
    text = told(started(), RunEnded("77", Outcome.FAILED, 42.0, (), failure=FAILURE, label=label()), is_verbose=True)

    shown = text.splitlines()
    assert shown[shown.index("✗ train failed") + 1 : -2] == [f"    {line}" for line in TRACEBACK.splitlines()]


def test_output_stands_above_with_its_step_and_within_a_fan_out_its_position():
    text = told(started(), TaskSaid(label("start", "1"), "\x1b[2Jhello"), TaskSaid(label(where="[1]"), "splitting", is_error=True))

    assert text.splitlines()[1:] == ["start hello", "train[1] splitting"]


def test_a_traceback_is_told_once_by_the_failure_and_not_by_the_output():
    said = ["before", "<flow TrainFlow step train[1] (input: 2)> failed:", *TRACEBACK.rstrip("\n").split("\n"), "after"]

    text = told(
        started(),
        *[TaskSaid(label(where="[1]"), line, is_error=True) for line in said],
        TaskAttemptFailed(label(where="[1]"), 0, 2, FAILURE, is_retried=True),
    )

    assert text.splitlines()[1:] == [
        "train[1] before",
        "train[1] after",
        "! train[1] failed (attempt 1 of 2); it is retried",
        "    /src/train.py:58 in train    self.model = fit(X, y)",
        "    /src/model.py:21 in fit      w = solve(A, b)",
        "  LinAlgError: Last 2 dimensions must be square",
    ]


def test_so_is_what_an_error_of_ours_says():
    try:
        raise InvalidNextException("No such step.", line=7, file="/src/train.py")
    except InvalidNextException as error:
        failure, headline = failure_of(error), block(error)
    said = ["before", "<flow TrainFlow step train> failed:", *headline.rstrip("\n").split("\n"), "    last words:", "No such step."]

    text = told(
        started(), *[TaskSaid(label(), line, is_error=True) for line in said], TaskAttemptFailed(label(), 0, 2, failure, is_retried=True)
    )

    assert text.splitlines()[1:4] == ["train before", "train     last words:", "train No such step."]
    assert text.count("InvalidNextException: No such step. (in file /src/train.py on line 7)") == 1


def test_output_that_only_looks_like_a_failure_is_shown_when_the_task_is_done():
    text = told(started(), TaskSaid(label(), "<flow X step y> failed:", is_error=True), TaskDone(label(), 0.1))

    assert text.splitlines()[1:] == ["train <flow X step y> failed:"]


def test_an_interrupted_run_says_what_is_kept_and_how_to_go_on():
    text = told(
        started(),
        Waiting("train needs 8 CPU, the cluster has 4"),
        Warned("train asks for 64 CPU"),
        Draining("Interrupted by Ctrl-C.", 3, 5.0),
        RunEnded("77", Outcome.INTERRUPTED, 9.0, (standing("start", 1, 1),)),
    )

    assert text.splitlines()[1:] == [
        "! train asks for 64 CPU",
        "! Interrupted by Ctrl-C.",
        " step    done   time",
        " start      1   0.0s",
        "Interrupted after 9.0s. What is done is kept.",
        "  continue  python train.py resume",
    ]
