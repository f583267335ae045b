"""rayflow beside raw Ray, and beside Metaflow where it is given: `python -m benchmarks --help`.

What is compared is what a user would start: whole programs (`programs/`), each in a process of its own, interleaved round by
round so that the machine's moods hit all alike. Reported are the median, the spread, and by which
factor rayflow's median of the same measure is better (below 1: worse).
Both sides are byte-compiled before anything is measured, since Ray's children otherwise compile their imports at every start.

* `hello` - three steps: the time of the whole process.
* `fanout` - a foreach of trivial splits, beside one Ray task per item: the rate, the whole process, the driver's peak memory.
* `handoff` - a large value from one step to the next, beside {write the same bytes, fsync, map, read}.
* `scheduler` - the engine alone, without any I/O.
"""
