import subprocess
import tempfile
from pathlib import Path

import pytest

from rayflow.executors.scratch import Scratch, sweep


@pytest.fixture(autouse=True)
def _top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def abandoned(top: Path, signature: str) -> Path:
    path = top / "rayflow-ray-abcdefgh"
    path.mkdir()
    (path / "owner").write_text(signature)
    return path


def test_the_directory_of_a_process_that_is_gone_is_removed(tmp_path: Path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    scratch = Scratch()
    namespace = (Path(scratch.path) / "owner").read_text().split()[0]
    path = abandoned(tmp_path, f"{namespace} {gone.pid} 12345")

    sweep()

    assert not path.exists()
    assert Path(scratch.path).exists()
    scratch.end()
    assert not Path(scratch.path).exists()


@pytest.mark.parametrize("signature", ["pid:[1] 99999999 12345", "", "nonsense"])
def test_what_another_container_or_a_half_made_directory_holds_is_left_alone(tmp_path: Path, signature: str):
    path = abandoned(tmp_path, signature)

    sweep()

    assert path.exists()
