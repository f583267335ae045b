"""What is refused before anything is asked of a cluster: each with what is wrong, and where."""

from __future__ import annotations

import pytest

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.platform import KubeRay
from tests.submission.kuberay.asking import job, options, spec

_KUBE = "@kubernetes on step 'train'"
_POD = {"spec": {"containers": [{"name": "ray"}]}}


def _in_ray(**said):
    return {"pod_template": {"spec": {"containers": [{"name": "ray", **said}]}}}


def _kubernetes(**said):
    return {"train": spec(kubernetes=said)}


OPTIONS = [
    ({"namespace": "Science"}, "The namespace 'Science' is no name that Kubernetes takes"),
    ({"namespace": "n" * 64}, "at most 63 characters"),
    ({"image": "team/All Images"}, "'team/All Images' is no image. Give repository:tag"),
    ({"image": "rayproject/ray:2.40.0-py311"}, "has Ray 2.40.0, and this is Ray 2.60.0"),
    ({"image": "registry:5000/team/all:7-py39"}, "has Python 3.9, and this is Python 3.11"),
    ({"install": ("rayflow ; rm -rf /",)}, "is no requirement of a package"),
    ({"install": ("team @ https://ada:hunter2@pypi.team/all.whl",)}, "--install holds what looks like a secret"),
    ({"service_account": "-runner"}, "The service account '-runner' is no name"),
    ({"secrets": ("Login",)}, "The secret 'Login' is no name"),
    ({"image_pull_secrets": ("pull_me",)}, "The image pull secret 'pull_me' is no name"),
    ({"volumes": {"data": "relative"}}, "is to be mounted at 'relative'. Give an absolute path"),
    ({"volumes": {"data": "/dev/shm"}}, "is to be mounted at '/dev/shm'"),
    ({"volumes": {"data": "/data", "more": "/data/"}}, "data and more are both to be mounted at /data"),
    ({"node_selector": {"pool!": "big"}}, "--node-selector 'pool!' is no label of a node"),
    ({"labels": {"rayflow.dev/user": "eve"}}, "those of rayflow.dev are written by rayflow, Kueue or the operator"),
    ({"labels": {"kueue.x-k8s.io/queue-name": "mine"}}, "those of kueue.x-k8s.io are written"),
    ({"labels": {"why": "free text of many words"}}, "Free text goes into an annotation"),
    ({"annotations": {"login": "https://ada:hunter2@git.team/all"}}, "--annotation login holds what looks like a secret"),
    ({"queue_priority": "urgent"}, "means nothing without a queue"),
    ({"queue": "research"}, "admits a run as a whole, which then cannot grow: say how large it is to be"),
    ({"max_pods": 0}, "The number of pods is 0. Give a number from 1"),
    ({"head_memory_mb": 100}, "The head's memory in MB is 100"),
    ({"deadline_s": -1}, "The deadline in seconds is -1"),
    ({"start_deadline_s": 0}, "The deadline of the start in seconds is 0"),
    ({"mode": "http"}, "There is no submission mode 'http'. There are sidecar and k8s-job"),
    ({"auth": "token", "image": "rayproject/ray:2.51.0-py311", "ray_version": "2.51.0"}, "a token needs rayVersion 2.52 or later"),
    ({"runtime_env": {"working_dir": "."}}, "names '.', which is on this machine"),
    ({"runtime_env": {"pip": "requirements.txt"}}, "files of requirements do not travel"),
    ({"runtime_env": {"conda": {"dependencies": []}}}, "The runtime environment is conda's"),
    ({"runtime_env": {"env_vars": {"API_KEY": "k"}}}, "would write API_KEY, which looks like a secret"),
    ({"runtime_env": {"container": {}}}, "has 'container', which no job on Kubernetes can have"),
    ({"python": "python; curl evil"}, "is no program that a pod could call"),
]

TEMPLATES = [
    ({"pod_template": {"sepc": {}}}, "The pod template has 'sepc', which is no part of one"),
    ({"pod_template": {"head": _POD, "spec": {}}}, "has 'spec', which is no part of one"),
    ({"pod_template": {"spec": []}}, "The pod template's spec is no mapping"),
    ({"pod_template": {"metadata": {"name": "mine"}}}, r"may not say metadata.name: the operator names the pods"),
    ({"pod_template": {"metadata": {"labels": {"ray.io/group": "x"}}}}, "may not say metadata.labels 'ray.io/group'"),
    ({"pod_template": {"spec": {"restartPolicy": "Always"}}}, "may not say spec.restartPolicy"),
    ({"pod_template": {"spec": {"ephemeralContainers": []}}}, "may not say spec.ephemeralContainers"),
    ({"pod_template": {"spec": {"volumes": [{"name": "shared-memory", "emptyDir": {}}]}}}, "may not say volumes 'shared-memory'"),
    ({"pod_template": {"spec": {"containers": "ray"}}}, "The pod template's containers is no list of mappings"),
    ({"pod_template": {"spec": {"nodeSelectr": {"a": "b"}}}}, "there is no field 'nodeSelectr'"),
    ({"pod_template": {"spec": {"priority": "high"}}}, "priority: 'high' is not of type 'integer'"),
    ({"pod_template": {"spec": {"containers": [{"name": "side"}, {"name": "side", "imag": "x"}]}}}, "there is no field 'imag'"),
    (_in_ray(command=["sleep"]), "may not say container 'ray': command"),
    (_in_ray(image="other:1"), "may not say container 'ray': image: say --image"),
    (_in_ray(resources={"limits": {"cpu": "9"}}), "may not say container 'ray': resources"),
    (_in_ray(env=[{"name": "DB_PASSWORD", "value": "hunter2"}]), "would write DB_PASSWORD, which looks like a secret"),
    (_in_ray(env=[{"name": "RAY_ADDRESS", "value": "x"}]), "may not say container 'ray': the variable RAY_ADDRESS"),
    (_in_ray(volumeMounts=[{"name": "mine", "mountPath": "/dev/shm"}]), "may not say volumeMounts '/dev/shm'"),
    (_in_ray(lifecycle={"preStop": {"exec": {"command": "sleep"}}}), "'sleep' is not of type 'array'"),
]

STEPS = [
    (_kubernetes(compute_pool="gpus"), f"{_KUBE} has compute_pool, which rayflow does not use"),
    (_kubernetes(executable="/usr/bin/python3"), f"{_KUBE} has executable"),
    (_kubernetes(hostname_resolution_timeout=60), f"{_KUBE} has hostname_resolution_timeout"),
    (_kubernetes(namespace="elsewhere"), f"{_KUBE} asks for the namespace elsewhere"),
    (_kubernetes(image="rayproject/ray:2.60.1-py311"), "has Ray 2.60.1, and the head has Ray 2.60.0"),
    (_kubernetes(image_pull_policy="Sometimes"), "Give one of Always, IfNotPresent, Never"),
    (_kubernetes(node_selector="pool"), "Write it as key=value,key=value"),
    (_kubernetes(node_selector={"pool": 3}), "node_selector pool is 3, which is no text"),
    (_kubernetes(tolerations=[{"kye": "a"}]), "Give a list of mappings with some of effect, key, operator"),
    (_kubernetes(tolerations=[{"key": "a", "operator": "In"}]), "operator is Equal or Exists"),
    (_kubernetes(gpu=1, gpu_vendor="acme"), "Give one of nvidia, amd"),
    (_kubernetes(secrets=["Up"]), "secrets 'Up' is no name that Kubernetes takes"),
    (_kubernetes(labels={"k8s.io/x": "y"}), "labels 'k8s.io/x' cannot be given"),
    (_kubernetes(persistent_volume_claims={"data": "x"}), "is to be mounted at 'x'"),
    (_kubernetes(use_tmpfs="yes"), "use_tmpfs='yes'. Give True or False"),
    (_kubernetes(tmpfs_size="big"), "tmpfs_size='big'. Give a number"),
    (_kubernetes(disk=-5), "disk=-5. Give a number"),
    (_kubernetes(port=99999), "port=99999. Give a number from 1 to 65535"),
    (_kubernetes(qos="best"), "qos='best'. Give one of guaranteed, burstable"),
    (_kubernetes(extended_resources={"card": 1}), "Give a mapping of domain/name to whole numbers"),
    (_kubernetes(security_context={"root": True}), "Give a mapping with some of privileged"),
    (_kubernetes(security_context={"run_as_user": True}), "run_as_user cannot be True"),
    ({"train": spec(resources={"gpu": 1, "gpu_type": "A100"})}, "asks for GPUs of type A100, and every Kubernetes labels its nodes"),
    ({"train": spec(resources={"cpu": 1e9})}, "asks for cpu=1e+09, which no machine has"),
    ({"train": spec(resources={"resources": {"CPU": 2}})}, "asks for the resource 'CPU', which no worker group can offer"),
    ({"train": spec(resources={"resources": {'a"; reboot; "': 1}})}, "which no worker group can offer"),
]

JOBS = [
    ({"root": "/home/ada/.rayflow"}, "is a directory of this machine, which no pod reaches"),
    ({"root": "file:///home/ada"}, "is a directory of this machine, which no pod reaches"),
    ({"root": "memory://runs"}, "is in the memory of one process"),
    ({"root": "s3://key:hunter2@bucket/runs"}, "The root s3://... holds what looks like a secret"),
    ({"root": "s3://bucket/$(reboot)"}, "where it passes through a shell"),
    ({"root": "s3://bucket/my runs"}, "where it passes through a shell"),
    ({"run_id": "{{workflow.name}}"}, "Run id '{{workflow.name}}' cannot be used"),
    ({"run_id": "a" * 41}, "cannot be used"),
    ({"flow": "Train-Flow"}, "Flow name 'Train-Flow' cannot be used"),
    ({"deployment": "../x"}, "'../x' is no digest of a deployment"),
    ({"max_workers": 0}, "There are to be 0 tasks at once"),
    ({"environ": {"AWS_SECRET_ACCESS_KEY": "x"}}, "would write AWS_SECRET_ACCESS_KEY, which looks like a secret"),
    ({"environ": {"GITHUB_TOKEN": "x"}}, "would write GITHUB_TOKEN"),
    ({"environ": {"DB_URL": "postgres://ada:hunter2@db/x"}}, "would write DB_URL"),
    ({"environ": {"NAME WITH SPACES": "x"}}, "names a variable 'NAME WITH SPACES'"),
    ({"environ": {"RAY_ADDRESS": "auto"}}, "--env RAY_ADDRESS cannot be given"),
]


@pytest.mark.parametrize(("said", "words"), [*OPTIONS, *TEMPLATES], ids=lambda value: value if isinstance(value, str) else "")
def test_options_that_no_cluster_takes(server, said, words):
    _refused(server, words, lambda: KubeRay(options(**said)).check(job()))


@pytest.mark.parametrize(("steps", "words"), STEPS, ids=lambda value: value if isinstance(value, str) else "")
def test_steps_that_no_pod_can_have(server, steps, words):
    _refused(server, words, lambda: KubeRay(options(namespace="science")).check(job(steps)))


@pytest.mark.parametrize(("changes", "words"), JOBS, ids=lambda value: value if isinstance(value, str) else "")
def test_jobs_that_no_driver_could_have(server, changes, words):
    _refused(server, words, lambda: KubeRay(options()).check(job(**changes)))


def test_more_kinds_of_pods_than_a_queue_admits(server):
    steps = {f"s{cpus}": spec(resources={"cpu": cpus}) for cpus in range(1, 9)}

    _refused(server, "The steps need 8 kinds of pods", lambda: KubeRay(options(queue="research", max_pods=2)).check(job(steps)))


def _refused(server, words, ask):
    """What is asked raises a UserError with these words, does not repeat what is secret, and never gets as far as the server."""
    with pytest.raises(UserError) as error:
        ask()

    assert words in str(error.value)
    assert "hunter2" not in str(error.value)
    assert server.asked == []
