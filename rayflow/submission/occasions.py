"""When a scheduler is to start a flow: what `@schedule`, `@trigger` and `@trigger_on_finish` say, as data."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

from rayflow.catalog.deployments import Event
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.flowdecorators import FlowDecorator
from rayflow.flow.parameters import ParameterContext
from rayflow.model.errors import UserError
from rayflow.submission.cron import parsed


def schedule_of(decorators: Sequence[FlowDecorator]) -> tuple[str | None, str | None]:
    """The five fields of cron, and the time zone; `cron` counts before `weekly`, that before `hourly`, that before `daily`."""
    found = next((decorator for decorator in decorators if decorator.name == "schedule"), None)
    if found is None:
        return None, None
    attributes = found.attributes
    if attributes["cron"]:
        cron = parsed(attributes["cron"]).text
    else:
        periods = {"weekly": "0 0 * * 0", "hourly": "0 * * * *", "daily": "0 0 * * *"}
        cron = next((text for period, text in periods.items() if attributes[period]), None)
    zone = attributes["timezone"]
    if zone is not None:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise UserError(f"@schedule: there is no time zone {zone!r}. Give one by its name, such as 'Europe/Berlin'.") from None
    return cron, zone


def events_of(definition: FlowDefinition, project: Mapping[str, Any]) -> tuple[Event, ...]:
    """The events that start the flow, and the deployments whose end does. `project` is what is said of the flow's project and branch."""
    found: list[Event] = []
    for decorator in definition.decorators:
        if decorator.name in ("trigger", "trigger_on_finish") and decorator.attributes["options"]:
            _refuse_options(decorator)
        if decorator.name == "trigger":
            found += [_event(definition, event) for event in _all_of(decorator, "event")]
        elif decorator.name == "trigger_on_finish":
            found += [Event(_finished_name(flow, project), is_run=True) for flow in _all_of(decorator, "flow")]
    return tuple(found)


def _refuse_options(decorator: FlowDecorator) -> None:
    options: Mapping[str, Any] = decorator.attributes["options"]
    raise UserError(f"@{decorator.name}: no scheduler here knows the options {', '.join(map(repr, options))}. Leave them out.")


def _all_of(decorator: FlowDecorator, word: str) -> list[Any]:
    one = decorator.attributes[word]
    return [one] if one is not None else list(decorator.attributes[f"{word}s"])


def _event(definition: FlowDefinition, event: Any) -> Event:
    if callable(event):
        event = event(ParameterContext(definition.name, "", configs=definition.namespace))
    if isinstance(event, str):
        return Event(event)
    parameters = _by_parameter(event.get("parameters") or {})
    known = {parameter.name for parameter in definition.parameters.values()}
    for name in parameters:
        if name not in known:
            raise UserError(f"@trigger: {definition.name} has no Parameter '{name}', which the event '{event['name']}' is to give.")
    return Event(event["name"], parameters=parameters)


def _by_parameter(given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(name): str(field) for name, field in given.items()}  # pyright: ignore[reportUnknownArgumentType] - the user's
    pairs = [(each, each) if isinstance(each, str) else each for each in given]
    return {str(name): str(field) for name, field in pairs}


def _finished_name(flow: Any, project: Mapping[str, Any]) -> str:
    """The name of the deployment whose end is waited for: of this flow's own project and branch, unless it says another."""
    if isinstance(flow, str):
        return flow if "." in flow or not project else f"{project['project_name']}.{project['branch_name']}.{flow}"
    name = flow["name"]
    stated = flow.get("project"), flow.get("project_branch")
    if "." in name or (not any(stated) and not project):
        return name
    return f"{stated[0] or project.get('project_name')}.{stated[1] or project.get('branch_name')}.{name}"
