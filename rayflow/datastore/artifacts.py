"""Serializers for values of one's own, by the names of `metaflow.datastore.artifacts`.

    class GraphSerializer(ArtifactSerializer):
        TYPE = "graph"

        @classmethod
        def can_serialize(cls, obj):
            return isinstance(obj, Graph)

        @classmethod
        def can_deserialize(cls, metadata):
            return metadata.encoding == "graph-v1"

        @classmethod
        def serialize(cls, obj, format=SerializationFormat.STORAGE):
            content = obj.to_bytes()
            return [SerializedBlob(content)], SerializationMetadata(str(type(obj)), len(content), "graph-v1", {})

        @classmethod
        def deserialize(cls, data, metadata=None, format=SerializationFormat.STORAGE):
            return Graph.from_bytes(data[0])

How they fit with what rayflow stores by itself is told in `rayflow.store.codecs`.
"""

from rayflow.store.codecs.serializer import (
    ArtifactSerializer,
    SerializationFormat,
    SerializationMetadata,
    SerializedBlob,
    SerializerStore,
)
from rayflow.store.codecs.shelf import SerializerState, list_serializer_status

__all__ = [
    "ArtifactSerializer",
    "SerializationFormat",
    "SerializationMetadata",
    "SerializedBlob",
    "SerializerState",
    "SerializerStore",
    "list_serializer_status",
]
