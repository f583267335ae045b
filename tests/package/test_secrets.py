"""No secret travels in a package, however it is called and whatever suffix would take it along."""

from __future__ import annotations

import pytest

from rayflow.model.errors import UserError
from rayflow.package.archive import Archive
from rayflow.package.gathering import Wanted, build_package

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7" * 8
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----\n"
MARK = "planted"
BY_NAME = [
    ".env", ".env.production", "prod.env", ".git/config", ".aws/credentials", ".ssh/id_rsa", "keys/id_ed25519", "server.pem", "tls.key",
    "identity.p12", "store.jks", "vault.kdbx", ".netrc", "_netrc", ".pgpass", ".npmrc", ".pypirc", "credentials.json",
    "my-credentials.json", "kubeconfig.yaml", ".kube/config", "terraform.tfstate", "prod.tfvars", ".docker/config.json", "secrets.toml",
    "secrets.py", "service-account.json", "client_secret_1.json", "Credentials.JSON", "deep/er/SERVER.PEM",
]  # fmt: skip
BY_CONTENT = {
    "notes.txt": f"the key:\n{KEY}",
    "account.json": '{"type": "service_account", "private_key": "' + KEY.replace("\n", "\\n") + '"}',
    "openssh": KEY.replace("RSA", "OPENSSH"),
    "pgp.txt": KEY.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
    "embedded.py": f"KEY = '''{KEY}'''",
    "settings.ini": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
    "settings.json": '{"AwsSecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}',
    "ci.yaml": "token: ghp_" + "a1B2" * 9 + "\n",
    "cluster.yaml": f"users:\n- user:\n    client-key-data: {BODY}\n",
    "machines.txt": "machine example.org login ada password lovelace\n",
    "oauth.json": '{"client_secret": "GOCSPX-abcdefgh"}',
}
ALL = tuple({name[name.rindex(".") :] if "." in name else name.rpartition("/")[2] for name in [*BY_NAME, *BY_CONTENT]})


def packed(directory, suffixes=ALL):
    return build_package(Wanted(str(directory / "flow.py"), suffixes))


def test_no_planted_secret_is_in_a_package_that_asks_for_every_suffix(made):
    planted = {**{name: f"{MARK} {name}" for name in BY_NAME}, **{name: f"{text} {MARK}" for name, text in BY_CONTENT.items()}}
    directory = made({**planted, "table.json": '{"a": 1}', "config.yaml": "rows: 3"})

    package = packed(directory)

    assert len(planted) > 20
    assert Archive(package.content, "p").files() == {"flow.py": b"print(1)", "table.json": b'{"a": 1}', "config.yaml": b"rows: 3"}
    assert MARK.encode() not in package.content


def test_what_looks_like_a_secret_is_told_once_for_all(made):
    told = packed(made({"b.pem": "x", "sub/a.txt": KEY, ".env": "never asked for"}), (".pem", ".txt")).remarks

    assert told == (
        "Left out of the code package: what looks like a secret (b.pem, sub/a.txt). Name it in .rayflowignore, and nothing is said of it.",
    )


def test_a_flow_that_holds_a_key_is_refused(made):
    directory = made({"flow.py": f'KEY = """{KEY}"""'})

    with pytest.raises(UserError, match=r"flow\.py holds a secret, which would be stored with every run"):
        packed(directory)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reader.py", 'HEADLINE = "-----BEGIN RSA PRIVATE KEY-----"\n'),
        ("credentials.py", "import os\n"),
        ("company/secrets.py", "import os\n"),
        ("tests.py", 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"\n'),
        ("keys.json", '{"key": "value", "public": "-----BEGIN PUBLIC KEY-----"}'),
        ("environment.json", "{}"),
        ("monkey.json", "{}"),
    ],
)
def test_code_that_only_speaks_of_secrets_goes_along(made, name, content):
    package = packed(made({name: content}), (".json",))

    assert (sorted(package.sizes), package.remarks) == (sorted(["flow.py", name]), ())
