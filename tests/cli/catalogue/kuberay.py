"""What KubeRay is asked for and no cluster would take: refused before anything is asked, and before a run is recorded. What may not be said
of the parts of a manifest is in tests/submission/kuberay/test_refusals.py; here is what is typed."""

from __future__ import annotations

from rayflow.exception import RayflowException, UnsafeName, UsageError, UserError
from tests.cli.catalogue import END, Row, flow, plain

_DRY = "--on kuberay --root s3://b/r --dry-run"


def _typed(name: str, words: str, typed: str, error: type[RayflowException] = UserError, source: str = "") -> Row:
    code = 2 if error is UsageError else 1
    return Row(name, f"submit flow.py {_DRY} {typed}".strip(), error, (words,), source or plain(), code)


def _step(name: str, words: str, decorator: str) -> Row:
    return _typed(name, words, "", source=flow(f"{decorator}\nstart(self): self.next(self.end)", END))


OPTIONS = [
    Row("for another place", "submit flow.py --on ray --image x", UsageError, ("--image is of --on kuberay",), plain(), 2),
    Row("a dry run elsewhere", "submit flow.py --on ray --dry-run", UsageError, ("--dry-run is of --on kuberay",), plain(), 2),
    Row("a root of this machine", "submit flow.py --on kuberay --dry-run", UserError, ("no pod reaches", "--volume"), plain()),
    _typed("an unknown form", "'xml' is not one of 'yaml', 'json'", "-o xml", UsageError),
    _typed("no pair", "--volume 'data' cannot be read. Write it as KEY:VALUE", "--volume data", UsageError),
    _typed("a label twice", "--label gives 'a' twice", "--label a=1 --label a=2", UsageError),
    _typed("no number", "'many' is not a valid integer", "--max-pods many", UsageError),
    _typed("a template that is absent", "--pod-template 'no.yaml' cannot be read", "--pod-template no.yaml", UsageError),
    _typed("a template that is empty", "holds no pod template", "--pod-template raw.json", UsageError),
    _typed("a template that is no text", "is no YAML", "--pod-template raw.bin", UsageError),
    _typed("another Ray", "has Ray 2.0.0, and this is Ray", "--image rayproject/ray:2.0.0"),
    _typed("no image", "is no image", "--image 'A B'"),
    _typed("environments without an image", "is made by the rayflow of the image", "--environment pypi"),
    _typed("a queue without a size", "say how large it is to be", "--queue q"),
    _typed("a secret in the environment", "looks like a secret", "--env MY_TOKEN=x"),
    _typed("a secret in an annotation", "--annotation a holds what looks like a secret", "--annotation a=https://u:p@h"),
    _typed("a run id that is none", "cannot be used", "--run-id ../x", UnsafeName),
]
STEPS = [
    _step("a pool", "@kubernetes on step 'start' has compute_pool", "@kubernetes(compute_pool='x')"),
    _step("a namespace", "asks for the namespace x", "@kubernetes(namespace='x')"),
    _step("another vendor", "Give one of nvidia, amd", "@kubernetes(gpu=1, gpu_vendor='x')"),
    _step("a resource of Ray's own", "which no worker group can offer", "@resources(resources={'CPU': 1})"),
]
ROWS = {"kuberay option": OPTIONS, "kuberay step": STEPS}
