"""`@secrets`: values that a step finds in its environment, fetched where and when the step runs. None of them is recorded.

A source is `"type.id"`, `"id"` (of the type that the setting DEFAULT_SECRETS_BACKEND_TYPE names), or a mapping with `type`, `id`, `options`
and `role`. Types: `inline` (`options={"env_vars": {...}}`, for tests), `aws-secrets-manager`, `gcp-secret-manager`, `az-key-vault`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rayflow.flow.decorators import DecoratorKind, register
from rayflow.flow.userdecorators import UserStepDecorator, known_as
from rayflow.model.errors import InvalidDecoratorAttribute, UserError
from rayflow.model.graph import Node
from rayflow.model.spec import StepDecorator, StepSpec, Wrapper
from rayflow.settings.reading import read_settings
from rayflow.settings.table import DEFAULT_SECRETS_BACKEND_TYPE as _DEFAULT_TYPE

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where values come from."""

    type: str
    id: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    role: str | None = None

    @staticmethod
    def of(source: Any, role: str | None, default_type: str | None) -> SecretSource:
        """A source as it is written. `UserError` for what is none."""
        if isinstance(source, str):
            source = dict(zip(("type", "id"), source.split(".", 1), strict=False)) if "." in source else {"id": source}
        if not isinstance(source, Mapping) or not set(source) <= {"type", "id", "options", "role"}:
            raise UserError(f"@secrets: {source!r} is no source. Write 'type.id', 'id', or a mapping with type, id, options and role.")
        kind, options, own_role = source.get("type", default_type), source.get("options") or {}, source.get("role", role)
        if not kind:
            raise UserError(f"@secrets: {source.get('id')!r} says no type, and {_DEFAULT_TYPE.variable} is not set. Write 'type.id'.")
        if kind not in _BACKENDS:
            listed = ", ".join(name for name in _BACKENDS if name != "inline")
            raise UserError(f"@secrets: there is no type {kind!r}. The types available: {listed}.")
        if not isinstance(options, Mapping) or not isinstance(own_role, (str, type(None))):
            raise UserError(f"@secrets: of the source {source.get('id')!r}, options are a mapping and the role is a text.")
        return SecretSource(kind, str(source.get("id", "")), options, own_role)


def get_secret(source: Any, role: str | None = None) -> dict[str, str]:
    """The values of one source, by the names of environment variables. `UserError` where they cannot be had."""
    found = SecretSource.of(source, role, read_settings(os.environ, os.getcwd())[_DEFAULT_TYPE])
    try:
        values = _BACKENDS[found.type](found)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"Failed to retrieve secret {found.type}.{found.id}: {type(error).__name__}: {error}") from error
    for name, value in values.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name.startswith(("RAYFLOW_", "METAFLOW_")):
            raise UserError(f"@secrets: {found.type}.{found.id} has the name {name!r}, which is no name of a variable of yours.")
        if not isinstance(value, str):
            raise UserError(f"@secrets: the value of {name} in {found.type}.{found.id} is no text but a {type(value).__name__}.")
    return values


class Fetched(UserStepDecorator):
    """Puts the values of all sources into the environment before the step."""

    def init(self, sources: Sequence[Any] = (), role: str | None = None, allow_override: bool = False) -> None:
        """As `@secrets`."""
        self.sources, self.role, self.allow_override = sources, role, allow_override

    def pre_step(self, step_name: str, flow: Any, inputs: Any = None) -> None:
        """Fetches. `UserError` for a variable that two sources have, or the environment."""
        fetched: dict[str, str] = {}
        for source in self.sources:
            values = get_secret(source, self.role)
            taken = sorted(values.keys() & fetched.keys())
            present = [] if self.allow_override else sorted(values.keys() & os.environ.keys())
            if taken:
                raise UserError(f"@secrets: several sources have {', '.join(taken)}. Leave it to one of them.")
            if present:
                raise UserError(f"@secrets: the environment has {', '.join(present)} already. Say allow_override=True to replace it.")
            fetched.update(values)
        os.environ.update(fetched)


def _compile(spec: StepSpec, decorator: StepDecorator, node: Node) -> StepSpec:
    sources = decorator.attributes["sources"]
    where = f"@secrets on step '{node.name}' ({node.file}:{node.line})"
    if not isinstance(sources, (list, tuple)):
        raise InvalidDecoratorAttribute(f"{where} has sources={sources!r}. Give a list.")
    for source in sources:
        if not isinstance(source, str) or "." in source:
            SecretSource.of(source, decorator.attributes["role"], "inline")
    return replace(spec, secrets=(Wrapper(known_as(Fetched).name, (), dict(decorator.attributes)),))


secrets = register(DecoratorKind("secrets", {"sources": [], "role": None, "allow_override": False}, _compile, is_secret=True))
"""Values of a secret store in the environment of the step. With `allow_override` they may replace variables that are there."""


# -- where they come from ----------------------------------------------------------------------------------------------


def _inline(source: SecretSource) -> dict[str, str]:
    return dict(source.options.get("env_vars") or {})


def _aws(source: SecretSource) -> dict[str, str]:
    """AWS Secrets Manager. Options: `region`, `json` (default True: the text is an object of names and values), `env_var_name`."""
    import botocore.session

    session = botocore.session.get_session()
    region = source.options.get("region") or session.get_config_variable("region")
    keys: dict[str, Any] = {}
    if source.role:
        given = session.create_client("sts", region_name=region).assume_role(RoleArn=source.role, RoleSessionName="rayflow")["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
    reply = session.create_client("secretsmanager", region_name=region, **keys).get_secret_value(SecretId=source.id)
    return _values_in(source, reply.get("SecretString") or reply["SecretBinary"].decode(), is_json=True)


def _gcp(source: SecretSource) -> dict[str, str]:
    """Google Secret Manager, the newest version unless the id names one. Options: `project_id`, `json` (default False), `env_var_name`."""
    try:
        from google.cloud import secretmanager  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
    except ImportError as error:
        raise UserError("@secrets of gcp-secret-manager need google-cloud-secret-manager: pip install 'rayflow[gcp]'.") from error
    name = source.id if source.id.startswith("projects/") else f"projects/{source.options.get('project_id', '')}/secrets/{source.id}"
    name = name if "/versions/" in name else f"{name}/versions/latest"
    reply = secretmanager.SecretManagerServiceClient().access_secret_version(name=name)
    return _values_in(source, reply.payload.data.decode("utf-8"), is_json=False)


def _azure(source: SecretSource) -> dict[str, str]:
    """Azure Key Vault, by the URL of the secret or its name. Options: `vault_url`, `json` (default False), `env_var_name`."""
    try:
        from azure.identity import DefaultAzureCredential  # pyright: ignore[reportMissingImports]
        from azure.keyvault.secrets import SecretClient  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError("@secrets of az-key-vault need azure-keyvault-secrets and azure-identity: pip install 'rayflow[azure]'.") from error
    vault, _, rest = source.id.partition("/secrets/") if "://" in source.id else (source.options.get("vault_url", ""), "", source.id)
    name, _, version = rest.partition("/")
    reply = SecretClient(vault_url=vault, credential=DefaultAzureCredential()).get_secret(name, version or None)
    return _values_in(source, reply.value or "", is_json=False)


def _values_in(source: SecretSource, text: str, *, is_json: bool) -> dict[str, str]:
    if source.options.get("json", is_json):
        values = json.loads(text)
        if not isinstance(values, dict):
            raise UserError(f"@secrets: {source.type}.{source.id} is no JSON object. Say options={{'json': False}} for a plain text.")
        return {_as_variable(name): str(value) for name, value in values.items()}
    name = source.options.get("env_var_name") or source.id.partition("/versions/")[0].rpartition("/")[2]
    return {_as_variable(name): text}


def _as_variable(name: str) -> str:
    changed = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{changed}" if changed[:1].isdigit() else changed


_BACKENDS: dict[str, Callable[[SecretSource], dict[str, str]]] = {
    "inline": _inline,
    "aws-secrets-manager": _aws,
    "gcp-secret-manager": _gcp,
    "az-key-vault": _azure,
}
