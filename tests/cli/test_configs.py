"""Configs on the command line, as a user gives them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
from rayflow import Config, FlowSpec, Parameter, step


class ConfiguredFlow(FlowSpec):
    cfg = Config("cfg", default="cfg.json", help="What to do.")
    alpha = Parameter("alpha", default=cfg.alpha)

    @step
    def start(self):
        self.told = f"alpha {self.alpha} of {self.cfg.alpha}"
        self.next(self.end)

    @step
    def end(self):
        if os.environ.get("BREAK"):
            raise ValueError("asked for")
        print(self.told, "and then", self.cfg.alpha)


if __name__ == "__main__":
    ConfiguredFlow()
"""


@pytest.fixture
def perform(tmp_path):
    (tmp_path / "flow.py").write_text(SCRIPT)
    (tmp_path / "cfg.json").write_text('{"alpha": 1}')
    (tmp_path / "other.json").write_text('{"alpha": 2}')

    def perform(*arguments, program=("flow.py",), **environ):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAYFLOW_")}
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=tmp_path,
            env={**kept, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return perform


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        (("run",), {}, "alpha 1 of 1"),
        (("--config", "cfg", "other.json", "run"), {}, "alpha 2 of 2"),
        (("run", "--config", "cfg", "other.json", "--alpha", "5"), {}, "alpha 5 of 2"),
        (("--config-value", "cfg", '{"alpha": 3}', "run"), {}, "alpha 3 of 3"),
        (("run",), {"RAYFLOW_FLOW_CONFIG_VALUE": '{"cfg": {"alpha": 4}}'}, "alpha 4 of 4"),
    ],
)
def test_a_config_is_given_before_or_after_the_command(perform, arguments, environ, expected):
    result = perform("--executor", "inline", *arguments, **environ)

    assert (result.returncode, f"{expected} and then {expected[-1]}" in result.stdout) == (0, True), result.stderr


def test_so_it_is_with_the_program(perform):
    result = perform("run", "flow.py", "--config", "cfg", "other.json", "--executor", "inline", program=("-m", "rayflow"))

    assert (result.returncode, "alpha 2 of 2" in result.stdout) == (0, True), result.stderr


def test_a_resume_has_the_configs_of_the_run_that_it_continues(perform, tmp_path):
    failed = perform("--executor", "inline", "--config", "cfg", "other.json", "run", BREAK="1")
    (tmp_path / "cfg.json").unlink()

    refused = perform("--config", "cfg", "other.json", "resume")
    resumed = perform("--executor", "inline", "resume")

    assert (failed.returncode, refused.returncode, resumed.returncode) == (1, 2, 0), resumed.stderr
    assert "Cannot specify --config or --config-value with 'resume'" in refused.stderr
    assert "alpha 2 of 2 and then 2" in resumed.stdout


def test_a_config_that_is_missing_is_told_and_keeps_no_command_from_working_that_needs_none(perform, tmp_path):
    (tmp_path / "cfg.json").unlink()

    run, listed = perform("run"), perform("version")

    assert (run.returncode, listed.returncode) == (2, 0)
    assert "default configuration file 'cfg.json' could not be read for 'cfg'" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_help_names_the_configs(perform):
    assert "Configs: cfg: What to do." in " ".join(perform("--help").stdout.split())
