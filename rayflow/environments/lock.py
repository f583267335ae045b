"""What an environment is made of, to the last package: the noun, and its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from rayflow.model.errors import StoreCorrupt, StoreNewer

_FORMAT = 1
_HEAD = "# rayflow environment, format"
_PYTHON, _CONDA = "# python ", "# conda "
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._\-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;\\]+)|@\s*(\S+))")
_CONDA_FILE = re.compile(r".*/([^/]+)-([^-/]+)-[^-/]+?\.(?:conda|tar\.bz2)(?:#.*)?$")


@dataclass(frozen=True)
class Lock:
    """`python` is the version that it was resolved for ("3.11"). `requirements` are the lines of pip, with hashes. `conda` are the
    addresses of conda's packages, which are of the platform `conda_platform` ("linux-64"); empty where conda has no part in it."""

    python: str
    requirements: str
    conda: tuple[str, ...] = ()
    conda_platform: str = ""

    @cached_property
    def text(self) -> str:
        """What is stored."""
        head = [f"{_HEAD} {_FORMAT}", f"{_PYTHON}{self.python}"]
        head += [f"{_CONDA}{self.conda_platform} {address}" for address in self.conda]
        return "\n".join([*head, self.requirements.strip(), ""])

    @cached_property
    def digest(self) -> str:
        """Its name: hex BLAKE3 of the text."""
        from blake3 import blake3

        return blake3(self.text.encode()).hexdigest()

    @property
    def packages(self) -> dict[str, str]:
        """Version (or address) by name, sorted; those of other platforms too."""
        found: dict[str, str] = {}
        for address in self.conda:
            if named := _CONDA_FILE.match(address):
                found[named[1]] = named[2]
        for line in self.requirements.splitlines():
            if pin := _PIN.match(line):
                found[pin[1].lower()] = pin[2] or pin[3]
        return dict(sorted(found.items()))


def parse_lock(content: bytes, digest: str, key: str) -> Lock:
    """The lock that was stored under that digest. StoreCorrupt where it is another, StoreNewer where a newer rayflow wrote it."""
    from blake3 import blake3

    if blake3(content).hexdigest() != digest:
        raise StoreCorrupt(f"The lock of an environment, {key}, is damaged.", key)
    head, *lines = content.decode().split("\n")
    number = head.removeprefix(_HEAD).strip()
    if not head.startswith(_HEAD) or number != str(_FORMAT):
        raise StoreNewer(f"The lock of an environment, {key}, is of a format ({number}) that this rayflow does not know. Upgrade it.", key)
    python = next((line.removeprefix(_PYTHON) for line in lines if line.startswith(_PYTHON)), "")
    conda = [line.removeprefix(_CONDA).split(" ", 1) for line in lines if line.startswith(_CONDA)]
    rest = [line for line in lines if not line.startswith((_PYTHON, _CONDA))]
    return Lock(python, "\n".join(rest).strip(), tuple(address for _, address in conda), conda[0][0] if conda else "")
