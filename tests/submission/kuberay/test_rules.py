"""The operator's rules and the schema, on objects that break one each."""

from __future__ import annotations

from copy import deepcopy

import pytest

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.rules import check
from tests.submission.kuberay.asking import cluster, made, spec


def changed(*path, to, manifest=None):
    """A good manifest with the value at the path replaced; Ellipsis takes it away."""
    result = deepcopy(manifest or made())
    place = result
    for each in path[:-1]:
        place = place[each]
    if to is ...:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = to
    return result


CLUSTER = ("spec", "rayClusterSpec")
GROUP = (*CLUSTER, "workerGroupSpecs", 0)
HEAD = (*CLUSTER, "headGroupSpec")
BROKEN = {
    "a name of 48 characters": (changed("metadata", "name", to="r" * 48), "is no name of a RayJob: at most 47"),
    "a name that begins with a digit": (changed("metadata", "name", to="1run"), "beginning with a letter"),
    "no cluster": (changed(*CLUSTER, to=...), "exactly one of rayClusterSpec and clusterSelector"),
    "a cluster and a selector": (changed("spec", "clusterSelector", to={"a": "b"}), "exactly one of"),
    "an unknown mode": (changed("spec", "submissionMode", to="Sidecar"), "'Sidecar' is none of SidecarMode, K8sJobMode"),
    "a sidecar and a pod to submit": (
        changed("spec", "submitterPodTemplate", to={"spec": {"containers": [{"name": "s"}]}}),
        "spec.submitterPodTemplate: SidecarMode has none",
    ),
    "a head that is started again": (changed(*HEAD, "template", "spec", "restartPolicy", to="Always"), "SidecarMode needs Never"),
    "a worker that is started again": (changed(*GROUP, "template", "spec", "restartPolicy", to="OnFailure"), "autoscaler v2 needs Never"),
    "a time to live without an end": (changed("spec", "shutdownAfterJobFinishes", to=False), "it needs shutdownAfterJobFinishes"),
    "rules of deletion beside": (
        changed("spec", "deletionStrategy", to={"deletionRules": [{"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED"}}]}),
        "are not given beside them",
    ),
    "a negative number of retries": (changed("spec", "backoffLimit", to=-1), "spec.backoffLimit: it is negative"),
    "no deadline at all": (changed("spec", "activeDeadlineSeconds", to=0), "it is not positive"),
    "no entrypoint": (changed("spec", "entrypoint", to=" "), "spec.entrypoint: there is none"),
    "a token of an old Ray": (
        changed(*CLUSTER, "rayVersion", to="2.51.0", manifest=made(auth="token")),
        "a token needs rayVersion 2.52 or later, and it is '2.51.0'",
    ),
    "more at least than at most": (changed(*GROUP, "minReplicas", to=99), "leave nothing between them"),
    "no container": (changed(*GROUP, "template", "spec", "containers", to=[]), "its pod has no container"),
    "two groups of a name": (
        changed(*CLUSTER, "workerGroupSpecs", to=cluster(made())["workerGroupSpecs"] * 2),
        "there are two called 'start'",
    ),
    "a suspended job in a queue": (
        changed("spec", "suspend", to=True, manifest=made(queue="q", max_pods=1)),
        "spec.suspend: Kueue sets it",
    ),
    "a growing job in a queue": (
        changed(*CLUSTER, "enableInTreeAutoscaling", to=True, manifest=made(queue="q", max_pods=1)),
        "Kueue admits no job that scales itself",
    ),
    "an unknown field": (changed("spec", "retries", to=3), "spec: there is no field 'retries'"),
    "a field that is deep and unknown": (
        changed(*GROUP, "template", "spec", "containers", 0, "resources", "limit", to={}),
        "spec.rayClusterSpec.workerGroupSpecs[0].template.spec.containers[0].resources: there is no field 'limit'",
    ),
    "a number beyond 32 bits": (changed(*GROUP, "maxReplicas", to=2**31), "2147483648 is greater than the maximum"),
    "a text for a number": (changed("spec", "ttlSecondsAfterFinished", to="300"), "'300' is not of type 'integer'"),
    "a number for a text": (changed(*GROUP, "rayStartParams", "num-cpus", to=1), "1 is not of type 'string'"),
    "an unknown policy": (changed(*CLUSTER, "autoscalerOptions", "version", to="v3"), "'v3' is not one of"),
    "no quantity": (
        changed(*GROUP, "template", "spec", "containers", 0, "resources", "limits", "memory", to="4 GB"),
        "'4 GB' does not match",
    ),
    "nothing where something is": (changed(*GROUP, "template", "spec", "serviceAccountName", to=None), "None is not of type 'string'"),
    "another kind": (changed("kind", to="Deployment"), "'Deployment' is none of RayJob, RayCronJob, RayCluster"),
    "another version": (changed("apiVersion", to="ray.io/v1alpha1"), "'ray.io/v1alpha1' is not one of"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_each_is_told_with_its_place(broken):
    manifest, words = BROKEN[broken]

    with pytest.raises(UserError) as error:
        check(manifest)

    assert words in str(error.value)
    assert str(error.value).startswith("This ")


def test_a_job_on_a_cluster_that_exists_has_no_sidecar_and_no_retries():
    manifest = changed(*CLUSTER, to=..., manifest=changed("spec", "clusterSelector", to={"ray.io/cluster": "team"}))
    manifest["spec"] |= {"backoffLimit": 2}

    with pytest.raises(UserError) as error:
        check(manifest)

    assert "spec.backoffLimit: a job on a cluster that exists" in str(error.value)
    assert "SidecarMode needs a cluster of its own" in str(error.value)


def test_what_is_wrong_ten_times_over_is_told_ten_times():
    manifest = made({f"s{cpus}": spec(resources={"cpu": cpus}) for cpus in range(1, 13)})
    for group in cluster(manifest)["workerGroupSpecs"]:
        group["numberOfHosts"] = 1

    with pytest.raises(UserError, match="and 2 more"):
        check(manifest)


def cron(**said):
    job = made()
    spec = {"schedule": "0 3 * * *", "timeZone": "Europe/Berlin", "jobTemplate": job["spec"]}
    return {"apiVersion": "ray.io/v1", "kind": "RayCronJob", "metadata": {"name": "nightly"}, "spec": {**spec, **said}}


def test_a_cron_job_has_a_job_in_it_and_a_short_name():
    check(cron())
    for said, words in (
        ({"schedule": "TZ=UTC 0 3 * * *"}, "it names a time zone"),
        ({"schedule": "every day"}, "is no schedule"),
        ({"jobTemplate": {**cron()["spec"]["jobTemplate"], "submissionMode": "x"}}, "'x' is none of"),
    ):
        with pytest.raises(UserError, match=words):
            check(cron(**said))
    with pytest.raises(UserError, match="at most 36"):
        check({**cron(), "metadata": {"name": "n" * 37}})


def test_a_cluster_by_itself_has_rules_too():
    whole = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "team"}, "spec": cluster(made())}

    check(whole)
    with pytest.raises(UserError, match="at most 53"):
        check({**whole, "metadata": {"name": "t" * 54}})
