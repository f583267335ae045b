"""Of which packages a step's Python is made, as decorators say it."""

from __future__ import annotations

import pytest

from rayflow import Config, FlowSpec, conda, conda_base, config_expr, pypi, pypi_base, step, uv, uv_base
from rayflow.flow.definition import define
from rayflow.flow.packages import conda_spec, declaring_steps, requirement, with_environments
from rayflow.model.errors import InvalidDecoratorAttribute
from rayflow.model.spec import Maker, PythonEnvironment

SIX = (("six", "1.16.0"),)


def made(*above, on=()):
    """A flow with these decorators, the nearest first, and those `on` its start step."""

    def decorated(function):
        for decorator in on:
            function = decorator(function)
        return function

    class Made(FlowSpec):
        cfg = Config("cfg", default_value={"packages": {"six": "1.16.0"}})

        @decorated
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass

    for decorator in above:
        Made = decorator(Made)
    return define(Made)


def environments(*above, on=(), mode="pypi", project=""):
    """What the start step has, and the end step."""
    specs = with_environments(made(*above, on=on), mode, project).specs
    return specs["start"].python, specs["end"].python


def test_nobody_has_an_environment_unless_the_run_says_so():
    definition = made(pypi_base(packages={"six": ""}), on=[pypi(packages={"six": "1.16.0"})])

    assert [spec.python for spec in with_environments(definition, "local").specs.values()] == [None, None]
    assert declaring_steps(definition) == ["start", "end"]


def test_a_step_that_asks_for_packages_has_them_and_the_others_the_launchers_python():
    assert environments(on=[pypi(packages={"six": "1.16.0"})]) == (PythonEnvironment(Maker.PYPI, SIX), None)
    assert environments(on=[uv(packages={"six": "1.16.0"}, python="3.11")], mode="conda") == (
        PythonEnvironment(Maker.UV, SIX, python="3.11"),
        None,
    )
    assert environments(on=[pypi(packages=config_expr("cfg.packages"))]) == (PythonEnvironment(Maker.PYPI, SIX), None)


def test_a_step_comes_before_its_flow_package_by_package_however_they_are_spelled():
    base = pypi_base(packages={"Typing_Extensions": "4.9", "six": "1.15"}, python="3.12")

    start, end = environments(base, on=[pypi(packages={"typing-extensions[x]": "", "toolz": None})])

    assert start == PythonEnvironment(Maker.PYPI, (("six", "1.15"), ("toolz", ""), ("typing-extensions[x]", "")), python="3.12")
    assert end == PythonEnvironment(Maker.PYPI, (("Typing_Extensions", "4.9"), ("six", "1.15")), python="3.12")


def test_what_is_disabled_counts_for_nothing():
    assert environments(pypi_base(packages={"six": ""}), on=[pypi(disabled=True)])[0] is None
    assert environments(pypi_base(disabled=True), on=[pypi(packages={"six": "1.16.0"})])[0] is None
    assert environments(pypi_base(disabled=True), on=[pypi(packages={"six": "1.16.0"}, disabled=False)]) == (
        PythonEnvironment(Maker.PYPI, SIX),
        None,
    )


def test_where_conda_has_a_part_conda_makes_it_and_what_is_of_pypi_is_added():
    base = conda_base(libraries={"numpy": "1"}, channels=["main"])

    start, end = environments(base, on=[pypi(packages={"six": "1.16.0"}), conda(packages={"numpy": "2.1"}, libraries={"numpy": "3"})])

    assert start == PythonEnvironment(Maker.CONDA, (("numpy", "2.1"),), SIX, channels=("main",))
    assert end == PythonEnvironment(Maker.CONDA, (("numpy", "1"),), channels=("main",))


def test_the_project_beside_the_flow_is_the_base_of_all():
    lone = PythonEnvironment(Maker.UV, project="d1")

    assert environments(mode="uv", project="d1") == (lone, lone)
    assert environments(uv_base(packages={"six": "1.16.0"}), on=[uv(disabled=True)], mode="uv", project="d1") == (
        None,
        PythonEnvironment(Maker.UV, SIX, project="d1"),
    )
    assert environments(on=[pypi(packages={"six": "1.16.0"})], mode="uv", project="d1")[0] == PythonEnvironment(Maker.UV, SIX, project="d1")


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("six", "1.16.0", "six==1.16.0"),
        ("six", "", "six"),
        ("six", ">=1,<2", "six>=1,<2"),
        ("six", "1.16.*", "six==1.16.*"),
        ("s3fs[boto3]", "2026.1", "s3fs[boto3]==2026.1"),
        ("torch", "2.5.1+cpu", "torch==2.5.1+cpu"),
        ("mine", "@ git+https://host/mine@v1", "mine @ git+https://host/mine@v1"),
    ],
)
def test_a_version_is_itself_a_range_or_an_address(name, version, text):
    assert requirement(name, version) == text


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("numpy", "2.1", "numpy==2.1"),
        ("numpy", "", "numpy"),
        ("main::numpy", ">=2, <3", "main::numpy>=2,<3"),
        ("numpy", "2.1.*", "numpy=2.1.*"),
    ],
)
def test_conda_is_asked_in_its_own_words(name, version, text):
    assert conda_spec(name, version) == text


@pytest.mark.parametrize(
    ("decorator", "words"),
    [
        (pypi(packages=["six"]), r"@pypi on step 'start' .* has packages=\['six'\]. Give names and versions"),
        (pypi(packages={"six": 1.16}), r"the version 1.16 of 'six'. Give it as a text: '1.16'"),
        (pypi(packages={"six": "= 1"}), r"has 'six': '= 1', which is no package"),
        (pypi(packages={"six; os_name == 'nt'": ""}), "which is no package"),
        (pypi(packages={"six": "1\nother"}), "which is no package"),
        (pypi(packages={"--index-url": ""}), "which is no package"),
        (pypi(packages={"six": "1; os_name == 'nt'"}), "a name and a version are all that it can be"),
        (pypi(packages={"mine": "@ git+https://ann:secret@host/mine"}), "an address with a password, which would be recorded"),
        (pypi(packages={1: "2"}), "Give names and versions"),
        (pypi(python=3.11), "has python=3.11. Give a version as a text, such as python='3.11'"),
        (uv(python="three"), "@uv on step 'start' .* has python='three'"),
        (conda(packages={"-p": "/"}), "@conda on step 'start' .* neither a name nor a version"),
        (conda(packages={"numpy": "1; rm"}), "neither a name nor a version"),
        (conda(channels="main"), r"has channels='main'. Give a list"),
        (conda(channels=["a b"]), "Give a list"),
    ],
)
def test_what_is_no_package_is_named_with_its_step(decorator, words):
    with pytest.raises(InvalidDecoratorAttribute, match=words):
        made(on=[decorator])


def test_what_the_flow_says_wrongly_is_named_too():
    with pytest.raises(InvalidDecoratorAttribute, match="@conda_base has python='x'"):
        made(conda_base(python="x"))
    with pytest.raises(InvalidDecoratorAttribute, match="@pypi_base does not know it"):
        made(pypi_base(package={"six": ""}))
