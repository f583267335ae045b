"""A flow as everybody below the command line gets it: class, graph, step specs, Parameters and constants, in one value."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import rayflow.flow.builtin  # pyright: ignore[reportUnusedImport] - registers the decorators
import rayflow.flow.packages  # pyright: ignore[reportUnusedImport] - so does this
import rayflow.flow.secrets  # noqa: F401  # pyright: ignore[reportUnusedImport] - so does this
from rayflow.flow.configs import ConfigSources, namespace_of, resolved_configs
from rayflow.flow.configvalue import ConfigValue
from rayflow.flow.decorators import compile_spec, kind_of
from rayflow.flow.decospec import parse_decospec
from rayflow.flow.flowdecorators import FlowDecorator, checked, flow_decorators_of
from rayflow.flow.flowspec import FlowSpec
from rayflow.flow.members import constants_of, parameters_of, step_functions
from rayflow.flow.mutators import Draft, is_only_mutator
from rayflow.flow.parameters import Parameter, ParameterContext
from rayflow.flow.step import mark_of
from rayflow.model.graph import Graph
from rayflow.model.spec import StepDecorator, StepSpec
from rayflow.settings.reading import StatedSettings


@dataclass(frozen=True)
class FlowDefinition:
    """What the user wrote, read and compiled. `parameters` and `constants` are by attribute name, in order of definition.

    Not promised: that the graph obeys the rules; `lint.check(definition.graph)` says so.
    """

    flow_class: type[FlowSpec]
    name: str
    graph: Graph
    specs: Mapping[str, StepSpec]
    parameters: Mapping[str, Parameter]
    constants: Mapping[str, Any]
    script_path: str
    doc: str = ""
    configs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    decorators: tuple[FlowDecorator, ...] = ()
    """Those of the flow itself."""

    @property
    def namespace(self) -> ConfigValue:
        """The configs as expressions see them."""
        return namespace_of(self.flow_class, self.configs)


def define(flow_class: type[FlowSpec], decospecs: Sequence[str] = (), configs: Mapping[str, Any] | None = None) -> FlowDefinition:
    """Reads the flow class. `decospecs` are `--with` texts, the first of a name wins; `configs` the values of its Configs by attribute
    (default: their defaults).

    Raises a `UserError` for a decorator whose values cannot be used.
    """
    graph = flow_class._graph  # pyright: ignore[reportPrivateUsage] - the flow's own layer
    marks = {name: mark_of(function) for name, function in step_functions(flow_class).items()}
    if configs is None:
        configs = resolved_configs(flow_class, ConfigSources(), StatedSettings(), ParameterContext(flow_class.__name__, ""), {})
    names = namespace_of(flow_class, configs)
    draft = Draft(
        flow_class=flow_class,
        configs=names,
        config_names=tuple(configs),
        parameters={name: parameter.evaluated(names) for name, parameter in parameters_of(flow_class).items()},
        decorators={name: list(mark.decorators) for name, mark in marks.items() if mark is not None},
        flow_decorators=flow_decorators_of(flow_class),
    )
    draft.mutate()
    specs = {node.name: compile_spec(node, _evaluated(draft.decorators[node.name], names)) for node in graph}
    definition = FlowDefinition(
        flow_class=flow_class,
        name=flow_class.__name__,
        graph=graph,
        specs=specs,
        parameters=draft.parameters,
        constants={**constants_of(flow_class), **configs},
        script_path=_script_path(flow_class) or graph.file,
        doc=graph.doc,
        configs=configs,
        decorators=checked(draft.flow_decorators, names),
    )
    return with_decospecs(definition, decospecs)


def with_decospecs(definition: FlowDefinition, decospecs: Sequence[str]) -> FlowDefinition:
    """The definition with each decorator (`name:key=value,...`) added to all steps that have none of that name."""
    specs = dict(definition.specs)
    for text in decospecs:
        decorator = parse_decospec(text)
        for node in definition.graph:
            present = specs[node.name].decorators
            if all(other.name != decorator.name for other in present):
                specs[node.name] = compile_spec(node, (*present, decorator))
    return replace(definition, specs=specs) if decospecs else definition


def _evaluated(decorators: Sequence[StepDecorator], configs: Mapping[str, Any]) -> list[StepDecorator]:
    """Those that say anything after mutators have run, with the values of their expressions."""
    kinds = ((kind_of(decorator.name), decorator) for decorator in decorators)
    return [kind.evaluated(decorator, configs) for kind, decorator in kinds if not is_only_mutator(kind)]


def _script_path(flow_class: type) -> str:
    file = getattr(sys.modules.get(flow_class.__module__), "__file__", None)
    return os.path.abspath(file) if file else ""
