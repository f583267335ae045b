"""Parameters on the command line. The one module of this package that needs click; imported when a command line is built."""

# click.ParamType takes type arguments from click 8.4 on only, and is not subscriptable before.
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false

from __future__ import annotations

from typing import Any

import click

from rayflow.flow.includefile import IncludeFile
from rayflow.flow.parameters import JSONTypeClass, Parameter, ParameterContext
from rayflow.flow.resolve import computed, default_of
from rayflow.model.errors import UsageError


class ParameterOption(click.Option):
    """A Parameter as an option that only carries what was written: `resolve` converts it, once, wherever it came from.

    `--help` shows type and default; a computed default is computed for that. Not promised: a value where none was given.
    """

    def __init__(self, attribute: str, parameter: Parameter, context: ParameterContext) -> None:
        options = dict(parameter.options)
        if not options.get("is_flag") and not options.get("count"):
            options["type"] = _AsWritten(click_type(parameter))
        super().__init__([parameter.option, f"parameter_{attribute}"], **options)
        self.attribute = attribute
        self.parameter = parameter
        self._context = context

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        if self.hidden:
            return None
        self.help = computed(self.parameter, "help", self.parameter.help, self._context)
        record = super().get_help_record(ctx)
        remark = self._remark()
        return record if record is None or not remark else (record[0], f"{record[1]}  [{remark}]".strip())

    def _remark(self) -> str:
        if isinstance(self.parameter.show_default, str):
            return f"default: {self.parameter.show_default}"
        if self.parameter.has_default:
            shown = default_of(self.parameter, self._context)
            return "" if self.parameter.show_default is False else f"default: {shown}"
        return "required" if self.parameter.required else ""


class _AsWritten(click.ParamType):
    """Shows as a type in the help, and leaves the text alone."""

    def __init__(self, shown: click.ParamType) -> None:
        self._shown = shown
        self.name = shown.name

    def get_metavar(self, *args: Any, **keywords: Any) -> str | None:
        return self._shown.get_metavar(*args, **keywords)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value


class _Json(click.ParamType):
    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return JSONTypeClass().parsed(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def click_type(parameter: Parameter) -> click.ParamType:
    """The click type that reads the Parameter's values."""
    declared = parameter.value_type
    if isinstance(declared, JSONTypeClass):
        return _Json()
    if isinstance(parameter, IncludeFile):
        return click.Path()
    return click.types.convert_type(declared)


def convert(parameter: Parameter, value: Any) -> Any:
    """The value in the Parameter's type; `UsageError` in click's words where it has another."""
    options = {key: parameter.options[key] for key in ("is_flag", "count", "multiple", "nargs") if key in parameter.options}
    declared = click.STRING if isinstance(parameter, IncludeFile) else click_type(parameter)
    option = click.Option([parameter.option, "value"], type=None if options.get("is_flag") or options.get("count") else declared, **options)
    if isinstance(value, str) and (option.multiple or option.nargs != 1):
        value = value.split()
    try:
        return option.type_cast_value(click.Context(click.Command("run")), value)
    except click.BadParameter as error:
        raise UsageError(error.format_message()) from error
