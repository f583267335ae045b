"""What may not be written into a manifest, which everybody who may look at the cluster can read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rayflow.model.errors import UserError

_NAME = re.compile(r"(?i)passw|passphrase|secret|token|credential|(^|_)(pwd|auth|key|pat)($|_)|api_?key|access_?key|private_?key")
_POINTS_ELSEWHERE = re.compile(r"(?i)_(file|path|dir|arn|name|url|uri|endpoint)$")
_VALUE = re.compile(r"-----BEGIN |\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30}|\bxox[abprs]-|\beyJ[\w-]{10,}\.eyJ")
_LOGIN = re.compile(r"://[^/@\s]+@")
_WAY_OUT = "Put it into a Secret of Kubernetes, and name that with --secret: the pods get its keys as variables."
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable of this name and value would tell a secret. A name that says where a secret lies (`..._FILE`) is none."""
    is_named_so = _NAME.search(name) is not None and not _POINTS_ELSEWHERE.search(name)
    return (is_named_so and value != "") or is_secret_text(value)


def is_secret_text(text: str) -> bool:
    """Whether the text has the form of a key or a token, or logs in somewhere."""
    return _VALUE.search(text) is not None or _LOGIN.search(text) is not None


def checked_variables(what: str, variables: Mapping[str, str]) -> Mapping[str, str]:
    """`variables`, when each has a name that a shell takes and none looks like a secret; else UserError. Values are not told."""
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise UserError(f"{what} names a variable {name!r}. Give letters, digits and '_', such as LEVEL=debug.")
        if looks_secret(name, value):
            raise UserError(f"{what} would write {name}, which looks like a secret, into the manifest. {_WAY_OUT}")
    return variables


def refuse_secret(what: str, text: str) -> None:
    """UserError where the text has the form of a secret."""
    if is_secret_text(text):
        raise UserError(f"{what} holds what looks like a secret, and would be written into the manifest. {_WAY_OUT}")
