"""`Parameter` and `JSONType`: what a flow is given when it is run. Values are made in `resolve`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rayflow.flow.deferred import Deferred, evaluated
from rayflow.model.errors import UserError

if TYPE_CHECKING:
    from logging import Logger

# fmt: off
_RESERVED = frozenset((
    "params", "with", "tag", "namespace", "obj", "tags", "decospecs", "run-id-file", "max-num-splits", "max-workers", "max-log-size",
    "user-namespace", "run-id", "task-id", "runner-attribute-file",
))
# fmt: on


def _logger() -> Logger:
    import logging

    return logging.getLogger("rayflow")


@dataclass(frozen=True)
class ParameterContext:
    """What the function gets that computes a default when a run starts."""

    flow_name: str
    user_name: str
    parameter_name: str = ""
    logger: Logger = field(default_factory=_logger)
    ds_type: str = "local"
    configs: Any = None


class JSONTypeClass:
    """The type of Parameters that are given as JSON. `JSONType` is its one instance."""

    name = "JSON"

    def parsed(self, value: Any) -> Any:
        """A string is parsed (ValueError where it is not JSON), everything else is itself."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"{value} is not a valid JSON object") from error

    def __repr__(self) -> str:
        return "JSON"


JSONType = JSONTypeClass()
"""`Parameter("x", type=JSONType)`: given as JSON text, or by a program as the value itself."""


class Parameter:
    """A value that each run is given: `alpha = Parameter("alpha", default=0.1)` becomes `--alpha` of `run` and `self.alpha`.

    `name` is the option, exactly as written; the attribute is the artifact. `type` is `str`, `int`, `float`, `bool`, `JSONType` or a
    click type; without it that of the default, else `str`. `default` may be a function of a `ParameterContext`, called once per
    run where no value was given. `separator` splits a string into a list. What else is given goes to the click option.
    """

    def __init__(
        self,
        name: str,
        default: Any = None,
        type: Any = None,  # noqa: A002 - the public name
        help: str | Callable[[ParameterContext], str] | None = None,  # noqa: A002 - the public name
        required: bool | None = None,
        show_default: str | bool | None = None,
        separator: str | None = None,
        **options: Any,
    ) -> None:
        if not any(isinstance(given, Deferred) for given in (name, type, default, show_default, separator, required)):
            _check(name, type, default, {"show_default": show_default, "separator": separator, "required": required})
        self.name = name
        self.default = default
        self.type = type
        self.help = help
        self.required = required if isinstance(required, Deferred) else bool(required)
        self.show_default = show_default
        self.separator = separator
        self.options: Mapping[str, Any] = options

    @property
    def option(self) -> str:
        """As it is given on the command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that may hold the value."""
        return f"RAYFLOW_RUN_{self.name.upper().replace('-', '_')}"

    @property
    def has_default(self) -> bool:
        return self.default is not None

    @property
    def value_type(self) -> Any:
        """`type`, else that of a default which is a value, else `str`; bool for a flag."""
        if self.type is not None:
            return self.type
        if self.default is None or callable(self.default):
            return bool if self.options.get("is_flag") else str
        if self.options.get("multiple"):
            return type(next(iter(self.default), ""))
        return type(self.default)

    def evaluated(self, configs: Mapping[str, Any]) -> Parameter:
        """The same with the values that its expressions over configs have."""
        fields = {name: evaluated(value, configs) for name, value in vars(self).items()}
        if all(fields[name] is value for name, value in vars(self).items()):
            return self
        made = copy.copy(self)
        vars(made).update(fields, required=bool(fields["required"]))
        _check(made.name, made.type, made.default, {"show_default": made.show_default, "separator": made.separator})
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


def _check(name: Any, type_: Any, default: Any, no_functions: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or not name or name.startswith("-") or any(letter.isspace() or letter in "=/\0" for letter in name):
        raise UserError(f"A Parameter is named {name!r}. The name becomes a command line option: use letters, digits, '_' and '-'.")
    if name.replace("_", "-") in _RESERVED:
        raise UserError(f"Parameter name *{name}* is a reserved word: `run` has an option of that name. Please choose another one.")
    for keyword, value in no_functions.items():
        if callable(value):
            raise UserError(f"Parameter *{name}*: {keyword} cannot have a function as its value. Only default and help can.")
    separator = no_functions["separator"]
    given_type = type_ if type_ is not None else str if default is None or callable(default) else type(default)
    if separator is not None and given_type is not str:
        raise UserError(f"Parameter *{name}*: separator is only allowed for string parameters. Leave out type={given_type!r}.")
    if separator == "":
        raise UserError(f"Parameter *{name}*: separator is empty. Give at least one character, such as ','.")
