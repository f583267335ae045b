import json
from pathlib import Path

import click
import pytest

from rayflow.cli.commands.keyworded import keywords_of
from rayflow.cli.keywords import Keyword, command_words
from rayflow.cli.options import launch_options, shared_options
from rayflow.flow.options import ParameterOption
from rayflow.flow.parameters import JSONType, Parameter, ParameterContext

CONTEXT = ParameterContext(flow_name="TrainFlow", user_name="ada")


def keyword(parameter, environ=None):
    return keywords_of([ParameterOption("attribute", parameter, CONTEXT)], environ or {})[0]


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        (Parameter("alpha", default=0.5), -1, ["--alpha=-1"]),
        (Parameter("alpha", default=0.5), 1e-7, ["--alpha=1e-07"]),
        (Parameter("be-ta"), "--x y", ["--be-ta=--x y"]),
        (Parameter("be-ta"), "", ["--be-ta="]),
        (Parameter("file"), Path("a b"), ["--file=a b"]),
        (Parameter("yes", default=False), True, ["--yes=True"]),
        (Parameter("o", type=JSONType), {"a": [1, None]}, ['--o={"a": [1, null]}']),
        (Parameter("o", type=JSONType), "[1]", ["--o=[1]"]),
        (Parameter("many", multiple=True, type=int), [1, 2], ["--many=1", "--many=2"]),
        (Parameter("many", multiple=True, type=int), (), []),
        (Parameter("pair", nargs=2, type=int), (1, -2), ["--pair", "1", "-2"]),
        (Parameter("loud", is_flag=True), True, ["--loud"]),
        (Parameter("loud", is_flag=True), False, []),
        (Parameter("v", count=True), 3, ["--v"] * 3),
        (Parameter("kind", type=click.Choice(["a", "b"])), "b", ["--kind=b"]),
    ],
)
def test_a_value_is_written_as_its_option_reads_it(parameter, value, words):
    described = keyword(parameter)

    assert described.words(value) == words
    assert Keyword.from_dict(json.loads(json.dumps(described.as_dict()))) == described


@pytest.mark.parametrize(
    ("parameter", "value", "error", "message"),
    [
        (Parameter("alpha", default=0.5), "1", TypeError, r"'alpha' \(str\): expected a float"),
        (Parameter("alpha", default=0.5), True, TypeError, r"\(bool\): expected a float"),
        (Parameter("n", default=1), 1.5, TypeError, "expected an int"),
        (Parameter("text"), 1, TypeError, "expected a str"),
        (Parameter("yes", default=False), 1, TypeError, "expected a bool"),
        (Parameter("o", type=JSONType), {1}, TypeError, "expected a dict, a list, or JSON as a str"),
        (Parameter("many", multiple=True), "abc", TypeError, "expected a list"),
        (Parameter("pair", nargs=2, type=int), (1, 2, 3), TypeError, "expected 2 values"),
        (Parameter("kind", type=click.Choice(["a", "b"])), "c", ValueError, "'c' is not one of 'a', 'b'"),
    ],
)
def test_a_value_of_another_type_is_refused(parameter, value, error, message):
    with pytest.raises(error, match=message):
        keyword(parameter).words(value)


def test_options_have_the_names_that_programs_for_metaflow_use():
    known = {each.name: each.flag for each in keywords_of([*launch_options(), *shared_options()], {})}

    assert {name: known[name] for name in ("tags", "max_workers", "decospecs", "pylint")} == {
        "tags": "--tag",
        "max_workers": "--max-workers",
        "decospecs": "--with",
        "pylint": "--pylint",
    }


def test_a_step_to_resume_from_comes_last_and_what_is_none_is_not_given():
    keywords = [
        Keyword("step_to_rerun", "text"),
        Keyword("tags", "text", "--tag", is_multiple=True),
        Keyword("max_workers", "integer", "-n"),
    ]

    words = command_words(keywords, {"step_to_rerun": "train", "tags": ["a", "b"], "max_workers": None})

    assert words == ["--tag=a", "--tag=b", "train"]


def test_a_required_parameter_may_come_from_the_environment():
    required = Parameter("count", required=True)

    assert keyword(required).is_required
    assert not keyword(required, {"RAYFLOW_RUN_COUNT": "1"}).is_required
    assert not keyword(Parameter("count", required=True, default="1")).is_required
