"""The tags of a run, as they are now. The one place that knows where tags lie: changes of them will be read here."""

from __future__ import annotations

from typing import NamedTuple

from rayflow.client.roots import RunHandle


class Tags(NamedTuple):
    """`user` tags can be changed; `system` tags say who and what made the run."""

    user: frozenset[str]
    system: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.user | self.system


def tags_of(handle: RunHandle) -> Tags:
    """The current tags of a run."""
    record = handle.record
    return Tags(frozenset(record.tags), frozenset(record.system_tags))
