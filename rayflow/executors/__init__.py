"""Layer 3: places where batches are performed, behind one port (`model.ports.Executor`). Mutually unaware; no graphs here.

* `inline` - in this process, when polled: unit tests and the debugger (`breakpoint()` works). Survives nothing.
* `process` - child processes of this machine, reused: lone tasks before Ray is there, flows that never need Ray.
* `ray` - the product. The only module that imports ray. A batch is one Ray task that streams its reports. The cluster is an existing one,
  or one for the run alone, or the warm one: `warm` says how it is found, lent and ended, `keeper` is the process that keeps it,
  `local` a cluster as a child process (of either), `connecting` what Ray must be told to join it. `room` says what fits a cluster, node
  by node, now and when it has grown; `ray_cluster` asks Ray for its nodes.

All perform the same entry, named by the composition root ("rayflow.runtime.worker:perform"), since a lower layer may not import it.

Nothing of a run outlives its driver: a child hears the end of its pipe (`child`), a cluster of one's own is ended by its `guard`, and
what that could not remove by whoever makes the next `scratch` directory. On the warm cluster Ray ends a dead driver's workers within a
second, and the run's `guard` what user code detached from them.

Decisions. Ray's own retries are off (`max_retries=0`): Ray replays a streaming task from its first item, so that finished
splits would run twice. Reports are task returns, owned by the driver: objects put by a worker die with it. A worker tells which split it
performs by a word in a mapped file (`progress`): 0.3 us a split, exact after SIGKILL, and needs no message.

The warm cluster is `ray start`, without monitor, log monitor and anything that listens on the network, and with a token of its own (Ray's
default token file is readable by all). Its first job costs 2 s more than the next, so `up` runs one. Rejected: a detached actor that
performs tasks 0.8 s sooner than a new worker, since it would keep one run's modules for the next: child processes hide that time. Use is
told by locks that drivers hold, not by Ray's list of jobs: the kernel cannot forget one, and no Ray need be imported to look.
"""
