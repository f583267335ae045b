"""An exception of user code, as the record of a failure."""

from __future__ import annotations

import pickle

import pytest

from rayflow.model.errors import ArtifactUnserializable, InvalidNextException, RayflowException, TimeoutException
from rayflow.model.records import FailureKind
from rayflow.runtime.failures import describe, failure_of, is_installed, is_users, user_frames


def caught(function) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail():
    raise ValueError("ünïcode")


def test_an_exception_keeps_its_type_text_and_the_users_frames():
    failure = failure_of(caught(fail))

    assert (failure.kind, failure.type, failure.message) == (FailureKind.EXCEPTION, "builtins.ValueError", "ünïcode")
    assert (failure.frames[-1].function, failure.frames[-1].source) == ("fail", 'raise ValueError("ünïcode")')
    assert failure.traceback.endswith("ValueError: ünïcode\n")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutException("t"), FailureKind.TIMEOUT),
        (InvalidNextException("n"), FailureKind.TRANSITION),
        (ArtifactUnserializable("a"), FailureKind.ARTIFACT),
        (KeyboardInterrupt(), FailureKind.EXCEPTION),
    ],
)
def test_our_own_exceptions_have_kinds_of_their_own(error, kind):
    assert failure_of(error).kind is kind


@pytest.mark.parametrize(("code", "expected"), [(3, 3), ("bye", 1), (202, 202), (True, 1)])
def test_an_exit_keeps_its_code(code, expected):
    failure = failure_of(SystemExit(code))

    assert (failure.kind, failure.exit_code, repr(code) in failure.message) == (FailureKind.EXIT, expected, True)


def test_exit_code_202_says_never_retry():
    assert [failure_of(SystemExit(code)).is_retryable for code in (1, 202)] == [True, False]


def test_the_causes_of_an_exception_are_in_its_traceback():
    def chained():
        try:
            fail()
        except ValueError as error:
            raise KeyError("outer") from error

    failure = failure_of(caught(chained))

    assert (failure.message, "ValueError: ünïcode" in failure.traceback, "direct cause" in failure.traceback) == ("'outer'", True, True)


def test_an_exception_whose_text_cannot_be_made_is_recorded_all_the_same():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    failure = failure_of(Broken())

    assert ("text could not be made" in failure.message, "Broken" in failure.traceback) == (True, True)


def test_a_huge_traceback_is_cut_in_the_middle():
    failure = failure_of(caught(lambda: (_ for _ in ()).throw(ValueError("x" * 1_000_000))))

    assert (len(failure.traceback) < 70_000, "[...]" in failure.traceback) == (True, True)


def test_frames_of_installed_packages_are_left_out_where_there_are_the_users():
    failure = failure_of(caught(lambda: pickle.loads(b"nonsense")))

    assert {is_installed(frame.file) for frame in failure.frames} == {False}


def test_without_the_users_own_the_last_frame_is_shown():
    assert user_frames(None) == ()


def test_a_checkout_that_is_called_rayflow_is_the_users():
    assert [is_users(path) for path in ("/home/ada/rayflow/flow.py", pytest.__file__, pickle.__file__)] == [True, False, False]


def test_a_failure_can_be_pickled():
    failure = failure_of(caught(fail))

    assert pickle.loads(pickle.dumps(failure)) == failure


class Own(RayflowException):
    """A user's class, which leaves out what ours would set."""

    def __init__(self, size):
        self.size = size


class Mute(RayflowException):
    def __str__(self):
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("error", "begins", "shows_the_line"),
    [
        (
            RayflowException("Nothing there.\nLook elsewhere."),
            "    Flow failed:\n    Nothing there.\n    Look elsewhere.\n      File ",
            True,
        ),
        (
            InvalidNextException("No such step.", line=7, file="f.py"),
            "    Invalid self.next() transition detected in file f.py on line 7:\n    No",
            False,
        ),
        (Own(3), "    Flow failed:\n    3\n", True),
        (Mute(), "Traceback (most recent call last):\n", True),
        (KeyError("k"), "Traceback (most recent call last):\n", True),
    ],
)
def test_an_error_of_ours_is_described_by_what_it_says_and_where_the_user_was(capsys, error, begins, shows_the_line):
    try:
        raise error
    except Exception as raised:
        describe(raised)

    told = capsys.readouterr().err
    assert (told[: len(begins)], "raise error" in told) == (begins, shows_the_line)
