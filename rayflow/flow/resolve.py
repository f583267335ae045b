"""The values of a run's Parameters: what was given, else the environment's, else the default; converted once."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rayflow.flow.includefile import IncludeFile
from rayflow.flow.parameters import JSONTypeClass, Parameter, ParameterContext
from rayflow.model.errors import ParameterFieldFailed, ParameterFieldTypeMismatch, UsageError, UserError

if TYPE_CHECKING:
    import click

    from rayflow.flow.definition import FlowDefinition

_EXACT = (int, float, bool, list, dict)
"""Types that a function which computes a default must return exactly."""


def resolve(definition: FlowDefinition, given: Mapping[str, Any], environ: Mapping[str, str], context: ParameterContext) -> dict[str, Any]:
    """The value of each Parameter, by attribute name. Call it once per run: functions as defaults are called here.

    `given` is by attribute name: texts as written on a command line, or values. `RAYFLOW_RUN_<NAME>` of `environ` comes next. The
    value of an `IncludeFile` is an `IncludedFile`. Raises `UsageError` (exit 2) for a bad or missing value, a `UserError` for a
    name that is used twice or a function that fails.
    """
    check_names(definition)
    context = replace(context, configs=definition.namespace)
    return {name: _value(parameter, name, given, environ, context) for name, parameter in definition.parameters.items()}


def click_options(definition: FlowDefinition, context: ParameterContext) -> list[click.Option]:
    """The options of `run`, sorted by attribute name. What was given with them: `given_values`."""
    from rayflow.flow.options import ParameterOption

    context = replace(context, configs=definition.namespace)
    return [ParameterOption(name, parameter, context) for name, parameter in sorted(definition.parameters.items())]


def given_values(ctx: click.Context) -> dict[str, Any]:
    """What the command line of `ctx` states for Parameters, by attribute name: `given` of `resolve`."""
    from click.core import ParameterSource

    from rayflow.flow.options import ParameterOption

    options = [option for option in ctx.command.params if isinstance(option, ParameterOption) and option.name]
    return {
        option.attribute: ctx.params[option.name or ""]
        for option in options
        if ctx.get_parameter_source(option.name or "") not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    }


def check_names(definition: FlowDefinition) -> None:
    """Raises `UserError` where two Parameters have the same name."""
    seen: set[str] = set()
    for parameter in definition.parameters.values():
        if parameter.name.lower() in seen:
            raise UserError(
                f"Parameter *{parameter.name}* is specified twice. Note that parameter names are case-insensitive. Rename one of them."
            )
        seen.add(parameter.name.lower())


def _value(parameter: Parameter, attribute: str, given: Mapping[str, Any], environ: Mapping[str, str], context: ParameterContext) -> Any:
    if attribute in given:
        value = given[attribute]
    elif parameter.variable in environ:
        value = environ[parameter.variable]
    elif parameter.has_default:
        value = default_of(parameter, context)
    elif parameter.required:
        raise UsageError(f"Missing option '{parameter.option}'. Give it, or set {parameter.variable}.")
    else:
        return None
    return value if value is None else _converted(parameter, value)


def default_of(parameter: Parameter, context: ParameterContext) -> Any:
    """The default, computed where it is a function of the context."""
    value = computed(parameter, "default", parameter.default, context)
    if callable(parameter.default) and not isinstance(parameter.default, type):
        _check_computed(parameter, value)
    return value


def computed(parameter: Parameter, field: str, value: Any, context: ParameterContext) -> Any:
    """`value`, called with the context where it is a function. `ParameterFieldFailed` with the traceback where that fails."""
    if not callable(value) or isinstance(value, type):
        return value
    try:
        return value(replace(context, parameter_name=parameter.name))
    except Exception as error:
        frames = error.__traceback__ and error.__traceback__.tb_next  # from the function on: the call of it, above, is ours
        told = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
        raise ParameterFieldFailed(f"When computing the {field} of Parameter *{parameter.name}*, its function failed:\n{told}") from error


def _check_computed(parameter: Parameter, value: Any) -> None:
    declared = parameter.value_type if parameter.value_type in _EXACT else str
    if value is None or type(value) is declared or (declared is str and isinstance(value, str)):
        return
    wanted = "a JSON string" if isinstance(parameter.value_type, JSONTypeClass) else declared.__name__
    raise ParameterFieldTypeMismatch(
        f"The function that computes the default of Parameter *{parameter.name}* returned {value!r} of type {type(value).__name__}. "
        f"It has to return {wanted}."
    )


def _converted(parameter: Parameter, value: Any) -> Any:
    from rayflow.flow.options import convert

    if parameter.separator is not None:
        return _split(value, parameter.separator)
    declared = parameter.value_type
    is_ready = isinstance(declared, type) and type(value) is declared and not parameter.options
    converted = value if is_ready else convert(parameter, value)
    return parameter.read(converted) if isinstance(parameter, IncludeFile) else converted


def _split(value: Any, separator: str) -> Any:
    return value.split(separator) if isinstance(value, str) and value else value
