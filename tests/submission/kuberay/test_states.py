"""What the status of a RayJob says of its driver."""

from __future__ import annotations

import pytest

from rayflow.submission.job import JobState, JobStatus
from rayflow.submission.kuberay.states import state_of

PENDING, RUNNING, DONE, FAILED, STOPPED = (
    JobStatus.PENDING,
    JobStatus.RUNNING,
    JobStatus.SUCCEEDED,
    JobStatus.FAILED,
    JobStatus.STOPPED,
)


def told(deployment: str = "", ray: str = "", **more) -> JobState:
    return state_of({"metadata": {}, "status": {"jobDeploymentStatus": deployment, "jobStatus": ray, **more}})


@pytest.mark.parametrize(
    ("deployment", "ray", "status"),
    [
        ("", "", PENDING),
        ("New", "", PENDING),
        ("Initializing", "", PENDING),
        ("Waiting", "", PENDING),
        ("Running", "", PENDING),
        ("Running", "PENDING", PENDING),
        ("Running", "RUNNING", RUNNING),
        ("Running", "SUCCEEDED", RUNNING),
        ("Complete", "SUCCEEDED", DONE),
        ("Complete", "STOPPED", STOPPED),
        ("Complete", "FAILED", FAILED),
        ("Complete", "", FAILED),
        ("Failed", "FAILED", FAILED),
        ("Failed", "SUCCEEDED", FAILED),
        ("Failed", "", FAILED),
        ("ValidationFailed", "", FAILED),
        ("Retrying", "FAILED", PENDING),
        ("Suspending", "RUNNING", PENDING),
        ("Suspended", "", PENDING),
        ("SomethingNew", "", PENDING),
    ],
)
def test_a_job_has_succeeded_only_where_operator_and_ray_say_so(deployment, ray, status):
    assert told(deployment, ray).status is status


def test_a_job_that_nobody_has_looked_at_yet_is_pending():
    assert state_of({"metadata": {"name": "x"}, "spec": {}}) == JobState(PENDING)


def test_the_operators_reason_is_told_once():
    assert told("Failed", "FAILED", reason="AppFailed", message="Job entrypoint\n failed").why == "AppFailed: Job entrypoint failed"
    assert told("Failed", "", reason="DeadlineExceeded", message="DeadlineExceeded after 5 s").why == "DeadlineExceeded after 5 s"
    assert told("Failed", "FAILED").why == "The operator calls it Failed, and Ray FAILED."


def test_what_is_held_by_a_queue_says_so():
    assert told("Suspended").why == "It is suspended, until its queue admits it."


def test_an_object_that_is_being_deleted_is_stopped_unless_it_was_over():
    deleted = {"deletionTimestamp": "2026-08-01T00:00:00Z"}

    assert state_of({"metadata": deleted, "status": {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}}).status is STOPPED
    assert state_of({"metadata": deleted, "status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}}).status is DONE


def test_a_start_waits_for_what_the_clusters_conditions_say():
    fine = {"type": "RayClusterProvisioned", "status": "True", "reason": "AllPodRunningAndReady", "message": "ready"}
    quota = {"type": "RayClusterReplicaFailure", "status": "True", "reason": "FailedCreateHeadPod", "message": "exceeded quota"}

    assert told("Initializing", rayClusterStatus={"conditions": [fine, quota]}) == JobState(PENDING, "FailedCreateHeadPod: exceeded quota")


def test_a_pod_that_no_node_has_room_for_says_so():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    pod = {"metadata": {"name": "head-0"}, "status": {"conditions": [condition]}}
    state = state_of({"metadata": {}, "status": {"jobDeploymentStatus": "Initializing"}}, [pod])

    assert state == JobState(PENDING, "Pod head-0: Unschedulable: 0/3 nodes are available")


def test_a_pod_whose_containers_are_being_made_is_as_it_should_be():
    pod = {"metadata": {"name": "head-0"}, "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}}
    state = state_of({"metadata": {}, "status": {"jobDeploymentStatus": "Initializing"}}, [pod])

    assert state == JobState(PENDING, "Its cluster is starting.")
