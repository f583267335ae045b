"""`ConfigValue`: what a step finds in `self.config`, a mapping that cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn


class ConfigValue(dict[str, Any]):
    """A mapping with attribute access, whole and in its parts: `config.model.depth` is `config["model"]["depth"]`.

    It is a `dict` to whoever asks (`json.dumps`, `isinstance`), and never changes: what would change it raises `TypeError`. Lists, tuples
    and sets inside keep their type. Pickled it is a plain dict.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__({key: frozen(value) for key, value in content.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def to_dict(self) -> dict[str, Any]:
        """A plain dict of plain parts, the caller's own to change."""
        return {key: thawed(value) for key, value in self.items()}

    def copy(self) -> ConfigValue:
        """An equal one."""
        return ConfigValue(self)

    def __copy__(self) -> ConfigValue:
        return self.copy()

    def __deepcopy__(self, memo: object) -> ConfigValue:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.to_dict(),)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return self.__reduce__()

    def __dir__(self) -> Iterator[str]:
        return iter(sorted({*super().__dir__(), *map(str, self)}))

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("ConfigValue is immutable")

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]
    pop = popitem = clear = update = setdefault = _refuse  # pyright: ignore[reportAssignmentType]


def frozen(value: Any) -> Any:
    """The value, mappings in it as `ConfigValue`."""
    if isinstance(value, ConfigValue):
        return value
    if isinstance(value, Mapping):
        return ConfigValue(value)
    return type(value)(map(frozen, value)) if type(value) in (list, tuple, set, frozenset) else value


def thawed(value: Any) -> Any:
    """The value, every `ConfigValue` in it as a plain dict."""
    if isinstance(value, ConfigValue):
        return value.to_dict()
    return type(value)(map(thawed, value)) if type(value) in (list, tuple, set, frozenset) else value
