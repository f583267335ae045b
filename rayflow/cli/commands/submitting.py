"""`submit`, and `resume --on`: the run is recorded here, and its driver is started elsewhere. `drive`: what runs there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rayflow.cli.commands.call import Call, FlowCall
from rayflow.cli.commands.describing import validate
from rayflow.cli.commands.kubeoptions import kube_options, kube_options_of, refuse_kube_options
from rayflow.cli.options import is_on_command_line, launch_options, root_option, shared_options, stated, without
from rayflow.model.errors import UsageError
from rayflow.submission.job import Platform, job_id
from rayflow.submission.platforms import PLATFORMS

if TYPE_CHECKING:
    from rayflow.flow.definition import FlowDefinition
    from rayflow.runtime.launch import Recorded
    from rayflow.runtime.notices import Reporter
    from rayflow.runtime.settings import Settings

_HELP = """Run the flow elsewhere: its driver is started by a Ray cluster, or on Kubernetes, and goes on without this machine.

The run is recorded on the root first, with its parameters, its configs and its code; it can then be followed, stopped and resumed from any
machine that reads the root: rayflow attach | stop | resume RUN.
"""
_DRIVE_HELP = "Be the driver of a run that was submitted. What jobs and manifests call."
Record = Callable[["FlowDefinition", "Settings", "Reporter"], "Recorded"]


def submit_command(flow_call: FlowCall) -> click.Command:
    """`submit`, with the flow's Parameters first, as `run` has them."""
    from rayflow.flow.parameters import ParameterContext
    from rayflow.flow.resolve import click_options, given_values

    def run(**_: Any) -> None:
        ctx = click.get_current_context()
        given = given_values(ctx)

        def record(definition: FlowDefinition, settings: Settings, reporter: Reporter) -> Recorded:
            from rayflow.runtime.launch import record_run

            return record_run(definition, given, settings, reporter)

        ctx.exit(submitted(flow_call, stated(ctx), record))

    definition = flow_call.definition
    context = ParameterContext(flow_name=definition.name, user_name=flow_call.call.surroundings.user)
    parameters = click_options(definition, context)
    taken = {parameter.name.lower() for parameter in definition.parameters.values()}
    own = [
        *submission_options(PLATFORMS[0]),
        *launch_options(),
        click.Option(["--namespace"], metavar="TAG", help="What the client sees inside the run. Empty: everything. Default: user:<you>."),
        click.Option(["--run-id"], metavar="ID", help="Name the run; of one that has ended unfinished, start another driver."),
        *shared_options(),
    ]
    return click.Command("submit", callback=run, params=[*parameters, *without(own, taken)], help=_HELP)


def submission_options(default: str | None) -> list[click.Option]:
    """What is said of where a driver is started, and how."""
    told = f"Default: {default}." if default else "Default: here."
    return [
        click.Option(
            ["--on"],
            type=click.Choice(PLATFORMS),
            default=default,
            help=f"Where: ray, a cluster with its Jobs API at --address; or kuberay, Kubernetes with its operator. {told}",
        ),
        click.Option(["--detach/--follow"], default=False, help="Return once the run is submitted, or follow it to its end (default)."),
        click.Option(
            ["--env"],
            multiple=True,
            metavar="NAME[=VALUE]",
            help="A variable of the environment for the driver and all tasks (repeatable). No secrets: whoever may look at jobs sees them.",
        ),
        click.Option(["--runtime-env"], metavar="FILE", help="A Ray runtime environment for the job: a JSON or YAML file."),
        click.Option(
            ["--python"], default="python", show_default=True, metavar="PATH", help="What Python is called where the driver runs."
        ),
        click.Option(["--shared-root"], is_flag=True, help="The root is a directory that all machines see at the same place."),
        click.Option(
            ["--send-rayflow/--no-send-rayflow"],
            default=True,
            help="Send this very rayflow along (default), or use the one that is installed there.",
        ),
        *kube_options(),
    ]


def submitted(flow_call: FlowCall, options: Mapping[str, Any], record: Record, origin: str | None = None) -> int:
    """Submits what `record` records, and follows it unless it is to be left alone; the exit code. `origin`: the run that is continued,
    which tells the address where none is stated."""
    from rayflow.cli.reporting.plain import PlainReporter
    from rayflow.runtime.driving import write_marker_files
    from rayflow.submission.claiming import Request, absolute_root, named_environ, submit

    call = flow_call.call
    if options["executor"] in ("process", "inline") and is_on_command_line("executor"):
        raise UsageError(f"--executor {options['executor']} is of a run that is driven here: what is submitted is performed by Ray.")
    is_for_programs = options["json"] or options["dry_run"]
    if not is_for_programs:
        flow_call.greet(options)
    validate(flow_call, {**options, "quiet": options["quiet"] or is_for_programs})
    definition = flow_call.decorated(options["with"])
    settings = call.surroundings.settings(options)
    platform = platform_stated(call, options, _noted_platform(settings.root, flow_call, origin))
    if options["dry_run"]:
        return _told_manifest(flow_call, options, platform, replace(settings, root=absolute_root(settings.root)))
    settings = replace(settings, root=absolute_root(settings.root), executor="ray", address=None, platform=platform.facts)
    told = PlainReporter(call.err, call.err, call.prompt)  # what is included, what is warned of
    request = Request(definition, settings, platform, named_environ(options["env"], call.surroundings.environ))
    done = submit(request, lambda: record(definition, settings, told))
    run = done.record
    write_marker_files(settings, run, settings.root)
    _tell_submitted(flow_call, options, platform, run.flow, run.run_id)
    if options["detach"]:
        return 0
    from rayflow.cli.commands.attaching import followed

    return followed(call, options, settings.root, f"{run.flow}/{run.run_id}", done.epoch)


def _tell_submitted(flow_call: FlowCall, options: Mapping[str, Any], platform: Platform, flow: str, run_id: str) -> None:
    call, facts = flow_call.call, platform.facts
    if options["json"]:
        event = {"event": "submitted", "flow": flow, "run_id": run_id, "job_id": job_id(run_id), "platform": dict(facts)}
        call.out.write(json.dumps(event) + "\n")
        return
    if options["quiet"] and not options["detach"]:
        return
    prompt = replace(call.prompt, root=options["root"]) if options.get("root") else call.prompt
    call.out.write(f"Run {flow}/{run_id} is submitted to {facts['on']} at {facts['address']}, as job {job_id(run_id)}.\n")
    call.out.write(f"Follow it: {prompt.of_run('attach', run_id)}    Stop it: {prompt.of_run('stop', run_id)}\n")
    call.out.flush()


def _told_manifest(flow_call: FlowCall, options: Mapping[str, Any], platform: Platform, settings: Settings) -> int:
    """Prints what would be submitted, for a run whose id is not known yet unless it is stated."""
    from rayflow.submission.claiming import ANY_RUN, Request, named_environ
    from rayflow.submission.kuberay.manifest import ray_job, rendered
    from rayflow.submission.kuberay.platform import KubeRay
    from rayflow.submission.kuberay.rules import check

    assert isinstance(platform, KubeRay)
    environ = named_environ(options["env"], flow_call.call.surroundings.environ)
    job = Request(flow_call.decorated(options["with"]), settings, platform, environ).job(settings.run_id or ANY_RUN)
    manifest = ray_job(job, platform.options)
    check(manifest)
    flow_call.call.out.write(rendered(manifest, options["output"] or "yaml"))
    return 0


def platform_stated(call: Call, options: Mapping[str, Any], noted: Mapping[str, Any]) -> Platform:
    """The platform that `--on` and what goes with it say; what they do not, as it is noted. UsageError where neither does."""
    runtime_env = runtime_env_of(options["runtime_env"]) if options["runtime_env"] else {}
    known = noted if noted.get("on") == options["on"] else {}
    if options["on"] == "kuberay":
        from rayflow.submission.kuberay.platform import KubeRay

        return KubeRay(kube_options_of({**options, "runtime_env": runtime_env}, known))
    from rayflow.submission.ray_jobs import RayJobs, RayOptions, checked_address

    refuse_kube_options(options)
    environ = call.surroundings.environ
    return RayJobs(
        RayOptions(
            address=checked_address(options.get("address") or known.get("address") or environ.get("RAY_API_SERVER_ADDRESS")),
            runtime_env=runtime_env,
            python=options["python"],
            is_root_shared=options["shared_root"],
            sends_rayflow=options["send_rayflow"],
        )
    )


def _noted_platform(root_url: str, flow_call: FlowCall, run_id: str | None) -> Mapping[str, Any]:
    """Where the run was submitted to."""
    if run_id is None:
        return {}
    from rayflow.catalog.run import read_run
    from rayflow.client.roots import root_at

    return read_run(root_at(root_url).store, flow_call.flow_class.__name__, run_id).facts.get("submitted_to", {})


def runtime_env_of(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            found = yaml.safe_load(file)  # JSON is YAML
    except OSError as error:
        raise UsageError(f"--runtime-env {path!r} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--runtime-env {path!r} is neither JSON nor YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UsageError(f"--runtime-env {path!r} holds no mapping. Write one, such as: pip: [scikit-learn]")
    return found


# -- the other side ----------------------------------------------------------------------------------------------------


def drive_command(call: Call) -> click.Command:
    """`drive FLOW/RUN`: performs a submitted run with the code that is stored with it, on the cluster that this process finds itself in."""

    def run(run: str, **_: Any) -> None:
        ctx = click.get_current_context()
        ctx.exit(_driven(call, run, stated(ctx)))

    params: list[click.Parameter] = [
        click.Argument(["run"], metavar="FLOW/RUN"),
        root_option(),
        click.Option(["--address"], default="auto", metavar="ADDRESS", help="The Ray cluster to join. Default: the one around."),
        click.Option(
            ["--deployment"], metavar="DIGEST", help="Make the run of this deployment, and of RAYFLOW_PARAMETERS, unless it is there."
        ),
        click.Option(["--here"], is_flag=True, help="Perform the tasks as `run` would on this machine."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Show tracebacks in full."),
    ]
    return click.Command("drive", callback=run, params=params, help=_DRIVE_HELP, hidden=True)


def _driven(call: Call, pathspec: str, options: Mapping[str, Any]) -> int:
    from rayflow.catalog.run import read_run
    from rayflow.cli.reporting.plain import PlainReporter
    from rayflow.cli.target import load_stored_flow
    from rayflow.store import open_root
    from rayflow.submission.driving import drive_submitted

    flow, _, run_id = pathspec.partition("/")
    url = call.surroundings.root(options["root"])
    store = open_root(url, create=False)
    if options["deployment"]:
        from rayflow.submission.deployments import begun, given_in

        begun(store, flow, options["deployment"], run_id, given_in(call.surroundings.environ))
    record = read_run(store, flow, run_id)
    flow_class, _ = load_stored_flow(url, flow, run_id)
    os.chdir(os.path.dirname(os.path.abspath(flow_class._graph.file)))  # pyright: ignore[reportPrivateUsage] - where its files are
    executor, address = (record.facts["executor"], None) if options["here"] else ("ray", options["address"])
    settings = replace(call.surroundings.settings({"root": url}), executor=executor, address=address)
    prompt = replace(call.prompt, root=url)
    reporter = PlainReporter(call.out, call.err, prompt, is_verbose=options["verbose"])
    return drive_submitted(flow_class, record, settings, store, reporter).exit_code
