"""Layer 5: a run, driven. The composition root, the one loop, and the place where user code is performed.

* `launch` - `run_flow` and `resume_flow`. `continuing` knows whom a run belongs to (seals, claims), `driving` performs it and records
  its end, `assembly` puts the parts together. `environments` sees that steps have the Pythons that they ask for, `entering` the same on
  other machines.
* `conductor` - the loop: commands of the scheduler out, reports in, commits, events back. `crew` chooses the executor of a batch,
  `committer` makes group commits, `holding` keeps what is to be said after another commit, `gangs` makes what nodes say into what their
  gang says, `narrator` tells the user, `tails` follows
  output, `obituary` reads what the dead wrote.
* `worker` - performs a batch, in whatever process: `session` is what the process keeps, `shared` what it is sent, `loading` how the flow
  file is imported, `cells` where code was written that has no file, `bind` a task's link to `self`, `capture` its output,
  `deadline` its timeout, `failures` its exceptions, `package` the code it runs.

The commit order is the promise: a worker stores large artifacts; the driver writes packs, then journal lines, syncs them, looks at
the fence; only then is a task done for the scheduler, the reader and the screen. So whatever dies, whenever, nothing that was said is
taken back.

Where the root is a bucket, and Ray performs, a large value of a lone task goes through Ray's object store. The worker offers it, encoded,
as items of its stream (owned by the driver, so that they outlive the worker), and stores it meanwhile. The scheduler may start what
follows ahead of the commit; all that such a batch says is held until its input is committed. A reference is a hint: where it is
lost the store is read. An array of 256 MiB, from its making until the next step has read it, with moto's server as S3 on two cores (three
runs each): 0.8 s, between two Ray nodes 1.1 s, through the bucket 9.3 s. A table of that size 5.5, 5.8 and 6.6 s: what takes the time
is Parquet.

Decisions. Commits are made by the loop itself, not by a thread: 1-3 ms each, at most ten a second, and a million rows
are 0.2 s of writing in all; slots are freed before the commit (`BatchFreed`), so that no worker waits for it.

Where the time of a hello goes (0.70 s beside Metaflow's 1.87, 2 cores): Python and click 0.08, the imports of this layer 0.1 and
more, of which half is making ~130 frozen dataclasses, a child's own imports 0.2 (it starts when the run is claimed), ten syncs. Taken
away: `secrets` and `hashlib` (OpenSSL's library alone takes 22 ms to load, so tokens are `os.urandom`), `platform.platform()` (it starts
`uname -p`). What half of making dataclasses means is estimated from profiles, which slow it down; the rest is measured.
"""
