"""A tiny store of each format version, made when that version was the newest, and opened for ever."""
