"""A user's pod template over the pods of a run."""

from __future__ import annotations

from rayflow.submission.kuberay.rules import check
from tests.submission.kuberay.asking import cluster, container, groups, made, pod, spec


def both(manifest):
    """The head's group, and the one worker group."""
    return cluster(manifest)["headGroupSpec"], groups(manifest)["start"]


def test_what_the_template_says_is_in_every_pod():
    template = {
        "metadata": {"labels": {"team": "ml"}, "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        "spec": {"securityContext": {"fsGroup": 1000}, "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}]},
    }
    manifest = made(pod_template=template)

    check(manifest)
    for group in both(manifest):
        assert group["template"]["metadata"]["labels"]["team"] == "ml"
        assert group["template"]["metadata"]["labels"]["rayflow.dev/flow"] == "TrainFlow"
        assert pod(group)["securityContext"] == {"fsGroup": 1000}
        assert pod(group)["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["db"]}]


def test_the_container_ray_is_rays_own_whatever_it_is_called_there():
    said = {"name": "ray", "env": [{"name": "LEVEL", "value": "debug"}], "lifecycle": {"preStop": {"exec": {"command": ["sync"]}}}}
    manifest = made(pod_template={"spec": {"containers": [said]}})

    check(manifest)
    for group in both(manifest):
        (of_ray,) = pod(group)["containers"]
        assert of_ray["lifecycle"] == said["lifecycle"]
        assert said["env"][0] in of_ray["env"]
        assert "image" in of_ray


def test_a_container_of_the_head_alone_is_not_in_workers():
    manifest = made(pod_template={"spec": {"containers": [{"name": "ray-head", "stdin": True}]}})
    head, worker = both(manifest)

    check(manifest)
    assert container(head)["stdin"]
    assert [each["name"] for each in pod(worker)["containers"]] == ["ray-worker"]
    assert "stdin" not in container(worker)


def test_head_and_workers_are_told_apart_where_the_template_does():
    template = {"head": {"spec": {"dnsPolicy": "Default"}}, "workers": {"spec": {"terminationGracePeriodSeconds": 60}}}
    manifest = made(pod_template=template)
    head, worker = both(manifest)

    check(manifest)
    assert (pod(head)["dnsPolicy"], "dnsPolicy" in pod(worker)) == ("Default", False)
    assert (pod(worker)["terminationGracePeriodSeconds"], "terminationGracePeriodSeconds" in pod(head)) == (60, False)


def test_more_containers_volumes_and_mounts_come_beside_ours():
    template = {
        "spec": {
            "containers": [
                {"name": "ray", "volumeMounts": [{"name": "certs", "mountPath": "/certs"}]},
                {"name": "proxy", "image": "team/proxy:1"},
            ],
            "initContainers": [{"name": "fetch", "image": "team/fetch:1"}],
            "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}],
        }
    }
    manifest = made(pod_template=template, volumes={"data": "/data"})

    check(manifest)
    for group in both(manifest):
        assert [each["name"] for each in pod(group)["containers"]][1:] == ["proxy"]
        assert [each["name"] for each in pod(group)["volumes"]] == ["shared-memory", "claim-0", "certs"]
        assert [each["mountPath"] for each in container(group)["volumeMounts"]] == ["/dev/shm", "/data", "/certs"]


def test_tolerations_add_up_and_other_lists_are_replaced():
    more = {"key": "spot", "operator": "Exists"}
    template = {"spec": {"tolerations": [more], "imagePullSecrets": [{"name": "second"}], "dnsConfig": {"searches": ["team.svc"]}}}
    manifest = made({"start": spec(resources={"gpu": 1})}, pod_template=template, image_pull_secrets=("first",))
    worker = groups(manifest)["start"]

    check(manifest)
    assert pod(worker)["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, more]
    assert pod(worker)["imagePullSecrets"] == [{"name": "first"}, {"name": "second"}]
    assert pod(worker)["dnsConfig"] == {"searches": ["team.svc"]}


def test_null_takes_something_away():
    manifest = made(pod_template={"spec": {"priorityClassName": None}}, priority_class="high")

    check(manifest)
    assert all("priorityClassName" not in pod(group) for group in both(manifest))


def test_a_secret_that_is_named_may_become_a_variable():
    reference = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    manifest = made(pod_template={"spec": {"containers": [{"name": "ray", "env": [reference]}]}})

    check(manifest)
    assert all(reference in container(group)["env"] for group in both(manifest))


def test_a_template_that_mounts_the_root_reaches_it():
    mount = {"name": "ray", "volumeMounts": [{"name": "nfs", "mountPath": "/nfs"}]}
    volume = {"name": "nfs", "nfs": {"server": "nfs.team", "path": "/runs"}}

    check(made(changes={"root": "/nfs/runs"}, pod_template={"spec": {"containers": [mount], "volumes": [volume]}}))


def test_the_template_of_the_user_is_left_as_it_was():
    template = {"spec": {"containers": [{"name": "ray", "env": [{"name": "A", "value": "1"}]}]}}
    made(pod_template=template)

    assert template == {"spec": {"containers": [{"name": "ray", "env": [{"name": "A", "value": "1"}]}]}}
