"""Makes a store of the format of today: `python -m tests.stores.make DIRECTORY`. Of the machine it says nothing."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from unittest import mock

from rayflow.cli.target import load_flow
from rayflow.flow.definition import define
from rayflow.model.records import Outcome
from rayflow.runtime.launch import Settings, resume_flow, run_flow


def main(target: str) -> None:
    target = os.path.abspath(target)
    directory = Path(tempfile.mkdtemp(prefix="kept-"))
    shutil.copy(Path(__file__).parent / "kept.py", directory / "kept.py")
    os.chdir(directory)
    sys.argv = ["kept.py", "run"]
    flow = load_flow(str(directory / "kept.py"))
    with mock.patch.object(platform, "node", lambda: "host"), mock.patch.object(socket, "gethostname", lambda: "host"):
        for number in (1, 2):
            root = str(directory / "root")
            failed = run_flow(
                define(flow), {}, Settings(root=root, executor="inline", user="ada", tags=("kept",), run_id=f"failed{number}")
            )
            assert failed.outcome is Outcome.FAILED
            if number == 2:
                os.environ["MENDED"] = "1"
                resume_flow(define(flow), Settings(root=root, executor="inline", user="ada", run_id="resumed"), origin_run_id="failed2")
    shutil.copytree(directory / "root", target)
    shutil.rmtree(directory)


if __name__ == "__main__":
    main(sys.argv[1])
