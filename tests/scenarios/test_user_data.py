"""What steps keep with `S3(run=self)`: on a directory, and on S3 over real HTTP."""

from __future__ import annotations

from rayflow import S3
from scenarios.conftest import by_address
from scenarios.flows.user_data import Keeping

TEXTS = {"a.txt": "by a", "b.txt": "by b", "c.txt": "by c"}


def kept_by(run):
    with S3(run=run) as s3:
        return {each.key.removeprefix("kept/"): each.text for each in s3.get_all()}


def test_data_of_a_run_are_beside_its_flow(play):
    played = play(Keeping)

    assert played.data.texts == TEXTS
    assert kept_by(played.run) == TEXTS
    assert all(f"/user-data/Keeping/{played.run.id}/kept/" in url for url in played.data.urls)


def test_a_bucket_keeps_them_in_the_bucket(play, bucket, executor):
    play.root, play.always = bucket(), by_address(executor)

    played = play(Keeping)

    assert (played.data.texts, kept_by(played.run)) == (TEXTS, TEXTS)
    assert played.data.urls[0] == f"{play.root}/user-data/Keeping/{played.run.id}/kept/a.txt"


def test_the_data_root_is_that_of_the_environment(play, bucket, executor, monkeypatch):
    root = bucket()
    monkeypatch.setenv("RAYFLOW_DATATOOLS_S3ROOT", f"{root}/data")
    play.always = by_address(executor)

    played = play(Keeping)

    assert (played.data.texts, kept_by(played.run)) == (TEXTS, TEXTS)
    assert played.data.urls[0] == f"{root}/data/Keeping/{played.run.id}/kept/a.txt"
