"""Decorators of whole flows: `@project`, `@schedule`, `@trigger`, `@exit_hook`, `@package_suffixes`, `@pypi_base` and the like. Data, as
those of steps are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rayflow.flow.decorators import refuse_unknown
from rayflow.flow.deferred import evaluated, has_deferred
from rayflow.flow.packages import DEFAULTS, check_base
from rayflow.model.errors import UserError
from rayflow.model.spec import Maker

_DECORATORS = "_rayflow_decorators"
_MAX_NAME = 128


@dataclass(frozen=True, slots=True)
class FlowDecorator:
    """One decorator of a flow; the attributes that it was given, and the others with their defaults."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stated: frozenset[str] = frozenset()
    inserted_by: str | None = None


@dataclass(frozen=True, eq=False)
class FlowDecoratorKind:
    """`@name(key=value)` above a flow class. `check` gets the attributes once their expressions have values, and raises a `UserError`.
    `positional` is the attribute that may be given without its name."""

    name: str
    defaults: Mapping[str, Any]
    check: Callable[[Mapping[str, Any]], None] = lambda attributes: None
    is_repeatable: bool = False
    positional: str = ""

    def decorator(self, attributes: Mapping[str, Any], inserted_by: str | None = None) -> FlowDecorator:
        """The decorator with these attributes; `InvalidDecoratorAttribute` for one that it does not know."""
        refuse_unknown(self.name, attributes, self.defaults)
        return FlowDecorator(self.name, {**self.defaults, **attributes}, frozenset(attributes), inserted_by)

    def __call__(self, flow_class: Any = None, /, **attributes: Any) -> Any:
        if self.positional and flow_class is not None and not isinstance(flow_class, type):
            attributes = {self.positional: flow_class, **attributes}
        elif flow_class is not None:
            return self._apply(flow_class, self.decorator({}))
        decorator = self.decorator(attributes)
        return partial(self._apply, decorator=decorator)

    def _apply(self, flow_class: Any, decorator: FlowDecorator) -> Any:
        from rayflow.flow.flowspec import FlowSpec

        if not (isinstance(flow_class, type) and issubclass(flow_class, FlowSpec)):
            raise UserError(
                f"@{self.name} is applied to {flow_class!r}, which is no flow. It stands above a class that derives from FlowSpec."
            )
        own: tuple[FlowDecorator, ...] = vars(flow_class).get(_DECORATORS, ())
        if not self.is_repeatable and any(other.name == self.name for other in own):
            raise UserError(f"Flow {flow_class.__name__} has the decorator @{self.name} more than once. Remove one of them.")
        type.__setattr__(flow_class, _DECORATORS, (*own, decorator))
        return flow_class


def flow_decorators_of(flow_class: type) -> list[FlowDecorator]:
    """Those of the class and of its base classes; what a class says replaces what its bases say by a decorator that may stand once."""
    found: list[FlowDecorator] = []
    for owner in reversed(flow_class.__mro__):
        own: Sequence[FlowDecorator] = vars(owner).get(_DECORATORS, ())
        names = {decorator.name for decorator in own if not flow_kind_of(decorator.name).is_repeatable}
        found = [*(decorator for decorator in found if decorator.name not in names), *own]
    return found


def flow_kind_of(name: str) -> FlowDecoratorKind:
    """The kind of that name; UserError lists what exists."""
    if name not in _kinds:
        raise UserError(f"Unknown flow decorator {name}. The following decorators are supported: {', '.join(sorted(_kinds))}.")
    return _kinds[name]


def checked(decorators: Sequence[FlowDecorator], configs: Mapping[str, Any]) -> tuple[FlowDecorator, ...]:
    """The decorators with the values of their expressions, each looked at by its kind."""
    found: list[FlowDecorator] = []
    for decorator in decorators:
        kind = flow_kind_of(decorator.name)
        stated = {name: value for name, value in decorator.attributes.items() if name in decorator.stated}
        if has_deferred(stated):
            decorator = kind.decorator(evaluated(stated, configs), decorator.inserted_by)  # noqa: PLW2901
        kind.check(decorator.attributes)
        found.append(decorator)
    return tuple(found)


# -- projects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Project:
    """Which branch of which project a run belongs to."""

    name: str
    branch: str

    @property
    def tags(self) -> tuple[str, str]:
        """The system tags of its runs."""
        return f"project:{self.name}", f"project_branch:{self.branch}"

    def facts(self, flow: str) -> dict[str, Any]:
        """What `current` says of it."""
        return {
            "project_name": self.name,
            "branch_name": self.branch,
            "project_flow_name": f"{self.name}.{self.branch}.{flow}",
            "is_user_branch": self.branch.startswith("user."),
            "is_production": self.branch == "prod" or self.branch.startswith("prod."),
        }


def project_of(decorators: Sequence[FlowDecorator], user: str, branch: str | None, is_production: bool) -> Project | None:
    """The project of a flow with these decorators, on the branch that the command line, else the decorator says: `user.<user>` by default,
    `test.<branch>`, `prod` or `prod.<branch>`. `UserError` where they contradict each other."""
    found = next((decorator for decorator in decorators if decorator.name == "project"), None)
    if found is None:
        return None
    own_branch, own_production = found.attributes["branch"], bool(found.attributes["production"])
    if branch and own_branch and branch != own_branch:
        raise UserError(f"The branch is {branch!r} on the command line and {own_branch!r} in @project. Leave one of them out.")
    if is_production and "production" in found.stated and not own_production:
        raise UserError("--production contradicts @project(production=False). Leave one of them out.")
    branch = branch or own_branch
    if branch is not None:
        _check_name("The branch name", branch)
    in_production = f"prod.{branch}" if branch else "prod"
    in_test = f"test.{branch}" if branch else f"user.{user}"
    return Project(found.attributes["name"], in_production if is_production or own_production else in_test)


def _check_project(attributes: Mapping[str, Any]) -> None:
    if not attributes["name"]:
        raise UserError("@project needs a name. Try @project(name='some_name').")
    _check_name("The @project name", attributes["name"])


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]+", name):
        raise UserError(f"{what} must contain only lowercase alphanumeric characters and underscores: {name!r} has others.")
    if len(name) > _MAX_NAME:
        raise UserError(f"{what} must be shorter than {_MAX_NAME + 1} characters: it has {len(name)}.")


# -- what starts a flow ------------------------------------------------------------------------------------------------


def _check_trigger(attributes: Mapping[str, Any]) -> None:
    for event in _one_or_many("trigger", "event", attributes):
        if callable(event):
            continue
        name = event.get("name") if isinstance(event, Mapping) else event
        if not isinstance(name, str) or not name:
            raise UserError(f"@trigger: the event {event!r} has no name. Give a text, or {{'name': ..., 'parameters': ...}}.")
        if isinstance(event, Mapping):
            _check_parameters(event.get("parameters"))


def _check_parameters(parameters: Any) -> None:
    if parameters is None or isinstance(parameters, Mapping):
        return
    pairs = isinstance(parameters, (list, tuple)) and all(
        isinstance(each, str) or (isinstance(each, (list, tuple)) and len(each) == 2) for each in parameters
    )
    if not pairs:
        raise UserError(f"@trigger: the parameters {parameters!r} are neither a mapping nor a list of names and (name, field) pairs.")


def _check_trigger_on_finish(attributes: Mapping[str, Any]) -> None:
    for flow in _one_or_many("trigger_on_finish", "flow", attributes):
        name = flow.get("name") if isinstance(flow, Mapping) else flow
        if not isinstance(name, str) or not name or len(name.split(".")) not in (1, 3, 4):
            raise UserError(
                f"@trigger_on_finish: {flow!r} names no flow. Write 'Flow', 'project.branch.Flow', or {{'name': ..., 'project': ...}}."
            )


def _one_or_many(decorator: str, word: str, attributes: Mapping[str, Any]) -> list[Any]:
    one, many = attributes[word], attributes[f"{word}s"]
    if one is not None and many:
        raise UserError(f"@{decorator} has {word} and {word}s. Give one of them.")
    found = [one] if one is not None else list(many or ())
    if not found:
        raise UserError(f"No {word}(s) specified: @{decorator} needs {word}=... or {word}s=[...].")
    names = [each.get("name") if isinstance(each, Mapping) else each for each in found if not callable(each)]
    if len(set(map(str, names))) < len(names):
        raise UserError(f"@{decorator}: the same {word} is named twice.")
    return found


def _check_hook(attributes: Mapping[str, Any]) -> None:
    hooks = [*(attributes["on_success"] or ()), *(attributes["on_error"] or ())]
    if not hooks:
        raise UserError("@exit_hook needs a function: on_success=[...], on_error=[...], or both.")
    for hook in hooks:
        if not callable(hook) and not isinstance(hook, str):
            raise UserError(f"@exit_hook: {hook!r} is neither a function nor the name of one.")


# -- what belongs to a flow --------------------------------------------------------------------------------------------


def _check_suffixes(attributes: Mapping[str, Any]) -> None:
    for suffix in _texts("package_suffixes", attributes["suffixes"]):
        if any(letter in suffix for letter in "*?/\\"):
            raise UserError(f"@package_suffixes: {suffix!r} is no suffix. Give how the names of files end, such as ['.json', '.yaml'].")


def _check_modules(attributes: Mapping[str, Any]) -> None:
    for module in _texts("package_modules", attributes["modules"]):
        if not all(part.isidentifier() for part in module.split(".")):
            raise UserError(f"@package_modules: {module!r} is no name of a module. Give what stands after `import`, such as ['common'].")


def _texts(decorator: str, given: Any) -> list[str]:
    if not isinstance(given, (list, tuple)) or not given or not all(isinstance(each, str) and each for each in given):
        raise UserError(f"@{decorator} needs a list of texts, and has {given!r}.")
    return list(given)


# fmt: off
project = FlowDecoratorKind("project", {"name": None, "branch": None, "production": False}, _check_project)
"""The flow belongs to project `name`; each run to a branch of it: see `Project`."""

schedule = FlowDecoratorKind("schedule", {"cron": None, "weekly": False, "daily": True, "hourly": False, "timezone": None})
"""When a scheduler is to start the flow: says nothing to `run`."""

trigger = FlowDecoratorKind("trigger", {"event": None, "events": [], "options": {}}, _check_trigger)
"""Which events are to start the flow: says nothing to `run`."""

trigger_on_finish = FlowDecoratorKind("trigger_on_finish", {"flow": None, "flows": [], "options": {}}, _check_trigger_on_finish)
"""After which flows this one is to start; `--trigger Flow/run_id` plays that."""

exit_hook = FlowDecoratorKind("exit_hook", {"on_success": [], "on_error": [], "options": {}}, _check_hook, is_repeatable=True)
"""Functions, or their names, that are called once a run is over, in a process of their own; one that has an argument `run` gets the Run."""

package_suffixes = FlowDecoratorKind("package_suffixes", {"suffixes": []}, _check_suffixes, positional="suffixes")
"""Files beside the flow whose names end so are kept with its code, as by `--package-suffixes`."""

package_modules = FlowDecoratorKind("package_modules", {"modules": []}, _check_modules, positional="modules")
"""Modules from outside the flow's directory are kept with its code, as by `--package-modules`."""

pypi_base = FlowDecoratorKind("pypi_base", DEFAULTS[Maker.PYPI], partial(check_base, Maker.PYPI))
"""What `@pypi` of the steps begins with, and what steps without a decorator of that kind have."""

conda_base = FlowDecoratorKind("conda_base", DEFAULTS[Maker.CONDA], partial(check_base, Maker.CONDA))
"""The same of `@conda`."""

uv_base = FlowDecoratorKind("uv_base", DEFAULTS[Maker.UV], partial(check_base, Maker.UV))
"""The same of `@uv`."""
# fmt: on

_kinds = {
    kind.name: kind
    for kind in (
        project,
        schedule,
        trigger,
        trigger_on_finish,
        exit_hook,
        package_suffixes,
        package_modules,
        pypi_base,
        conda_base,
        uv_base,
    )
}
