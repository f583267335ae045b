from __future__ import annotations

import pytest

from rayflow import (
    Config,
    FlowMutator,
    FlowSpec,
    exit_hook,
    package_modules,
    package_suffixes,
    project,
    schedule,
    step,
    trigger,
    trigger_on_finish,
)
from rayflow.flow.definition import define
from rayflow.flow.flowdecorators import Project, project_of
from rayflow.flow.graph_info import graph_info
from rayflow.model.errors import InvalidDecoratorAttribute, UserError


def made(*decorators):
    """A flow with these decorators, the nearest first."""

    class Made(FlowSpec):
        cfg = Config("cfg", default_value={"name": "from_config"})

        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    for decorator in decorators:
        Made = decorator(Made)
    return Made


@pytest.mark.parametrize(
    ("attributes", "branch", "is_production", "expected"),
    [
        ({}, None, False, "user.ada"),
        ({}, "x", False, "test.x"),
        ({"branch": "y"}, None, False, "test.y"),
        ({"branch": "y"}, "y", False, "test.y"),
        ({}, None, True, "prod"),
        ({"production": True}, "x", False, "prod.x"),
    ],
)
def test_the_branch_is_of_the_user_unless_it_is_said(attributes, branch, is_production, expected):
    decorators = define(made(project(name="fraud", **attributes))).decorators

    found = project_of(decorators, "ada", branch, is_production)

    assert found == Project("fraud", expected)
    assert found.facts("F")["project_flow_name"] == f"fraud.{expected}.F"
    assert (found.facts("F")["is_user_branch"], found.facts("F")["is_production"]) == (expected[:5] == "user.", expected[:4] == "prod")


def test_a_flow_outside_projects_has_none():
    assert project_of(define(made()).decorators, "ada", "x", False) is None


@pytest.mark.parametrize(
    ("decorator", "words"),
    [
        (project, "@project needs a name"),
        (project(name="My-proj"), "The @project name must contain only lowercase alphanumeric characters and underscores: 'My-proj'"),
        (project(name="x" * 129), "must be shorter than 129 characters"),
        (trigger(), r"No event\(s\) specified"),
        (trigger(event="a", events=["b"]), "@trigger has event and events"),
        (trigger(events=["a", "a"]), "the same event is named twice"),
        (trigger(event={"parameters": {}}), "has no name"),
        (trigger(event={"name": "a", "parameters": 7}), "neither a mapping nor a list"),
        (trigger_on_finish(), r"No flow\(s\) specified"),
        (trigger_on_finish(flow="a.b"), "'a.b' names no flow"),
        (package_suffixes, r"@package_suffixes needs a list of texts, and has \[\]"),
        (package_suffixes(".json"), r"@package_suffixes needs a list of texts, and has '\.json'"),
        (package_suffixes(["*.json"]), r"'\*\.json' is no suffix"),
        (package_modules(["../common"]), r"'\.\./common' is no name of a module"),
        (exit_hook(), "@exit_hook needs a function"),
        (exit_hook(on_success=[7]), "neither a function nor the name of one"),
    ],
)
def test_what_a_flow_decorator_cannot_take_is_named(decorator, words):
    with pytest.raises(UserError, match=words):
        define(made(decorator))


@pytest.mark.parametrize(
    ("write", "error", "words"),
    [
        (lambda: made(project(nam="x")), InvalidDecoratorAttribute, "@project does not know it. The attributes supported: branch, name"),
        (lambda: project(name="x")(lambda: None), UserError, "which is no flow"),
        (lambda: made(schedule, schedule), UserError, "has the decorator @schedule more than once"),
    ],
)
def test_misuse_is_refused_where_it_stands(write, error, words):
    with pytest.raises(error, match=words):
        write()


def test_expressions_over_configs_have_values_and_a_class_replaces_what_its_base_says():
    base = made(project(name=made.__globals__["Config"]("cfg").name), schedule(hourly=True), exit_hook(on_success=["a"]))
    derived = schedule(weekly=True)(exit_hook(on_error=["b"])(type("Derived", (base,), {"__module__": __name__})))

    found = define(derived).decorators

    assert [decorator.name for decorator in found] == ["project", "exit_hook", "exit_hook", "schedule"]
    assert (found[0].attributes["name"], found[-1].attributes["weekly"], found[-1].attributes["hourly"]) == ("from_config", True, False)
    assert [each["name"] for each in graph_info(define(base))["decorators"]] == ["project", "schedule", "exit_hook"]


class Moves(FlowMutator):
    def pre_mutate(self, mutable_flow):
        assert mutable_flow.has_decorator("project")
        assert mutable_flow.add_decorator(project, deco_kwargs={"name": "other"}) is None
        mutable_flow.add_decorator("project", deco_kwargs={"name": "other"}, duplicates=mutable_flow.OVERRIDE)
        assert mutable_flow.remove_decorator("schedule")
        assert not mutable_flow.remove_decorator("schedule")


class MovesLate(FlowMutator):
    def mutate(self, mutable_flow):
        mutable_flow.remove_decorator("project")


def test_mutators_change_them_in_time():
    (found,) = define(made(project(name="one"), schedule, Moves)).decorators

    assert (found.attributes["name"], found.inserted_by) == ("other", f"{__name__}.Moves")
    with pytest.raises(UserError, match="only allowed in the `pre_mutate` method"):
        define(made(project(name="one"), MovesLate))
