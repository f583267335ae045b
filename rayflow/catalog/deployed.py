"""Under which names schedulers know deployments: `<Flow>/deployments/names/<scheduler>/<name>/<n>.json`, create-only and numbered.

The last file of a name holds: it names a deployment, or says that there is none any more. So two who deploy at once do not overwrite each
other unseen, and what was started when can be told afterwards.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rayflow.catalog import wire
from rayflow.catalog.index import children
from rayflow.model.errors import RayflowException, StoreCorrupt, StoreExists, UserError
from rayflow.model.layout import FlowLayout, is_flow_name
from rayflow.model.ports import Store

_LETTERS = "bcdfghjklmnpqrstvwxz"


@dataclass(frozen=True)
class Deployed:
    """What stands under a name. `digest` is the deployment's, None where it was deleted; `token` what allows to replace it, `user` who
    wrote this, `at_us` when (microseconds since 1970, UTC). `facts` are what the scheduler is to be asked by: plain JSON, no secrets."""

    flow: str
    scheduler: str
    name: str
    digest: str | None
    token: str
    user: str
    at_us: int = 0
    number: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def deployed_as(store: Store, flow: str, scheduler: str, name: str) -> Deployed | None:
    """What stands under the name; None where nothing ever did. StoreCorrupt where it cannot be read."""
    prefix = FlowLayout(flow).deployed_file(scheduler, name, 1).rpartition("/")[0]
    keys = [key for key in store.list(prefix) if key.endswith(".json")]
    return _read(store, keys[-1]) if keys else None


def all_deployed(store: Store, flow: str) -> list[Deployed]:
    """What stands under the names of a flow, without what was deleted."""
    last: dict[str, str] = {}
    for key in store.list(FlowLayout(flow).deployed):
        if key.endswith(".json"):
            last[key.rpartition("/")[0]] = key
    found = [_read(store, key) for key in last.values()]
    return [each for each in found if each.digest is not None]


def flows_deployed(store: Store) -> list[str]:
    """The flows that were ever deployed, by name."""
    names = [name for name in children(store, "") if is_flow_name(name)]
    return [name for name in names if next(iter(store.list(FlowLayout(name).deployed)), None) is not None]


def standing(store: Store, flow: str) -> set[str]:
    """The digests of all deployments that stood under the names of the flow, without names that were deleted."""
    by_name: dict[str, list[Deployed]] = {}
    for key in store.list(FlowLayout(flow).deployed):
        if key.endswith(".json"):
            by_name.setdefault(key.rpartition("/")[0], []).append(_read(store, key))
    return {each.digest for entries in by_name.values() if entries[-1].digest for each in entries if each.digest}


def note(store: Store, deployed: Deployed) -> Deployed:
    """Puts it under its name, after the one that it knows (`number`). UserError where somebody else was faster."""
    following = replace(deployed, number=deployed.number + 1, at_us=time.time_ns() // 1000)
    key = FlowLayout(deployed.flow).deployed_file(deployed.scheduler, deployed.name, following.number)
    form = {name: value for name, value in vars(following).items() if name != "facts"} | {"facts": dict(following.facts)}
    try:
        store.write(key, [wire.dumps_checked(form, key)], only_new=True)
    except StoreExists:
        raise UserError(f"Somebody else deployed '{deployed.name}' at the same moment. Look at what they did, and deploy again.") from None
    return following


def authorized_token(known: Deployed | None, name: str, user: str, given: str | None) -> str:
    """The token of what is deployed under the name from now on. UserError where another user deployed there, and
    their token is not given."""
    if known is None or known.digest is None:
        return given or f"{name.lower()[:40]}-{''.join(secrets.choice(_LETTERS) for _ in range(4))}"
    if given is not None and given != known.token:
        raise UserError(f"'{given}' is not the production token of '{name}'. {known.user} deployed it, and can tell it.")
    if given is None and known.user != user:
        raise UserError(
            f"'{name}' was deployed by {known.user}. To replace or delete it, ask them for its production token, and say --authorize TOKEN."
        )
    return known.token


def _read(store: Store, key: str) -> Deployed:
    try:
        form = wire.loads_checked(store.read(key), key)
        return Deployed(**{field.name: form[field.name] for field in fields(Deployed)})
    except RayflowException:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"What is deployed is told by a damaged file ({store.url}/{key}). Deploy the flow again.", key) from error
