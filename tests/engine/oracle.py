"""What a flow computes: a recursive evaluator of the tree of constructs that knows nothing of the scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

from .flows import Each, Flow, Linear, Loop, Sequence_, Split, Switch

Place = tuple[str, tuple[int, ...], int]
"""Step, position in each enclosing foreach, lap."""


def task_value(place: Place, version: int, inputs: Sequence[int]) -> int:
    """What "user code" makes of its inputs. `version` stands for an edit of the step's source."""
    return crc32(repr((place, version, tuple(inputs))).encode())


def repeats(value: int, lap: int) -> bool:
    """Whether a looping task goes for another lap."""
    return lap < 2 and value % 2 == 1


def evaluate(flow: Flow, versions: Mapping[str, int]) -> dict[Place, int]:
    """The value of every task that a run performs."""
    values: dict[Place, int] = {}

    def run_task(name: str, path: tuple[int, ...], inputs: Sequence[int], lap: int = 0) -> int:
        place = (name, path, lap)
        values[place] = task_value(place, versions.get(name, 0), inputs)
        return values[place]

    def run(items: Sequence_, path: tuple[int, ...], before: Sequence[int]) -> int:
        value = before[0] if before else 0
        for item in items:
            value = run_task(item.name, path, before)
            match item:
                case Linear():
                    pass
                case Split(branches=branches, join=join):
                    value = run_task(join, path, [run(branch, path, [value]) for branch in branches])
                case Each(body=body, join=join, counts=counts):
                    count = counts[value % len(counts)]
                    value = run_task(join, path, [run(body, (*path, k), [value]) for k in range(count)])
                case Switch(arms=arms, meet=meet):
                    value = run(arms[value % len(arms)], path, [value])
                    value = value if meet is None else run_task(meet, path, [value])
                case Loop(name=name, after=after):
                    lap = 0
                    while repeats(value, lap):
                        lap += 1
                        value = run_task(name, path, [value], lap)
                    value = run_task(after, path, [value])
            before = [value]
        return value

    run(flow.tree, (), [])
    return values
