"""The same calls of the S3 client, on the same server, by Metaflow and, with the import changed, by rayflow: equal results and errors.

Left out of the matrix, since they differ by decision: keys with `?`, which Metaflow cuts there, and the error of a bad range in `get_many`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.metaflow.test_beside_metaflow import metaflow_python

PROGRAM = Path(__file__).parent / "programs" / "s3_calls.py"


def played(python: str, library: str, place: Path, root: str, other: str) -> dict[str, Any]:
    """What the program tells, the names of its buckets taken out."""
    place.mkdir()
    bucket, second = root.split("/")[2], other.split("/")[2]
    text = PROGRAM.read_text()
    if library == "rayflow":
        text = text.replace("metaflow.plugins.datatools.s3", "rayflow.s3").replace("metaflow", "rayflow")
    (place / "calls.py").write_text(text)
    settings = {"DATATOOLS_S3ROOT": f"{root}/data", "S3_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "S3_RETRY_COUNT": "1"}
    environ = {**os.environ, "METAFLOW_S3_TRANSIENT_RETRY_COUNT": "1", "METAFLOW_USER": "ada", "PYTHONPATH": str(Path.cwd())}
    environ |= {f"{library.upper()}_{name}": value for name, value in settings.items()}
    words = [python, "calls.py", f"{root}/root", second]
    told = subprocess.run(words, cwd=place, env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout.splitlines()[-1].replace(bucket, "BUCKET").replace(second, "SECOND")))


def test_the_s3_client_answers_as_metaflows_does(bucket, tmp_path):
    metaflow = metaflow_python()
    if metaflow is None:
        pytest.skip("there is no Metaflow: METAFLOW_PYTHON names an interpreter that has it")

    theirs = played(metaflow, "metaflow", tmp_path / "metaflow", bucket(), bucket())
    ours = played(sys.executable, "rayflow", tmp_path / "rayflow", bucket(), bucket())

    assert len(theirs) > 80
    assert ours == theirs
