"""Tasks change the tags of their own run while they run, many at once."""

from __future__ import annotations

import pytest

from scenarios.conftest import by_address
from scenarios.flows import tags

ITEMS = {f"item {number}" for number in range(40)}


@pytest.fixture(autouse=True)
def _user(monkeypatch, client_session):
    """Whose namespace tasks look at: that of who runs them."""
    monkeypatch.setenv("RAYFLOW_USER", "ada")


def test_tasks_change_the_tags_of_their_own_run(play):
    played = play(tags.Tagging, tags=("given",))

    assert played.run.user_tags == {"given", *ITEMS}
    assert set(played.data.seen) == {"given", "working", *ITEMS}


def test_they_do_so_on_a_bucket_too(play, bucket, executor):
    play.root, play.always = bucket(), by_address(executor)

    played = play(tags.Tagging, tags=("given",))

    assert played.run.user_tags == {"given", *ITEMS}
