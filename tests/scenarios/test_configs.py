"""Configs: what a run is told before its graph is read."""

from __future__ import annotations

from rayflow.flow.definition import define
from rayflow.runtime.continuing import constants_of_origin
from rayflow.runtime.launch import Settings, resume_flow
from scenarios.flows import configs


def test_configs_are_there_in_decorators_parameters_and_steps_and_plain_for_the_client(play):
    played = play(configs.Configured)

    assert played.run["join"].task.data.seen == {("3", 1, "plain text", None, 3)}
    assert played.run["start"].task.data.refusal == "ConfigValue is immutable"
    assert [type(model) for model in played.run["join"].task.data.models] == [dict] * 3
    cfg = played.data.cfg
    assert (type(cfg), type(cfg["model"]), cfg["model"]["depth"]) == (dict, dict, 3)
    assert (played.data.label, played.data.nothing) == ("plain text", None)


def test_a_resume_has_the_configs_of_its_origin(play, tmp_path):
    (tmp_path / "breaks").touch()
    origin = play(configs.Configured, breaks=str(tmp_path / "breaks"), fails=True)
    (tmp_path / "breaks").unlink()
    settings = Settings(root=play.root, executor=play.executor, user="ada", **play.always)

    known = constants_of_origin(settings, "Configured", origin.run.id, ["cfg", "label", "nothing"])
    result = resume_flow(define(configs.Configured, configs={**known, "cfg": known["cfg"]}), settings, origin_run_id=origin.run.id)

    assert known["cfg"]["model"]["depth"] == 3
    assert result.exit_code == 0
