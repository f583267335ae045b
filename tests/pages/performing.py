"""How a page shows that it is true: the files, commands and snippets on it are written, run and compared, in order, in one directory.

A block of `python`, `yaml` or `toml` whose first line is `# <file>` is that file; other `python` is run. A block of `console` has commands
(`$ ...`, with `# exit code N` where it is not 0) and lines that their output must contain. `text` is only read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).parent.parent.parent
FILES = ("python", "yaml", "toml")


class Fence(NamedTuple):
    """A fenced block of a page."""

    language: str
    content: str


class Command(NamedTuple):
    """A `$ ...` of a console block: how it must end, and what its output must contain."""

    text: str
    exit_code: int
    expected: list[str]


def fences(page: str) -> list[Fence]:
    return [Fence(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)]


def commands(console: str) -> Iterator[Command]:
    for block in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        text, *expected = block.splitlines()
        stated = re.search(r"# exit code (\d+)", text)
        yield Command(text, int(stated.group(1)) if stated else 0, [line.strip() for line in expected])


def surroundings(cwd: Path, executor: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("RAYFLOW", "METAFLOW", "RAY_"))}
    return {
        **ours,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "EXAMPLES": str(REPO / "examples"),
        "PYTHONPATH": str(cwd),
        "RAYFLOW_CACHE": str(cwd / "cache"),
        "RAYFLOW_ENVIRONMENTS_DIR": os.environ["RAYFLOW_ENVIRONMENTS_DIR"],
        "RAYFLOW_STATE_DIR": str(cwd / "state"),
        "RAYFLOW_EXECUTOR": executor,
        "RAYFLOW_USER": "reader",
    }


def perform(command: Command, cwd: Path, environ: dict[str, str]) -> None:
    result = subprocess.run(["bash", "-c", command.text], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=100)
    told = result.stdout + result.stderr
    assert result.returncode == command.exit_code, f"$ {command.text}\n{told}"
    for line in command.expected:
        assert line in told, f"$ {command.text} does not say {line!r}:\n{told}"


def perform_page(page: str, cwd: Path, environ: dict[str, str]) -> int:
    """How many blocks were executed."""
    done = 0
    for language, content in fences(page):
        named = re.match(r"# ([\w.]+\.\w+)\n", content)
        if language in FILES and named:
            (cwd / named.group(1)).write_text(content, encoding="utf-8")
        elif language == "python":
            perform(Command(f"python - <<'END'\n{content}\nEND", 0, []), cwd, environ)
        elif language == "console":
            for command in commands(content):
                perform(command, cwd, environ)
        else:
            continue
        done += 1
    return done
