"""Values that a serializer of the user's stores: its bytes as they are, and what it says about them in the name of the codec.

    custom:<encoding>                   of a value about which nothing else is to be known
    custom:<encoding>#<JSON>            {"type": obj_type, "info": serializer_info}

So nothing but loading a value needs the serializer: digests, comparisons and other programs see its bytes, listings what was noted.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from typing import Any

from rayflow.model.errors import ArtifactUnserializable, RayflowException, UserError
from rayflow.store.codecs import shelf
from rayflow.store.codecs.serializer import SerializationFormat, SerializationMetadata, SerializedBlob

_PREFIX = "custom:"
_ENCODING = re.compile(r"[^#\x00-\x1f\x7f]{1,200}")
_MOST_CHARACTERS = 4_000


def claimant(value: object, *, is_plain: bool) -> Any:
    """The serializer that takes the value; None to leave it to rayflow's codecs. `is_plain`: those hold it exactly as text or bytes."""
    for serializer in shelf.in_order(is_plain=is_plain or _is_numpy_scalar(type(value))):
        if serializer.PRIORITY <= shelf.FALLBACK_PRIORITY and _agrees(serializer, "can_serialize", value):
            return serializer
    return None


def encode(serializer: Any, value: object, name: str) -> tuple[str, bytes]:
    """Codec and bytes. Raises `ArtifactUnserializable`, which names serializer and artifact; errors of rayflow's family pass."""
    try:
        made = serializer.serialize(value, format=SerializationFormat.STORAGE)
    except RayflowException:
        raise
    except Exception as error:
        raise _failed(serializer, name, f"{type(error).__name__}: {error}") from error
    blobs, metadata = made if isinstance(made, tuple) and len(made) == 2 else (None, None)
    if not isinstance(blobs, (list, tuple)) or not isinstance(metadata, SerializationMetadata):
        raise _failed(serializer, name, "serialize() must return ([SerializedBlob(...)], SerializationMetadata(...))")
    if len(blobs) != 1:
        raise _failed(serializer, name, f"it returned {len(blobs)} blobs, and exactly one can be stored")
    content = blobs[0].value if isinstance(blobs[0], SerializedBlob) and blobs[0].needs_save else None
    if not isinstance(content, bytes):
        raise _failed(serializer, name, "its blob is no SerializedBlob of bytes")
    return _codec_of(serializer, metadata, name), content


def decode(codec: str, content: bytes, name: str) -> Any:
    """The value. UserError where no serializer of this process takes the encoding; otherwise what the serializer raises."""
    metadata = metadata_of(codec, len(content))
    for serializer in shelf.in_order():
        if _agrees(serializer, "can_deserialize", metadata):
            return serializer.deserialize([content], metadata, format=SerializationFormat.STORAGE)
    source = metadata.serializer_info.get("source", "somebody else")
    raise UserError(
        f"Artifact {name!r} ({metadata.obj_type}) has the encoding {metadata.encoding!r}, which no serializer here reads. One of {source}"
        " wrote it: import that first, or install it. rayflow.datastore.artifacts.list_serializer_status() tells which are there."
    )


def metadata_of(codec: str, size: int) -> SerializationMetadata:
    """What the serializer said of a value, from the name of its codec."""
    encoding, _, told = codec.removeprefix(_PREFIX).partition("#")
    facts = json.loads(told) if told else {}
    return SerializationMetadata(facts.get("type", "object"), size, encoding, facts.get("info", {}))


def _codec_of(serializer: Any, metadata: SerializationMetadata, name: str) -> str:
    if not isinstance(metadata.encoding, str) or not _ENCODING.fullmatch(metadata.encoding):
        raise _failed(serializer, name, f"its encoding {metadata.encoding!a} is no text of 1 to 200 characters without '#'")
    info = {"source": shelf.source_of(serializer), **(metadata.serializer_info or {})}
    try:
        told = json.dumps({"type": str(metadata.obj_type), "info": info}, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise _failed(serializer, name, f"its serializer_info cannot be written as JSON: {error}") from error
    if len(told) > _MOST_CHARACTERS:
        raise _failed(serializer, name, f"its serializer_info is {len(told)} characters long, of {_MOST_CHARACTERS}. Put it into the blob")
    return f"{_PREFIX}{metadata.encoding}#{told}"


def _failed(serializer: Any, name: str, why: str) -> ArtifactUnserializable:
    return ArtifactUnserializable(f"Serializer {serializer.__name__} failed on artifact '{name}': {why}.")


def _agrees(serializer: Any, question: str, about: object) -> bool:
    """What `can_serialize` or `can_deserialize` answers; a serializer that cannot tell is passed over, with a warning."""
    try:
        return bool(getattr(serializer, question)(about))
    except Exception as error:  # noqa: BLE001 - the user's own code; the value can still be stored in another way
        shelf.note_error(serializer, error)
        text = f"Serializer {serializer.__name__} was passed over: {question} raised {type(error).__name__}: {error}"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return False


def _is_numpy_scalar(kind: type) -> bool:
    """Columns of a fan-out hold these as they are."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.generic)
