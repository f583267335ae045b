from __future__ import annotations

import json
import os

import pytest

from rayflow.flow.secrets import Fetched, SecretSource, get_secret
from rayflow.flow.userdecorators import made
from rayflow.model.errors import UserError


def inline(**variables):
    return {"type": "inline", "options": {"env_vars": variables}}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """What is fetched into the environment is gone after the test."""
    for name in ("SECRET_A", "SECRET_B"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def fetch(*sources, **options):
    made(Fetched, (), {"sources": list(sources), **options}).pre_step("start", None)


def test_the_values_of_all_sources_are_in_the_environment():
    fetch(inline(SECRET_A="1"), inline(SECRET_B="2"))

    assert (os.environ["SECRET_A"], os.environ["SECRET_B"]) == ("1", "2")


def test_a_source_is_written_in_three_ways(monkeypatch):
    whole = SecretSource("aws-secrets-manager", "a.b", {}, "admin")

    assert SecretSource.of("aws-secrets-manager.a.b", "admin", None) == whole
    assert SecretSource.of("db", "admin", "az-key-vault") == SecretSource("az-key-vault", "db", {}, "admin")
    assert SecretSource.of({"type": "aws-secrets-manager", "id": "a.b", "role": "own"}, "admin", None).role == "own"


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["db"], "'db' says no type, and RAYFLOW_DEFAULT_SECRETS_BACKEND_TYPE is not set"),
        (["vault.db"], "no type 'vault'. The types available: aws-secrets-manager, gcp-secret-manager, az-key-vault"),
        ([7], "7 is no source"),
        ([{"type": "inline", "extra": 1}], "is no source"),
        ([{"type": "inline", "options": 7}], "options are a mapping"),
        ([inline(**{"a-b": "1"})], "'a-b', which is no name of a variable"),
        ([inline(RAYFLOW_ROOT="1")], "'RAYFLOW_ROOT', which is no name of a variable of yours"),
        ([inline(SECRET_A=1)], "the value of SECRET_A .* is no text but a int"),
        ([inline(SECRET_A="1"), inline(SECRET_A="2")], "several sources have SECRET_A"),
        ([inline(PATH="1")], "the environment has PATH already"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(sources, words):
    with pytest.raises(UserError, match=words):
        fetch(*sources)


def test_variables_are_replaced_where_that_is_said(monkeypatch):
    monkeypatch.setenv("SECRET_A", "old")

    fetch(inline(SECRET_A="new"), allow_override=True)

    assert os.environ["SECRET_A"] == "new"


def test_a_store_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("botocore.session.get_session", lambda: 1 / 0)

    with pytest.raises(UserError, match=r"Failed to retrieve secret aws-secrets-manager\.db: ZeroDivisionError"):
        get_secret("aws-secrets-manager.db")


def test_secrets_of_aws_are_objects_or_texts(s3_endpoint, monkeypatch):
    import botocore.session

    settings = {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": s3_endpoint}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = botocore.session.get_session().create_client("secretsmanager")
    client.create_secret(Name="app/db", SecretString=json.dumps({"db-user": "ada", "port": 5432}))
    client.create_secret(Name="app/token", SecretString="t0ken")

    assert get_secret("aws-secrets-manager.app/db") == {"db_user": "ada", "port": "5432"}
    assert get_secret({"type": "aws-secrets-manager", "id": "app/token", "options": {"json": False}}) == {"token": "t0ken"}
    named = {"json": False, "env_var_name": "TOKEN"}
    assert get_secret({"type": "aws-secrets-manager", "id": "app/token", "options": named}) == {"TOKEN": "t0ken"}
    with pytest.raises(UserError, match=r"Failed to retrieve secret aws-secrets-manager\.nothing: .*ResourceNotFound"):
        get_secret("aws-secrets-manager.nothing")
