"""What Argo Workflows is given."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.rules import check
from rayflow.submission.schedulers.argo import RUN_ID, ArgoOptions, export, run_id_of
from tests.submission.schedulers.manifests import environment, manifest

UID = "4b5a1a1e-2f0c-4d43-9a57-6a1f6c1f8a11"


def exported(shipment, **options):
    return export(shipment, manifest(shipment, RUN_ID), ArgoOptions(**options))


def by_kind(shipment, **options):
    return {document["kind"]: document for document in exported(shipment, **options).content["items"]}


def created(template, parameters):
    """The RayJob that Argo creates: its tags are put in as Argo does it, each value as a JSON text without its quotes."""
    text = template["spec"]["templates"][0]["resource"]["manifest"]
    beginning, tag, rest = text.partition("{{=")
    if tag:
        expression, _, rest = rest.partition("}}")
        functions = {
            "toJson": json.dumps,
            "sprig": SimpleNamespace(replace=lambda old, new, text: text.replace(old, new), repeat=lambda count, text: text * count),
            "workflow": SimpleNamespace(parameters=parameters),
        }
        beginning += eval(expression, {"__builtins__": {}}, functions)
    text = (beginning + rest).replace("{{workflow.uid}}", UID)
    assert "{{" not in text  # Argo would look for another tag there
    return json.loads(text)


def stated(template):
    return {each["name"]: each.get("value") for each in template["spec"].get("arguments", {}).get("parameters", ())}


def test_a_schedule_becomes_a_template_and_a_cron_workflow(on_time):
    documents = by_kind(on_time(zone="Europe/Berlin"), service_account="starter")

    template, cron = documents["WorkflowTemplate"], documents["CronWorkflow"]
    assert list(documents) == ["WorkflowTemplate", "CronWorkflow"]
    assert template["spec"]["serviceAccountName"] == "starter"
    assert template["metadata"]["name"] == cron["metadata"]["name"] == cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"]
    assert (cron["spec"]["schedules"], cron["spec"]["timezone"]) == (["0 6 * * MON-FRI"], "Europe/Berlin")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"


def test_success_is_both_words_and_failure_either(shipped):
    resource = by_kind(shipped())["WorkflowTemplate"]["spec"]["templates"][0]["resource"]

    assert resource["successCondition"] == "status.jobDeploymentStatus == Complete, status.jobStatus == SUCCEEDED"
    assert resource["failureCondition"] == (
        "status.jobDeploymentStatus == Failed, status.jobDeploymentStatus == ValidationFailed, status.jobStatus == STOPPED"
    )


def test_the_rayjob_drives_the_run_of_the_workflow_with_what_is_given(shipped):
    shipment = shipped()
    template = by_kind(shipment)["WorkflowTemplate"]

    job = created(template, stated(template) | {"alpha": "0.5"})

    words = job["spec"]["entrypoint"].split()
    assert words[-5:] == [f"TrainFlow/{run_id_of(UID)}", "--root", "s3://bucket/flows", "--deployment", shipment.digest]
    assert len(job["metadata"]["generateName"]) <= 42
    assert json.loads(environment(job)["RAYFLOW_PARAMETERS"])["alpha"] == "0.5"
    check({**job, "metadata": {**job["metadata"], "name": f"{job['metadata']['generateName']}x7f2k"}})


TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("{}\"'\\\n$`%"), max_size=30)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(alpha=TEXTS, note=TEXTS)
def test_no_value_gets_out_of_its_place(shipment, alpha, note):
    template = by_kind(shipment)["WorkflowTemplate"]

    job = created(template, stated(template) | {"alpha": alpha, "note": note})

    given_ = json.loads(environment(job)["RAYFLOW_PARAMETERS"])
    assert (given_["alpha"], given_["note"]) == (alpha, note)


@pytest.fixture
def shipment(shipped):
    return shipped()


@pytest.mark.parametrize("value", ["{{workflow.name}}", '"}}, {{=sprig.env("HOME")}}', "{{{", "{{{{{", "$(reboot)", "'; rm -rf /"])
def test_a_value_that_looks_like_an_expression_or_a_command_stays_a_value(shipment, value):
    template = by_kind(shipment)["WorkflowTemplate"]

    job = created(template, stated(template) | {"note": value})

    assert "{{" not in environment(job)["RAYFLOW_PARAMETERS"]
    assert json.loads(environment(job)["RAYFLOW_PARAMETERS"])["note"] == value


def test_what_argo_tries_again_is_another_rayjob_of_the_same_run(shipped):
    template = by_kind(shipped(retries=2))["WorkflowTemplate"]["spec"]["templates"][0]

    assert template["retryStrategy"] == {"limit": 2, "retryPolicy": "OnFailure"}
    assert "name" not in json.loads(template["resource"]["manifest"].partition('"spec"')[0].rstrip().rstrip(",") + "}")["metadata"]
    assert "retryStrategy" not in by_kind(shipped())["WorkflowTemplate"]["spec"]["templates"][0]


def test_a_parameter_that_has_to_be_given_has_no_value(shipped):
    shipment = shipped(fields='must = Parameter("must", required=True, type=int)')

    assert stated(by_kind(shipment)["WorkflowTemplate"])["must"] is None


def test_the_end_of_another_deployment_starts_the_flow_once(shipped):
    above = "from rayflow import trigger_on_finish\n\n\n@project(name='fraud')\n@trigger_on_finish(flow='Upstream')"
    documents = by_kind(shipped(above))
    upstream = by_kind(shipped("@project(name='fraud')"))

    label = documents["EventSource"]["spec"]["resource"]["run-0"]["filter"]["labels"][0]
    template = documents["Sensor"]["spec"]["triggers"][0]["template"]["argoWorkflow"]
    moved = {each["dest"]: each["src"]["dataTemplate"] for each in template["parameters"]}
    assert label["key"] in upstream["WorkflowTemplate"]["spec"]["workflowMetadata"]["labels"]
    assert label["value"].startswith("fraud-user-ada-upstream-")
    assert moved["spec.arguments.parameters.0.value"] == "Upstream/wf-{{ .Input.body.metadata.uid }} "
    assert moved["metadata.name"].endswith("-{{ .Input.body.metadata.uid }}")
    assert "rayflow-triggered-by" in stated(documents["WorkflowTemplate"])


def test_an_event_gives_its_fields_to_parameters(shipped):
    above = "from rayflow import trigger\n\n\n@trigger(event={'name': 'data_ready', 'parameters': {'alpha': 'rate'}})"
    sensor = by_kind(shipped(above), event_source="hooks")["Sensor"]["spec"]

    assert sensor["dependencies"][0]["filters"]["data"] == [{"path": "body.payload.name", "type": "string", "value": ["data_ready"]}]
    started = sensor["triggers"][0]["template"]["argoWorkflow"]
    assert [each["name"] for each in started["source"]["resource"]["spec"]["arguments"]["parameters"]] == ["alpha", "rayflow-triggered-by"]
    assert {
        "src": {"dependencyName": "event-0", "dataKey": "body.payload.rate", "value": "0.1"},
        "dest": "spec.arguments.parameters.0.value",
    } in (started["parameters"])
    with pytest.raises(UserError, match=r"@trigger of TrainFlow \('data_ready'\) needs --event-source NAME"):
        by_kind(shipped(above))


def test_what_argo_cannot_carry_is_refused_by_name(shipped):
    with pytest.raises(UserError, match=r"Parameter 'a.b' is not supported by Argo Workflows"):
        by_kind(shipped(fields='dotted = Parameter("a.b", default=1)'))
    with pytest.raises(UserError, match="has no Parameter 'beta', which the event 'e' is to give"):
        shipped("from rayflow import trigger\n\n\n@trigger(event={'name': 'e', 'parameters': {'beta': 'x'}})")
