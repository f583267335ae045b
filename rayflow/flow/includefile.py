"""`IncludeFile`: a Parameter whose value is the content of a local file."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rayflow.flow.parameters import Parameter, ParameterContext
from rayflow.model.errors import UsageError, UserError


@dataclass(frozen=True)
class IncludedFile:
    """A file that was read: `content` is text or bytes, `nbytes` the size of the file."""

    path: str
    nbytes: int
    content: str | bytes

    @property
    def line(self) -> str:
        """What is said to the user."""
        return f"Including file {self.path} of size {self.nbytes / 1024:.0f}KB"


class IncludeFile(Parameter):
    """A local file, read when the run starts: `str` in `encoding`, or `bytes` with `is_text=False`; None where none is given.

    `parser`, a function or its dotted name (a leading dot: within rayflow), is applied to the content when a step asks for it.
    """

    def __init__(
        self,
        name: str,
        default: str | Callable[[ParameterContext], str] | None = None,
        required: bool | None = None,
        is_text: bool = True,
        encoding: str | None = "utf-8",
        help: str | Callable[[ParameterContext], str] | None = None,  # noqa: A002 - the public name
        parser: str | Callable[[Any], Any] | None = None,
        show_default: str | bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, default=default, type=str, help=help, required=required, show_default=show_default, **options)
        self.is_text = is_text
        self.encoding = encoding or "utf-8"
        self.parser = parser

    def read(self, path: str) -> IncludedFile:
        """The content of the file at `path` (`~` is expanded). `UsageError` where it cannot be read or decoded."""
        if "://" in path:
            raise UserError(
                f"IncludeFile *{self.name}*: {path} is not a local path. Addresses are not supported any more: download the file first, "
                "or read it in a step."
            )
        expanded = os.path.expanduser(path)
        try:
            with open(expanded, "rb") as file:
                content = file.read()
        except OSError as error:
            raise UsageError(f"IncludeFile: could not open file '{path}' for {self.option}: {error.strerror or error}.") from error
        return IncludedFile(path, len(content), self._decoded(path, content))

    def _decoded(self, path: str, content: bytes) -> str | bytes:
        if not self.is_text:
            return content
        try:
            return content.decode(self.encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise UsageError(
                f"IncludeFile: could not read file '{path}' for {self.option} as text in {self.encoding}: {error}. "
                "State its encoding=..., or is_text=False."
            ) from error

    def parsed(self, content: Any) -> Any:
        """What a step sees: the parser applied to the content. `UserError` where it fails."""
        if self.parser is None or content is None:
            return content
        try:
            return self._parser()(content)  # the user's code: whatever it raises, the message names the parameter
        except Exception as error:
            raise UserError(f"Failed to parse content in parameter *{self.name}*: {type(error).__name__}: {error}") from error

    def _parser(self) -> Callable[[Any], Any]:
        if not isinstance(self.parser, str):
            assert self.parser is not None
            return self.parser
        module, _, function = self.parser.rpartition(".")
        return getattr(importlib.import_module("rayflow" + module if self.parser.startswith(".") else module), function)
