"""What a place tells the driver of its nodes, by variables.

Which of them a step's tasks come onto, where there are several kinds that needs alone do not tell apart (other images, other machines): the
place gives the nodes of a kind a resource of their own, and tells which of these each step asks for. And how long nodes may take to come.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from rayflow.flow.definition import FlowDefinition
from rayflow.model.errors import UserError
from rayflow.runtime.settings import Settings

PLACEMENTS = "RAYFLOW_PLACEMENTS"
"""The variable of the driver's environment that tells it: JSON, by step what is asked for beside the step's own needs."""
NODE_KINDS = "RAYFLOW_NODE_KINDS"
"""The variable that tells what nodes may come: the setting of that name."""
PATIENCE = "RAYFLOW_NODES_WITHIN_S"
"""The variable that tells for how many seconds nodes may be missing which the place is still starting."""


def placed(definition: FlowDefinition, environ: Mapping[str, str]) -> FlowDefinition:
    """The flow whose steps ask for what the environment tells, too; itself where that tells nothing."""
    text = environ.get(PLACEMENTS)
    if not text:
        return definition
    try:
        told: dict[str, dict[str, float]] = json.loads(text)
        specs = {
            step: replace(spec, resources=replace(spec.resources, custom={**spec.resources.custom, **told.get(step, {})}))
            for step, spec in definition.specs.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{PLACEMENTS} is {text!r}, which tells no resources by step. It is written by what submits a run.") from error
    return replace(definition, specs=specs)


def patient(settings: Settings) -> Settings:
    """The settings with the patience that the environment tells."""
    text = settings.environ.get(PATIENCE, "")
    return replace(settings, patience_s=float(text)) if text.isdecimal() else settings
