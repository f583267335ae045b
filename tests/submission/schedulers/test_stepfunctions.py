"""What Step Functions is given, performed by moto's interpreter: it cannot call EKS, so that those states tell what they are told here."""

from __future__ import annotations

import copy
import json
import time

import pytest

from rayflow.model.errors import UserError
from rayflow.submission.schedulers.stepfunctions import RUN_ID, EksOptions, export, run_id_of
from tests.submission.schedulers.manifests import environment, manifest

EKS = EksOptions("flows", "https://eks.example", "QUJD", "arn:aws:iam::123456789012:role/scheduler")


def exported(shipment, options=EKS):
    return export(shipment, manifest(shipment, RUN_ID), options).content


def played(definition, told):
    """The state machine with EKS's part played: POST says nothing, GET has the status that is told for the try."""
    states = copy.deepcopy(definition)
    states["States"]["Start"] = {**passing(states["States"]["Start"]), "Parameters": body_of(definition), "ResultPath": "$.posted"}
    states["States"]["Look"] = {**passing(states["States"]["Look"]), "Result": {"ResponseBody": told}}
    states["States"]["Wait"]["Seconds"] = 0
    return states


def passing(state):
    kept = {name: value for name, value in state.items() if name in ("Next", "ResultPath")}
    return {"Type": "Pass", **kept}


def body_of(definition):
    return definition["States"]["Start"]["Parameters"]["RequestBody"]


@pytest.fixture
def perform():
    """Has moto perform a state machine; the execution's ARN, status, error and output."""
    import boto3
    from moto import mock_aws

    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")

        def performed(definition, sent):
            role = "arn:aws:iam::123456789012:role/states"
            name = f"m{time.monotonic_ns()}"
            arn = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)["stateMachineArn"]
            execution = client.start_execution(stateMachineArn=arn, input=json.dumps(sent))["executionArn"]
            deadline = time.monotonic() + 20
            while (found := client.describe_execution(executionArn=execution))["status"] == "RUNNING" and time.monotonic() < deadline:
                time.sleep(0.02)
            events = client.get_execution_history(executionArn=execution)["events"]
            return found, [each["stateEnteredEventDetails"] for each in events if "stateEnteredEventDetails" in each]

        yield performed


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, ("SUCCEEDED", None)),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}, ("FAILED", "RunFailed")),
        ({"jobDeploymentStatus": "Failed"}, ("FAILED", "RunFailed")),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, ("FAILED", "RunStopped")),
        ({"jobDeploymentStatus": "Running", "jobStatus": "STOPPED"}, ("FAILED", "RunStopped")),
        ({"jobDeploymentStatus": "ValidationFailed"}, ("FAILED", "RunFailed")),
        ({"jobDeploymentStatus": "Complete"}, ("FAILED", "RunFailed")),
    ],
)
def test_each_status_of_a_rayjob_has_its_end(shipped, perform, status, ending):
    found, _ = perform(played(exported(shipped())["definition"], {"status": status}), {})

    assert (found["status"], found.get("error")) == ending


@pytest.mark.parametrize("told", [{}, {"status": {}}, {"status": {"jobDeploymentStatus": "Running"}}, {"status": {"jobStatus": "RUNNING"}}])
def test_a_rayjob_that_goes_on_or_says_nothing_yet_is_waited_for(shipped, perform, told):
    definition = played(exported(shipped())["definition"], told)
    definition["States"]["How it stands"]["Default"] = "Done"  # instead of waiting for ever

    found, entered = perform(definition, {})

    assert (found["status"], entered[-1]["name"]) == ("SUCCEEDED", "Done")


def test_the_rayjob_has_the_run_of_the_execution_and_what_it_was_given(shipped, perform):
    shipment = shipped()
    definition = played(exported(shipment)["definition"], {"status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}})
    sent = {"alpha": 0.5, "note": "it's \"quoted\" {} $.x States.Format('{}')", "spec": {"y": [1]}}

    found, entered = perform(definition, {"parameters": sent})

    run_id = run_id_of(found["executionArn"])
    job = json.loads(next(each["input"] for each in entered if each["name"] == "Wait"))["posted"]
    assert job["metadata"]["name"] == f"rayflow-{run_id}-0"
    assert job["spec"]["entrypoint"] == (
        f"python -m rayflow drive TrainFlow/{run_id} --root s3://bucket/flows --deployment {shipment.digest}"
    )
    assert json.loads(environment(job)["RAYFLOW_PARAMETERS"]) == sent
    assert manifest(shipment, run_id)["spec"]["rayClusterSpec"]["workerGroupSpecs"] == job["spec"]["rayClusterSpec"]["workerGroupSpecs"]


def test_an_execution_that_is_given_nothing_gives_nothing(shipped, perform):
    found, entered = perform(played(exported(shipped())["definition"], {"status": {"jobDeploymentStatus": "Failed"}}), {"other": 1})

    job = json.loads(next(each["input"] for each in entered if each["name"] == "Wait"))["posted"]
    assert (found["status"], environment(job)["RAYFLOW_PARAMETERS"]) == ("FAILED", "{}")


def test_a_failed_rayjob_is_followed_by_another_of_the_same_run(shipped, perform):
    found, entered = perform(played(exported(shipped(retries=2))["definition"], {"status": {"jobDeploymentStatus": "Failed"}}), {})

    jobs = [json.loads(each["input"])["posted"] for each in entered if each["name"] == "Wait"]
    run_id = run_id_of(found["executionArn"])
    assert [job["metadata"]["name"] for job in jobs] == [f"rayflow-{run_id}-{attempt}" for attempt in range(3)]
    assert {job["spec"]["jobId"] for job in jobs} == {f"rayflow-{run_id}"}
    assert found["error"] == "RunFailed"


def test_a_lost_answer_to_the_post_is_no_failure_and_a_deleted_rayjob_is_one(shipped):
    states = exported(shipped())["definition"]["States"]

    assert states["Start"]["Catch"] == [{"ErrorEquals": ["EKS.409"], "ResultPath": None, "Next": "Wait"}]
    assert states["Look"]["Catch"][0]["ErrorEquals"] == ["EKS.404"]
    assert states[states["Look"]["Catch"][0]["Next"]]["Error"] == "JobGone"


def test_a_schedule_is_that_of_eventbridge(on_time):
    schedule = exported(on_time(zone="Europe/Berlin"))["schedule"]

    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == ("cron(0 6 ? * 2,3,4,5,6 *)", "Europe/Berlin")
    assert schedule["Target"] == {"Arn": "${StateMachineArn}", "RoleArn": EKS.scheduler_role, "Input": "{}"}


def test_what_step_functions_cannot_carry_is_refused_by_name(shipped, on_time):
    with pytest.raises(UserError, match=r"--eks-endpoint, --eks-certificate is missing"):
        exported(shipped(), EksOptions("flows"))
    with pytest.raises(UserError, match=r"which AWS cannot"):
        exported(on_time("0 0 1 * FRI"))
    with pytest.raises(UserError, match=r"@trigger of TrainFlow \('e'\) is not supported by Step Functions"):
        exported(shipped("from rayflow import trigger\n\n\n@trigger(event='e')"))
