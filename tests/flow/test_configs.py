from __future__ import annotations

import copy
import json
import pickle

import pytest

from rayflow import (
    Config,
    ConfigValue,
    FlowSpec,
    Parameter,
    conda_environment_yml_parser,
    config_expr,
    environment,
    pyproject_toml_parser,
    requirements_txt_parser,
    resources,
    retry,
    step,
    yaml_parser,
)
from rayflow.flow.configs import ConfigSources, resolved_configs
from rayflow.flow.definition import define
from rayflow.flow.parameters import ParameterContext
from rayflow.model.errors import InvalidDecoratorAttribute, UsageError, UserError
from rayflow.settings import read_settings

CONTENT = {"name": "n", "depth": 2, "needs": {"cpu": 3, "gpu": 1}, "parts": [{"a": 1}, (2, {"b": 3})], "some-key": "dashed"}


def double(number):
    return number * 2


class Configured(FlowSpec):
    cfg = Config("my-cfg", default_value=CONTENT)
    nothing = Config("nothing")
    text = Config("text", default_value="as it is", plain=True)
    alpha = Parameter("alpha", default=cfg.depth, help=cfg.name)
    beta = Parameter("beta", default=config_expr("double(my_cfg.depth) + len(cfg.parts)"), type=int)

    @retry(times=cfg.depth, minutes_between_retries=0)
    @resources(**cfg.needs)
    @environment(vars={"NAME": cfg["some-key"], "UP": cfg.name.upper()})
    @step
    def start(self):
        self.next(self.end)

    @environment(vars=config_expr("{'ALL': cfg.name}"))
    @step
    def end(self):
        pass


def values(flow_class=Configured, *, files=None, stated=None, environ=None, known=None):
    sources = ConfigSources(files or {}, stated or {})
    return resolved_configs(flow_class, sources, read_settings(environ or {}, "/"), ParameterContext("F", "ada"), known or {})


def test_decorators_and_parameters_have_what_the_configs_say():
    definition = define(Configured)
    start, end = definition.specs["start"], definition.specs["end"]

    assert (start.retry.times, start.resources.cpus, start.resources.gpus) == (2, 3, 1)
    assert (dict(start.environment), dict(end.environment)) == ({"NAME": "dashed", "UP": "N"}, {"ALL": "n"})
    parameters = definition.parameters
    assert [(parameters[name].default, parameters[name].value_type) for name in ("alpha", "beta")] == [(2, int), (6, int)]
    assert parameters["alpha"].help == "n"
    assert definition.constants == {"cfg": CONTENT, "nothing": None, "text": "as it is"}


def test_other_values_make_another_definition():
    definition = define(Configured, configs={**values(), "cfg": {**CONTENT, "depth": 4, "needs": {"memory": 100}}})

    start = definition.specs["start"]
    assert (start.retry.times, start.resources.cpus, start.resources.memory_nbytes) == (4, 1, 100 << 20)
    assert definition.parameters["beta"].default == 10


def test_what_is_stated_comes_first_then_the_environment_then_the_default(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"from": "file"}')
    by_file, by_value = (
        {"RAYFLOW_FLOW_CONFIG": json.dumps({"MY-cfg": str(path)})},
        {"RAYFLOW_FLOW_CONFIG_VALUE": '{"my_cfg": {"from": "env"}}'},
    )

    found = [
        values(files={"my-cfg": str(path)}, environ=by_value)["cfg"],
        values(stated={"My_Cfg": '{"from": "text"}'}, environ=by_file)["cfg"],
        values(stated={"my-cfg": {"from": "object"}})["cfg"],
        values(environ=by_value)["cfg"],
        values(environ=by_file)["cfg"],
        values(environ=by_value, known={"cfg": {"from": "origin"}})["cfg"],
    ]

    assert [each["from"] for each in found] == ["file", "text", "object", "env", "file", "origin"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"files": {"my-cfg": "/nope"}}, "configuration file '/nope' could not be read for 'my-cfg'"),
        ({"stated": {"my-cfg": "{"}}, "configuration value for 'my-cfg' is not valid JSON"),
        ({"stated": {"my-cfg": "[1]"}}, "'my-cfg' is no mapping but a list"),
        ({"files": {"other": "x"}}, r"Invalid value for '--config': there is no config 'other' \(choose from my-cfg, nothing, text\)"),
        ({"files": {"my-cfg": "x"}, "stated": {"my_cfg": "{}"}}, "Cannot provide both a value and a file .* for 'my-cfg'"),
        ({"environ": {"RAYFLOW_FLOW_CONFIG": "{"}}, "RAYFLOW_FLOW_CONFIG is '{'. It is not valid JSON: .* Give JSON such as"),
        ({"environ": {"RAYFLOW_FLOW_CONFIG_VALUE": "[]"}}, "RAYFLOW_FLOW_CONFIG_VALUE is '\\[\\]'. Give JSON such as"),
    ],
)
def test_what_is_wrong_with_a_config_is_a_usage_error(given, words):
    with pytest.raises(UsageError, match=words):
        values(**given)


class Demanding(FlowSpec):
    needed = Config("needed", required=True)
    absent = Config("absent", default="/nope.json")
    failing = Config("failing", default_value=lambda context: 1 / 0)
    computed = Config("computed", default_value=lambda context: {"flow": context.flow_name, "user": context.user_name})

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(UsageError) as caught:
        values(Demanding)

    assert str(caught.value) == (
        "Bad values passed for configuration options: missing configuration for 'needed'; default configuration file '/nope.json' could "
        "not be read for 'absent'; the function that computes the default of 'failing' failed: ZeroDivisionError: division by zero."
    )
    found = values(Demanding, stated={"needed": "{}", "absent": "{}", "failing": "{}"})
    assert found["computed"] == {"flow": "F", "user": "ada"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Config("c", default="f", default_value={}), "a default and a default_value"),
        (lambda: Config("a b"), "named 'a b'"),
        (lambda: bool(Config("c").x), "cannot decide anything in the class body"),
        (lambda: list(Config("c").x), "cannot be iterated over in the class body"),
    ],
)
def test_misuse_in_the_class_body_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda cfg: retry(times=cfg.depht), UserError, r"c.depht could not be evaluated: AttributeError: depht"),
        (lambda cfg: retry(times=config_expr("nobody.x")), UserError, r"config_expr\('nobody.x'\) could not be evaluated: NameError"),
        (lambda cfg: resources(**cfg.wrong), InvalidDecoratorAttribute, "'colour'.*@resources does not know it"),
        (lambda cfg: resources(**cfg.depth), UserError, r"\*\* stands before .*c.depth.*, which is no mapping but a int"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_is_named(wrong, error, words):
    class Wrong(FlowSpec):
        cfg = Config("c", default_value={"depth": 1, "wrong": {"colour": "red"}})

        @wrong(cfg)
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    with pytest.raises(error, match=words):
        define(Wrong)


# -- what a step sees --------------------------------------------------------------------------------------------------


@pytest.fixture
def config():
    return ConfigValue(CONTENT)


def test_a_config_value_is_a_mapping_with_attributes(config):
    assert (config.depth, config["depth"], config.needs.cpu, config.parts[0].a, config.parts[1][1].b) == (2, 2, 3, 1, 3)
    assert isinstance(config, dict) and isinstance(config.needs, ConfigValue) and type(config.parts[1]) is tuple
    assert (config == CONTENT, len(config), "depth" in config, list(config)) == (True, 5, True, [*CONTENT])
    assert json.loads(json.dumps(config))["depth"] == 2
    with pytest.raises(AttributeError, match="depht"):
        config.depht
    with pytest.raises(KeyError, match="depht"):
        config["depht"]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.__setitem__("a", 1), lambda c: setattr(c, "a", 1), lambda c: c.__delitem__("depth"), lambda c: delattr(c, "depth"),
        lambda c: c.pop("depth"), lambda c: c.popitem(), lambda c: c.clear(), lambda c: c.update(a=1), lambda c: c.setdefault("a", 1),
        lambda c: c.__ior__({"a": 1}), lambda c: c.needs.update(a=1), lambda c: c.parts[0].clear(),
    ],
)  # fmt: skip
def test_nothing_changes_it(config, change):
    with pytest.raises(TypeError, match="ConfigValue is immutable"):
        change(config)

    assert config == CONTENT


def test_copies_stay_what_they_are_and_dicts_are_plain_all_through(config):
    assert {type(each) for each in (config.copy(), copy.copy(config), copy.deepcopy(config))} == {ConfigValue}
    for plain in (config.to_dict(), pickle.loads(pickle.dumps(config))):
        assert (plain == CONTENT, type(plain), type(plain["needs"]), type(plain["parts"][1][1])) == (True, dict, dict, dict)


# -- parsers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parser", "text", "expected"),
    [
        (yaml_parser, "a:\n  - 1\n  - b: 2\n", {"a": [1, {"b": 2}]}),
        (
            requirements_txt_parser,
            "numpy==1.2\npandas>=2,<3  # why\n# nothing\nrequests[security]==2.0\nfoo\n",
            {"packages": {"numpy": "1.2", "pandas": "<3,>=2", "requests[security]": "2.0", "foo": ""}, "python": None},
        ),
        (
            pyproject_toml_parser,
            '[project]\nrequires-python=">=3.9"\ndependencies=["numpy==1.2", "a[b]>=1"]\n',
            {"packages": {"numpy": "1.2", "a[b]": ">=1"}, "python": ">=3.9"},
        ),
        (
            conda_environment_yml_parser,
            "dependencies:\n  - python=3.10\n  - conda-forge::numpy=1.2\n  - pandas>=2\n",
            {"packages": {"numpy": "1.2", "pandas": ">=2"}, "python": "3.10"},
        ),
    ],
)
def test_parsers_read_as_users_know_them(parser, text, expected):
    class Parsed(FlowSpec):
        cfg = Config("c", default_value=text, parser=parser)
        named = Config("d", default_value=text, parser=parser.__name__)

    assert [*values(Parsed).values()] == [expected] * 2


@pytest.mark.parametrize(
    ("parser", "text", "words"),
    [
        (yaml_parser, "a: [", "it is not YAML"),
        (yaml_parser, "!!python/object/apply:os.system ['true']", "it is not YAML"),
        (requirements_txt_parser, "-r other.txt", "'-r other.txt' is no requirement"),
        (pyproject_toml_parser, "[tool]", r"it has no table \[project\]"),
        (conda_environment_yml_parser, "dependencies:\n  - pip:\n    - x\n", "is no plain package"),
    ],
)
def test_what_a_parser_cannot_read_is_told(parser, text, words):
    class Parsed(FlowSpec):
        cfg = Config("c", default_value=text, parser=parser)

    with pytest.raises(UsageError, match=f"'c' could not be parsed: ValueError: .*{words}"):
        values(Parsed)
