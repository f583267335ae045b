"""Layer 3: places where batches are performed, behind one port (`model.ports.Executor`). Mutually unaware; no graphs here.

* `inline` - in this process, when polled: unit tests and the debugger (`breakpoint()` works). Survives nothing.
* `process` - child processes of this machine, reused: lone tasks before Ray is there, flows that never need Ray.
* `ray` - the product. The only module that imports ray. A batch is one Ray task that streams its reports.

All perform the same entry, named by the composition root ("rayflow.runtime.worker:perform"), since a lower layer may not import it.

Nothing outlives the driver: a child hears the end of its pipe (`child`), a cluster of one's own is ended by its `guard`, and what that
could not remove by whoever makes the next `scratch` directory.

Decisions. Ray's own retries are off (`max_retries=0`): Ray replays a streaming task from its first item, so that finished
splits would run twice. Reports are task returns, owned by the driver: objects put by a worker die with it. A worker tells which split it
performs by a word in a mapped file (`progress`): 0.3 us a split, exact after SIGKILL, and needs no message.
"""
