from __future__ import annotations

import json
import os
import sys
from types import ModuleType, SimpleNamespace

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


def fake_module(monkeypatch, name, **content):
    """Puts a module of that name there, and the packages above it."""
    parts = name.split(".")
    for count in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:count]), ModuleType(".".join(parts[:count])))
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)
    if len(parts) > 1:
        setattr(sys.modules[".".join(parts[:-1])], parts[-1], module)


@pytest.mark.parametrize(
    ("source", "asked", "expected"),
    [
        ({"id": "db", "options": {"project_id": "p"}}, "projects/p/secrets/db/versions/latest", {"db": '{"a": "1"}'}),
        ({"id": "projects/p/secrets/db/versions/3", "options": {"json": True}}, "projects/p/secrets/db/versions/3", {"a": "1"}),
    ],
)
def test_secrets_of_google_are_asked_for_by_their_whole_name(monkeypatch, source, asked, expected):
    class Client:
        def access_secret_version(self, name):
            assert name == asked
            return SimpleNamespace(payload=SimpleNamespace(data=b'{"a": "1"}'))

    fake_module(monkeypatch, "google.cloud.secretmanager", SecretManagerServiceClient=Client)

    assert get_secret({"type": "gcp-secret-manager", **source}) == expected


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ({"id": "https://v.vault.azure.net/secrets/db-key/7"}, ("https://v.vault.azure.net", "db-key", "7")),
        ({"id": "db-key", "options": {"vault_url": "https://w"}}, ("https://w", "db-key", None)),
    ],
)
def test_secrets_of_azure_are_asked_for_by_vault_and_name(monkeypatch, source, asked):
    class Client:
        def __init__(self, vault_url, credential):
            self.vault_url = vault_url

        def get_secret(self, name, version):
            assert (self.vault_url, name, version) == asked
            return SimpleNamespace(value="v")

    fake_module(monkeypatch, "azure.identity", DefaultAzureCredential=object)
    identity = sys.modules["azure.identity"]
    fake_module(monkeypatch, "azure.keyvault.secrets", SecretClient=Client)
    monkeypatch.setitem(sys.modules, "azure.identity", identity)

    (value,) = get_secret({"type": "az-key-vault", **source}).items()

    assert value[1] == "v"


@pytest.mark.parametrize(("kind", "extra"), [("gcp-secret-manager", "gcp"), ("az-key-vault", "azure")])
def test_without_the_library_it_is_said_which_to_install(monkeypatch, kind, extra):
    for name in ("google.cloud", "azure.identity"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(UserError, match=rf"pip install 'rayflow\[{extra}\]'"):
        get_secret(f"{kind}.db")
