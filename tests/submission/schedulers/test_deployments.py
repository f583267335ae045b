"""A deployment keeps what a flow is when it is deployed, and makes runs of it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from rayflow.catalog import wire
from rayflow.catalog.deployed import Deployed, all_deployed, authorized_token, deployed_as, note, standing
from rayflow.catalog.deployments import read_deployment
from rayflow.model.errors import RayflowNotFound, StoreCorrupt, UsageError, UserError
from rayflow.submission.deploying import dns_name
from rayflow.submission.deployments import TRIGGERS, begun, given_in
from rayflow.upkeep import plan_gc

DAY_US = 24 * 3600 * 1_000_000


def parameters(store, record):
    from rayflow.store.blobs import Blobs

    blobs = Blobs(store, record.flow, record.run_id)
    return {name: blobs.load(artifact, name) for name, artifact in record.parameters.items()}


DEFAULTS = {
    "alpha": 0.1,
    "n_trees": 5,
    "words": ["a", "b"],
    "spec": {"x": [1, 2]},
    "note": None,
    "deep": True,
    "who": "by ada",
    "notes": "some notes",
}


def test_a_run_has_the_defaults_that_were_computed_when_the_flow_was_deployed(shipped, store, tmp_path):
    digest = shipped().digest
    (tmp_path / "notes.txt").unlink()
    next(tmp_path.glob("code-*/train.py")).unlink()

    record = begun(store, "TrainFlow", digest, "cron-1", {})

    assert parameters(store, record) == DEFAULTS
    assert (record.user, record.facts["namespace"], record.launcher) == ("ada", "production:token-of-ada", None)
    assert {"runtime:cron", "production:token-of-ada", "user:ada"} <= set(record.system_tags)


def test_what_is_given_has_the_type_of_its_parameter_as_a_text_and_as_json(shipped, store):
    digest = shipped().digest
    as_text = {"alpha": "0.5", "n-trees": "7", "words": "c,d", "spec": '{"y": 1}', "note": "n", "deep": "false", "who": "me"}
    as_json = {"alpha": 0.5, "n-trees": 7, "words": "c,d", "spec": {"y": 1}, "note": "n", "deep": False, "who": "me"}

    records = [begun(store, "TrainFlow", digest, run_id, given) for run_id, given in (("run-1", as_text), ("run-2", as_json))]

    expected = DEFAULTS | {"alpha": 0.5, "n_trees": 7, "words": ["c", "d"], "spec": {"y": 1}, "note": "n", "deep": False, "who": "me"}
    assert [parameters(store, record) for record in records] == [expected, expected]


def test_a_default_that_comes_back_as_the_scheduler_shows_it_is_the_default(shipped, store):
    shipment = shipped()
    shown = {parameter.name: parameter.shown for parameter in shipment.deployment.parameters}

    record = begun(store, "TrainFlow", shipment.digest, "run-1", shown)

    assert shown["spec"] == '{"x": [1, 2]}'
    assert parameters(store, record) == DEFAULTS


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"alhpa": 1}, "no Parameter 'alhpa'"),
        ({"alpha": "much"}, "'much' is not a valid float"),
        ({"deep": "perhaps"}, "'perhaps' is not a valid boolean"),
        ({"spec": "{"}, "not a valid JSON"),
        ({"notes": "/etc/passwd"}, "IncludeFile 'notes'"),
    ],
)
def test_what_a_parameter_does_not_take_is_refused_before_there_is_a_run(shipped, store, given, words):
    digest = shipped().digest

    with pytest.raises(UsageError, match=words):
        begun(store, "TrainFlow", digest, "run-1", given)

    assert not os.path.exists(f"{store.url}/TrainFlow/runs/run-1/run.json")


def test_a_parameter_that_has_to_be_given_is_asked_for(shipped, store):
    digest = shipped(fields='must = Parameter("must", required=True, type=str)').digest

    with pytest.raises(UsageError, match="'must' of TrainFlow is required"):
        begun(store, "TrainFlow", digest, "run-1", {})
    assert parameters(store, begun(store, "TrainFlow", digest, "run-2", {"must": ""}))["must"] == ""


def test_who_starts_a_run_twice_goes_on_with_it_unless_other_things_are_given(shipped, store):
    digest = shipped().digest
    first = begun(store, "TrainFlow", digest, "run-1", {"alpha": "0.5"})

    assert begun(store, "TrainFlow", digest, "run-1", {"alpha": 0.5}) == first
    with pytest.raises(UsageError, match="Run id 'run-1' exists with other code or parameters"):
        begun(store, "TrainFlow", digest, "run-1", {})


def test_what_started_a_run_is_told_by_it(shipped, store):
    record = begun(store, "TrainFlow", shipped().digest, "run-1", {TRIGGERS: "event:data_ready "})

    assert [(event["name"], event["type"]) for event in record.facts["trigger"]] == [("data_ready", "event")]
    with pytest.raises(RayflowNotFound):
        begun(store, "TrainFlow", shipped().digest, "run-2", {TRIGGERS: "Upstream/wf-1 "})


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "null"])
def test_a_variable_that_holds_no_parameters_is_named(text):
    with pytest.raises(UsageError, match="The variable RAYFLOW_PARAMETERS"):
        given_in({"RAYFLOW_PARAMETERS": text})
    assert given_in({"RAYFLOW_PARAMETERS": ""}) == given_in({}) == {}


def test_large_plain_values_become_files_of_the_run(shipped, store, tmp_path, train):
    train()
    (tmp_path / "notes.txt").write_text("n" * 100_000)

    record = begun(store, "TrainFlow", shipped().digest, "run-1", {})

    assert record.parameters["notes"].blob is not None
    assert len(parameters(store, record)["notes"]) == 100_000


# -- what cannot be deployed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "fields", "words"),
    [
        (
            "@schedule(daily=True)",
            'must = Parameter("must", required=True, type=str)',
            "'must' of TrainFlow is required and has no",
        ),
        ("@schedule(daily=True, timezone='Europe/Berln')", "", "no time zone 'Europe/Berln'"),
        ("@schedule(cron='0 6 * *')", "", "five fields"),
        ("", "BIG = b'x' * (17 << 20)", "'BIG' is the largest"),
        ("", "OTHER = Parameter('Alpha', default=1)", "specified twice"),
    ],
)
def test_what_a_deployment_cannot_carry_is_refused_by_name(shipped, above, fields, words):
    with pytest.raises(UserError, match=words):
        shipped(above, fields)


def test_a_project_makes_the_name(shipped):
    mine, production = shipped("@project(name='fraud')"), shipped("@project(name='fraud')", is_production=True)

    assert (mine.deployment.name, production.deployment.name) == ("fraud.user.ada.TrainFlow", "fraud.prod.TrainFlow")
    assert production.deployment.draft.facts["current"]["is_production"] is True


@pytest.mark.parametrize(
    ("above", "cron"),
    [
        ("@schedule(cron='1 2 * * *', weekly=True)", "1 2 * * *"),
        ("@schedule(weekly=True, hourly=True)", "0 0 * * 0"),
        ("@schedule(hourly=True)", "0 * * * *"),
        ("@schedule", "0 0 * * *"),
        ("@schedule(daily=False)", None),
        ("", None),
    ],
)
def test_the_schedule_that_counts(shipped, above, cron):
    assert shipped(above).deployment.cron == cron


# -- on the root ---------------------------------------------------------------------------------------------------------


def test_the_same_flow_deployed_twice_is_one_deployment(shipped, store):
    one, other = shipped(), shipped()

    assert one.digest == other.digest
    assert wire.dumps(read_deployment(store, "TrainFlow", one.digest).to_json()) == wire.dumps(one.deployment.to_json())


def test_a_damaged_or_missing_deployment_is_named(shipped, store):
    digest = shipped().digest
    path = f"{store.url}/TrainFlow/deployments/{digest}.json"
    text = open(path).read()
    with open(path, "w") as file:
        file.write(text.replace("ada", "eve", 1))

    with pytest.raises(StoreCorrupt, match=digest):
        begun(store, "TrainFlow", digest, "run-1", {})
    os.remove(path)
    with pytest.raises(RayflowNotFound, match="was deleted, or deployed to another root"):
        begun(store, "TrainFlow", digest, "run-1", {})


def test_the_last_that_was_put_under_a_name_holds(store):
    first = note(store, Deployed("TrainFlow", "cron", "nightly", "1" * 64, "token", "ada", facts={"id": "x"}))
    second = note(store, replace(first, digest="2" * 64))

    assert deployed_as(store, "TrainFlow", "cron", "nightly") == second
    assert (all_deployed(store, "TrainFlow"), standing(store, "TrainFlow")) == ([second], {"1" * 64, "2" * 64})
    with pytest.raises(UserError, match="Somebody else deployed 'nightly' at the same moment"):
        note(store, first)
    note(store, replace(second, digest=None))
    assert (all_deployed(store, "TrainFlow"), standing(store, "TrainFlow")) == ([], set())


def test_what_another_user_deployed_is_replaced_with_their_token_only():
    known = Deployed("TrainFlow", "cron", "nightly", "1" * 64, "the-token", "ada")

    assert authorized_token(known, "nightly", "ada", None) == authorized_token(known, "nightly", "bob", "the-token") == "the-token"
    with pytest.raises(UserError, match=r"'nightly' was deployed by ada.*--authorize TOKEN"):
        authorized_token(known, "nightly", "bob", None)
    with pytest.raises(UserError, match="'guess' is not the production token of 'nightly'"):
        authorized_token(known, "nightly", "bob", "guess")
    assert authorized_token(replace(known, digest=None), "nightly", "bob", None).startswith("nightly-")


def test_gc_keeps_what_stands_under_a_name_and_takes_the_rest_after_a_day(shipped, store):
    kept, left = shipped(), shipped("@schedule(hourly=True)")
    note(store, Deployed("TrainFlow", "cron", "nightly", kept.digest, "token", "ada"))
    record = begun(store, "TrainFlow", kept.digest, "run-1", {})
    now_us = record.created_us + 2 * DAY_US

    plan_gc(store, now_us=record.created_us, deletes=True)
    assert read_deployment(store, "TrainFlow", left.digest)
    plan_gc(store, now_us=now_us, deletes=True)

    assert read_deployment(store, "TrainFlow", kept.digest)
    assert os.path.exists(f"{store.url}/TrainFlow/code/{kept.deployment.draft.code}.zip")
    assert not os.path.exists(f"{store.url}/TrainFlow/code/{left.deployment.draft.code}.zip")
    with pytest.raises(RayflowNotFound):
        read_deployment(store, "TrainFlow", left.digest)


def test_gc_leaves_a_flow_alone_whose_deployment_it_cannot_read(shipped, store):
    digest = shipped().digest
    note(store, Deployed("TrainFlow", "cron", "nightly", digest, "token", "ada"))
    record = begun(store, "TrainFlow", digest, "run-1", {})
    os.remove(f"{store.url}/TrainFlow/deployments/{digest}.json")

    found = plan_gc(store, now_us=record.created_us + 2 * DAY_US, deletes=True)

    assert (found.objects, digest in found.kept[0]) == (0, True)


@pytest.mark.parametrize("name", ["TrainFlow", "fraud.user.ada.TrainFlow", "p.prod.F", "_F", "9", "ä", "a" * 80, "A-", ""])
def test_a_name_for_kubernetes_is_one_and_differs_where_names_differ(name):
    import re

    found = dns_name(name, 40)

    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= 40
    assert dns_name("p.user_a.F", 40) != dns_name("p.user.a.F", 40)
