"""The RayJob that is made of what is asked for."""

from __future__ import annotations

import json

import pytest
import yaml

from rayflow.submission.kuberay.manifest import ray_job, rendered
from rayflow.submission.kuberay.rules import check
from rayflow.submission.placing import PLACEMENTS
from tests.submission.kuberay.asking import cluster, container, groups, job, made, options, pod, spec


def test_a_plain_run_is_one_job_whose_cluster_scales_from_nothing_and_goes_with_it():
    manifest = made(changes={"max_workers": 5})

    check(manifest)
    said = {key: value for key, value in manifest["spec"].items() if key != "rayClusterSpec"}
    assert said == {
        "entrypoint": "python -m rayflow drive TrainFlow/1790000000000001 --root s3://bucket/runs",
        "jobId": "rayflow-1790000000000001",
        "submissionMode": "SidecarMode",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 300,
        "backoffLimit": 0,
        "preRunningDeadlineSeconds": 1800,
        "runtimeEnvYAML": "pip:\n- rayflow==0.1.0\n",
    }
    assert cluster(manifest)["rayVersion"] == "2.60.0"
    assert cluster(manifest)["autoscalerOptions"] == {"version": "v2", "idleTimeoutSeconds": 60}
    assert {name: (each["replicas"], each["minReplicas"], each["maxReplicas"]) for name, each in groups(manifest).items()} == {
        "start": (0, 0, 5)
    }


def test_no_task_lands_on_the_head():
    assert cluster(made())["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_all_pods_have_as_much_memory_as_they_ask_for_and_shared_memory_for_objects():
    head, worker = cluster(made())["headGroupSpec"], groups(made())["start"]

    for group in (head, worker):
        resources = container(group)["resources"]
        assert resources["requests"] == resources["limits"]
        assert pod(group)["volumes"][0] == {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "921Mi"}}
        assert container(group)["volumeMounts"][0] == {"name": "shared-memory", "mountPath": "/dev/shm"}
        assert pod(group)["restartPolicy"] == "Never"


def test_each_shape_is_a_group_named_by_its_first_step():
    manifest = made(
        {
            "start": spec(),
            "load_all": spec(resources={"cpu": 4, "memory": 8000}),
            "train": spec(kubernetes={"gpu": 2}),
            "again": spec(resources={"cpu": 4, "memory": 8000}),
            "end": spec(),
        }
    )

    check(manifest)
    assert {name: each["rayStartParams"]["num-cpus"] for name, each in groups(manifest).items()} == {
        "start": "1",
        "load-all": "4",
        "train": "1",
    }


def test_a_pod_has_room_for_ray_beside_the_memory_of_its_task():
    group = groups(made({"start": spec(resources={"memory": 8000})}))["start"]

    assert group["rayStartParams"]["memory"] == str(8000 * 2**20)
    assert container(group)["resources"]["limits"]["memory"] == f"{8000 + 2400 + 1024}Mi"


def test_a_gpu_is_a_limit_a_toleration_and_an_image_that_has_its_libraries():
    manifest = made({"start": spec(resources={"gpu": 2}), "end": spec()})
    group = groups(manifest)["start"]

    check(manifest)
    assert container(group)["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert pod(group)["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert container(group)["image"] == "rayproject/ray:2.60.0-py311-gpu"
    assert container(groups(manifest)["end"])["image"] == "rayproject/ray:2.60.0-py311"
    assert group["rayStartParams"]["num-gpus"] == "2"


def test_gpus_of_a_type_are_offered_by_pods_that_are_told_where_to_be():
    asked = {
        "resources": {"gpu": 1, "gpu_type": "A100"},
        "kubernetes": {"node_selector": {"cloud.google.com/gke-accelerator": "nvidia-a100"}},
    }
    manifest = made({"start": spec(**asked)})
    group = groups(manifest)["start"]

    check(manifest)
    assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {"accelerator_type:A100": 1}
    assert pod(group)["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-a100"}


def test_tasks_of_half_a_gpu_share_a_pod_that_has_what_both_need():
    group = groups(made({"start": spec(resources={"gpu": 0.5, "cpu": 2, "memory": 1000})}, changes={"max_workers": 5}))["start"]

    assert container(group)["resources"]["limits"] == {"cpu": "4", "memory": f"{2000 + 600 + 1024}Mi", "nvidia.com/gpu": "1"}
    assert group["maxReplicas"] == 3


def test_tasks_of_a_tenth_of_a_cpu_share_one():
    group = groups(made({"start": spec(resources={"cpu": 0.1})}, changes={"max_workers": 20}))["start"]

    assert (container(group)["resources"]["limits"]["cpu"], group["maxReplicas"]) == ("1", 3)


def test_the_nodes_of_a_gang_are_pods_whatever_the_number_of_tasks_at_once():
    group = groups(made({"start": spec(parallel={}, resources={"gpu": 0.5})}, changes={"max_workers": 2}))["start"]

    assert (container(group)["resources"]["limits"]["cpu"], group["maxReplicas"]) == ("1", 16)


def test_a_group_offers_the_custom_resources_of_its_tasks():
    group = groups(made({"start": spec(resources={"resources": {"licence": 2}})}))["start"]

    assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {"licence": 2}


def test_steps_of_different_images_come_into_their_own_pods():
    manifest = made({"start": spec(), "train": spec(kubernetes={"image": "team/train:1"})})

    check(manifest)
    told = {each["name"]: each["value"] for each in container(cluster(manifest)["headGroupSpec"])["env"]}
    asked = json.loads(told[PLACEMENTS])
    assert told["RAYFLOW_USER"] == "ada"
    assert asked == {"start": {"rayflow-pods-start": 0.0001}, "train": {"rayflow-pods-train": 0.0001}}
    for step, group in groups(manifest).items():
        assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {f"rayflow-pods-{step}": 1}


def test_where_any_pod_will_do_nothing_is_said_of_places():
    manifest = made({"start": spec(), "train": spec(resources={"cpu": 3})})

    assert PLACEMENTS not in {each["name"] for each in container(cluster(manifest)["headGroupSpec"])["env"]}


def test_what_kubernetes_says_of_a_step_is_in_its_pods_alone():
    asked = {
        "image": "registry:5000/team/train:3",
        "image_pull_policy": "Always",
        "image_pull_secrets": ["registry-login"],
        "service_account": "trainer",
        "secrets": "database,feature-store",
        "node_selector": "pool=big,zone=a",
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}],
        "labels": {"team": "ml"},
        "annotations": {"why": "the long one"},
        "persistent_volume_claims": {"scratch": "/scratch"},
        "gpu": 1,
        "gpu_vendor": "amd",
        "disk": 20000,
        "shared_memory": 2000,
        "use_tmpfs": True,
        "tmpfs_size": 500,
        "tmpfs_path": "/fast",
        "port": 9000,
        "qos": "Burstable",
        "extended_resources": {"vendor.com/card": 1},
        "security_context": {"run_as_user": 1000, "privileged": False},
    }
    manifest = made({"start": spec(), "train": spec(kubernetes=asked)})
    group = groups(manifest)["train"]
    inside, of_ray = pod(group), container(group)

    check(manifest)
    assert {key: inside[key] for key in ("serviceAccountName", "imagePullSecrets", "nodeSelector")} == {
        "serviceAccountName": "trainer",
        "imagePullSecrets": [{"name": "registry-login"}],
        "nodeSelector": {"pool": "big", "zone": "a"},
    }
    assert inside["tolerations"][1] == {"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
    assert group["template"]["metadata"]["labels"]["team"] == "ml"
    assert group["template"]["metadata"]["annotations"]["why"] == "the long one"
    assert [(each["name"], each["mountPath"]) for each in of_ray["volumeMounts"]] == [
        ("shared-memory", "/dev/shm"),
        ("tmpfs", "/fast"),
        ("claim-0", "/scratch"),
    ]
    assert of_ray["resources"] == {
        "requests": {"cpu": "1", "memory": "4596Mi", "ephemeral-storage": "20000Mi", "amd.com/gpu": "1", "vendor.com/card": "1"},
        "limits": {"memory": "4596Mi", "ephemeral-storage": "20000Mi", "amd.com/gpu": "1", "vendor.com/card": "1"},
    }
    assert {key: of_ray[key] for key in ("image", "imagePullPolicy", "envFrom", "ports", "securityContext", "env")} == {
        "image": "registry:5000/team/train:3",
        "imagePullPolicy": "Always",
        "envFrom": [{"secretRef": {"name": "database"}}, {"secretRef": {"name": "feature-store"}}],
        "ports": [{"name": "step", "containerPort": 9000}],
        "securityContext": {"runAsUser": 1000, "privileged": False},
        "env": [{"name": "TMPDIR", "value": "/fast"}, {"name": "RAY_TMPDIR", "value": "/tmp"}],
    }
    assert "nodeSelector" not in pod(groups(manifest)["start"])


def test_what_is_said_of_the_run_is_in_all_its_pods():
    manifest = made(
        changes={"environ": {"LEVEL": "debug"}},
        namespace="science",
        image="team/all:7",
        service_account="runner",
        secrets=("bucket-login",),
        image_pull_secrets=("registry-login",),
        volumes={"shared": "/shared"},
        node_selector={"pool": "big"},
        priority_class="high",
        labels={"team": "ml"},
        deadline_s=3600,
        mode="k8s-job",
        auth="token",
    )

    check(manifest)
    assert manifest["metadata"]["namespace"] == "science"
    assert (manifest["spec"]["activeDeadlineSeconds"], manifest["spec"]["submissionMode"]) == (3600, "K8sJobMode")
    assert "runtimeEnvYAML" not in manifest["spec"]
    assert cluster(manifest)["authOptions"] == {"mode": "token"}
    for group in (cluster(manifest)["headGroupSpec"], groups(manifest)["start"]):
        assert pod(group)["serviceAccountName"] == "runner"
        assert pod(group)["priorityClassName"] == "high"
        assert pod(group)["nodeSelector"] == {"pool": "big"}
        assert container(group)["image"] == "team/all:7"
        assert container(group)["env"][0] == {"name": "LEVEL", "value": "debug"}
        assert container(group)["envFrom"] == [{"secretRef": {"name": "bucket-login"}}]
        assert group["template"]["metadata"]["labels"]["team"] == "ml"


def test_a_queue_admits_a_job_of_full_size_that_does_not_scale_itself():
    manifest = made(queue="research", queue_priority="urgent", max_pods=3)

    check(manifest)
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "urgent"
    assert "enableInTreeAutoscaling" not in cluster(manifest)
    assert "suspend" not in manifest["spec"]
    assert [groups(manifest)["start"][key] for key in ("replicas", "minReplicas", "maxReplicas")] == [3, 3, 3]


@pytest.mark.parametrize(
    ("said", "installed"),
    [
        ({}, ["rayflow==0.1.0"]),
        ({"install": ("gcsfs>=2024.1",)}, ["rayflow==0.1.0", "gcsfs>=2024.1"]),
        ({"install": ("rayflow[gcp]==0.1.0",)}, ["rayflow[gcp]==0.1.0"]),
        ({"image": "team/all:7", "install": ("polars",)}, ["polars"]),
    ],
)
def test_the_job_installs_this_rayflow_where_the_image_is_rays_own(said, installed):
    assert yaml.safe_load(made(**said)["spec"]["runtimeEnvYAML"]) == {"pip": installed}


def test_labels_tell_whose_it_is_and_annotations_tell_it_in_full():
    user = "ada.lovelace+" + "x" * 60 + "@example.com"
    metadata = made(changes={"user": user, "run_id": "Nightly_Run"})["metadata"]

    assert metadata["name"].startswith("rayflow-nightly-run-")
    assert metadata["annotations"] == {
        "rayflow.dev/run": "TrainFlow/Nightly_Run",
        "rayflow.dev/root": "s3://bucket/runs",
        "rayflow.dev/user": user,
    }
    labels = metadata["labels"]
    assert (labels["rayflow.dev/flow"], labels["rayflow.dev/run-id"]) == ("TrainFlow", "Nightly_Run")
    assert len(labels["rayflow.dev/user"]) <= 63


def test_the_names_of_different_runs_differ_however_long_they_are():
    ids = ["a" * 40, "a" * 39 + "b", "A" * 40, "a-b", "a_b", "A_b"]
    names = [made(changes={"run_id": run_id})["metadata"]["name"] for run_id in ids]

    assert len(set(names)) == len(ids)
    for run_id in ids:
        check(made(changes={"run_id": run_id}))


def test_a_schedulers_expression_stays_as_it_is():
    manifest = ray_job(job(run_id="{{workflow.name}}", deployment="abc123"), options())

    check(manifest)
    assert manifest["metadata"]["name"] == "rayflow-{{workflow.name}}"
    assert manifest["metadata"]["labels"]["rayflow.dev/run-id"] == "{{workflow.name}}"
    assert manifest["spec"]["entrypoint"].split() == [
        *("python", "-m", "rayflow", "drive", "TrainFlow/{{workflow.name}}", "--root", "s3://bucket/runs", "--deployment", "abc123")
    ]


def test_a_root_on_a_volume_of_all_pods_is_reached():
    check(made(changes={"root": "/shared/runs"}, volumes={"team": "/shared"}))


def test_both_forms_say_the_same_without_anchors():
    manifest = made(secrets=("one",), labels={"team": "ml"})

    assert yaml.safe_load(rendered(manifest, "yaml")) == json.loads(rendered(manifest, "json")) == manifest
    assert "&" not in rendered(manifest, "yaml")


def test_the_same_asked_twice_is_the_same_manifest():
    assert rendered(made(), "yaml") == rendered(made(), "yaml")
