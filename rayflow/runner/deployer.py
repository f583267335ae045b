"""`Deployer`: a flow file, deployed to a scheduler from a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rayflow.model.errors import UserError
from rayflow.runner.deployed import DeployedFlow, implementation
from rayflow.runner.nbrunner import cell_file, remove_cell_file
from rayflow.runner.runner import environment_of, found_file
from rayflow.runner.surveyed import CommandLine

if TYPE_CHECKING:
    from rayflow.flow.flowspec import FlowSpec


class Deployer:
    """Deploys the flow of a file: `Deployer("train.py").argo_workflows().create(tags=["nightly"])`.

    The arguments are those of `Runner`: `top_level_options` stand before a command, with underscores (`branch="x"`, `root="s3://..."`).
    There is a method for each scheduler; `name` is what the deployment is called.
    """

    def __init__(
        self,
        flow_file: str | os.PathLike[str],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **top_level_options: Any,
    ) -> None:
        self.show_output = show_output
        self.cwd = None if cwd is None else os.fspath(cwd)
        self.file_read_timeout = file_read_timeout
        self.flow_file = found_file(os.fspath(flow_file), self.cwd)
        self.top_level_options = top_level_options
        self.env = environment_of(env, profile)

    def argo_workflows(self, name: str | None = None) -> SchedulerDeployer:
        """Argo Workflows on Kubernetes."""
        return self.to("argo-workflows", name)

    def step_functions(self, name: str | None = None) -> SchedulerDeployer:
        """AWS Step Functions."""
        return self.to("step-functions", name)

    def airflow(self, name: str | None = None) -> SchedulerDeployer:
        """A file for Airflow: `create(output="dags/train.py")`."""
        return self.to("airflow", name)

    def kuberay_cron(self, name: str | None = None) -> SchedulerDeployer:
        """A CronJob of Kubernetes: `create(output="train.yaml")`."""
        return self.to("kuberay-cron", name)

    def cron(self, name: str | None = None) -> SchedulerDeployer:
        """cron or systemd on this machine: `create(output="train.timer", systemd=True)`."""
        return self.to("cron", name)

    def to(self, impl: str, name: str | None = None) -> SchedulerDeployer:
        """The scheduler of that name. ValueError where there is none."""
        return SchedulerDeployer(self, implementation(impl), name)


class SchedulerDeployer:
    """One scheduler, for one flow. `create` deploys."""

    def __init__(self, deployer: Deployer, impl: str, name: str | None = None) -> None:
        self.deployer = deployer
        self.impl = impl
        self.name = name

    def create(self, **arguments: Any) -> DeployedFlow:
        """Deploys the flow as it is now; `arguments` are the options of `create` on the command line, with underscores.

        ValueError and TypeError for wrong arguments; UserError, with what the command said, where it failed.
        """
        deployer = self.deployer
        command = f"{self.impl} create"
        line = CommandLine(
            deployer.flow_file, deployer.top_level_options, deployer.env, deployer.cwd, deployer.file_read_timeout, (command,)
        )
        with tempfile.TemporaryDirectory(prefix="rayflow-deployer-") as directory:
            attributes = os.path.join(directory, "attributes.json")
            named = {"name": self.name} if self.name is not None else {}
            words = line.command(command, {**named, **arguments, "deployer_attribute_file": attributes})
            result = subprocess.run(
                words,
                env=dict(deployer.env),
                cwd=deployer.cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
            if result.returncode:
                raise UserError(f"Error deploying {deployer.flow_file} to {self.impl}:\n{result.stderr.strip()}")
            if deployer.show_output:
                sys.stderr.write(result.stderr)
            with open(attributes, encoding="utf-8") as file:
                told = json.load(file)
        return DeployedFlow.from_deployment(told["name"], metadata=told["metadata"], impl=told["scheduler"], flow_name=told["flow_name"])


class NBDeployer:
    """Deploys a flow class that is defined in a notebook: `NBDeployer(MyFlow).argo_workflows().create()`; otherwise as `Deployer`.

    The cell is written to a file in `base_dir` (default: the working directory); `cleanup` removes it.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        base_dir: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **top_level_options: Any,
    ) -> None:
        self.flow = flow
        self.base_dir = os.path.abspath(base_dir or os.getcwd())
        self._path = cell_file(flow, self.base_dir, "NBDeployer", "Deployer('FLOW.py')")
        self.deployer = Deployer(
            self._path,
            show_output=show_output,
            profile=profile,
            env={"JPY_PARENT_PID": "", **(env or {})},
            cwd=self.base_dir,
            file_read_timeout=file_read_timeout,
            **top_level_options,
        )

    def argo_workflows(self, name: str | None = None) -> SchedulerDeployer:
        """As `Deployer.argo_workflows`."""
        return self.deployer.argo_workflows(name)

    def step_functions(self, name: str | None = None) -> SchedulerDeployer:
        """As `Deployer.step_functions`."""
        return self.deployer.step_functions(name)

    def airflow(self, name: str | None = None) -> SchedulerDeployer:
        """As `Deployer.airflow`."""
        return self.deployer.airflow(name)

    def kuberay_cron(self, name: str | None = None) -> SchedulerDeployer:
        """As `Deployer.kuberay_cron`."""
        return self.deployer.kuberay_cron(name)

    def cron(self, name: str | None = None) -> SchedulerDeployer:
        """As `Deployer.cron`."""
        return self.deployer.cron(name)

    def cleanup(self) -> None:
        """Removes the flow's file."""
        remove_cell_file(self._path)
