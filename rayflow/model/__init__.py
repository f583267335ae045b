"""Layer 1: the nouns. Frozen values, small ports, the error tree; standard library only.

Why it is here: every other layer speaks in these words, so they depend on nothing. Nothing in this package does I/O, reads
a clock, logs, or draws a random number.

The nouns, in the order in which a run meets them:

* `Graph` and `Node` (`graph`) - the static shape of a flow, read from its source.
* `StepSpec` (`spec`) - a step's decorators, compiled to data.
* `IndexSet` and `Fanout` (`indexes`) - how a fan-out of a million tasks is named without a million objects. A *space* is the
  set of flat indices that a foreach step hands out (`""` is the root space, which holds index 0 only). A foreach step
  that finishes reserves a contiguous range of its space: that reservation is a `Fanout`, and it maps a flat index to
  (parent index, position) and back. Flat indices are labels of *this lineage of runs*: a resumed run adopts the ranges of
  what it reuses, so one index means the same work in both.
* `TaskKey` (`indexes`) - step + flat index + loop lap.
* `Batch` (`commands`) - sibling tasks launched together; a lone task is a batch of one.
* `Segment` (`records`) - committed rows of one step, with where they lie. The journal is a list of segments and failures.
* `Artifact` (`records`) - a value's description: codec, type, size, preview, and its bytes or the blob that holds them.
* events and commands (`events`, `commands`) - what the scheduler is told and what it wants.
* ports (`ports`) - what a store, an executor and a task's binding must offer.

Rejected: one object per task (1 million splits: > 1 GB and minutes of driver time; measured for raw Ray at 9 KB per
reference), and indices in canonical nested order (they are only known when the last outer split has ended; ranges
reserved on arrival are known at once, and a range of parents still maps to a range of children).
"""
