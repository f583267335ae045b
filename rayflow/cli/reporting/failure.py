"""A failure as its user wants to read it: the frames of their own code, the exception, and how much was left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rayflow.cli.reporting.text import counted, duration, harmless, size
from rayflow.model.records import Failure, FailureKind
from rayflow.runtime.notices import TaskAttemptFailed

_FRAME = re.compile(r'^  File "', re.MULTILINE)
_MAX_FRAMES = 8
_MAX_LINES = 12
_MAX_WIDTH = 48


def headline(failure: Failure) -> str:
    """One line: `ValueError: boom`, or the message of a death."""
    name = failure.type.rpartition(".")[2]
    first = harmless(failure.message.strip().split("\n")[0])
    if not name:
        return first or f"The task ended by {failure.kind.value}."
    return f"{name}: {first}" if first else name


def place(failure: Failure) -> str:
    """Where the innermost frame of the user's code was: `train.py:58`; empty where unknown."""
    return f"{_short(failure.frames[-1].file)}:{failure.frames[-1].line}" if failure.frames else ""


def described(failure: Failure, *, is_full: bool = False) -> Iterator[str]:
    """The user's frames, outermost first, and the exception; `is_full`: the whole traceback. Indented and harmless on a terminal."""
    if is_full and failure.traceback:
        yield from (f"    {harmless(line)}" for line in failure.traceback.rstrip("\n").split("\n"))
        return
    half, total = _MAX_FRAMES // 2, len(failure.frames)
    places = [harmless(f"{_short(frame.file)}:{frame.line} in {frame.function}") for frame in failure.frames]
    width = min(max(map(len, places), default=0), _MAX_WIDTH)
    for position, frame in enumerate(failure.frames):
        if total <= _MAX_FRAMES or position < half or position >= total - half:
            yield f"    {places[position]:<{width}}    {harmless(frame.source.strip())}".rstrip()
        elif position == half:
            yield f"    ... {counted(total - _MAX_FRAMES, 'further frame')} of yours ..."
    yield f"  {headline(failure)}"
    rest = failure.message.strip().split("\n")[1:]
    yield from (f"    {harmless(line)}" for line in rest[:_MAX_LINES])
    if len(rest) > _MAX_LINES:
        yield f"    ({counted(len(rest) - _MAX_LINES, 'further line')})"


def hidden(failure: Failure) -> str:
    """`12 framework frames hidden (-v shows them)`; empty where nothing is."""
    count = len(_FRAME.findall(failure.traceback)) - len(failure.frames)
    return f"{counted(count, 'framework frame')} hidden (-v shows them)" if count > 0 else ""


def circumstances(notice: TaskAttemptFailed) -> str:
    """`train[3] failed (attempt 2 of 2) after 41s on node-3 · peak 2.1 GB`."""
    text = f"{harmless(notice.label.step)}{notice.label.where} {_verb(notice.failure)}"
    if notice.attempts_allowed > 1:
        text += f" (attempt {notice.attempt + 1} of {notice.attempts_allowed})"
    if notice.seconds:
        text += f" after {duration(notice.seconds)}"
    if notice.node:
        text += f" on {harmless(notice.node)}"
    return text + (f" · peak {size(notice.peak_nbytes)}" if notice.peak_nbytes else "")


def _verb(failure: Failure) -> str:
    if failure.kind is FailureKind.TIMEOUT:
        return "timed out"
    if failure.kind is FailureKind.DIED and failure.exit_code is not None and failure.exit_code < 0:
        return f"was killed by signal {-failure.exit_code}"
    return "ran out of memory" if failure.kind is FailureKind.OUT_OF_MEMORY else "failed"


def _short(file: str) -> str:
    """The file relative to the working directory where it is below it."""
    here = os.getcwd() + os.sep
    return file[len(here) :] if file.startswith(here) else file


@dataclass
class Repeats:
    """Tells the first few failures of a kind one by one and counts the others: a fan-out can fail 100,000 times in the same line.

    Failures are of one kind that have the step, the exception's type and the place in common.
    """

    shown_each: int = 3
    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]], init=False)
    _examples: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str], init=False)

    def is_news(self, notice: TaskAttemptFailed) -> bool:
        """Whether this one is told. Counts it."""
        failure = notice.failure
        kind = (notice.label.step, failure.type or failure.kind.value, place(failure))
        self._counts[kind] += 1
        self._examples.setdefault(kind, headline(failure)[:100])
        return self._counts[kind] <= self.shown_each

    def summary(self) -> Iterator[str]:
        """`train: 37 attempts failed like this: KeyError: 'age' (features.py:41)`, for kinds that were not told in full; at most 5."""
        for kind, count in self._counts.most_common(5):
            if count > self.shown_each:
                where = f" ({kind[2]})" if kind[2] else ""
                yield f"{kind[0]}: {count:,} attempts failed like this: {self._examples[kind]}{where}"
