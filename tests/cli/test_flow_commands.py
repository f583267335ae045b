import json
import os

import click
import pytest

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.commands.flow import FlowGroup
from rayflow.cli.commands.root import RootGroup
from rayflow.cli.options import ENV_PREFIX
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.options import ParameterOption
from rayflow.flow.parameters import Parameter
from rayflow.flow.step import step
from rayflow.model.errors import StoreReadOnly, UsageError, UserError
from rayflow.model.records import Outcome
from rayflow.runtime.launch import Settings
from rayflow.runtime.notices import RunEnded

from .telling import PROMPT, Runtime, TrainFlow, call_flow, started

BANNER = "rayflow 0.1.0 executing TrainFlow for user:ann\n"
VALIDATED = BANNER + "Validating your flow...\n    The graph looks good!\n"


class BrokenFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.nowhere)

    @step
    def end(self):
        pass


class GreedyFlow(FlowSpec):
    """Its Parameters have the names of options of ours."""

    root = Parameter("root", default="oak")
    executor = Parameter("executor", default="lawyer")
    json = Parameter("json", default=1)

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


@pytest.mark.parametrize("arguments", [(), ("check",)])
def test_a_flow_without_a_command_is_checked_and_says_what_can_be_done(arguments):
    result = call_flow(*arguments)

    assert (result.code, result.out, result.err) == (
        0,
        "",
        VALIDATED + "'python train.py show' shows a description of this flow.\n"
        "'python train.py run' runs it.\n'python train.py help' shows all commands and options.\n",
    )


def test_quiet_leaves_only_what_was_asked_for():
    assert (call_flow("--quiet", "check").err, call_flow("--quiet", "version").out) == ("", "0.1.0\n")


def test_a_problem_of_the_graph_is_one_short_block_with_its_place():
    result = call_flow("run", flow=BrokenFlow)

    assert (result.code, result.out, result.asked) == (1, "", [])
    headline, message, rest = result.err.split("\n", 4)[2:]
    assert headline.startswith("    Validity checker found an issue in file ")
    assert message.startswith("    Step 'start' specifies a self.next() transition to an unknown step, 'nowhere'.")
    assert rest == "\n"


def test_run_hands_options_and_parameters_to_the_runtime():
    result = call_flow(
        "--root", "/data", "run", "--alpha", "2", "--tag", "a", "--tag", "b", "--max-workers", "3", "--max-num-splits", "9",
        "--max-log-size", "7", "--run-id-file", "id", "--runner-attribute-file", "at", "--namespace", "", "--run-id", "sched-1",
        "--executor", "process", "--strict-resources",
    )  # fmt: skip

    asked = result.asked[0]
    assert (asked["given"], asked["settings"]) == (
        {"alpha": "2"},
        Settings(
            root="/data",
            executor="process",
            address=None,
            max_workers=3,
            max_num_splits=9,
            max_log_mb=7,
            user="ann",
            tags=("a", "b"),
            run_id="sched-1",
            run_id_file="id",
            runner_attribute_file="at",
            namespace="",
            is_strict=True,
            state_dir=os.path.expanduser("~/.local/state/rayflow"),
            environ={"USER": "ann"},
            environments_dir=os.path.expanduser("~/.cache/rayflow/environments"),
        ),
    )


def test_options_come_from_the_environment_and_the_command_line_wins(monkeypatch):
    environ = {"RAYFLOW_RUN_MAX_WORKERS": "5", "RAYFLOW_EXECUTOR": "inline", "RAYFLOW_RUN_TAG": "x", "RAYFLOW_ROOT": "/env"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)  # click reads the environment of the process

    given = call_flow("run", "--executor", "process", environ=environ).asked[0]["settings"]

    assert (given.max_workers, given.executor, given.tags, given.root) == (5, "process", ("x",), "/env")


def test_a_driver_can_be_told_the_package_it_runs_from_but_not_by_the_environment_which_tasks_inherit(monkeypatch):
    for name in ("RAYFLOW_CODE", "RAYFLOW_RUN_CODE", "RAYFLOW_RESUME_CODE"):
        monkeypatch.setenv(name, "e" * 64)

    told = [call_flow(*words).asked[0]["settings"].code for words in (("--code", "d" * 64, "run"), ("run", "--code", "d" * 64), ("run",))]

    assert told == ["d" * 64, "d" * 64, None]


def test_decorators_of_the_run_come_before_those_of_the_top_level_and_of_the_environment():
    result = call_flow(
        "--with", "retry:times=2", "run", "--with", "timeout:seconds=5", environ={"RAYFLOW_DEFAULT_DECOSPECS": "retry:times=3"}
    )

    specs = result.asked[0]["definition"].specs
    assert [(spec.retry.times, spec.timeout_s) for spec in specs.values()] == [(2, 5.0), (1, 5.0), (2, 5.0), (2, 5.0)]


def test_a_parameter_that_has_the_name_of_an_option_is_the_parameter_after_run_and_the_option_before():
    result = call_flow("--root", "/data", "--executor", "inline", "run", "--root", "elm", "--executor", "judge", flow=GreedyFlow)

    asked = result.asked[0]
    assert (asked["given"], asked["settings"].root, asked["settings"].executor) == ({"root": "elm", "executor": "judge"}, "/data", "inline")


def test_resume_names_a_step_and_its_options():
    result = call_flow("resume", "train", "--fork", "--run-id", "again")

    asked = result.asked[0]
    assert (asked["step"], asked["is_fork"], asked["origin_run_id"], asked["settings"].run_id) == ("train", True, None, "again")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "Error: No such command 'bogus'. Did you mean 'logs'?"),
        (["run", "--alhpa", "3"], "Error: No such option '--alhpa'."),
        (["run", "--max-workers", "none"], "Error: Invalid value for '--max-workers': 'none' is not a valid integer range."),
        (["run", "--max-workers", "0"], "Error: Invalid value for '--max-workers': 0 is not in the range x>=1."),
        (
            ["run", "--executor", "abacus"],
            "Error: Invalid value for '--executor': 'abacus' is not one of 'auto', 'ray', 'process', 'inline'.",
        ),
        (["run", "--root", ""], "Error: --root is empty. Give a directory or a URL, or leave it out."),
        (["resume", "--alpha", "3"], "Error: No such option '--alpha'."),
        (["resume", "trian"], "Error: Cannot resume from 'trian': invalid step name. Did you mean 'train'?"),
        (["logs"], "Error: Missing argument 'RUN[/STEP[/TASK]]'."),
    ],
)
def test_a_usage_error_exits_with_2_and_one_message(arguments, message):
    result = call_flow("--quiet", *arguments)

    told = [line for line in result.err.splitlines() if line.startswith("Error:")]
    assert (result.code, len(told), result.asked) == (2, 1, [])
    assert told[0].startswith(message)


def test_a_bad_value_that_the_runtime_finds_is_a_usage_error_too():
    result = call_flow("--quiet", "run", runtime=Runtime(raises=UsageError("Invalid value for '--alpha': abc is not a valid float.")))

    assert (result.code, result.err.splitlines()[-1]) == (2, "Error: Invalid value for '--alpha': abc is not a valid float.")


def test_errors_print_headline_and_message_indented():
    result = call_flow("--quiet", "run", runtime=Runtime(raises=UserError("It is wrong.\nDo it right.", line=3, file="a.py")))
    fault = call_flow("--quiet", "run", runtime=Runtime(raises=StoreReadOnly("/data cannot be written.")))

    assert (result.code, result.err) == (1, "    Flow failed in file a.py on line 3:\n    It is wrong.\n    Do it right.\n\n")
    assert (fault.code, fault.err) == (1, "    Store is read-only:\n    /data cannot be written.\n\n")


def test_an_unknown_exception_shows_its_traceback_and_asks_to_report_it():
    result = call_flow("--quiet", "run", runtime=Runtime(raises=ZeroDivisionError("oops")))

    lines = result.err.splitlines()
    assert (result.code, lines[0], lines[1], lines[-2]) == (
        1,
        "    Internal error",
        "Traceback (most recent call last):",
        "ZeroDivisionError: oops",
    )
    assert lines[-1].startswith("    This is a mistake in rayflow, not in your flow. Please report it")


def test_ctrl_c_before_the_runtime_listens_exits_with_130():
    result = call_flow("--quiet", "run", runtime=Runtime(raises=KeyboardInterrupt()))

    assert (result.code, result.err) == (130, "\nInterrupted.\n")


@pytest.mark.parametrize("code", [0, 1, 130, 143])
def test_the_exit_code_is_that_of_the_run(code):
    assert call_flow("run", runtime=Runtime(exit_code=code)).code == code


def test_the_command_that_continues_names_the_root_that_was_given():
    runtime = Runtime(notices=(started(), RunEnded("77", Outcome.FAILED, 1.0, ())))

    assert call_flow("run", "--root", "/my data", runtime=runtime).err.splitlines()[-1] == (
        "    Continue with: python train.py resume --root '/my data'"
    )


def test_json_events_are_alone_on_stdout():
    result = call_flow("run", "--json", runtime=Runtime(notices=(started(),)))

    assert json.loads(result.out)["event"] == "run_started"


def test_show_lists_decorators_doc_and_transitions_of_each_step():
    result = call_flow("show")

    assert (result.out, result.err) == (
        "Step start\n    Loads.\n    => train\n\n@retry\nStep train\n    ?\n    => join\n\n"
        "Step join\n    ?\n    => end\n\nStep end\n    ?\n\n",
        BANNER + "\nTrains.\n\n",
    )


def test_output_raw_writes_the_graph_as_json():
    graph = json.loads(call_flow("output-raw", "--json").out)

    assert (graph["graph_structure"], graph["graph"]["start"]["type"]) == (["start", [["train"]], "join", "end"], "split-foreach")


def test_output_dot_writes_a_digraph():
    assert '"start" -> "train";' in call_flow("output-dot").out.splitlines()


def test_run_help_lists_parameters_first_with_type_help_and_default(capsys):
    call_flow("run", "--help")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]

    options = lines[lines.index("Options:") + 1 :]
    assert options[0].split() == ["--address", "TEXT", "Whose", "house."]
    assert options[1].split() == ["--alpha", "FLOAT", "Learning", "rate.", "[default:", "0.1]"]


def commands():
    call = Call(PROMPT)
    for group in (FlowGroup(FlowCall(call, TrainFlow)), RootGroup(call)):
        ctx = click.Context(group, info_name=group.name)
        yield group.name, group
        yield from ((f"{group.name} {name}", group.get_command(ctx, name)) for name in group.list_commands(ctx))


@pytest.mark.parametrize(("name", "command"), [pytest.param(*found, id=found[0]) for found in commands()])
def test_every_command_and_every_option_has_help(name, command):
    options = [option for option in command.params if isinstance(option, click.Option) and not isinstance(option, ParameterOption)]

    assert (bool(command.help), [option.name for option in options if not option.help]) == (True, [])


def test_the_prefix_of_the_environment_is_the_programs_name():
    assert ENV_PREFIX == "RAYFLOW"
