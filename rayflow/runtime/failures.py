"""An exception of user code, as the record of a failure."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from types import TracebackType

from rayflow.model.errors import ArtifactUnserializable, InvalidNextException, RayflowException, TimeoutException, block
from rayflow.model.records import Failure, FailureKind, UserFrame

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = tuple(
    {os.path.realpath(path) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))}
)
_MAX_TRACEBACK = 64 * 1024


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception raised by a step's code stands for. The traceback starts at the user's first frame."""
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
        return Failure(FailureKind.EXIT, f"It called sys.exit({error.code!r}).", frames=user_frames(error.__traceback__), exit_code=code)
    kind = FailureKind.EXCEPTION
    if isinstance(error, TimeoutException):
        kind = FailureKind.TIMEOUT
    elif isinstance(error, InvalidNextException):
        kind = FailureKind.TRANSITION
    elif isinstance(error, ArtifactUnserializable):
        kind = FailureKind.ARTIFACT
    return Failure(
        kind=kind,
        message=_text_of(error),
        type=f"{type(error).__module__}.{type(error).__qualname__}",
        traceback=traceback_of(error),
        frames=user_frames(error.__traceback__),
    )


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own __str__ may do anything
        return f"<{type(error).__name__} whose text could not be made>"


def traceback_of(error: BaseException) -> str:
    """The text of the traceback, without our frames above the user's."""
    first = error.__traceback__
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        first = first.tb_next
    try:
        lines = traceback.format_exception(type(error), error, first or error.__traceback__)
    except Exception:  # noqa: BLE001 - formatting calls the user's __str__
        lines = [f"{type(error).__name__}: {_text_of(error)}\n"]
    text = "".join(lines)
    return text if len(text) <= _MAX_TRACEBACK else text[: _MAX_TRACEBACK // 2] + "\n[...]\n" + text[-_MAX_TRACEBACK // 2 :]


def user_frames(start: TracebackType | None) -> tuple[UserFrame, ...]:
    """The frames of the user's own code, outermost first; those of installed packages only where there are no others."""
    frames = [
        UserFrame(frame.filename, frame.lineno or 0, frame.name, (frame.line or "").strip())
        for frame in traceback.extract_tb(start)
        if not frame.filename.startswith(_PACKAGE)
    ]
    own = [frame for frame in frames if not is_installed(frame.file)]
    return tuple(own or frames[-1:])


def is_installed(file: str) -> bool:
    """Whether a source file belongs to an installed package or the standard library."""
    return file.startswith("<frozen") or os.path.realpath(file).startswith(_INSTALLED) or f"{os.sep}site-packages{os.sep}" in file


def is_users(file: str) -> bool:
    """Whether a source file is the user's own: neither installed nor ours."""
    return not file.startswith(_PACKAGE) and not is_installed(file)


def describe(error: BaseException) -> None:
    """Writes to the task's stderr, where its user will look: of an error of ours what it says, of any other its traceback."""
    text = _said(error) if isinstance(error, RayflowException) else traceback_of(error)
    print(text, file=sys.stderr, end="", flush=True)  # noqa: T201 - this is the task's own output


def _said(error: RayflowException) -> str:
    """Headline and message: our frames mean nothing to the user. Theirs are shown unless the error itself knows the line."""
    try:
        text = block(error).rstrip("\n") + "\n"
    except Exception:  # noqa: BLE001 - a class that users derived from ours may do anything
        return traceback_of(error)
    frames = user_frames(error.__traceback__) if error.line_no is None else ()
    return text + "".join(f'      File "{each.file}", line {each.line}, in {each.function}\n        {each.source}\n' for each in frames)
