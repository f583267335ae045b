"""A program runs a flow file: real processes, the inline executor in them."""

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest

from rayflow import Run, Runner
from rayflow.exception import RayflowNotFound

from .conftest import FLOW


def test_a_blocking_run_returns_the_run_its_status_and_its_output(flow_file):
    with Runner(flow_file, show_output=False, pylint=False) as runner:
        done = runner.run(alpha=0.25, some_options={"a": [1, "<>"]}, count=3, tags=["best", "two words"], max_workers=2)

        told = (done.stdout, done.stderr)

    assert (done.status, done.returncode, type(done.run)) == ("successful", 0, Run)
    data = done.run["start"].task.data
    assert (data.alpha, data.options, data.count, data.fails) == (0.25, {"a": [1, "<>"]}, 3, False)
    assert done.run.user_tags == {"best", "two words"}
    assert "alpha is 0.25" in told[0] and told[0].endswith("Done!\n")
    assert "executing TrainFlow for user:ada" in told[1]


def test_a_failed_run_is_returned_and_can_be_resumed(flow_file):
    with Runner(flow_file, show_output=False) as runner:
        failed = runner.run(count=1, fails=True)
        Path(flow_file).write_text(FLOW.replace("if self.fails", "if False"))
        resumed = runner.resume(origin_run_id=failed.run.id, tags=["again"])
        rerun = runner.resume(origin_run_id=resumed.run.id, step_to_rerun="start")

    assert (failed.status, failed.returncode, failed.run.successful) == ("failed", 1, False)
    assert (resumed.status, resumed.run.origin_pathspec, resumed.run.user_tags) == ("successful", failed.run.pathspec, {"again"})
    assert resumed.run["start"].task.origin_pathspec == failed.run["start"].task.pathspec
    assert rerun.run["start"].task.origin_pathspec is None


def test_a_step_is_spun_and_its_task_can_be_read_where_it_is_kept(flow_file):
    with Runner(flow_file, show_output=False) as runner:
        run = runner.run(count=3, alpha=0.5).run
        kept = runner.spin("start", persist=True)
        left = runner.spin(f"{run.id}/start")
        task, told = kept.task, left.stdout

    assert (kept.status, task.data.alpha, task.origin_pathspec) == ("successful", 0.5, None)
    assert (left.status, "alpha is 0.5" in told) == ("successful", True)
    with pytest.raises(RayflowNotFound, match="persist=True"):
        assert left.task


def test_a_step_is_spun_in_the_background(flow_file):
    async def spin():
        async with Runner(flow_file, show_output=False) as runner:
            await (await runner.async_run(count=3)).wait()
            spun = await runner.async_spin("start", persist=True)
            await spun.wait()
            return spun.status, spun.task.data.count

    assert asyncio.run(spin()) == ("successful", 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "Missing argument: count is required."),
        ({"count": "x"}, TypeError, r"Invalid type for 'count' \(str\): expected an int"),
        ({"count": 1, "alhpa": 2}, ValueError, r"Unknown argument: 'alhpa'. Did you mean 'alpha'\? Possible args are: address, alpha"),
        ({"count": 1, "tags": "best"}, TypeError, r"Invalid type for 'tags' \(str\): expected a list"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(flow_file, arguments, error, message):
    with Runner(flow_file, show_output=False) as runner, pytest.raises(error, match=message):
        runner.run(**arguments)

    assert not os.path.exists(".rayflow")


def test_an_edited_flow_is_asked_for_its_parameters_again(flow_file):
    with Runner(flow_file, show_output=False) as runner:
        runner.run(count=1)
        Path(flow_file).write_text(FLOW.replace('"count", type=int', '"number", type=int'))

        assert runner.run(number=2).run["start"].task.data.count == 2


def test_a_flow_that_never_gets_a_run_raises_with_the_command_and_what_it_said(flow_file):
    Path(flow_file).write_text("print('so far so good')\nraise RuntimeError('what a flow')\n")

    with Runner(flow_file, show_output=False) as runner, pytest.raises(RuntimeError) as caught:
        runner.run()

    assert all(text in str(caught.value) for text in ("train.py", "(exit code 1)", "so far so good", "RuntimeError: what a flow"))


def test_a_flow_that_breaks_the_rules_raises_with_the_rule(flow_file):
    Path(flow_file).write_text(FLOW.replace("self.next(self.end)", "self.next(self.ned)"))

    with Runner(flow_file, show_output=False) as runner, pytest.raises(RuntimeError, match=r"(?s)train.py run.*Validity checker"):
        runner.run(count=1)


def test_a_flow_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no flow file 'nope.py' in "):
        Runner("nope.py", cwd=tmp_path)


def test_output_is_shown_as_it_is_written_unless_that_is_switched_off(flow_file, capsys):
    Runner(flow_file).run(count=1).runner.cleanup()
    shown = capsys.readouterr()
    Runner(flow_file, show_output=False).run(count=1).runner.cleanup()

    assert "alpha is 0.5" in shown.out and shown.out.rstrip().endswith("Done!")
    assert "Validating your flow..." in shown.err and "Done!" not in shown.err
    assert capsys.readouterr() == ("", "")


def test_environment_directory_and_top_level_options_reach_the_flow(flow_file, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("RAYFLOW_RUN_ID", "that of the run that this may be a task of")
    Path(flow_file).write_text(FLOW.replace("    fails =", '    id = Parameter("id", default="mine")\n    fails ='))

    with Runner(
        flow_file, show_output=False, env={"TOLD": "you"}, cwd=tmp_path / "elsewhere", root="here", quiet=True, decospecs=["retry:times=1"]
    ) as runner:
        done = runner.run(count=1)
        said = done.stderr

    data = done.run["start"].task.data
    assert (data.told, data.id, data.cwd, said) == ("you", "mine", str(tmp_path / "elsewhere"), "a complaint\n")
    assert os.path.isdir(tmp_path / "elsewhere" / "here" / "TrainFlow")


def test_options_of_metaflow_are_translated_or_refused_with_the_way_out(flow_file):
    with Runner(flow_file, show_output=False, metadata="local", datastore="local", environment="pypi", datastore_root="data") as runner:
        assert runner.run(count=1).status == "successful"
    with Runner(flow_file, datastore="s3") as runner, pytest.raises(ValueError, match=r"no datastore='s3'.*Give root="):
        runner.run(count=1)

    assert os.path.isdir("data/TrainFlow")


def test_the_run_id_file_and_the_attribute_file_of_the_caller_are_written(flow_file):
    with Runner(flow_file, show_output=False) as runner:
        done = runner.run(count=1, run_id_file="id", runner_attribute_file="attributes.json")

    assert Path("id").read_text() == done.run.id
    assert json.loads(Path("attributes.json").read_text()) == {
        "run_id": done.run.id,
        "flow_name": "TrainFlow",
        "metadata": os.path.abspath(".rayflow"),
    }


def test_after_cleanup_the_outputs_files_are_gone_and_that_is_said(flow_file):
    with Runner(flow_file, show_output=False).run(count=1) as done:
        directory = os.path.dirname(done.command_obj.log_files["stdout"])
        assert "Done!" in done.stdout

    assert not os.path.exists(directory)
    with pytest.raises(FileNotFoundError, match=r"removed when its Runner was cleaned up.*task.stdout"):
        _ = done.stdout


def test_an_asynchronous_run_is_returned_while_it_goes_on(flow_file):
    async def program():
        async with Runner(flow_file) as runner:
            first, second = await asyncio.gather(runner.async_run(count=1, seconds=0.5), runner.async_run(count=2, seconds=0.5))
            early = (first.status, first.returncode, second.status)
            await asyncio.gather(first.wait(), second.wait())
            return early, first, second

    early, first, second = asyncio.run(program())

    assert early == ("running", None, "running")
    assert (first.status, second.status) == ("successful", "successful")
    assert [each.run["start"].task.data.count for each in (first, second)] == [1, 2]


def test_the_log_is_streamed_line_by_line_and_from_a_position(flow_file):
    async def program():
        async with await Runner(flow_file).async_run(count=1) as running:
            found = [each async for each in running.stream_log("stdout")]
            at = next(position for position, line in found if "alpha is" in line)
            return found, [each async for each in running.stream_log("stdout", position=at)], running.stdout

    found, rest, whole = asyncio.run(program())

    assert [line for _, line in found] == whole.splitlines()
    assert rest == found[-len(rest) :] and 0 < len(rest) < len(found)
    assert found[-1][0] == len(whole.encode())


def test_waiting_can_show_one_stream(flow_file, capsys):
    async def program():
        async with await Runner(flow_file).async_run(count=1) as running:
            with pytest.raises(ValueError, match="valid values are: stdout, stderr"):
                await running.wait(stream="stdlog")
            return await running.wait(stream="stderr") is running

    assert asyncio.run(program())
    shown = capsys.readouterr()
    assert "Validating your flow..." in shown.out and "alpha" not in shown.out and shown.err == ""


def test_a_run_is_resumed_without_waiting_for_it(flow_file):
    async def program():
        async with Runner(flow_file) as runner:
            failed = await (await runner.async_run(count=1, fails=True)).wait()
            resumed = await (await runner.async_resume(origin_run_id=failed.run.id)).wait()
            return failed, resumed

    failed, resumed = asyncio.run(program())

    assert (failed.status, resumed.status, resumed.run.origin_pathspec) == ("failed", "failed", failed.run.pathspec)


def test_a_runner_works_in_a_thread_and_says_what_cannot_be_had_there(flow_file):
    found = []

    def program():
        with pytest.warns(RuntimeWarning, match="thread other than the main one"), Runner(flow_file, show_output=False) as runner:
            found.append(runner.run(count=1).status)

    thread = threading.Thread(target=program)
    thread.start()
    thread.join()

    assert found == ["successful"]


OUTER = """
from rayflow import FlowSpec, Runner, step


class OuterFlow(FlowSpec):
    @step
    def start(self):
        with Runner("train.py", show_output=False, executor="inline") as runner:
            self.inner = runner.run(count=7).run
        self.next(self.end)

    @step
    def end(self):
        self.count = self.inner["start"].task.data.count


if __name__ == "__main__":
    OuterFlow()
"""


def test_a_step_of_a_flow_may_run_another_flow(flow_file):
    Path("outer.py").write_text(OUTER)

    with Runner("outer.py", show_output=False, executor="process") as runner:
        done = runner.run()
        assert done.status == "successful", done.stdout + done.stderr

    assert done.run.data.count == 7


CONFIGURED = """
from rayflow import Config, FlowSpec, step


class ConfiguredFlow(FlowSpec):
    sizes = Config("sizes", required=True)

    @step
    def start(self):
        self.total = self.sizes.a + 1
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConfiguredFlow()
"""


def test_configs_are_top_level_options(flow_file):
    Path("configured.py").write_text(CONFIGURED)

    with Runner("configured.py", show_output=False, config_value=[("sizes", {"a": 4})]) as runner:
        assert runner.run().run["start"].task.data.total == 5
