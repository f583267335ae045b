"""`--with` texts: `name` or `name:key=value,key=value`."""

from __future__ import annotations

import json
import re
from typing import Any

from rayflow.flow.decorators import kind_of
from rayflow.model.errors import InvalidDecoratorAttribute
from rayflow.model.spec import StepDecorator

# A comma separates two attributes only where `key=` follows: values may be JSON with commas of its own.
_SEPARATOR = re.compile(r",(?=\s*\w+\s*=)")


def parse_decospec(text: str) -> StepDecorator:
    """The decorator that the text names. `UnknownStepDecoratorException` or `InvalidDecoratorAttribute` where there is none such."""
    name, _, written = text.strip().partition(":")
    attributes: dict[str, Any] = {}
    for part in _SEPARATOR.split(written) if written.strip() else ():
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidDecoratorAttribute(f"'{part}' in --with '{text}' has no value. Write {name}:key=value,key=value.")
        attributes[key.strip()] = parse_value(value.strip())
    return kind_of(name).decorator(attributes, is_static=False)


def parse_value(text: str) -> Any:
    """The text as JSON, else as an int, else as a float, else itself."""
    for read in (json.loads, int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
