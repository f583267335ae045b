"""`argo-workflows`, `airflow`, `step-functions`, `kuberay-cron` and `cron`: a flow is deployed to a scheduler, which starts it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import FlowCall
from rayflow.cli.commands.describing import validate
from rayflow.cli.commands.kubeoptions import kube_options_of
from rayflow.cli.commands.submitting import runtime_env_of, submission_options
from rayflow.cli.options import json_option, launch_options, shared_options, stated, without
from rayflow.model.errors import UsageError

if TYPE_CHECKING:
    from rayflow.catalog.deployed import Deployed
    from rayflow.submission.publishing import Publication, Published
    from rayflow.submission.schedulers.live import Execution, Scheduler
    from rayflow.submission.schedulers.shipment import Export, Shipment

SCHEDULERS = ("argo-workflows", "airflow", "step-functions", "kuberay-cron", "cron")
_ASKED = ("argo-workflows", "step-functions")
"""Those that rayflow asks to start, list and stop runs."""
_NOT_OF_DEPLOYMENTS = ("on", "detach", "send_rayflow", "dry_run", "output")
_NOT_LAUNCHED_HERE = ("run_id_file", "runner_attribute_file")
_SUMMARIES = {
    "argo-workflows": "Argo Workflows on Kubernetes, which creates RayJobs",
    "airflow": "Airflow 2.10 or newer: a file with a DAG, which creates RayJobs",
    "step-functions": "AWS Step Functions and EventBridge Scheduler, which create RayJobs on EKS",
    "kuberay-cron": "a CronJob of Kubernetes, which creates RayJobs",
    "cron": "cron or systemd on this machine",
}


def scheduler_group(scheduler: str) -> Callable[[FlowCall], click.Group]:
    """What builds the group of commands of that scheduler."""

    def build(flow_call: FlowCall) -> click.Group:
        makers = [_create_command, _delete_command]
        if scheduler in _ASKED:
            makers += [_trigger_command, _list_command, _terminate_command]
        commands = {command.name or "": command for command in (maker(flow_call, scheduler) for maker in makers)}
        return click.Group(scheduler, commands=commands, help=f"Have the flow started by a scheduler: {_SUMMARIES[scheduler]}.")

    return build


argo_workflows_group = scheduler_group("argo-workflows")
airflow_group = scheduler_group("airflow")
step_functions_group = scheduler_group("step-functions")
kuberay_cron_group = scheduler_group("kuberay-cron")
cron_group = scheduler_group("cron")


# -- create ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Target:
    """How one scheduler is served: what makes its export, and what it is given to; None where it is only written."""

    export: Callable[[Shipment], Export]
    live: Scheduler | None = None


def _create_command(flow_call: FlowCall, scheduler: str) -> click.Command:
    def run(**_: Any) -> None:
        _create(flow_call, scheduler, stated(click.get_current_context()))

    own = [option for option in launch_options() if option.name not in _NOT_LAUNCHED_HERE]
    options = [
        _name_option(),
        _authorize_option(),
        click.Option(["--only-json"], is_flag=True, help="Write what the scheduler would be given as JSON on stdout; it is given nothing."),
        click.Option(["-o", "--output"], type=click.Path(dir_okay=False), metavar="FILE", help="Write it to a file instead."),
        click.Option(["--retries"], type=click.IntRange(0, 9), default=0, help="How often a failed run's driver is started anew."),
        click.Option(["--deployer-attribute-file"], type=click.Path(dir_okay=False), hidden=True, help="Read by Deployer."),
        *_options_of(scheduler),
        *own,
        *shared_options(),
    ]
    text = f"Deploy the flow, as it is now, to {_SUMMARIES[scheduler]}."
    return click.Command("create", callback=run, params=[*_unique(options)], help=text)


def _unique(options: list[click.Option]) -> list[click.Option]:
    found: dict[str, click.Option] = {}
    for option in options:
        found.setdefault(option.opts[-1], option)
    return list(found.values())


def _options_of(scheduler: str) -> list[click.Option]:
    kube = [option for option in submission_options(None) if option.name not in _NOT_OF_DEPLOYMENTS]
    account = "The service account of the scheduler's own pods, which create RayJobs."
    text = click.Path(exists=True, dir_okay=False)
    match scheduler:
        case "argo-workflows":
            return [
                click.Option(["--workflow-service-account"], metavar="NAME", help=account),
                click.Option(["--event-source"], metavar="NAME", help="For @trigger: the EventSource, of kind webhook, that events go to."),
                click.Option(["--event-service-account"], metavar="NAME", help="The service account of the pods of Argo Events."),
                *kube,
            ]
        case "airflow":
            return [click.Option(["--poll"], type=click.IntRange(1), default=30, metavar="SECONDS", help="Between two looks."), *kube]
        case "step-functions":
            return [
                click.Option(["--eks-cluster"], metavar="NAME", help="The EKS cluster on which runs are started."),
                click.Option(["--eks-endpoint"], metavar="URL", help="Its API server."),
                click.Option(["--eks-certificate"], metavar="BASE64", help="The certificate of its API server, as AWS tells it."),
                click.Option(["--role"], metavar="ARN", help="What the state machine runs as."),
                click.Option(["--scheduler-role"], metavar="ARN", help="By which EventBridge Scheduler starts executions."),
                click.Option(["--region"], metavar="NAME", help="Of AWS. Default: that of its configuration."),
                click.Option(["--poll"], type=click.IntRange(1), default=30, metavar="SECONDS", help="Between two looks."),
                *kube,
            ]
        case "kuberay-cron":
            return [
                click.Option(["--alpha"], is_flag=True, help="Write KubeRay's own RayCronJob, which its operator knows only when told to."),
                click.Option(["--cron-service-account"], metavar="NAME", help=account + " Default: one that is written along."),
                click.Option(["--kubectl-image"], metavar="IMAGE", help="An image with kubectl as its entrypoint."),
                *kube,
            ]
        case _:
            return [
                click.Option(["--systemd"], is_flag=True, help="Write a service and its timer instead of a line of a crontab."),
                click.Option(["--delay"], type=click.IntRange(0), default=0, metavar="SECONDS", help="systemd: start up to so much later."),
                click.Option(["--python"], type=text, metavar="PATH", help="The Python that has rayflow. Default: this one."),
            ]


def _create(flow_call: FlowCall, scheduler: str, options: Mapping[str, Any]) -> None:
    from rayflow.cli.reporting.plain import PlainReporter
    from rayflow.submission.claiming import absolute_root
    from rayflow.submission.publishing import Publication, publish

    is_written = bool(options["only_json"] or options["output"])
    if not is_written:
        flow_call.greet(options)
    validate(flow_call, {**options, "quiet": options["quiet"] or is_written})
    definition = flow_call.decorated(options["with"])
    settings = flow_call.call.surroundings.settings(options)
    settings = replace(settings, root=absolute_root(settings.root))
    target = _target(flow_call, scheduler, options)
    publication = Publication(
        definition=definition,
        settings=settings,
        scheduler=scheduler,
        export=target.export,
        apply=_applied(flow_call, target, options),
        reporter=PlainReporter(flow_call.call.err, flow_call.call.err, flow_call.call.prompt),
        name=options["name"],
        token=options["authorize"],
        retries=options["retries"],
    )
    _tell(flow_call, publication, publish(publication), options)


def _applied(flow_call: FlowCall, target: _Target, options: Mapping[str, Any]) -> Callable[[Export], Mapping[str, Any]]:
    """Gives the export to whom it is for: a file, stdout, or the scheduler itself."""

    def apply(export: Export) -> Mapping[str, Any]:
        if options["output"]:
            _write(options["output"], export)
        elif options["only_json"]:
            flow_call.call.out.write(json.dumps(export.content, indent=2) + "\n")
        elif target.live is not None:
            return target.live.apply(export)
        else:
            flow_call.call.out.write("\n".join(export.files.values()))
        return {}

    return apply


def _write(path: str, export: Export) -> None:
    """Into the file that is named; several files differ in their suffixes. JSON where its name says so."""
    stem = path if len(export.files) == 1 else os.path.splitext(path)[0]
    named = {stem if len(export.files) == 1 else f"{stem}{suffix}": text for suffix, text in export.files.items()}
    if path.endswith(".json"):
        named = {path: json.dumps(export.content, indent=2) + "\n"}
    for name, text in named.items():
        try:
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"--output {name!r} cannot be written: {error.strerror}.") from error


def _target(flow_call: FlowCall, scheduler: str, options: Mapping[str, Any]) -> _Target:
    if scheduler == "cron":
        return _on_this_machine(flow_call, options)
    from rayflow.submission.claiming import named_environ
    from rayflow.submission.kuberay.manifest import ray_job
    from rayflow.submission.kuberay.rules import check

    said = {name: value for name, value in options.items() if name not in _NOT_OF_DEPLOYMENTS}
    kube = kube_options_of({**said, "runtime_env": runtime_env_of(options["runtime_env"]) if options["runtime_env"] else {}})
    environ = named_environ(options["env"], flow_call.call.surroundings.environ)

    def manifest(shipment: Shipment, run_id: str) -> dict[str, Any]:
        made = ray_job(replace(shipment.job(run_id), environ=environ), kube)
        check(made)
        return made

    match scheduler:
        case "argo-workflows":
            from rayflow.submission.schedulers import argo
            from rayflow.submission.schedulers.argo_live import ArgoCluster

            account, events, source = (options[f"{each}"] for each in ("workflow_service_account", "event_service_account", "event_source"))
            argo_options = argo.ArgoOptions(account, source, events)
            live = ArgoCluster(kube.context, kube.namespace)
            return _Target(lambda shipment: argo.export(shipment, manifest(shipment, argo.RUN_ID), argo_options), live)
        case "step-functions":
            from rayflow.submission.schedulers import stepfunctions
            from rayflow.submission.schedulers.stepfunctions_live import StepFunctions

            eks = stepfunctions.EksOptions(
                options["eks_cluster"], options["eks_endpoint"], options["eks_certificate"], options["scheduler_role"], options["poll"]
            )
            machine = StepFunctions(options["region"], options["role"])
            return _Target(lambda shipment: stepfunctions.export(shipment, manifest(shipment, stepfunctions.RUN_ID), eks), machine)
        case "airflow":
            from rayflow.submission.schedulers import airflow

            airflow_options = airflow.AirflowOptions(poll_s=options["poll"])
            return _Target(lambda shipment: airflow.export(shipment, manifest(shipment, airflow.RUN_ID), airflow_options))
        case _:
            from rayflow.submission.schedulers import kubecron

            image = options["kubectl_image"] or kubecron.KUBECTL
            cron_options = kubecron.CronOptions(options["alpha"], options["cron_service_account"], image)
            return _Target(lambda shipment: kubecron.export(shipment, manifest(shipment, kubecron.RUN_ID), cron_options))


def _on_this_machine(flow_call: FlowCall, options: Mapping[str, Any]) -> _Target:
    from rayflow.submission.schedulers import crontab

    state_dir = flow_call.call.surroundings.state_dir
    machine = crontab.MachineOptions(options["python"] or sys.executable, state_dir, options["systemd"], options["delay"])

    def export(shipment: Shipment) -> Export:
        os.makedirs(state_dir, exist_ok=True)  # where the lock and the log will be
        return crontab.export(shipment, machine)

    return _Target(export)


def _tell(flow_call: FlowCall, publication: Publication, published: Published, options: Mapping[str, Any]) -> None:
    deployed = published.deployed
    if options["deployer_attribute_file"]:
        told = {
            "name": deployed.name,
            "flow_name": deployed.flow,
            "metadata": publication.settings.root,
            "scheduler": deployed.scheduler,
        }
        with open(options["deployer_attribute_file"], "w", encoding="utf-8") as file:
            json.dump(told, file)
    if options["quiet"]:
        return
    cron = f", at '{published.deployment.cron}' {published.deployment.timezone or ''}".rstrip() if published.deployment.cron else ""
    what = "deployed to" if deployed.facts.get("is_applied") else "ready for"
    flow_call.say(f"{deployed.flow} is {what} {deployed.scheduler} as '{deployed.name}' ({deployed.facts['id']}){cron}.")
    flow_call.say(f"Its runs are in the namespace production:{deployed.token}. Others replace it with --authorize {deployed.token}.")


# -- the rest ----------------------------------------------------------------------------------------------------------


def _name_option() -> click.Option:
    return click.Option(["--name"], metavar="NAME", help="What the deployment is called. Default: the flow, or project.branch.flow.")


def _authorize_option() -> click.Option:
    return click.Option(["--authorize"], metavar="TOKEN", help="The production token of what another user deployed under the name.")


def _found(flow_call: FlowCall, scheduler: str, options: Mapping[str, Any]) -> Deployed:
    from rayflow.client.roots import root_at
    from rayflow.submission.publishing import found, own_name

    settings = flow_call.call.surroundings.settings(options)
    name = options["name"] or own_name(flow_call.definition, settings)
    return found(root_at(settings.root).store, flow_call.flow_class.__name__, scheduler, name)


def _delete_command(flow_call: FlowCall, scheduler: str) -> click.Command:
    def run(**_: Any) -> None:
        from rayflow.client.roots import root_at
        from rayflow.submission.publishing import withdraw
        from rayflow.submission.starting import scheduler_of

        options = stated(click.get_current_context())
        deployed = _found(flow_call, scheduler, options)
        surroundings = flow_call.call.surroundings
        is_applied = bool(deployed.facts.get("is_applied"))

        def remove(each: Deployed) -> None:
            if is_applied:
                scheduler_of(each).remove(each)

        withdraw(root_at(surroundings.root(options["root"])).store, deployed, surroundings.user, options["authorize"], remove)
        rest = "" if is_applied else f" {scheduler} itself was not asked: take '{deployed.facts['id']}' away there, or its runs fail."
        flow_call.say(f"'{deployed.name}' is deployed no more.{rest}")

    options = [_name_option(), _authorize_option(), *shared_options()]
    return click.Command("delete", callback=run, params=[*options], help="Deploy the flow no more. Its runs stay.")


def _trigger_command(flow_call: FlowCall, scheduler: str) -> click.Command:
    from rayflow.flow.parameters import ParameterContext
    from rayflow.flow.resolve import click_options, given_values

    def run(**_: Any) -> None:
        from rayflow.client.roots import root_at
        from rayflow.submission.starting import start

        ctx = click.get_current_context()
        options = stated(ctx)
        deployed = _found(flow_call, scheduler, options)
        attributes = given_values(ctx)
        given = {flow_call.definition.parameters[attribute].name: value for attribute, value in attributes.items()}
        execution = start(root_at(flow_call.call.surroundings.root(options["root"])).store, deployed, given)
        _tell_execution(flow_call, execution, deployed, options)

    definition = flow_call.definition
    parameters = click_options(definition, ParameterContext(flow_name=definition.name, user_name=flow_call.call.surroundings.user))
    for parameter in parameters:
        parameter.required = False  # asked of the deployment, which may have another default
    taken = {parameter.name.lower() for parameter in definition.parameters.values()}
    options = without([_name_option(), *shared_options()], taken)
    return click.Command("trigger", callback=run, params=[*parameters, *options], help="Have the scheduler start a run now.")


def _tell_execution(flow_call: FlowCall, execution: Execution, deployed: Deployed, options: Mapping[str, Any]) -> None:
    if options["json"]:
        told = {"id": execution.id, "flow": deployed.flow, "run_id": execution.run_id, "status": execution.status}
        flow_call.call.out.write(json.dumps(told) + "\n")
        return
    flow_call.call.out.write(f"{execution.id} is started: run {deployed.flow}/{execution.run_id}, as soon as its driver begins.\n")


def _list_command(flow_call: FlowCall, scheduler: str) -> click.Command:
    def run(**_: Any) -> None:
        from rayflow.submission.starting import scheduler_of

        options = stated(click.get_current_context())
        deployed = _found(flow_call, scheduler, options)
        for execution in scheduler_of(deployed).executions(deployed):
            if options["json"]:
                _tell_execution(flow_call, execution, deployed, options)
            else:
                flow_call.call.out.write(f"{execution.status:<12} {deployed.flow}/{execution.run_id}  {execution.id}\n")

    options = [_name_option(), *[option for option in shared_options() if option.name != "json"], json_option()]
    return click.Command("list-runs", callback=run, params=[*options], help="Show the runs that the scheduler started, newest first.")


def _terminate_command(flow_call: FlowCall, scheduler: str) -> click.Command:
    def run(run: str, **_: Any) -> None:
        from rayflow.submission.starting import execution_of

        deployed = _found(flow_call, scheduler, stated(click.get_current_context()))
        live, execution = execution_of(deployed, run)
        live.stop(deployed, execution)
        flow_call.say(f"{execution.id} is being stopped. Its run {deployed.flow}/{execution.run_id} can be resumed.")

    arguments = [click.Argument(["run"], metavar="RUN")]
    return click.Command("terminate", callback=run, params=[*arguments, _name_option(), *shared_options()], help="Stop a run.")
