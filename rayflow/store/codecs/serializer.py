"""What a user derives from to say how values of theirs are stored: the classes that Metaflow has in `metaflow.datastore.artifacts`."""

from __future__ import annotations

import importlib
import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, NamedTuple

from rayflow.store.codecs import shelf


class SerializationFormat(str, Enum):
    """What `serialize` is to give: bytes that are stored (`STORAGE`), or text for a command line or a message (`WIRE`)."""

    STORAGE = "storage"
    WIRE = "wire"


class SerializationMetadata(NamedTuple):
    """What is recorded of a value beside its bytes, and `deserialize` gets back. `obj_type` is `str(type(obj))`; `size` the number of
    bytes; `encoding` names the form of the bytes, by which the deserializer is found, and must never change its meaning;
    `serializer_info` is anything that JSON can say, up to 4 kB of it."""

    obj_type: str
    size: int
    encoding: str
    serializer_info: Mapping[str, Any]


class SerializedBlob:
    """The bytes of a value. A text is a reference to what is stored already, in Metaflow's words; rayflow stores bytes only."""

    def __init__(self, value: str | bytes, is_reference: bool | None = None) -> None:
        if not isinstance(value, (str, bytes)):
            raise TypeError(f"A SerializedBlob holds bytes; got {type(value).__name__}.")
        self.value = value
        self.is_reference = isinstance(value, str) if is_reference is None else is_reference

    @property
    def needs_save(self) -> bool:
        """Whether it holds bytes that are to be stored."""
        return not self.is_reference


class SerializerStore(ABCMeta):
    """Knows every complete subclass of `ArtifactSerializer` that has a `TYPE` of its own, from the moment when it is declared."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace, **options)
        kind = getattr(cls, "TYPE", None)
        if kind is None or inspect.isabstract(cls):
            return
        if "TYPE" not in namespace:
            raise TypeError(f"{name} has the TYPE {kind!r} of the class it derives from. Give it TYPE = '...' of its own, or TYPE = None.")
        shelf.declare(cls)

    @staticmethod
    def get_ordered_serializers() -> list[type[ArtifactSerializer]]:
        """Those that can be used, in the order in which they are asked."""
        return shelf.in_order()


class ArtifactSerializer(metaclass=SerializerStore):
    """A way to store values of some kind. Declaring a subclass with a `TYPE` makes it known, in every process that imports its module:
    the tasks of a flow whose file declares or imports it, and whoever imports that to read the values. Declaring a `TYPE` again replaces
    it.

    Of several that can serialize a value, the lowest `PRIORITY` is taken, and of equal ones the last that was declared. What none takes is
    stored as rayflow stores it by itself. Packages make theirs known by an entry point of the group `rayflow.serializers`, named like the
    `TYPE`; those are not asked about plain values (numbers, text, bytes, and what JSON holds exactly).
    """

    TYPE: ClassVar[str | None] = None
    PRIORITY: ClassVar[int] = 100

    @classmethod
    def setup_imports(cls, context: Any = None) -> None:
        """Imports what the serializer needs, with `lazy_import`, once and before it is asked anything. ImportError: it is left out until
        the module that is missing has been imported by somebody. Any other error: it is left out."""

    @classmethod
    def lazy_import(cls, module_path: str, alias: str | None = None) -> Any:
        """Imports a module, and keeps it as the attribute `alias`, or the last part of its name, of the class."""
        name = alias or module_path.rpartition(".")[2]
        if name.startswith("_") or hasattr(ArtifactSerializer, name):
            raise ValueError(f"lazy_import cannot keep {module_path} as {name!r}: the name is taken. Give another alias.")
        module = importlib.import_module(module_path)
        setattr(cls, name, module)
        return module

    @classmethod
    @abstractmethod
    def can_serialize(cls, obj: Any) -> bool:
        """Whether `serialize` takes the value. Must be quick: it is called for every value that is stored."""

    @classmethod
    @abstractmethod
    def can_deserialize(cls, metadata: SerializationMetadata) -> bool:
        """Whether `deserialize` takes what was recorded with this metadata."""

    @classmethod
    @abstractmethod
    def serialize(
        cls,
        obj: Any,
        format: SerializationFormat = SerializationFormat.STORAGE,  # noqa: A002 - Metaflow's name
    ) -> tuple[list[SerializedBlob], SerializationMetadata] | str:
        """The value as one blob with its metadata, or for `WIRE` as text (NotImplementedError where there is none). May be called more
        than once for a value, and must do nothing else. Equal values should give equal bytes."""

    @classmethod
    @abstractmethod
    def deserialize(
        cls,
        data: list[bytes] | str,
        metadata: SerializationMetadata | None = None,
        format: SerializationFormat = SerializationFormat.STORAGE,  # noqa: A002 - Metaflow's name
    ) -> Any:
        """The value again, from the list of its one blob, or for `WIRE` from its text."""
