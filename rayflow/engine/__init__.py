"""Layer 2: decides what to run. Facts in, commands out; no I/O, clock, randomness, logger or thread.

What it is. `Scheduler` follows the graph on index sets. `run`, `resume`, re-attach, retry, replay after a crash and the dry
run (`plan`) are this one machine: given committed segments, it takes over what it may and launches the rest. The pieces:

* `frontier` - what is ready once tasks are done: transitions, fan-outs, joins (`arrivals` counts who is there).
* `reservations` - the flat indices and task ids of fan-outs. What is adopted keeps its numbers, new ones lie above.
* `reuse` - committed outcomes by range. Freshness travels with the arrivals: one fresh input makes a task fresh.
* `pending`, `sizing` - what waits, and how much of it the next batch gets.
* `chains` - which steps a worker performs in one go, so that a body of several steps costs the driver no more than one of a single step.
* `speculation` - what starts on what a lone task offers, ahead of its commit; a state of its own, dropped where the input is lost.
* `retry` - what follows a failed attempt; the worker's loop calls the same function. `setbacks` - what follows it in the queues.
* `steps` - the state per step: counts, a queue, and a table of exceptions (tasks that failed or were lost before).
* `invariants` - what holds after every event; tests ask after each.

Why counts and no set of done tasks. A task is in exactly one place - with a join that waits for others, in a queue, delayed,
in flight - and leaves its flight when it is named the first time; so a second report finds nothing, and what is done
needs no memory. A fan-out of 10^7 is one range in a queue.

Decisions. All reuse happens in `start`: what is ready later has a fresh input. So a driver journals the reuse before it
launches anything, and a resume that is killed loses none of it. Tasks that were lost with a node are repeated together, at most
`MAX_LOSSES` times each; those of which one must have killed its worker, it is not known which, in halves until it is alone (singly, as
it was once, 50,000 of them would have been 50,000 batches). A batch that goes on to the next steps of its tasks *claims* them when their
inputs are committed: until then they are nobody's, so that a worker which is ahead of its reports can be lost at any time. What
cannot go on ends the run with a reason; nothing waits for ever. A batch that does not end when it is killed is waited for one more grace
period.

Rejected. A task object per split (> 1 GB per million). Bitmaps of what is done (a byte per task that nobody reads). Sets of
indices at static joins (60 bytes a task): one byte per index, counted up by `bytes.translate`, is 1 ns a task. Canonical
nested order of indices (see `rayflow.model`). A second scheduler for resume, as Metaflow has it.

Measured (`benchmarks/scheduler.py`, one core, peak of the whole process 39 MB): 10,000,000 splits take 225 batches at 31 us each;
100,000 x 3 nested 85 batches at 79 us, 1,000 x 10,000 nested 443 at 41 us; a million splits with alternating arms 178 at 0.7 ms (the
selection of the arms), with a static split in the body 187 at 57 us. A resume of those million with a hole in every old batch takes 0.9
to 1.6 s. Random schedules: 7 ms each (`tests/engine`).
"""

from rayflow.engine.plan import Plan, Planned, plan
from rayflow.engine.retry import Catch, Decision, Fallback, GiveUp, RetryAfter, RetryNow, after_failure, retry_why
from rayflow.engine.scheduler import Scheduler
from rayflow.engine.steps import StepProgress

__all__ = [
    "Catch",
    "Decision",
    "Fallback",
    "GiveUp",
    "Plan",
    "Planned",
    "RetryAfter",
    "RetryNow",
    "Scheduler",
    "StepProgress",
    "after_failure",
    "plan",
    "retry_why",
]
