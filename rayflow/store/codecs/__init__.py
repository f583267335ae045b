"""Values to bytes and back: which codec takes which value, and what is noted about it.

A codec is chosen by the exact type of the value, never by what it looks like, and a value comes back with its exact type or is
stored by another codec: JSON only where the round trip is exact, Arrow for data frames only where they come back equal (checked
at write time unless their types leave no doubt), pickle for the rest. Files of the first kinds are read by other tools without
rayflow: `.json`, `.txt`, `.bin`, `.npy`, `.arrow` and `.parquet`.

Before them come those of the user: a `Codec` that was registered, and serializers with the API of Metaflow's (`serializer`, what users
derive from; `shelf`, which of them there are and can be used; `foreign`, how their bytes and words are stored; public as
`rayflow.datastore.artifacts`). What a serializer says besides its bytes is in the name of the codec, so that no form of a record changed,
a file is nothing but its bytes, and nothing except loading a value needs it. Those that a package's entry point names are loaded when the
first value comes that is not plain, and are not asked about plain ones: a flow of numbers and texts pays nothing for what is installed.

Codec, type, size and a preview are noted at write time, so that no listing ever decodes a value.
"""

from rayflow.store.codecs.preview import preview_of, type_name
from rayflow.store.codecs.registry import Codec, Encoded, Options, Parts, claims, decode, encode, register

__all__ = ["Codec", "Encoded", "Options", "Parts", "claims", "decode", "encode", "preview_of", "register", "type_name"]
