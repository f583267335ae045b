"""What a resume takes over and what it runs: by the ledger."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from rayflow.client import open_pathspec
from tests.crash.world import World, committed_names


def failed(world: World, flow: str, broken: str, *options: str) -> str:
    """A run in which `broken` fails; its id."""
    driver = world.perform(flow, "run", *options, env={"BREAK": broken})
    assert driver.process.returncode == 1, driver.errors
    return str(driver.run_id)


def resumed(world: World, flow: str, *options: str, **env: str) -> tuple[str, list[str]]:
    """(run id of a resume that succeeds, what it ran)."""
    mark = world.mark()
    driver = world.perform(flow, "resume", *options, env=env)
    assert driver.process.returncode == 0, driver.errors
    return str(driver.run_id), world.started(mark)


def packs_of(world: World, flow: str, run_id: str) -> list[str]:
    top = Path(world.root) / flow / "runs" / run_id
    return sorted(str(path.relative_to(top)) for kind in ("packs", "blobs") for path in (top / kind).rglob("*") if path.is_file())


def test_of_a_foreach_only_the_failed_split_and_what_follows_runs_again(world: World):
    origin = failed(world, "Wide", "work-3")
    missing = {f"work-{number}" for number in range(6)} - committed_names(world.opened("Wide", origin))

    run_id, ran = resumed(world, "Wide")

    assert Counter(ran) == Counter([*missing, "join", "end"])
    run = open_pathspec(world.root, f"Wide/{run_id}")
    assert run["join"].task["values"].data == [number**2 for number in range(6)]
    assert run.origin_pathspec == f"Wide/{origin}"


def test_what_is_reused_is_referenced_and_not_copied(world: World):
    failed(world, "Wide", "end", "-p", "count=50")

    run_id, ran = resumed(world, "Wide")

    assert ran == ["end"]
    assert packs_of(world, "Wide", run_id) == []
    assert open_pathspec(world.root, f"Wide/{run_id}")["work"].table("value").num_rows == 50


def test_a_resume_of_a_resume_runs_only_what_is_still_missing(world: World):
    failed(world, "Wide", "join")
    second = world.perform("Wide", "resume", env={"BREAK": "end"})
    assert second.process.returncode == 1

    third, ran = resumed(world, "Wide")

    assert ran == ["end"]
    run = open_pathspec(world.root, f"Wide/{third}")
    assert run.origin_pathspec == f"Wide/{second.run_id}"
    assert run["join"].task["values"].data == [number**2 for number in range(6)]
    assert packs_of(world, "Wide", third) == []


def test_a_step_that_is_named_runs_again_with_all_that_follows_and_nothing_else(world: World):
    world.perform("Wide", "run")

    _, ran = resumed(world, "Wide", "--step", "join")

    assert ran == ["join", "end"]


def test_a_named_foreach_step_fans_out_again(world: World):
    world.perform("Wide", "run")

    _, ran = resumed(world, "Wide", "--step", "start")

    assert Counter(ran) == Counter(["start", *(f"work-{number}" for number in range(6)), "join", "end"])


def test_of_a_finished_run_everything_is_reused(world: World):
    world.perform("Wide", "run")

    run_id, ran = resumed(world, "Wide")

    assert ran == []
    run = open_pathspec(world.root, f"Wide/{run_id}")
    assert (run.successful, run["join"].task["values"].data) == (True, [number**2 for number in range(6)])


def test_a_fork_is_free_of_the_claim(world: World):
    origin = failed(world, "Wide", "end")
    first, _ = resumed(world, "Wide", "--origin", origin)

    second, ran = resumed(world, "Wide", "--origin", origin, "--fork")

    assert ran == ["end"]
    assert len({origin, first, second}) == 3


def test_resuming_an_origin_again_goes_on_with_its_continuation(world: World):
    origin = failed(world, "Wide", "join")
    second = world.perform("Wide", "resume", "--origin", origin, env={"BREAK": "end"})
    assert second.process.returncode == 1

    third, ran = resumed(world, "Wide", "--origin", origin)

    assert ran == ["end"]
    assert open_pathspec(world.root, f"Wide/{third}").origin_pathspec == f"Wide/{second.run_id}"


def test_nested_splits_switches_loops_and_caught_tasks_are_taken_over(world: World):
    failed(world, "Winding", "odd-3-2")
    done = Counter(world.started())

    run_id, ran = resumed(world, "Winding")

    total = done + Counter(ran)
    assert total["even-2"] == 1, "what @catch swallowed is done"
    assert {name: count for name, count in total.items() if count > 1} == {"odd-3-2": 2}, "the loop goes on at the lap that failed"
    assert open_pathspec(world.root, f"Winding/{run_id}")["join"].task["laps"].data == [0, 4, 0, 4]


def test_parameters_are_those_of_the_origin(world: World):
    failed(world, "Wide", "start-0 end", "-p", "count=4")

    run_id, _ = resumed(world, "Wide", "--step", "start")

    assert open_pathspec(world.root, f"Wide/{run_id}")["join"].task["values"].data == [0, 1, 4, 9]


SCRIPT = """
from rayflow import FlowSpec, Parameter, step

class Growing(FlowSpec):
    first = Parameter("first", default=1)
    {parameter}

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        {body}

if __name__ == "__main__":
    Growing()
"""


def run_script(world: World, *arguments: str, parameter: str = "", body: str = "pass"):
    import os
    import subprocess
    import sys

    script = world.path / "code" / "growing.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT.format(parameter=parameter, body=body))
    return subprocess.run(
        [sys.executable, str(script), "--root", world.root, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "RAYFLOW_USER": "tester"},
    )


def test_a_parameter_that_was_added_since_has_its_default_and_changed_code_is_said(world: World):
    first = run_script(world, "run", "--first", "5", body='raise RuntimeError("not yet")')
    assert first.returncode == 1

    again = run_script(world, "resume", parameter='second = Parameter("second", default=7)', body="self.sum = self.first + self.second")

    assert again.returncode == 0, again.stderr + again.stdout
    assert re.search(r"The code changed since run \d+ in end\..* `resume end` runs that step again", again.stdout + again.stderr)
    run_id = world.run_ids("Growing")[0]
    assert open_pathspec(world.root, f"Growing/{run_id}")["end"].task["sum"].data == 12


def test_an_unknown_run_is_refused_in_one_short_message(world: World):
    world.perform("Wide", "run")

    refused = world.perform("Wide", "resume", "--origin", "123")

    assert refused.process.returncode == 1
    assert "Wide/123" in refused.errors and "Traceback" not in refused.errors
    assert len(refused.errors.splitlines()) <= 3


def test_a_resume_without_any_run_is_refused_in_one_short_message(world: World):
    refused = world.perform("Wide", "resume")

    assert refused.process.returncode == 1
    assert world.root in refused.errors and "Traceback" not in refused.errors
