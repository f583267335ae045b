"""The schedulers' own tools, each where it is in nobody's way: `python -m tests.submission.schedulers.tools` installs what is missing.

Airflow 2 and 3 in virtual environments of their own (700 MB each), hera, whose models are made of the schemas of Argo, and asl-validator.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parent.parent.parent.parent
HERE = REPO / ".schedulers"
PYTHONS = {
    "airflow2": ("apache-airflow>=2.10,<3", "kubernetes"),
    "airflow3": ("apache-airflow>=3,<4", "kubernetes"),
    "hera": ("hera>=5.20",),
}
ASL_VALIDATOR = "asl-validator@4"


def python(name: str) -> Path:
    """The Python that has the tool; it may not be there."""
    return HERE / name / "bin" / "python"


def asl_validator() -> Path:
    return HERE / "node" / "node_modules" / ".bin" / "asl-validator"


def install() -> None:
    HERE.mkdir(exist_ok=True)
    for name, packages in PYTHONS.items():
        if not (HERE / name / "installed").exists():
            print(f"{name}: {', '.join(packages)}", flush=True)
            subprocess.run([sys.executable, "-m", "uv", "venv", "-q", "--clear", "--python", sys.executable, HERE / name], check=True)
            subprocess.run([sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python(name), *packages], check=True)
            (HERE / name / "installed").touch()
    if not asl_validator().exists():
        print(ASL_VALIDATOR, flush=True)
        (HERE / "node").mkdir(exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", HERE / "node", ASL_VALIDATOR], check=True)


if __name__ == "__main__":
    install()
