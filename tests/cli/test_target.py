import sys

import pytest

from rayflow.cli.arguments import names_flow, split_flow, take_flow
from rayflow.cli.commands.flow import COMMANDS
from rayflow.cli.target import load_flow
from rayflow.model.errors import UsageError, UserError

FLOW = """
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.step import step

class {name}(FlowSpec):
    @step
    def start(self):
        pass
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["rayflow"])
    monkeypatch.chdir(tmp_path)

    def write(content, name="some_flow.py"):
        sys.modules.pop(name.removesuffix(".py"), None)
        (tmp_path / name).write_text(content)
        return name

    return write


@pytest.mark.parametrize("argument", ["flow.py", "dir/flow.py", "flow.py:Train", "pkg.mod:Train"])
def test_files_and_module_classes_are_flows(argument):
    assert names_flow(argument)


@pytest.mark.parametrize("argument", ["1795411816701762", "latest", "TrainFlow/179", "179/train/4", "s3://bucket/x:y", "python"])
def test_everything_else_names_a_run(argument):
    assert not names_flow(argument)


def test_the_flow_is_taken_out_of_the_arguments_but_never_from_an_options_value():
    arguments = ["--tag", "team:Alpha", "--alpha", "3", "flow.py", "--root", "x.py"]

    assert take_flow(arguments, {"--tag", "--root"}) == ("flow.py", ["--tag", "team:Alpha", "--alpha", "3", "--root", "x.py"])


def test_arguments_without_a_flow_are_left_alone():
    assert take_flow(["latest", "--root", "x.py"], {"--root"}) == (None, ["latest", "--root", "x.py"])


def test_a_file_with_one_flow_is_that_flow(script):
    assert load_flow(script(FLOW.format(name="Train"))).__name__ == "Train"


def test_a_flow_that_others_derive_from_is_not_meant(script):
    content = FLOW.format(name="Base") + "class Derived(Base):\n    pass\n"

    assert load_flow(script(content)).__name__ == "Derived"


def test_of_several_flows_one_has_to_be_named(script):
    name = script(FLOW.format(name="One") + FLOW.format(name="Two"))

    with pytest.raises(UsageError, match=r"some_flow.py defines several flows: One, Two. Name one: some_flow.py:One"):
        load_flow(name)
    assert load_flow(f"{name}:Two").__name__ == "Two"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("sme_flow.py", r"There is no file 'sme_flow.py'. Did you mean 'some_flow.py'\?"),
        ("some_flow.py:Trian", r"some_flow.py has no flow named 'Trian'. Did you mean 'Train'\?"),
    ],
)
def test_a_wrong_name_says_what_was_near(script, argument, message):
    script(FLOW.format(name="Train"))

    with pytest.raises(UsageError, match=message):
        load_flow(argument)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "some_flow.py defines no flow: a class that derives from FlowSpec."),
        ("def broken(:", r"some_flow.py could not be imported. SyntaxError: invalid syntax \(.*some_flow.py:1\)"),
        (
            "import nowhere_to_be_found",
            r"could not be imported. ModuleNotFoundError: No module named 'nowhere_to_be_found' \(.*some_flow.py:1\)",
        ),
    ],
)
def test_a_file_that_holds_no_usable_flow_is_told_in_one_line(script, content, message):
    with pytest.raises(UserError, match=message):
        load_flow(script(content))


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "version"])
def test_every_command_of_a_flow_is_found_by_rayflow_too(command):
    assert split_flow([command, "train.py", "--root=r"]) == ("train.py", [command, "--root=r"])
