"""KubeRay as a place that starts drivers, against an API server that misbehaves. No job runs here."""

from __future__ import annotations

import pytest

from rayflow.model.errors import ClusterFault, UserError
from rayflow.submission.job import JobStatus
from rayflow.submission.kuberay import api
from rayflow.submission.kuberay.platform import KubeRay
from rayflow.submission.platforms import platform_of
from tests.submission.kuberay.apiserver import ApiServer, kubeconfig
from tests.submission.kuberay.asking import job, options

JOB = job(root="s3://bucket/runs")
NAME = "rayflow-1790000000000001"


@pytest.fixture
def place(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> KubeRay:
    monkeypatch.setattr(api, "_TIMEOUT_S", (1, 0.3))
    monkeypatch.setattr(api, "_LONGEST_PAUSE_S", 0.05)
    return KubeRay(options())


def test_a_job_is_asked_for_where_the_context_says(place, server):
    place.submit(JOB)

    kept = server.jobs["science", NAME]
    assert kept["spec"]["jobId"] == JOB.id
    assert server.asked == ["POST /apis/ray.io/v1/namespaces/science/rayjobs?fieldValidation=Strict"]


def test_a_check_has_the_server_check_without_keeping_anything(place, server):
    place.check(JOB)

    assert server.jobs == {}
    assert "dryRun=All" in server.asked[0]


def test_what_is_wrong_with_a_request_is_told_before_the_server_is_asked(place, server):
    with pytest.raises(UserError, match="directory of this machine"):
        place.check(job(root="/home/ada/runs"))

    assert server.asked == []


def test_asking_twice_starts_one(place, server):
    place.submit(JOB)
    first = server.jobs["science", NAME]["metadata"]["uid"]
    place.submit(JOB)

    assert server.jobs["science", NAME]["metadata"]["uid"] == first


def test_an_answer_that_is_lost_does_not_ask_twice(place, server):
    server.faults.next = ["lost"]
    place.submit(JOB)

    assert len(server.jobs) == 1
    assert [each.split()[0] for each in server.asked] == ["POST", "POST", "GET"]


def test_the_job_of_another_run_with_that_name_is_left_alone(place, server):
    place.submit(JOB)

    with pytest.raises(UserError, match=r"of another run \(run TrainFlow/1790000000000001\)"):
        place.submit(job(flow="OtherFlow"))
    with pytest.raises(UserError, match=r"of another run \(root s3://bucket/runs\)"):
        place.check(job(root="s3://elsewhere/runs"))
    assert [name for _, name in server.jobs] == [NAME]


def test_of_a_job_that_is_over_another_is_made_for_the_same_run(place, server):
    place.submit(JOB)
    first = server.jobs["science", NAME]["metadata"]["uid"]
    server.change("science", NAME, {"status": {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}})
    place.submit(JOB)

    assert server.jobs["science", NAME]["metadata"]["uid"] != first


@pytest.mark.parametrize(
    ("faults", "requests"),
    [([500], 2), ([503, 429, 500], 4), (["drop"], 2), (["hang"], 2)],
)
def test_what_passes_is_waited_for(place, server, faults, requests):
    server.faults.next = list(faults)
    place.submit(JOB)

    assert (len(server.jobs), len(server.asked)) == (1, requests)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([403], "You may not do this at the Kubernetes API at http://127.0.0.1"),
        ([401], "Log in again"),
        ([404], "KubeRay is not installed"),
        ([500] * 9, "answered 500, 4 times"),
        (["drop"] * 9, "Nobody answers for the Kubernetes API"),
        (["hang"] * 9, "Nobody answers for the Kubernetes API"),
    ],
)
def test_what_does_not_pass_is_told_with_the_way_out(place, server, faults, words):
    server.faults.next = list(faults)

    with pytest.raises(ClusterFault, match=words):
        place.submit(JOB)


def test_a_server_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(api, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "http://127.0.0.1:9"))

    with pytest.raises(ClusterFault, match=r"Nobody answers for the Kubernetes API at http://127.0.0.1:9"):
        KubeRay(options()).submit(JOB)


def test_a_wrong_token_is_told(tmp_path, server, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, server.url, token="another"))

    with pytest.raises(ClusterFault, match=r"Access to the Kubernetes API at .* was refused"):
        KubeRay(options()).check(JOB)


def test_a_namespace_that_is_not_there_is_told(server):
    with pytest.raises(ClusterFault, match='namespaces "nowhere" not found'):
        KubeRay(options(namespace="nowhere")).check(JOB)


def test_a_cluster_without_the_operator_is_told(place, server):
    server.has_kuberay = False

    with pytest.raises(ClusterFault, match="KubeRay is not installed"):
        place.check(JOB)


def test_what_the_server_refuses_is_the_users(place, server):
    server.faults.next = [422]

    with pytest.raises(UserError, match="This RayJob is not taken"):
        place.check(JOB)


def test_without_a_kubeconfig_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    with pytest.raises(UserError, match="set KUBECONFIG"):
        KubeRay(options()).check(JOB)


def test_a_context_that_is_not_there_is_told_with_those_that_are(server):
    with pytest.raises(UserError, match=r"no context 'prod'. It has standin"):
        KubeRay(options(context="prod")).check(JOB)


def test_stopping_deletes_the_job_and_what_is_gone_needs_no_stopping(place, server):
    place.submit(JOB)
    place.stop(JOB.id)
    place.stop(JOB.id)

    assert server.jobs == {}
    assert place.state(JOB.id).status is JobStatus.GONE
    assert place.output(JOB.id) == ""


def test_it_is_found_again_by_what_a_run_notes_of_it(server):
    said = options(namespace="default", volumes={"data": "/data"}, secrets=("login",), ttl_s=0, image="team/all:7")
    facts = KubeRay(said).facts
    found = platform_of(facts)

    assert facts["address"] == "standin/default"
    assert isinstance(found, KubeRay)
    assert {name: getattr(found.options, name) for name in ("namespace", "context", "volumes", "secrets", "ttl_s", "image")} == {
        "namespace": "default",
        "context": "standin",
        "volumes": {"data": "/data"},
        "secrets": ("login",),
        "ttl_s": 0,
        "image": "team/all:7",
    }


def test_what_a_start_waits_for_is_read_from_its_pods(place, server):
    place.submit(JOB)
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "team/all:7"'}
    pod = {
        "metadata": {"name": "head-0", "labels": {"rayflow.dev/run-id": JOB.run_id}},
        "spec": {"containers": [{"name": "ray-head"}]},
        "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
    }
    server.pods = [pod]
    state = place.state(JOB.id)

    assert (state.status, state.why) == (JobStatus.PENDING, 'Pod head-0: ImagePullBackOff: Back-off pulling image "team/all:7"')
