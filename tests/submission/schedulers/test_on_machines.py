"""What cron, systemd, a CronJob of Kubernetes and Airflow are given."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace

import pytest
import yaml

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.rules import check
from rayflow.submission.schedulers import airflow, crontab, kubecron
from tests.submission.schedulers.manifests import environment, manifest, places_of

HERE = crontab.MachineOptions("/usr/bin/python3", "/var/lib/ada")


# -- cron and systemd ----------------------------------------------------------------------------------------------------


def command_of(line):
    """What cron hands to sh: after the five fields, with the escapes of `%` undone."""
    return line.splitlines()[1].split(" ", 5)[5].replace("\\%", "%")


def test_a_line_of_a_crontab_drives_a_run_named_by_the_time_and_holds_a_lock(on_time):
    shipment = on_time()

    line = crontab.export(shipment, HERE).content["crontab"]

    words = shlex.split(command_of(line).partition(" >> ")[0])
    assert line.splitlines()[1].startswith("0 6 * * MON-FRI flock ")
    assert "%" not in line.replace("\\%", "")
    assert words[:5] == ["flock", "--nonblock", "--conflict-exit-code", "0", "/var/lib/ada/rayflow-TrainFlow.lock"]
    assert words[-5:] == ["--root", "s3://bucket/flows", "--deployment", shipment.digest, "--here"]


@pytest.mark.parametrize("root", ["/data/it's here", "/data/100%", "/data/$(touch x)", '/data/"q"', "/data/a b;c"])
def test_a_root_of_any_name_is_one_word_for_cron_and_for_systemd(on_time, root):
    shipment = replace(on_time(), root=root)

    by_cron = shlex.split(command_of(crontab.export(shipment, HERE).content["crontab"]).partition(" >> ")[0])
    service = crontab.export(shipment, replace(HERE, is_systemd=True)).files[".service"]

    quoted = re.search(r"^ExecStart=/bin/sh -c \"(.*)\"$", service, flags=re.MULTILINE).group(1)
    undone = re.sub(r"\\(.)", r"\1", quoted).replace("$$", "$").replace("%%", "%")
    assert by_cron[by_cron.index("--root") + 1] == root
    assert shlex.split(undone)[shlex.split(undone).index("--root") + 1] == root


def test_a_timer_catches_up_and_may_be_late(on_time):
    shipment = on_time("0 0 1 * FRI", "Europe/Berlin")

    timer = crontab.export(shipment, replace(HERE, is_systemd=True, delay_s=90)).files[".timer"]

    lines = timer.splitlines()
    assert [line for line in lines if line.startswith("OnCalendar=")] == [
        "OnCalendar=*-*-01 00:00:00 Europe/Berlin",
        "OnCalendar=Fri *-*-* 00:00:00 Europe/Berlin",
    ]
    assert {"Persistent=true", "RandomizedDelaySec=90", "WantedBy=timers.target"} <= set(lines)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_units(on_time, tmp_path):
    for suffix, text in crontab.export(replace(on_time(), root="/data/100% $x"), replace(HERE, is_systemd=True)).files.items():
        (tmp_path / f"train{suffix}").write_text(text)

    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "train.timer"), str(tmp_path / "train.service")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    ours = [line for line in result.stderr.splitlines() if "train." in line]
    assert (result.returncode, ours) == (0, []), result.stderr


@pytest.mark.parametrize(
    ("ship", "options", "words"),
    [
        ({"zone": "Europe/Berlin"}, HERE, r"@schedule\(timezone='Europe/Berlin'\) of TrainFlow is not supported by a crontab"),
        ({"retries": 1}, HERE, "--retries is not supported by cron"),
        ({}, None, "TrainFlow has no @schedule"),
    ],
)
def test_what_cron_cannot_carry_is_refused_by_name(on_time, shipped, ship, options, words):
    shipment = on_time(**ship) if options else shipped()

    with pytest.raises(UserError, match=words):
        crontab.export(shipment, HERE)


def test_events_are_refused_by_name_by_all_but_argo(shipped):
    shipment = shipped("from rayflow import trigger_on_finish\n\n\n@schedule\n@trigger_on_finish(flow='Upstream')")
    refused = r"@trigger_on_finish of TrainFlow \('Upstream'\) is not supported by "

    with pytest.raises(UserError, match=refused + "cron"):
        crontab.export(shipment, HERE)
    with pytest.raises(UserError, match=refused + "Airflow"):
        airflow.export(shipment, manifest(shipment, airflow.RUN_ID), airflow.AirflowOptions())
    with pytest.raises(UserError, match=refused + "a CronJob"):
        kubecron.export(shipment, manifest(shipment, kubecron.RUN_ID), kubecron.CronOptions())


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def cron_documents(shipment, **options):
    made = kubecron.export(shipment, manifest(shipment, kubecron.RUN_ID), kubecron.CronOptions(**options))
    assert list(yaml.safe_load_all(made.files[".yaml"])) == made.content["items"]
    return {document["kind"]: document for document in made.content["items"]}


def test_a_cron_job_creates_the_rayjob_by_an_account_that_may_do_just_that(on_time):
    shipment = on_time(zone="Europe/Berlin")

    documents = cron_documents(shipment)

    cron, role = documents["CronJob"]["spec"], documents["Role"]
    job = json.loads(documents["ConfigMap"]["data"]["rayjob.json"])
    assert (cron["schedule"], cron["timeZone"], cron["concurrencyPolicy"]) == ("0 6 * * MON-FRI", "Europe/Berlin", "Forbid")
    assert role["rules"] == [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}]
    assert cron["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] == documents["ServiceAccount"]["metadata"]["name"]
    assert list(documents) == ["ServiceAccount", "Role", "RoleBinding", "ConfigMap", "CronJob"]
    assert list(cron_documents(shipment, service_account="starter")) == ["ConfigMap", "CronJob"]
    check({**job, "metadata": {**job["metadata"], "name": f"{job['metadata']['generateName']}x7f2k"}})


def test_its_run_is_named_by_the_cluster_that_performs_it(on_time):
    shipment = on_time()

    job = json.loads(cron_documents(shipment)["ConfigMap"]["data"]["rayjob.json"])

    cluster = f"{job['metadata']['generateName']}x7f2k-q9z4m"
    assert environment(job)["RAYFLOW_CLUSTER"] == {"fieldRef": {"fieldPath": "metadata.labels['ray.io/cluster']"}}
    assert f"TrainFlow/kc-$RAYFLOW_CLUSTER --root s3://bucket/flows --deployment {shipment.digest}" in job["spec"]["entrypoint"]
    assert places_of(job, kubecron.RUN_ID) == []
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", f"kc-{cluster}")
    assert "jobId" not in job["spec"]


def test_a_ray_cron_job_follows_its_schema_and_the_operators_rules(on_time):
    documents = cron_documents(on_time(zone="Europe/Berlin"), is_alpha=True)

    assert list(documents) == ["RayCronJob"]
    check(documents["RayCronJob"])


def test_what_a_cron_job_cannot_carry_is_refused_by_name(on_time, shipped):
    with pytest.raises(UserError, match="--retries is not supported by kuberay-cron"):
        cron_documents(on_time(retries=1))
    with pytest.raises(UserError, match="TrainFlow has no @schedule"):
        cron_documents(shipped())


# -- Airflow -----------------------------------------------------------------------------------------------------------


def deployed_in(text):
    """What the file says is deployed, read without Airflow."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "DEPLOYED":
            assert ast.unparse(node.value.func) == "json.loads"
            return json.loads(ast.literal_eval(node.value.args[0]))
    raise AssertionError("there is no DEPLOYED")


def dag(shipment):
    return airflow.export(shipment, manifest(shipment, airflow.RUN_ID), airflow.AirflowOptions())


def test_a_file_for_airflow_holds_what_is_deployed_as_a_text(on_time):
    quotes = "''' \"\"\" \\ {{ dag }}"
    shipment = on_time(fields=f'odd = Parameter("odd", default={quotes!r}, help={quotes!r})', retries=2)

    found = deployed_in(dag(shipment).files[".py"])

    assert (found["schedule"], found["timezone"], found["retries"], found["dag_id"]) == ("0 6 * * MON-FRI", "UTC", 2, "TrainFlow")
    assert found["parameters"]["odd"] == {"type": ["null", "string"], "description": quotes, "default": quotes}
    assert found["manifest"]["spec"]["entrypoint"].split()[-4:] == ["--root", "s3://bucket/flows", "--deployment", shipment.digest]


def test_parameters_have_the_types_and_defaults_of_airflow(shipped):
    fields = 'must = Parameter("must", required=True, type=int); import click; kind = Parameter("kind", type=click.Choice(["a", "b"]))'
    found = deployed_in(dag(shipped(fields=fields)).files[".py"])["parameters"]

    assert found == {
        "alpha": {"type": ["null", "number"], "description": "how fast", "default": 0.1},
        "n-trees": {"type": ["null", "integer"], "default": 5},
        "words": {"type": ["null", "string"], "default": "a,b"},
        "spec": {"default": {"x": [1, 2]}},
        "note": {"type": ["null", "string"], "default": None},
        "deep": {"type": ["null", "boolean"], "default": True},
        "who": {"type": ["null", "string"], "default": "by ada"},
        "must": {"type": "integer"},
        "kind": {"type": ["null", "string"], "enum": ["a", "b", None], "default": None},
    }
