"""What Ray's own autoscaler reads from the manifests: it must know of each group what its pods will offer, before there is one."""

from __future__ import annotations

import json

from rayflow.executors.room import NodeKind, Room
from rayflow.submission.kuberay.groups import placements, worker_groups
from tests.submission.kuberay.asking import cluster, job, made, options, spec


def read_by_ray(manifest):
    """By group: what its nodes have, and how many there may be."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    spec = {"metadata": {"name": "c", "namespace": "n"}, "spec": cluster(manifest)}
    types = _derive_autoscaling_config_from_ray_cr(spec)["available_node_types"]
    return {name: (each["resources"], each["min_workers"], each["max_workers"]) for name, each in types.items()}


STEPS = {
    "start": spec(),
    "fit": spec(resources={"cpu": 3, "memory": 8000, "resources": {"licence": 2}}),
    "train": spec(kubernetes={"gpu": 0.5, "image": "team/train:1"}),
}


def test_ray_reads_what_each_pod_offers():
    found = read_by_ray(made(STEPS, changes={"max_workers": 6}))

    assert found["headgroup"] == ({"CPU": 0, "memory": 4096 * 2**20}, 0, 0)
    assert found["fit"] == ({"CPU": 3, "GPU": 0, "memory": 8000 * 2**20, "licence": 2, "rayflow-pods-fit": 1}, 0, 6)
    assert found["train"] == ({"CPU": 2, "GPU": 1, "memory": 2151 * 2**20, "rayflow-pods-train": 1}, 0, 3)


def test_each_steps_tasks_fit_the_pods_of_its_own_group_and_no_others():
    asked = placements(worker_groups(job(STEPS), options()))
    kinds = {name: NodeKind(resources, most) for name, (resources, _, most) in read_by_ray(made(STEPS)).items()}

    for step, said in STEPS.items():
        needs = type(said.resources)(
            said.resources.cpus, said.resources.gpus, said.resources.memory_nbytes, {**said.resources.custom, **asked[step]}
        )
        assert [name for name, kind in kinds.items() if Room(kinds=[kind]).most(needs) > 0] == [step]


def test_the_driver_is_told_of_the_pods_that_may_come_as_ray_reads_them():
    manifest = made(STEPS, changes={"max_workers": 6})
    container = cluster(manifest)["headGroupSpec"]["template"]["spec"]["containers"][0]
    told = json.loads(next(each["value"] for each in container["env"] if each["name"] == "RAYFLOW_NODE_KINDS"))

    read = {name: ({**resources, "most": most}) for name, (resources, _, most) in read_by_ray(manifest).items() if name != "headgroup"}
    assert told == list(read.values())
