"""Every error that a user can cause on the command line, as a row: what was written or typed, and what comes of it.

`refused` are flows that no run performs, `failing` flows that fail in a task, `commands` what is typed wrongly, `kuberay` what
KubeRay does not take.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A flow (`F`, in the file that is named) or none, what is typed after `rayflow`, and what comes of it."""

    name: str
    typed: str
    error: type[BaseException]
    words: tuple[str, ...]
    source: str = ""
    exit_code: int = 1


def flow(*steps: str, above: str = "", head: str = "", fields: str = "") -> str:
    """The source of a flow. A step is `[decorators\\n]name(self): statements`, in one line."""
    lines = ["import os, sys, threading, time", "from rayflow import *", *head.splitlines(), "", *above.splitlines(), "class F(FlowSpec):"]
    lines += [f"    {line}" for line in fields.splitlines()]
    for each in steps:
        *decorators, signature = each.splitlines()
        lines += [f"    {line}" for line in (*decorators, "@step", f"def {signature}")]
    return "\n".join([*lines, "", "if __name__ == '__main__':", "    F()", ""])


def graph(text: str) -> str:
    """The source of a flow whose steps only lead on: `start: a b; a: join; @parallel b: join; join+: end; end` (`+`: takes inputs)."""
    steps = []
    for named, _, leads in (part.strip().partition(":") for part in text.split(";")):
        *decorators, name = named.split()
        arguments = "self, inputs" if name.endswith("+") else "self"
        given = [word if "=" in word or word[0] == "{" else f"self.{word}" for word in leads.split()]
        statement = f"self.next({', '.join(given)})" if given else "pass"
        steps.append("\n".join([*decorators, f"{name.rstrip('+')}({arguments}): {statement}"]))
    return flow(*steps)


def plain(**parts: str) -> str:
    """A flow of two steps that nothing is wrong with, but for what is around them."""
    return flow("start(self): self.next(self.end)", END, **parts)


END = "end(self): pass"
