"""rayflow: durable workflows on Ray. A flow is a class, `@step` methods form a DAG, `self.x` is an artifact, the path is the backend.

    from rayflow import FlowSpec, step

    class HelloFlow(FlowSpec):
        @step
        def start(self):
            self.greeting = "hello"
            self.next(self.end)

        @step
        def end(self):
            print(self.greeting)

    if __name__ == "__main__":
        HelloFlow()

The layers, top down (imports point down only; the import contracts enforce it): `runner`, `cli`, `runtime`, `s3`, `client`, `executors |
store | catalog | package`, `engine | flow`, `model`. Each package's docstring is its design note; begin with `rayflow.model`.

Names are loaded when they are first used: `import rayflow` loads neither ray nor pyarrow nor fsspec.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "FlowSpec": "rayflow.flow.flowspec",
    "step": "rayflow.flow.step",
    "Parameter": "rayflow.flow.parameters",
    "JSONType": "rayflow.flow.parameters",
    "Config": "rayflow.flow.configs",
    "ConfigValue": "rayflow.flow.configvalue",
    "config_expr": "rayflow.flow.deferred",
    "parallel_map": "rayflow.flow.multicore",
    "parallel": "rayflow.flow.builtin",
    "parallel_imap_unordered": "rayflow.flow.multicore",
    "profile": "rayflow.flow.multicore",
    "project": "rayflow.flow.flowdecorators",
    "schedule": "rayflow.flow.flowdecorators",
    "trigger": "rayflow.flow.flowdecorators",
    "trigger_on_finish": "rayflow.flow.flowdecorators",
    "exit_hook": "rayflow.flow.flowdecorators",
    "package_suffixes": "rayflow.flow.flowdecorators",
    "package_modules": "rayflow.flow.flowdecorators",
    "pypi_base": "rayflow.flow.flowdecorators",
    "conda_base": "rayflow.flow.flowdecorators",
    "uv_base": "rayflow.flow.flowdecorators",
    "pypi": "rayflow.flow.packages",
    "conda": "rayflow.flow.packages",
    "uv": "rayflow.flow.packages",
    "user_step_decorator": "rayflow.flow.userdecorators",
    "UserStepDecorator": "rayflow.flow.userdecorators",
    "USER_SKIP_STEP": "rayflow.flow.userdecorators",
    "FlowMutator": "rayflow.flow.mutators",
    "StepMutator": "rayflow.flow.mutators",
    "MutableFlow": "rayflow.flow.mutators",
    "MutableStep": "rayflow.flow.mutators",
    "yaml_parser": "rayflow.flow.parsers",
    "requirements_txt_parser": "rayflow.flow.parsers",
    "pyproject_toml_parser": "rayflow.flow.parsers",
    "conda_environment_yml_parser": "rayflow.flow.parsers",
    "IncludeFile": "rayflow.flow.includefile",
    "current": "rayflow.flow.current",
    "retry": "rayflow.flow.builtin",
    "catch": "rayflow.flow.builtin",
    "timeout": "rayflow.flow.builtin",
    "resources": "rayflow.flow.builtin",
    "environment": "rayflow.flow.builtin",
    "isolated": "rayflow.flow.builtin",
    "checkpoint": "rayflow.flow.builtin",
    "secrets": "rayflow.flow.secrets",
    "kubernetes": "rayflow.flow.builtin",
    "batch": "rayflow.flow.builtin",
    "Rayflow": "rayflow.client",
    "Flow": "rayflow.client",
    "Run": "rayflow.client",
    "Step": "rayflow.client",
    "Task": "rayflow.client",
    "DataArtifact": "rayflow.client",
    "namespace": "rayflow.client",
    "get_namespace": "rayflow.client",
    "default_namespace": "rayflow.client",
    "inspect_spin": "rayflow.client",
    "metadata": "rayflow.client",
    "get_metadata": "rayflow.client",
    "default_metadata": "rayflow.client",
    "S3": "rayflow.s3",
    "Runner": "rayflow.runner",
    "NBRunner": "rayflow.runner",
    "Deployer": "rayflow.runner.deployer",
    "DeployedFlow": "rayflow.runner.deployed",
    "NBDeployer": "rayflow.runner.deployer",
    "TriggeredRun": "rayflow.runner.deployed",
}

if TYPE_CHECKING:
    from rayflow.client import (
        DataArtifact,
        Flow,
        Rayflow,
        Run,
        Step,
        Task,
        default_metadata,
        default_namespace,
        get_metadata,
        get_namespace,
        inspect_spin,
        metadata,
        namespace,
    )
    from rayflow.flow.builtin import batch, catch, checkpoint, environment, isolated, kubernetes, parallel, resources, retry, timeout
    from rayflow.flow.configs import Config
    from rayflow.flow.configvalue import ConfigValue
    from rayflow.flow.current import current
    from rayflow.flow.deferred import config_expr
    from rayflow.flow.flowdecorators import (
        conda_base,
        exit_hook,
        package_modules,
        package_suffixes,
        project,
        pypi_base,
        schedule,
        trigger,
        trigger_on_finish,
        uv_base,
    )
    from rayflow.flow.flowspec import FlowSpec
    from rayflow.flow.includefile import IncludeFile
    from rayflow.flow.multicore import parallel_imap_unordered, parallel_map, profile
    from rayflow.flow.mutators import FlowMutator, MutableFlow, MutableStep, StepMutator
    from rayflow.flow.packages import conda, pypi, uv
    from rayflow.flow.parameters import JSONType, Parameter
    from rayflow.flow.parsers import conda_environment_yml_parser, pyproject_toml_parser, requirements_txt_parser, yaml_parser
    from rayflow.flow.secrets import secrets
    from rayflow.flow.step import step
    from rayflow.flow.userdecorators import USER_SKIP_STEP, UserStepDecorator, user_step_decorator
    from rayflow.runner import NBRunner, Runner
    from rayflow.runner.deployed import DeployedFlow, TriggeredRun
    from rayflow.runner.deployer import Deployer, NBDeployer
    from rayflow.s3 import S3

__all__ = [
    "S3",
    "USER_SKIP_STEP",
    "Config",
    "ConfigValue",
    "DataArtifact",
    "DeployedFlow",
    "Deployer",
    "Flow",
    "FlowMutator",
    "FlowSpec",
    "IncludeFile",
    "JSONType",
    "MutableFlow",
    "MutableStep",
    "NBDeployer",
    "NBRunner",
    "Parameter",
    "Rayflow",
    "Run",
    "Runner",
    "Step",
    "StepMutator",
    "Task",
    "TriggeredRun",
    "UserStepDecorator",
    "batch",
    "catch",
    "checkpoint",
    "conda",
    "conda_base",
    "conda_environment_yml_parser",
    "config_expr",
    "current",
    "default_metadata",
    "default_namespace",
    "environment",
    "exit_hook",
    "get_metadata",
    "get_namespace",
    "inspect_spin",
    "isolated",
    "kubernetes",
    "metadata",
    "namespace",
    "package_modules",
    "package_suffixes",
    "parallel",
    "parallel_imap_unordered",
    "parallel_map",
    "profile",
    "project",
    "pypi",
    "pypi_base",
    "pyproject_toml_parser",
    "requirements_txt_parser",
    "resources",
    "retry",
    "schedule",
    "secrets",
    "step",
    "timeout",
    "trigger",
    "trigger_on_finish",
    "user_step_decorator",
    "uv",
    "uv_base",
    "yaml_parser",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rayflow' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
