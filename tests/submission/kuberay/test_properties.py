"""Whatever is asked for, it is refused in words, or makes a manifest that keeps to the schema and to the operator's rules."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rayflow.model.errors import UserError
from rayflow.submission.kuberay.manifest import ray_job, rendered
from rayflow.submission.kuberay.rules import check
from tests.submission.kuberay.asking import cluster, container, groups, job, options, spec

ODD = ["a", "A_b", "a.b/c", "x" * 64, "", "--", "{{x}}", "${HOME}", "a b", "\n", "ünï", "null"]
TEXTS = st.text(max_size=70) | st.sampled_from(ODD)
PAIRS = st.dictionaries(TEXTS, TEXTS, max_size=2)
NUMBERS = st.integers(-1, 10**10) | st.floats() | st.sampled_from([0.1, 0.5, 1 / 3, 1e-9])


def nested(inner):
    return st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2)


ANYTHING = st.recursive(st.none() | st.booleans() | NUMBERS | TEXTS, nested, max_leaves=4)


def some(names, values, most=3):
    """Some of the names, each with a value."""
    return st.dictionaries(st.sampled_from(names.split()), values, max_size=most)


KUBERNETES = """image image_pull_policy image_pull_secrets service_account secrets node_selector namespace gpu_vendor tolerations labels
    annotations use_tmpfs tmpfs_tempdir tmpfs_size tmpfs_path persistent_volume_claims disk shared_memory port qos extended_resources
    security_context"""
NEEDS = {"cpu": NUMBERS, "gpu": NUMBERS, "memory": NUMBERS, "resources": st.dictionaries(TEXTS, NUMBERS, max_size=2)}
DECORATORS = {
    "kubernetes": some(KUBERNETES, ANYTHING),
    "resources": st.fixed_dictionaries({}, optional=NEEDS),
    "parallel": st.just({}),
}
STEPS = some("start a_b A_B end _x", st.fixed_dictionaries({}, optional=DECORATORS))
NAMES = dict.fromkeys(("namespace", "image", "service_account", "queue", "priority_class", "python"), TEXTS)
LISTS = {name: st.tuples(TEXTS) for name in ("install", "secrets", "image_pull_secrets")}
MAPPINGS = dict.fromkeys(("volumes", "node_selector", "labels", "annotations"), PAIRS)
SIZES = {name: st.integers(-1, 2**33) for name in ("max_pods", "deadline_s", "ttl_s", "idle_timeout_s")}
OTHERS = {
    "head_cpus": NUMBERS,
    "mode": st.sampled_from(["sidecar", "k8s-job"]),
    "runtime_env": some("pip uv env_vars working_dir py_modules config", ANYTHING),
}
OPTIONS = st.fixed_dictionaries({}, optional={**NAMES, **LISTS, **MAPPINGS, **SIZES, **OTHERS})
WITHIN = some("name env image key emptyDir volumeMounts", ANYTHING)
PARTS = "containers volumes tolerations nodeSelector restartPolicy initContainers hostNetwork priority x"
TEMPLATES = (
    st.fixed_dictionaries({"spec": some(PARTS, ANYTHING | st.lists(WITHIN, max_size=2))}, optional={"metadata": ANYTHING})
    | some("head workers spec metadata", ANYTHING)
    | st.just({})
)
JOB = dict.fromkeys(("run_id", "flow", "user"), TEXTS)
JOBS = st.fixed_dictionaries(
    {}, optional={**JOB, "root": TEXTS | st.just("s3://b/r"), "environ": PAIRS, "max_workers": st.none() | st.integers(-1, 10**12)}
)


def asked(steps, said, changes):
    """The manifest; None where it is refused."""
    try:
        manifest = ray_job(job({name: spec(**step) for name, step in steps.items()}, **changes), options(**said))
        check(manifest)
    except UserError as error:
        assert str(error)
        return None
    return manifest


def holds(manifest):
    """What must be so of each."""
    assert yaml.safe_load(rendered(manifest, "yaml")) == json.loads(rendered(manifest, "json")) == manifest
    assert manifest["spec"]["entrypoint"].split()[1:4] == ["-m", "rayflow", "drive"]
    assert cluster(manifest)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in groups(manifest).values():
        limits, requests = container(group)["resources"]["limits"], container(group)["resources"]["requests"]
        assert limits["memory"] == requests["memory"]
        assert 0 < group["maxReplicas"] < 2**31


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_of_any_steps(steps):
    manifest = asked(steps, {}, {})

    if manifest is not None:
        holds(manifest)


@settings(max_examples=200, deadline=None)
@given(OPTIONS, JOBS)
def test_of_any_options_and_jobs(said, changes):
    manifest = asked({}, said, changes)

    if manifest is not None:
        holds(manifest)


@settings(max_examples=200, deadline=None)
@given(TEMPLATES)
def test_of_any_pod_template(template):
    manifest = asked({}, {"pod_template": template}, {})

    if manifest is not None:
        holds(manifest)
