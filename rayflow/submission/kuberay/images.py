"""Which image has this Ray and this Python, and what the tag of another one tells of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rayflow.model.errors import UserError

_REPOSITORY = "rayproject/ray"
_OFFICIAL = ("ray", "ray-ml", "ray-llm")
_HOST, _PATH, _TAG = r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?", r"[a-z0-9][a-z0-9._/-]*", r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
_IMAGE = re.compile(_HOST + _PATH + _TAG + r"(?:@sha256:[0-9a-f]{64})?")
_RAY = re.compile(r"(\d+\.\d+\.\d+)(?![\d.])")
_PYTHON = re.compile(r"(?:^|[-_.])py(?:thon)?-?(3)\.?(\d{1,2})(?![\d])")


@dataclass(frozen=True, slots=True)
class Versions:
    """`ray` in full, `python` as 3.11, of whoever submits; None: an image's tag does not tell."""

    ray: str | None
    python: str | None


def default_image(here: Versions, has_gpus: bool) -> str:
    """The image of Ray's own that has these versions."""
    python = (here.python or "").replace(".", "")
    return f"{_REPOSITORY}:{here.ray}-py{python}{'-gpu' if has_gpus else ''}"


def told_by(image: str) -> Versions:
    """What the image's tag tells: the Python of `-py311`; the Ray of the version that a tag begins with, where it is an image of Ray's."""
    path, tag = _parts(image)
    ray = _RAY.match(tag) if path.rpartition("/")[2] in _OFFICIAL else None
    python = _PYTHON.search(tag)
    return Versions(ray.group(1) if ray else None, f"{python.group(1)}.{python.group(2)}" if python else None)


def checked_image(what: str, image: str, here: Versions) -> str:
    """`image`, when it is the name of one and its tag tells of no Ray or Python of another minor version; else UserError."""
    if not _IMAGE.fullmatch(image) or "//" in image or image.endswith((":", "/")):
        raise UserError(f"{what} {image!r} is no image. Give repository:tag, such as {default_image(here, has_gpus=False)}.")
    told = told_by(image)
    for name, theirs, ours in (("Ray", told.ray, here.ray), ("Python", told.python, here.python)):
        if theirs is not None and _minor(theirs) != _minor(ours or ""):
            raise UserError(
                f"{what} {image!r} has {name} {theirs}, and this is {name} {ours}: what one pickles the other may not read. "
                f"Use an image with {name} {ours} (such as {default_image(here, has_gpus=False)}), or submit from {name} {theirs}."
            )
    return image


def refuse_other_ray(what: str, image: str, version: str) -> None:
    """UserError where the image's tag tells of another Ray than the head has: nodes of one cluster have the very same."""
    told = told_by(image).ray
    if told is not None and told != version:
        raise UserError(f"{what} {image!r} has Ray {told}, and the head has Ray {version}: all nodes of a cluster need the same.")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _parts(image: str) -> tuple[str, str]:
    """Path and tag; a port before the last '/' is no tag."""
    path, _, name = image.partition("@")[0].rpartition("/")
    base, _, tag = name.partition(":")
    return f"{path}/{base}" if path else base, tag
