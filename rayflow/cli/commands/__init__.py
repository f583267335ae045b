"""One function per command, each of which asks one layer below and shows the answer. `flow` and `root` are the two click groups."""
