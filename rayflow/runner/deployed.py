"""What a `Deployer` returns: a flow that is deployed, and runs of it that were started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rayflow.catalog.deployed import Deployed, all_deployed, flows_deployed
from rayflow.catalog.deployments import DeployedParameter, read_deployment
from rayflow.catalog.run import read_run
from rayflow.cli.keywords import Keyword, refuse_unknown
from rayflow.model.errors import RayflowNotFound
from rayflow.model.ports import Store
from rayflow.submission.schedulers.live import Execution
from rayflow.submission.starting import execution_of, scheduler_of, start

if TYPE_CHECKING:
    from rayflow.client import Run

IMPLS = ("argo-workflows", "step-functions", "airflow", "kuberay-cron", "cron")
_POLL_S = 1.0


def implementation(impl: str) -> str:
    """The scheduler of that name, with dashes or underscores. ValueError where there is none."""
    found = str(impl).replace("_", "-")
    if found not in IMPLS:
        raise ValueError(f"There is no scheduler '{impl}'. Possible values are: {', '.join(IMPLS)}.")
    return found


class DeployedFlow:
    """A flow that is deployed: `name` and `flow_name`, `id` is what the scheduler calls it, `metadata` the root, `production_token` what
    others need to replace it."""

    def __init__(self, store: Store, deployed: Deployed) -> None:
        self._store = store
        self._deployed = deployed

    @property
    def name(self) -> str:
        """What the deployment is called."""
        return self._deployed.name

    @property
    def flow_name(self) -> str:
        """The name of the flow's class."""
        return self._deployed.flow

    @property
    def id(self) -> str:
        """What the scheduler calls it."""
        return str(self._deployed.facts["id"])

    @property
    def impl(self) -> str:
        """The scheduler."""
        return self._deployed.scheduler

    @property
    def metadata(self) -> str:
        """The root under which it is deployed, and its runs are."""
        return self._store.url

    @property
    def production_token(self) -> str:
        """What others need to replace or delete it, and a part of the namespace of its runs."""
        return self._deployed.token

    def trigger(self, **parameters: Any) -> TriggeredRun:
        """Has the scheduler start a run with these Parameters (names with underscores for dashes).

        ValueError for unknown names, TypeError for values of another type, UserError where rayflow does not ask that scheduler.
        """
        deployment = read_deployment(self._store, self.flow_name, self._deployed.digest or "")
        offered = {each.name.replace("-", "_"): each for each in deployment.parameters if each.kind != "file"}
        refuse_unknown(parameters, offered)
        for name, value in parameters.items():
            if value is not None:
                _keyword(offered[name]).words(value)
        for name, parameter in offered.items():
            if parameter.must_be_given and parameters.get(name) is None:
                raise ValueError(f"Missing argument: {name} is required.")
        given = {offered[name].name: value for name, value in parameters.items() if value is not None}
        return TriggeredRun(self, self._deployed, start(self._store, self._deployed, given))

    def runs(self) -> list[TriggeredRun]:
        """Those that the scheduler knows, the newest first."""
        return [TriggeredRun(self, self._deployed, execution) for execution in scheduler_of(self._deployed).executions(self._deployed)]

    def delete(self, authorize: str | None = None) -> bool:
        """Deploys it no more; True where the scheduler was asked to forget it. UserError where it is another user's, and its production
        token is not given."""
        from rayflow.client.session import settings_here
        from rayflow.settings.here import identity
        from rayflow.submission.publishing import withdraw

        is_applied = bool(self._deployed.facts.get("is_applied"))

        def remove(deployed: Deployed) -> None:
            if is_applied:
                scheduler_of(deployed).remove(deployed)

        withdraw(self._store, self._deployed, identity(settings_here()), authorize, remove)
        return is_applied

    @classmethod
    def from_deployment(
        cls, identifier: str, metadata: str | None = None, impl: str = "argo-workflows", flow_name: str | None = None
    ) -> DeployedFlow:
        """The deployment of that name, or that the scheduler calls so. `metadata` is its root (default: where runs are kept here).

        ValueError for an unknown `impl`; RayflowNotFound where there is no such deployment.
        """
        scheduler = implementation(impl)
        store = _store(metadata)
        for flow in [flow_name] if flow_name else flows_deployed(store):
            for deployed in all_deployed(store, flow):
                if deployed.scheduler == scheduler and identifier in (deployed.name, deployed.facts.get("id")):
                    return cls(store, deployed)
        raise RayflowNotFound(f"Nothing is deployed to {scheduler} as '{identifier}' from {store.url}.")

    @classmethod
    def list_deployed_flows(
        cls, flow_name: str | None = None, metadata: str | None = None, impl: str | None = None
    ) -> Iterator[DeployedFlow]:
        """All deployments, or those of a flow or a scheduler. ValueError for an unknown `impl`."""
        scheduler = implementation(impl) if impl is not None else None
        store = _store(metadata)
        return (
            cls(store, deployed)
            for flow in ([flow_name] if flow_name else flows_deployed(store))
            for deployed in all_deployed(store, flow)
            if scheduler in (None, deployed.scheduler)
        )

    @classmethod
    def get_triggered_run(cls, identifier: str, run_id: str, metadata: str | None = None, impl: str = "argo-workflows") -> TriggeredRun:
        """A run that was started of the deployment; RayflowNotFound where the scheduler does not know it."""
        deployed_flow = cls.from_deployment(identifier, metadata, impl)
        _, execution = execution_of(deployed_flow._deployed, run_id)
        return TriggeredRun(deployed_flow, deployed_flow._deployed, execution)

    def __repr__(self) -> str:
        return f"DeployedFlow({self.name!r}, impl={self.impl!r})"


class TriggeredRun:
    """A run that a scheduler was asked to start. `run` is None until its driver has begun."""

    def __init__(self, deployed_flow: DeployedFlow, deployed: Deployed, execution: Execution) -> None:
        self.deployed_flow = deployed_flow
        self._deployed = deployed
        self._execution = execution

    @property
    def id(self) -> str:
        """What the scheduler calls it."""
        return self._execution.id

    @property
    def run_id(self) -> str:
        """The id of the run, which is known before there is the run."""
        return self._execution.run_id

    @property
    def pathspec(self) -> str:
        """`Flow/run_id`, which is known before there is the run."""
        return f"{self.deployed_flow.flow_name}/{self.run_id}"

    @property
    def metadata(self) -> str:
        """The root."""
        return self.deployed_flow.metadata

    @property
    def run(self) -> Run | None:
        """The client's object, in no namespace; None until there is the run."""
        from rayflow.client import Run, open_pathspec

        run = open_pathspec(self.metadata, self.pathspec)
        assert isinstance(run, Run)
        try:
            read_run(run.handle.store, self.deployed_flow.flow_name, self.run_id)
        except RayflowNotFound:
            return None
        return run

    @property
    def status(self) -> str:
        """How it stands, in the scheduler's words."""
        return scheduler_of(self._deployed).execution(self._deployed, self._execution.id).status

    def wait_for_run(self, check_interval: float | None = None, timeout: float | None = None) -> Run:
        """The run, as soon as there is one. TimeoutError after `timeout` seconds without."""
        begun = time.monotonic()
        while True:
            run = self.run
            if run is not None:
                return run
            if timeout is not None and time.monotonic() - begun >= timeout:
                raise TimeoutError(f"Run {self.pathspec} did not begin within {timeout} seconds. The scheduler says: {self.status}.")
            time.sleep(check_interval or _POLL_S)

    def terminate(self) -> bool:
        """Has the scheduler stop it; the run can be resumed."""
        scheduler_of(self._deployed).stop(self._deployed, self._execution)
        return True

    def __repr__(self) -> str:
        return f"TriggeredRun({self.pathspec!r})"


def _store(metadata: str | None) -> Store:
    """That of the root which is stated, or of the one that the client reads."""
    from rayflow.client.roots import root_at
    from rayflow.client.session import current_root_url

    return root_at(metadata.removeprefix("local@") if metadata else current_root_url()).store


def _keyword(parameter: DeployedParameter) -> Keyword:
    """A Parameter as what checks its values."""
    return Keyword(parameter.name.replace("-", "_"), parameter.kind, f"--{parameter.name}", choices=parameter.choices)
