"""Values to bytes and back: which codec takes which value, and what is noted about it.

A codec is chosen by the exact type of the value, never by what it looks like, and a value comes back with its exact type or is
stored by another codec: JSON only where the round trip is exact, Arrow for data frames only where they come back equal (checked
at write time unless their types leave no doubt), pickle for the rest. Files of the first kinds are read by other tools without
rayflow: `.json`, `.txt`, `.bin`, `.npy`, `.arrow` and `.parquet`.

Codec, type, size and a preview are noted at write time, so that no listing ever decodes a value.
"""

from rayflow.store.codecs.preview import preview_of, type_name
from rayflow.store.codecs.registry import Codec, Encoded, Options, Parts, claims, decode, encode, register

__all__ = ["Codec", "Encoded", "Options", "Parts", "claims", "decode", "encode", "preview_of", "register", "type_name"]
