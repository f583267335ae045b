from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from rayflow.flow.binding import bound_class
from rayflow.flow.definition import define
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.includefile import IncludedFile, IncludeFile
from rayflow.flow.parameters import JSONType, Parameter, ParameterContext
from rayflow.flow.resolve import click_options, given_values, resolve
from rayflow.flow.step import step
from rayflow.model.errors import ParameterFieldFailed, ParameterFieldTypeMismatch, UsageError, UserError

CONTEXT = ParameterContext(flow_name="Flow", user_name="anna")


def definition_with(**parameters):
    class Flow(FlowSpec):
        @step
        def start(self):
            pass

    return define(type("Flow", (Flow,), {"__module__": __name__, **parameters}))


def value_of(parameter, given=None, environ=None):
    """The value of a flow's only Parameter, where `given` is what the command line says."""
    return resolve(definition_with(x=parameter), {} if given is None else {"x": given}, environ or {}, CONTEXT)["x"]


def command_with(definition, seen):
    """A `run` command that notes the given values."""

    @click.pass_context
    def callback(ctx, **_):
        seen.update(given_values(ctx))

    return click.Command("run", callback=callback, params=click_options(definition, CONTEXT))


@pytest.mark.parametrize(
    ("parameter", "given", "value"),
    [
        (Parameter("x"), "text", "text"),
        (Parameter("x", default=1), "7", 7),
        (Parameter("x", type=float), "7", 7.0),
        (Parameter("x", default=0.5), 1, 1.0),
        (Parameter("x", default=True), "false", False),
        (Parameter("x", type=bool), "1", True),
        (Parameter("x", type=JSONType), '{"a": [1]}', {"a": [1]}),
        (Parameter("x", type=JSONType), {"a": 1}, {"a": 1}),
        (Parameter("x", type=JSONType), '"text"', "text"),
        (Parameter("x", separator=","), "a,b", ["a", "b"]),
        (Parameter("x", separator=","), "", ""),
        (Parameter("x", separator=","), ["a"], ["a"]),
        (Parameter("x", default={"a": 1}), {"b": 2}, {"b": 2}),
        (Parameter("x", type=click.Choice(["a", "b"])), "b", "b"),
        (Parameter("x", type=int, multiple=True), ("1", "2"), (1, 2)),
        (Parameter("x", default=[0], multiple=True), ("1", "2"), (1, 2)),
        (Parameter("x", is_flag=True), True, True),
    ],
)
def test_a_given_value_is_converted_to_the_type_of_the_parameter(parameter, given, value):
    assert value_of(parameter, given) == value


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Parameter("x"), None),
        (Parameter("x", default=3), 3),
        (Parameter("x", default="3", type=int), 3),
        (Parameter("x", default=3, required=True), 3),
        (Parameter("x", default='{"a": 1}', type=JSONType), {"a": 1}),
        (Parameter("x", default="a,b", separator=","), ["a", "b"]),
        (Parameter("x", default=lambda ctx: f"{ctx.flow_name} {ctx.user_name} {ctx.parameter_name}"), "Flow anna x"),
        (Parameter("x", default=lambda ctx: 4, type=int), 4),
        (Parameter("x", default=lambda ctx: "[1]", type=JSONType), [1]),
        (Parameter("x", default=lambda ctx: None), None),
        (Parameter("x", default=[1]), [1]),
    ],
)
def test_without_a_given_value_the_default_counts(parameter, value):
    assert value_of(parameter) == value


def test_the_environment_counts_before_the_default_and_satisfies_required():
    environ = {"RAYFLOW_RUN_LEARNING_RATE": "0.5"}

    assert (
        value_of(Parameter("learning-rate", default=1.0), environ=environ),
        value_of(Parameter("learning_rate", type=float, required=True), environ=environ),
        value_of(Parameter("learning-rate", default=1.0), given="2", environ=environ),
    ) == (0.5, 0.5, 2.0)


def test_several_values_in_the_environment_are_separated_by_spaces():
    assert value_of(Parameter("x", type=int, multiple=True), environ={"RAYFLOW_RUN_X": "1 2"}) == (1, 2)


def test_a_computed_default_is_computed_once_and_only_when_it_is_needed():
    calls = []
    parameter = Parameter("x", default=lambda ctx: str(calls.append(1)))

    value_of(parameter, given="y")
    value_of(parameter)

    assert calls == [1]


@pytest.mark.parametrize(
    ("parameter", "given", "message"),
    [
        (Parameter("i", type=int), "abc", "Invalid value for '--i': 'abc' is not a valid integer"),
        (Parameter("f", type=float), "abc", "Invalid value for '--f': 'abc' is not a valid float"),
        (Parameter("b", type=bool), "abc", "Invalid value for '--b': 'abc' is not a valid boolean"),
        (Parameter("j", type=JSONType), "{", "Invalid value for '--j': { is not a valid JSON object"),
        (Parameter("r", required=True), None, r"Missing option '--r'. Give it, or set RAYFLOW_RUN_R\."),
        (IncludeFile("inc"), "/no/such", r"IncludeFile: could not open file '/no/such' for --inc: No such file"),
    ],
)
def test_a_bad_or_missing_value_is_a_usage_error(parameter, given, message):
    with pytest.raises(UsageError, match=message):
        value_of(parameter, given)


def test_a_default_function_that_fails_is_shown_with_its_traceback():
    with pytest.raises(ParameterFieldFailed, match=r"(?s)default of Parameter \*x\*.*Traceback.*ZeroDivisionError"):
        value_of(Parameter("x", default=lambda ctx: 1 / 0))


@pytest.mark.parametrize(
    ("parameter", "wanted"),
    [
        (Parameter("x", default=lambda ctx: "4", type=int), "int"),
        (Parameter("x", default=lambda ctx: True, type=int), "int"),
        (Parameter("x", default=lambda ctx: 4), "str"),
        (Parameter("x", default=lambda ctx: {}, type=JSONType), "a JSON string"),
    ],
)
def test_a_default_function_returns_the_declared_type(parameter, wanted):
    with pytest.raises(ParameterFieldTypeMismatch, match=f"default of Parameter .x. returned .* It has to return {wanted}"):
        value_of(parameter)


@pytest.mark.parametrize("name", ["tag", "max-workers", "max_workers", "run-id", "with"])
def test_names_of_the_options_of_run_are_reserved(name):
    with pytest.raises(UserError, match=rf"Parameter name \*{name}\* is a reserved word"):
        Parameter(name)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a=b", "a/b", 3])
def test_a_name_that_is_no_option_is_refused(name):
    with pytest.raises(UserError, match="becomes a command line option"):
        Parameter(name)


@pytest.mark.parametrize("field", ["show_default", "separator", "required"])
def test_some_fields_take_no_function(field):
    with pytest.raises(UserError, match=f"{field} cannot have a function as its value"):
        Parameter("x", **{field: lambda ctx: "x"})


@pytest.mark.parametrize("given", [{"type": int}, {"default": 3}])
def test_a_separator_is_for_strings(given):
    with pytest.raises(UserError, match="separator is only allowed for string parameters"):
        Parameter("x", separator=",", **given)


def test_a_separator_has_a_character():
    with pytest.raises(UserError, match="separator is empty"):
        Parameter("x", separator="")


def test_names_are_unique_but_for_their_case_when_the_run_starts():
    definition = definition_with(a=Parameter("alpha"), b=Parameter("Alpha"))

    with pytest.raises(UserError, match=r"Parameter \*Alpha\* is specified twice. Note that parameter names are case-insensitive"):
        resolve(definition, {}, {}, CONTEXT)


def test_only_what_the_command_line_states_is_given():
    definition = definition_with(
        alpha=Parameter("Alpha", default=1),
        beta=Parameter("be-ta", default=2),
        flag=Parameter("flag", is_flag=True),
        off=Parameter("off", is_flag=True),
    )
    seen = {}

    result = CliRunner().invoke(command_with(definition, seen), ["--Alpha", "7", "--flag"])

    assert (result.exit_code, seen, resolve(definition, seen, {}, CONTEXT)) == (
        0,
        {"alpha": "7", "flag": True},
        {"alpha": 7, "beta": 2, "flag": True, "off": None},
    )


def test_a_bool_parameter_takes_a_value():
    result = CliRunner().invoke(command_with(definition_with(b=Parameter("b", default=True)), {}), ["--b"])

    assert (result.exit_code, "--b' requires an argument" in result.output) == (2, True)


def test_the_help_lists_parameters_by_attribute_with_type_help_and_default():
    definition = definition_with(
        z=Parameter("first", type=JSONType, help="Some JSON.", required=True),
        a=Parameter("second", default=lambda ctx: "computed", help=lambda ctx: f"Of {ctx.flow_name}."),
        m=Parameter("third", default=3, show_default="three"),
        n=Parameter("fourth", default=3, show_default=False),
        s=Parameter("secret", hidden=True),
    )

    lines = CliRunner().invoke(command_with(definition, {}), ["--help"]).output.splitlines()

    assert [" ".join(line.split()) for line in lines[3:]] == [
        "--second TEXT Of Flow. [default: computed]",
        "--third INTEGER [default: three]",
        "--fourth INTEGER",
        "--first JSON Some JSON. [required]",
        "--help Show this message and exit.",
    ]


def test_parameters_are_found_in_base_classes_first():
    class Base(FlowSpec):
        a = Parameter("a")
        b = Parameter("b")

    class Derived(Base):
        c = Parameter("c")
        a = Parameter("other")

    assert {name: parameter.name for name, parameter in define(Derived).parameters.items()} == {"a": "other", "b": "b", "c": "c"}


def test_a_parameter_shows_itself():
    assert (repr(Parameter("x")), repr(JSONType)) == ("Parameter(name='x')", "JSON")


def test_an_included_file_is_read_as_text_or_as_bytes(tmp_path, monkeypatch):
    (tmp_path / "f.txt").write_bytes("grüße".encode())
    monkeypatch.setenv("HOME", str(tmp_path))

    assert (
        value_of(IncludeFile("x"), "~/f.txt"),
        value_of(IncludeFile("x", is_text=False, default=lambda ctx: str(tmp_path / "f.txt"))).content,
        value_of(IncludeFile("x")),
    ) == (IncludedFile("~/f.txt", 7, "grüße"), "grüße".encode(), None)


def test_an_included_file_says_its_path_and_size():
    assert IncludedFile("a.txt", 2048, "").line == "Including file a.txt of size 2KB"


def test_an_included_file_in_another_encoding_is_a_usage_error(tmp_path):
    (tmp_path / "f.txt").write_bytes(b"\xff")

    with pytest.raises(UsageError, match=r"could not read file .*f\.txt' for --x as text in utf-8.*is_text=False"):
        value_of(IncludeFile("x"), str(tmp_path / "f.txt"))


def test_an_included_file_is_local():
    with pytest.raises(UserError, match=r"s3://b/k is not a local path"):
        value_of(IncludeFile("x"), "s3://b/k")


def half(text):
    return text[: len(text) // 2]


@pytest.mark.parametrize("parser", [half, f"{__name__}.half"])
def test_the_parser_of_an_included_file_is_applied_when_a_step_asks(parser):
    definition = definition_with(x=IncludeFile("x", parser=parser))

    bound = bound_class(definition.flow_class, {"x": "abcd"})

    assert object.__new__(bound).x == "ab"


def test_a_parser_may_be_named_within_rayflow():
    assert IncludeFile("x", parser=".flow.decospec.parse_value").parsed("3") == 3


def test_a_parser_that_fails_names_the_parameter():
    with pytest.raises(UserError, match=r"Failed to parse content in parameter \*x\*: ValueError"):
        IncludeFile("x", parser=int).parsed("abc")


def test_nothing_is_not_parsed():
    assert IncludeFile("x", parser=int).parsed(None) is None
