"""Layer 4, the read side: what a notebook, a running task and a command ask about runs. Everything here only reads,
but for tags, which anyone may change.

What it is, from the bottom up:

* `lineage` - the one rule of which task's row holds the artifact that a task sees; `reader` - rows and values from where they lie.
  These two are what running tasks use: no clock, no cache beyond a few open packs.
* `roots` - roots and runs that this process has open; `session` - which root and namespace it looks at.
* `attempts` - which record stands for a task (committed, failed, under way) and what it sees; `bookkeeping` - artifacts which
  Metaflow stores with each task (`_foreach_stack`, `_success` ...) and which are computed here when somebody reads them;
  `facts` - the same for its metadata; `surroundings` - its environment; `logs` - what it printed; `following` - the same as it arrives;
  `descent` - where it led; `tags` - the tags of a run as they are now.
* `flows`, `runs`, `tasks`, `data`, `package` - the objects: `Rayflow`, `Flow`, `Run`, `Step`, `Task`, `DataArtifact`.
* `finding` - which of the runs are meant, by state, time, tags and parameters.
* `comparing` - how two runs differ; `codediff` and `differences` - the same of two code packages, and of two values.
* `html` - the pieces of what a notebook shows of them. `objects` - any of them by pathspec; `tables` - a step as a table; `lookup` - how
  commands name runs and artifacts.

An object is a reference (pathspec, root, namespace) and holds no bytes: it is made without reading when its parent has read
already, pickles as what it is, and shows a live run as it is now. `roots` says how fresh: what a user names is read anew, what he
goes on asking about the same object is at most 0.1 s old (on a bucket 1 s).

Rejected: snapshots (`run.finished` in a polling loop would never become true); one object per task when a run is opened (an
ended run of 100,000 tasks is read from one file, and its tasks cost nothing until they are looked at); reading a step's
artifacts task by task for `Step.table` (100 s for a million tasks; columns out of packs take one).

Importing this loads no pyarrow, NumPy, ray or fsspec; reading an artifact of a lone task does not either.
"""

from rayflow.client.base import RayflowObject
from rayflow.client.data import DataArtifact, TaskData
from rayflow.client.facts import Metadata
from rayflow.client.flows import Flow, Rayflow
from rayflow.client.lineage import Lineage
from rayflow.client.lookup import Location, RunName, find_run, locate
from rayflow.client.objects import open_pathspec
from rayflow.client.package import RayflowCode
from rayflow.client.reader import StoreReader
from rayflow.client.runs import Run, Step
from rayflow.client.session import (
    default_metadata,
    default_namespace,
    get_metadata,
    get_namespace,
    inspect_spin,
    metadata,
    namespace,
)
from rayflow.client.tasks import Task
from rayflow.settings.here import find_root, identity, user_name

__all__ = [
    "DataArtifact",
    "Flow",
    "Lineage",
    "Location",
    "Metadata",
    "Rayflow",
    "RayflowCode",
    "RayflowObject",
    "Run",
    "RunName",
    "Step",
    "StoreReader",
    "Task",
    "TaskData",
    "default_metadata",
    "default_namespace",
    "find_root",
    "find_run",
    "get_metadata",
    "get_namespace",
    "identity",
    "inspect_spin",
    "locate",
    "metadata",
    "namespace",
    "open_pathspec",
    "user_name",
]
