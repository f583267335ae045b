"""What a step prints goes to files, with a span per attempt; in the launcher's own process it is copied."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys

import pytest

from rayflow.model.layout import RunLayout
from rayflow.runtime.capture import MARK, TRUNCATED, Copied
from rayflow.runtime.logfiles import LogFiles
from rayflow.store import open_root

LAYOUT = RunLayout("F", "1")


@pytest.fixture
def store(tmp_path):
    return open_root(str(tmp_path / "root"), create=True)


def captured(store, program: str, cap_nbytes: int = 1 << 20) -> list[tuple[str, str]]:
    """What the attempts of a program printed, by the spans that it prints about itself: capturing takes descriptors 1 and 2, which
    must not be the test's."""
    lines = [
        "import os, sys, json, subprocess, io, time",
        "from rayflow.runtime.capture import Capture",
        "from rayflow.runtime.logfiles import LogFiles",
        "from rayflow.model.layout import RunLayout",
        "from rayflow.store import open_store",
        f"store = open_store({store.url!r})",
        "told = os.dup(1)",
        f"capture = Capture(LogFiles(store, RunLayout('F', '1')), 'train', {cap_nbytes})",
        "capture.start(); capture.resume()",
        "spans = []",
        "def attempt(function):",
        "    function(); spans.append(capture.end())",
        program,
        "capture.pause(); capture.close()",
        "os.write(told, json.dumps([capture.name, spans]).encode())",
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    name, spans = json.loads(ended.stdout)
    out, err = (
        store.read(LAYOUT.log(name, stream)).decode("utf-8", "replace") if _exists(store, name, stream) else "" for stream in ("out", "err")
    )
    return [(out.encode()[span[0] : span[1]].decode(), err.encode()[span[2] : span[3]].decode()) for span in spans]


def _exists(store, name, stream):
    return LAYOUT.log(name, stream) in set(store.list("F"))


def test_each_attempt_has_its_own_span_of_both_streams(store):
    program = "attempt(lambda: print('one ü')); attempt(lambda: print('two', file=sys.stderr)); attempt(lambda: None)"

    assert captured(store, program) == [("one ü\n", ""), ("", "two\n"), ("", "")]


def test_subprocesses_and_descriptors_are_caught_in_order(store):
    program = "attempt(lambda: (print('a'), subprocess.run('echo b; echo c >&2', shell=True), os.write(1, b'd'), print('e')))"

    assert captured(store, program) == [("a\nb\nde\n", "c\n")]


@pytest.mark.parametrize(
    "spoil", ["sys.stdout.close()", "setattr(sys, 'stdout', io.StringIO())", "setattr(sys, 'stdout', None)", "sys.stderr.close()"]
)
def test_streams_that_an_attempt_spoils_work_in_the_next(store, spoil):
    program = f"attempt(lambda: (print('before'), {spoil})); attempt(lambda: (print('after'), print('error', file=sys.stderr)))"

    assert captured(store, program) == [("before\n", ""), ("after\n", "error\n")]


def test_a_closed_descriptor_works_in_the_next_batch(store):
    program = "attempt(lambda: os.close(1)); capture.pause(); capture.resume(); attempt(lambda: print('after'))"

    assert captured(store, program) == [("", ""), ("after\n", "")]


@pytest.mark.parametrize("pause", ["0", "0.2"], ids=["at once", "while it writes"])
def test_output_beyond_the_cap_is_cut_and_the_next_attempt_is_not(store, pause):
    program = f"attempt(lambda: (print('x' * 5000), time.sleep({pause}), print('y' * 3000))); attempt(lambda: print('next'))"

    (out, err), after = captured(store, program, cap_nbytes=1000)

    assert (out, err, after) == ("x" * 1000 + "\n" + TRUNCATED.decode(), "", ("next\n", ""))


def test_a_subprocess_that_goes_on_writing_is_cut_again(store):
    program = (
        "attempt(lambda: subprocess.run('for i in 1 2 3 4 5 6; do head -c 5000 /dev/zero | tr \"\\\\0\" z; sleep 0.1; done', shell=True))"
    )

    ((out, _),) = captured(store, program, cap_nbytes=1000)

    assert (len(out) <= 1000 + len(TRUNCATED) + 1, out.endswith(TRUNCATED.decode())) == (True, True)


def test_marks_say_when_a_file_had_which_size(store):
    captured(store, "attempt(lambda: (print('a'), time.sleep(0.3), print('b')))")

    (key,) = [key for key in store.list("F") if key.endswith(".marks")]
    marks = list(MARK.iter_unpack(store.read(key)))
    assert ([sizes for _, *sizes in marks][-1], len(marks) >= 2, marks[0][0] < marks[-1][0]) == ([4, 0], True, True)


@pytest.fixture
def terminal():
    """The streams of the launcher, in place while the block is open."""

    @contextlib.contextmanager
    def opened():
        screen = io.StringIO()
        with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(io.StringIO()):
            yield screen
            assert sys.stdout is screen

    return opened


def test_a_copy_reaches_the_terminal_and_the_log(store, terminal):
    copied = Copied(LogFiles(store, LAYOUT), "train", 1 << 20)
    with terminal() as screen:
        copied.resume()
        print("both ü")
        span = copied.span()
        copied.pause()

    assert screen.getvalue() == "both ü\n"
    assert store.read(LAYOUT.log(span.name, "out"))[span.out_begin : span.out_end].decode() == "both ü\n"


@pytest.mark.parametrize(
    "spoil", [lambda: (sys.stdout.close(), None), lambda: setattr(sys, "stdout", io.StringIO()), lambda: setattr(sys, "stdout", None)]
)
def test_copied_streams_that_an_attempt_spoils_work_in_the_next(store, terminal, spoil):
    copied = Copied(LogFiles(store, LAYOUT), "train", 1 << 20)
    with terminal() as screen:
        copied.resume()
        for deed in (lambda: (print("one"), spoil()), lambda: print("two")):
            deed()
            copied.end()
        copied.pause()

    assert screen.getvalue() == "one\ntwo\n"


def test_a_copy_is_cut_at_the_cap_and_the_terminal_is_not(store, terminal):
    copied = Copied(LogFiles(store, LAYOUT), "train", 10)
    with terminal() as screen:
        copied.resume()
        for text in ("x" * 50, "y"):
            print(text, end="")
            copied.end()
        copied.pause()

    assert (screen.getvalue(), store.read(LAYOUT.log(copied.name, "out"))) == ("x" * 50 + "y", b"x" * 10 + b"\n" + TRUNCATED + b"y")


@pytest.fixture
def bucket_store(bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return open_root(bucket(), create=True)


def test_on_a_bucket_output_is_stored_at_the_end_of_a_batch_and_no_file_stays_behind(bucket_store, tmp_path):
    assert captured(bucket_store, "attempt(lambda: print('there')); attempt(lambda: None)") == [("there\n", ""), ("", "")]

    assert list(tmp_path.iterdir()) == []
    assert len(list(bucket_store.list("F/runs/1/logs"))) == 2  # out, and when its lines were printed


def test_on_a_bucket_nothing_is_stored_of_who_prints_nothing(bucket_store):
    assert captured(bucket_store, "attempt(lambda: None)") == [("", "")]

    assert list(bucket_store.list("F")) == []
