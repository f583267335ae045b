"""`Config`: what is known before the graph and the decorators are, and the values that a run's configs have."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.flow.configvalue import ConfigValue
from rayflow.flow.deferred import Deferred
from rayflow.flow.members import member_of, names_in_order
from rayflow.flow.parameters import ParameterContext
from rayflow.model.errors import UsageError, UserError
from rayflow.settings.reading import StatedSettings
from rayflow.settings.table import FLOW_CONFIG, FLOW_CONFIG_VALUE

_BUNDLED = ("yaml_parser", "requirements_txt_parser", "pyproject_toml_parser", "conda_environment_yml_parser")


@dataclass(frozen=True)
class ConfigSpec:
    """What a `Config` was made with."""

    name: str
    default: Any = None
    default_value: Any = None
    help: str = ""
    required: bool = False
    parser: str | Callable[[str], Any] | None = None
    plain: bool = False

    @property
    def key(self) -> str:
        """Names are the same that differ in case, or in dashes for underscores."""
        return _key(self.name)


class Config(Deferred):
    """A mapping that is read when the flow is started, from a file or a text, and then holds for the run and all its resumes.

    In the class body `config.a.b` and `config["a"]` stand for values that decorators and Parameters may have; in a step `self.config` is
    a `ConfigValue`. `default` is the path of a file, `default_value` a value or a text; either may be a function of a `ParameterContext`.
    A text is JSON, unless there is a `parser`: a function of the text, or its dotted name. With `plain` the value may be anything, and
    without a parser is the text itself. None where nothing is given and it is not `required`. `--config NAME FILE` and
    `--config-value NAME TEXT`, before the command, say otherwise.
    """

    __slots__ = ("_spec",)

    def __init__(
        self,
        name: str,
        default: str | Callable[[ParameterContext], str] | None = None,
        default_value: Any = None,
        help: str | None = None,  # noqa: A002 - the public name
        required: bool | None = None,
        parser: str | Callable[[str], Any] | None = None,
        plain: bool = False,
    ) -> None:
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
            raise UserError(f"A Config is named {name!r}. Use letters, digits, '_' and '-'.")
        if default is not None and default_value is not None:
            raise UserError(f"Config *{name}* has a default and a default_value. Give one of them.")
        self._spec = spec = ConfigSpec(name, default, default_value, help or "", bool(required), parser, plain)
        super().__init__(spec.key, lambda configs: configs[spec.key])

    def __repr__(self) -> str:
        return f"Config(name={self._spec.name!r})"


@dataclass(frozen=True)
class ConfigSources:
    """What a command line states: paths of files and values, by the configs' names."""

    files: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __bool__(self) -> bool:
        return bool(self.files or self.values)


def configs_of(flow_class: type) -> dict[str, ConfigSpec]:
    """The Configs by attribute name."""
    members = ((name, member_of(flow_class, name)) for name in names_in_order(flow_class))
    return {name: member._spec for name, member in members if isinstance(member, Config)}  # pyright: ignore[reportPrivateUsage]


def resolved_configs(
    flow_class: type, sources: ConfigSources, settings: StatedSettings, context: ParameterContext, known: Mapping[str, Any]
) -> dict[str, Any]:
    """The value of each Config by attribute name: as `known` has it (a resume knows those of its origin), as `sources` state it, as
    the settings FLOW_CONFIG and FLOW_CONFIG_VALUE do, or its default. `UsageError` (exit 2) tells all that is wrong, at once."""
    specs = configs_of(flow_class)
    names = {spec.key: spec.name for spec in specs.values()}
    _check_stated(names, sources)
    stated = (settings[FLOW_CONFIG] or {}, settings[FLOW_CONFIG_VALUE] or {}, sources.files, sources.values)
    files, values, stated_files, stated_values = ({_key(name): given for name, given in each.items()} for each in stated)
    files = {**{key: path for key, path in files.items() if key not in stated_values}, **stated_files}
    values = {**{key: value for key, value in values.items() if key not in stated_files}, **stated_values}
    problems: list[str] = []
    found: dict[str, Any] = {}
    for attribute, spec in specs.items():
        try:
            found[attribute] = known[attribute] if attribute in known else _value(spec, files, values, context)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise UsageError(f"Bad values passed for configuration options: {'; '.join(problems)}.")
    return found


def namespace_of(flow_class: type, values: Mapping[str, Any]) -> ConfigValue:
    """The configs as expressions see them: by attribute, and by name."""
    return ConfigValue({**{spec.key: values[name] for name, spec in configs_of(flow_class).items()}, **values})


def _key(name: str) -> str:
    return name.lower().replace("-", "_")


def _check_stated(names: Mapping[str, str], sources: ConfigSources) -> None:
    for option, stated in (("--config", sources.files), ("--config-value", sources.values)):
        for name in stated:
            if _key(name) not in names:
                raise UsageError(f"Invalid value for '{option}': there is no config '{name}' (choose from {', '.join(names.values())}).")
    twice = sorted({_key(name) for name in sources.files} & {_key(name) for name in sources.values})
    if twice:
        raise UsageError(
            "Cannot provide both a value and a file for the same configuration. Found such values for "
            + ", ".join(f"'{names[key]}'" for key in twice)
            + "."
        )


def _value(spec: ConfigSpec, files: Mapping[str, Any], values: Mapping[str, Any], context: ParameterContext) -> Any:
    """ValueError says what is wrong."""
    if spec.key in values:
        return _parsed(spec, values[spec.key])
    if spec.key in files:
        return _parsed(spec, _read(spec, str(files[spec.key]), ""))
    if spec.default_value is not None:
        return _parsed(spec, _computed(spec, spec.default_value, context))
    if spec.default is not None:
        return _parsed(spec, _read(spec, str(_computed(spec, spec.default, context)), "default "))
    if spec.required:
        raise ValueError(f"missing configuration for '{spec.name}'")
    return None


def _computed(spec: ConfigSpec, value: Any, context: ParameterContext) -> Any:
    if not callable(value):
        return value
    try:
        return value(context)
    except Exception as error:
        raise ValueError(f"the function that computes the default of '{spec.name}' failed: {type(error).__name__}: {error}") from error


def _read(spec: ConfigSpec, path: str, which: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{which}configuration file '{path}' could not be read for '{spec.name}'") from error


def _parsed(spec: ConfigSpec, given: Any) -> Any:
    if isinstance(given, str) and spec.parser is not None:
        try:
            given = _parser_of(spec.parser)(given)
        except Exception as error:
            raise ValueError(f"'{spec.name}' could not be parsed: {type(error).__name__}: {error}") from error
    elif isinstance(given, str) and not spec.plain:
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ValueError(f"configuration value for '{spec.name}' is not valid JSON: {error}") from error
    if not spec.plain and not isinstance(given, Mapping):
        raise ValueError(f"'{spec.name}' is no mapping but a {type(given).__name__} (plain=True allows that)")
    return given


def _parser_of(parser: str | Callable[[str], Any]) -> Callable[[str], Any]:
    if not isinstance(parser, str):
        return parser
    module, _, name = parser.rpartition(".")
    if not module and name in _BUNDLED:
        module = "rayflow.flow.parsers"
    return getattr(importlib.import_module(module), name)
