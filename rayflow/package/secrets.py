"""What must never travel in a code package: files that are secrets by their name, or by what they hold."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

# fmt: off
_NAMES = (
    "*.env", ".env*", "env.production",
    "*.pem", "*.key", "*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.ppk", "*.ovpn", "wallet.dat",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "secring.*",
    ".netrc", "_netrc", "netrc", ".pgpass", "pgpass.conf", ".my.cnf", ".npmrc", ".pypirc", ".dockercfg", ".git-credentials", "*htpasswd",
    "kubeconfig*", "*.kubeconfig", "*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json",
    "credentials", "*credentials.*", "client_secret*", "service-account*", "service_account*", "secret.*", "secrets", "secrets.*",
    "vault-token*",
)
# fmt: on
_MODULES = ("secrets.py",)
"""Of modules these alone, and only beside the flow: `credentials.py`, or `company/secrets.py`, mostly says where they are."""

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,300}?[A-Za-z0-9+/]{40}")
"""With the beginning of a key: a program that only knows the headline holds none."""
_CONTENTS = tuple(
    re.compile(pattern)
    for pattern in (
        rb"(?i)aws_?secret_?access_?key[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}",
        rb"(?i)accountkey=[A-Za-z0-9+/]{60}",
        rb"client-key-data[\"']?:\s*[\"']?[A-Za-z0-9+/]{40}",
        rb"\"client_secret\"\s*:\s*\"[^\"]{8}",
        rb"\bgh[pousr]_[A-Za-z0-9]{36}",
        rb"\bxox[abprs]-[A-Za-z0-9-]{20}",
        rb"(?m)^machine[ \t]+\S+\s+login[ \t]+\S+\s+password[ \t]+\S",
        rb"_authToken\s*=\s*\S{8}",
    )
)


def is_secret_name(path: str) -> bool:
    """Whether a file of that path within the package is a secret by convention, in any case."""
    path = path.lower()
    if path.endswith(".py"):
        return path in _MODULES
    return any(fnmatchcase(path.rpartition("/")[2], pattern) for pattern in _NAMES)


def holds_secret(name: str, content: bytes) -> bool:
    """Whether the file holds a private key or, unless it is a module, a well-known form of password or token."""
    if b"PRIVATE KEY" in content and _PRIVATE_KEY.search(content):
        return True
    return not name.endswith(".py") and any(pattern.search(content) for pattern in _CONTENTS)
