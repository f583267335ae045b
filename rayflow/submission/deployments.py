"""A run of a deployment, made in the driver that a scheduler started. The deployment itself is `rayflow.catalog.deployments`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rayflow.catalog.deployments import DeployedParameter, Deployment, read_deployment
from rayflow.catalog.index import note_start
from rayflow.catalog.run import RunRecord, claim_run, read_run
from rayflow.model.errors import StoreExists, UsageError
from rayflow.model.layout import safe_run_id
from rayflow.model.ports import Store
from rayflow.model.records import Artifact
from rayflow.store.blobs import Blobs
from rayflow.store.codecs import decode

PARAMETERS = "RAYFLOW_PARAMETERS"
"""The variable in which a driver finds what its run is given: one JSON object of values by the names of Parameters."""
TRIGGERS = "--triggers"
"""What is given under this name, which no Parameter can have, tells what started the run."""

_PLAIN_CODECS = ("json", "text", "bytes")


def given_in(environ: Mapping[str, str]) -> dict[str, Any]:
    """What a scheduler gives a run, in the environment of its driver. UsageError where that is no JSON object."""
    text = environ.get(PARAMETERS) or "{}"
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"The variable {PARAMETERS} is no JSON: {error}. It holds an object of values by the names of Parameters."
        ) from error
    if not isinstance(found, dict):
        raise UsageError(f"The variable {PARAMETERS} holds no JSON object, but {text[:40]!r}. Give values by the names of Parameters.")
    return {str(name): value for name, value in found.items()}


def begun(store: Store, flow: str, digest: str, run_id: str, given: Mapping[str, Any]) -> RunRecord:
    """The record of the run of that id, made of the deployment and of what is `given`: values by the names of Parameters, as texts or JSON.
    Where the run is there already, its own, if the same was given then: whoever starts it twice goes on with it.

    UsageError for an unknown name, a value that its Parameter does not take, a missing one, or a run of that id with other parameters.
    """
    deployment = read_deployment(store, flow, digest)
    draft = deployment.draft
    record = replace(draft, run_id=safe_run_id(run_id), created_us=time.time_ns() // 1000)
    if given.get(TRIGGERS):
        record = replace(record, facts={**record.facts, "trigger": _happened(store, str(given[TRIGGERS]))})
    blobs = Blobs(store, flow, run_id)
    values = _values(store, deployment, {name: value for name, value in given.items() if name != TRIGGERS})
    parameters = {name: blobs.put(name, value) for name, value in values.items()}
    constants = {name: blobs.put(name, _settled(value, name)) for name, value in draft.constants.items()}
    record = replace(record, parameters=parameters, constants=constants)
    try:
        record = claim_run(store, record, is_id_given=True)
    except StoreExists:
        known = read_run(store, flow, run_id)
        if known.code != record.code or _bytes_of(known.parameters) != _bytes_of(record.parameters):
            raise UsageError(
                f"Run id '{run_id}' exists with other code or parameters. Start the deployment under another id, or continue that run: "
                f"rayflow resume {flow}/{run_id}."
            ) from None
        record = known  # whoever claimed it may have been killed before it was entered in the index
    note_start(store, record)
    return record


def _bytes_of(artifacts: Mapping[str, Artifact]) -> dict[str, tuple[bytes | None, str | None]]:
    return {name: (artifact.inline, artifact.digest) for name, artifact in artifacts.items()}


def _settled(artifact: Artifact, name: str) -> Any:
    """What to store in a run of a value that lies in its deployment: large plain values become files there."""
    if artifact.inline is None or artifact.codec not in _PLAIN_CODECS:
        return artifact
    return decode(artifact.codec, artifact.inline, name=name)


def _values(store: Store, deployment: Deployment, given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each Parameter, by attribute."""
    known = {parameter.name: parameter for parameter in deployment.parameters}
    unknown = [name for name in given if name not in known]
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(f"{deployment.flow} has no Parameter '{unknown[0]}'. Its Parameters are: {names}.")
    stated = {known[name].attribute: value for name, value in given.items() if not _is_default(known[name], value)}
    for parameter in deployment.parameters:
        if parameter.must_be_given and parameter.attribute not in stated:
            raise UsageError(f"Parameter '{parameter.name}' of {deployment.flow} is required, and was not given. Start it with a value.")
        if parameter.kind == "file" and parameter.attribute in stated:
            raise UsageError(
                f"IncludeFile '{parameter.name}' of {deployment.flow} has the content that it had when the flow was deployed. Deploy it "
                "again to change that."
            )
    converted = _converted(store, deployment, stated) if stated else {}
    return {
        parameter.attribute: converted[parameter.attribute]
        if parameter.attribute in stated
        else (_settled(parameter.default, parameter.name) if parameter.default else None)
        for parameter in deployment.parameters
    }


def _is_default(parameter: DeployedParameter, value: Any) -> bool:
    """Whether this is what stands there unless somebody gives a value."""
    return value is None or (not parameter.must_be_given and value == parameter.shown)


def _converted(store: Store, deployment: Deployment, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the flow's Parameters take them, which only its code can tell."""
    from rayflow.flow.definition import define
    from rayflow.flow.parameters import ParameterContext
    from rayflow.flow.resolve import resolve
    from rayflow.submission.unpacking import unpacked_flow

    draft = deployment.draft
    flow_class = unpacked_flow(store, draft)
    configs = {name: decode(value.codec, value.inline or b"", name=name) for name, value in _configs(flow_class, draft).items()}
    definition = define(flow_class, configs=configs)
    asked = replace(definition, parameters={name: definition.parameters[name] for name in stated})
    return resolve(asked, {name: _text(value) for name, value in stated.items()}, {}, ParameterContext(draft.flow, draft.user))


def _configs(flow_class: type, draft: RunRecord) -> dict[str, Artifact]:
    from rayflow.flow.configs import configs_of

    return {name: draft.constants[name] for name in configs_of(flow_class) if name in draft.constants}


def _text(value: Any) -> Any:
    """A value that came as JSON where a text would do, too: as a command line would have it."""
    if isinstance(value, bool):
        return str(value)
    return str(value) if isinstance(value, (int, float)) else value


def _happened(store: Store, words: str) -> list[dict[str, Any]]:
    """What started the run, as `Run.trigger` tells it. `words`: the pathspecs of runs that succeeded, and `event:NAME`, with spaces between
    them."""
    from rayflow.runtime.continuing import finished

    now_us = time.time_ns() // 1000
    return [
        {"name": name, "id": "", "at_us": now_us, "type": "event"} if kind == "event" else finished(store, word)
        for word in words.split()
        for kind, _, name in [word.partition(":")]
    ]
