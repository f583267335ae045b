"""How fast steps go, by the clock of whoever watches: what a step computes in parallel says nothing about when it will be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rayflow.runtime.notices import StepProgress

_WINDOW_S = 10.0
_SAMPLE_S = 0.5


@dataclass
class _Watched:
    """One step: when it was first seen to begin, when nothing was left to do, and how many were done when."""

    begun: float | None = None
    ended: float | None = None
    samples: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])


@dataclass
class Pace:
    """Of every step: seconds from its first task to its last, tasks per second over the last ten seconds, seconds that are left."""

    _steps: dict[str, _Watched] = field(default_factory=dict[str, _Watched], init=False)

    def note(self, standings: Sequence[StepProgress], now: float) -> None:
        """Takes in where the steps stand at `now`, in seconds of a monotonic clock."""
        for standing in standings:
            watched = self._steps.setdefault(standing.step, _Watched())
            has_begun = standing.running or standing.done > standing.reused or standing.failed
            if watched.begun is None and has_begun:
                watched.begun = now
            is_over = standing.done >= standing.known and not standing.running
            if not is_over:
                watched.ended = None
            elif watched.ended is None:
                watched.ended = now
            samples = watched.samples
            if has_begun and (not samples or now - samples[-1][0] >= _SAMPLE_S):
                samples.append((now, standing.done))
            while len(samples) > 2 and now - samples[0][0] > _WINDOW_S:
                samples.popleft()

    def seconds(self, step: str, now: float) -> float:
        """How long the step has been at work; 0.0 where it was not."""
        watched = self._steps.get(step)
        if watched is None or watched.begun is None:
            return 0.0
        return (watched.ended if watched.ended is not None else now) - watched.begun

    def per_second(self, standing: StepProgress, now: float) -> float:
        """0.0 while there is too little to tell."""
        watched = self._steps.get(standing.step)
        if watched is None or not watched.samples or now - watched.samples[0][0] < _SAMPLE_S:
            return 0.0
        begun, before = watched.samples[0]
        return max(standing.done - before, 0) / (now - begun)

    def left_s(self, standing: StepProgress, now: float) -> float | None:
        """Seconds until what is known is done, at the present rate; None where that cannot be told."""
        rate = self.per_second(standing, now)
        return (standing.known - standing.done) / rate if rate else None
