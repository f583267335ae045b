"""Makes a deployment of a flow: what is known of all its runs is computed here, once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import click

from rayflow.catalog.deployments import UNCLAIMED, DeployedParameter, Deployment
from rayflow.flow import lint
from rayflow.flow.definition import FlowDefinition
from rayflow.flow.includefile import IncludedFile, IncludeFile
from rayflow.flow.options import click_type
from rayflow.flow.parameters import JSONTypeClass, Parameter, ParameterContext
from rayflow.flow.resolve import check_names, resolve
from rayflow.model.errors import UserError
from rayflow.model.ports import Store
from rayflow.model.records import Artifact
from rayflow.runtime.environments import prepare as prepare_environments
from rayflow.runtime.environments import record_with
from rayflow.runtime.launch import launch_facts, new_record
from rayflow.runtime.notices import Reporter
from rayflow.runtime.packaging import code_of
from rayflow.runtime.settings import Settings
from rayflow.store.codecs import encode
from rayflow.submission.occasions import events_of, schedule_of

MAX_VALUE_NBYTES = 16 << 20
"""Of the values of a deployment, which lie within it."""


@dataclass(frozen=True)
class Order:
    """What is asked of a deployment besides its flow: by which scheduler it is started, and under which name (None: one made of the flow's
    and its project's)."""

    scheduler: str
    settings: Settings
    name: str | None = None
    token: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def prepare(definition: FlowDefinition, order: Order, store: Store, reporter: Reporter) -> Deployment:
    """The deployment; the flow's code is stored, and the environments of its steps are locked. UserError for what a deployment cannot
    carry."""
    lint.check(definition.graph)
    check_names(definition)
    settings = order.settings
    if settings.triggers:
        raise UserError("--trigger plays what started one run: a deployment is started by its scheduler. Leave it out.")
    settings = replace(settings, run_id=None)
    environments = prepare_environments(definition, settings, store, reporter)
    code = code_of(definition, settings, store, reporter)
    draft = record_with(new_record(definition, settings, code, store), environments)
    if draft.code is None:
        raise UserError(
            f"Flow {definition.name} has no file, so that no driver elsewhere could load it. Put it into a file, and deploy that."
        )
    parameters = tuple(_deployed(definition, name, settings) for name in definition.parameters)
    constants = {name: _carried(name, value) for name, value in definition.constants.items()}
    _check_size(parameters, constants)
    cron, timezone = schedule_of(definition.decorators)
    events = events_of(definition, draft.facts["current"])
    _check_can_start(definition, parameters, cron)
    return Deployment(
        scheduler=order.scheduler,
        name=order.name or deployment_name(definition.name, draft.facts["current"]),
        draft=replace(
            draft,
            run_id=UNCLAIMED,
            created_us=0,
            launcher=None,
            constants=constants,
            system_tags=(
                *(tag for tag in draft.system_tags if tag != "runtime:dev"),
                f"runtime:{order.scheduler}",
                f"production:{order.token}",
            ),
            facts={**_lasting(draft.facts), **order.facts, "launch": launch_facts(settings), "namespace": f"production:{order.token}"},
        ),
        parameters=parameters,
        cron=cron,
        timezone=timezone,
        events=events,
        token=order.token,
    )


def deployment_name(flow: str, project: Mapping[str, Any]) -> str:
    """What a scheduler calls the flow: `project.branch.Flow`, else `Flow`."""
    return project.get("project_flow_name") or flow


def dns_name(name: str, most: int) -> str:
    """The name as Kubernetes takes it (DNS-1035: lower case, digits, '-'), at most `most` characters. What differs stays different: where
    something is lost, a digest says of what."""
    from blake3 import blake3

    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "flow"
    plain = plain if plain[0].isalpha() else f"f-{plain}"
    if plain == name.lower() and len(plain) <= most:
        return plain
    return f"{plain[: most - 7].rstrip('-')}-{blake3(name.encode()).hexdigest()[:6]}"


def _lasting(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that are those of each run, too: not what was typed to deploy it."""
    return {name: value for name, value in facts.items() if name not in ("argv", "trigger")} | {"argv": [], "trigger": []}


def _check_can_start(definition: FlowDefinition, parameters: tuple[DeployedParameter, ...], cron: str | None) -> None:
    missing = [parameter.name for parameter in parameters if parameter.must_be_given]
    if cron is not None and missing:
        raise UserError(
            f"Parameter '{missing[0]}' of {definition.name} is required and has no default, so that nothing could be given for it at the "
            "times of @schedule. Give it a default."
        )


# -- Parameters ------------------------------------------------------------------------------------------------------------


def _deployed(definition: FlowDefinition, attribute: str, settings: Settings) -> DeployedParameter:
    parameter = definition.parameters[attribute]
    described = DeployedParameter(
        name=parameter.name,
        attribute=attribute,
        kind=_kind(parameter),
        is_required=bool(parameter.required),
        help=parameter.help if isinstance(parameter.help, str) else "",
        choices=_choices(parameter),
    )
    if not parameter.has_default:
        return described
    context = ParameterContext(flow_name=definition.name, user_name=settings.user)
    value = resolve(replace(definition, parameters={attribute: parameter}), {}, {}, context)[attribute]
    if value is None:
        return described
    content = value.content if isinstance(value, IncludedFile) else value
    shown = "" if isinstance(value, IncludedFile) else _shown(described.kind, parameter, value)
    return replace(described, default=_carried(parameter.name, content), shown=shown)


def _kind(parameter: Parameter) -> str:
    if isinstance(parameter, IncludeFile):
        return "file"
    if parameter.options.get("multiple") or parameter.options.get("nargs", 1) != 1:
        return "text"
    declared = parameter.value_type
    if isinstance(declared, JSONTypeClass) or declared in (dict, list):
        return "json"
    if parameter.options.get("count"):
        return "integer"
    found = click_type(parameter)
    kinds: tuple[tuple[type, str], ...] = (
        (click.Choice, "choice"),
        (click.types.BoolParamType, "boolean"),
        (click.types.IntParamType, "integer"),
        (click.types.FloatParamType, "float"),
    )
    return next((kind for type_, kind in kinds if isinstance(found, type_)), "text")


def _choices(parameter: Parameter) -> tuple[str, ...]:
    found = None if isinstance(parameter, IncludeFile) else click_type(parameter)
    return tuple(map(str, found.choices)) if isinstance(found, click.Choice) else ()


def _shown(kind: str, parameter: Parameter, value: Any) -> str:
    """A default as whoever starts the flow may read it, and write another."""
    if kind == "json":
        return json.dumps(value)
    if parameter.separator is not None and isinstance(value, list):
        return parameter.separator.join(map(str, value))  # pyright: ignore[reportUnknownArgumentType] - texts, of a split text
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _carried(name: str, value: Any) -> Artifact:
    encoded = encode(value, name=name)
    return Artifact(encoded.codec, encoded.type, encoded.nbytes, encoded.preview, inline=encoded.to_bytes())


def _check_size(parameters: tuple[DeployedParameter, ...], constants: Mapping[str, Artifact]) -> None:
    carried = {parameter.name: parameter.default for parameter in parameters if parameter.default} | dict(constants)
    if sum(artifact.nbytes for artifact in carried.values()) > MAX_VALUE_NBYTES:
        largest = max(carried, key=lambda name: carried[name].nbytes)
        raise UserError(
            f"The values of the flow's Parameters, Configs and constants come to more than {MAX_VALUE_NBYTES >> 20} MB, which a deployment "
            f"carries at most. '{largest}' is the largest: have a step read it from a bucket."
        )
