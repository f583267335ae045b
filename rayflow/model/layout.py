"""All path spelling under a root. Keys are relative POSIX paths; what each holds is told in `rayflow.catalog` and `rayflow.store`.

No name that a user, a scheduler or a file gives becomes part of a key without passing `safe_name` or `safe_run_id`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rayflow.model.errors import UnsafeName

FORMAT_FILE = "rayflow.json"
OVER_FILE = "over.json"
"""In a local root that lies over others: their URLs (see `rayflow.store.layered`)."""
MAX_NAME = 200
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_RUN_ID = re.compile(r"[0-9]{1,20}|[A-Za-z][A-Za-z0-9_\-]{0,39}")
_FLOW_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def safe_name(kind: str, name: str) -> str:
    """`name`, when it can be one segment of a key on every file system; else UnsafeName. `kind` names it in the message."""
    if not _SAFE_NAME.fullmatch(name) or len(name) > MAX_NAME or name.endswith("."):
        raise UnsafeName(f"{kind} {_shown(name)} cannot be used: letters, digits, '_', '-' and '.' only, at most {MAX_NAME} characters.")
    return name


def safe_run_id(run_id: str) -> str:
    """`run_id`, when it has the form of one (digits, or a letter and up to 39 letters, digits, `_`, `-`); else UnsafeName."""
    if not is_run_id(run_id):
        raise UnsafeName(f"Run id {_shown(run_id)} cannot be used: digits, or a letter followed by at most 39 letters, digits, '_' or '-'.")
    return run_id


def is_run_id(name: str) -> bool:
    """Whether the name has the form of a run id."""
    return _RUN_ID.fullmatch(name) is not None


def is_flow_name(name: str) -> bool:
    """Whether the name has the form of a flow's."""
    return _FLOW_NAME.fullmatch(name) is not None and len(name) <= MAX_NAME


def safe_flow_name(name: str) -> str:
    """`name`, when it is the name of a class in ASCII; else UnsafeName."""
    if not _FLOW_NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise UnsafeName(f"Flow name {_shown(name)} cannot be used: it must be a class name of ASCII letters, digits and '_'.")
    return name


def _shown(name: str) -> str:
    text = ascii(name)
    return text if len(text) <= 60 else text[:57] + "...'"


@dataclass(frozen=True, slots=True)
class FlowLayout:
    """The keys of one flow."""

    flow: str

    def __post_init__(self) -> None:
        safe_flow_name(self.flow)

    @property
    def index(self) -> str:
        """Directory of the start and end entries of runs."""
        return f"{self.flow}/index"

    @property
    def tags(self) -> str:
        """Directory of the log of changes of tags."""
        return f"{self.flow}/tags"

    def tag_file(self, number: int) -> str:
        """Create-only; change `number` of the tags of any run, with others before it."""
        return f"{self.flow}/tags/{number:08d}.json"

    @property
    def runs(self) -> str:
        return f"{self.flow}/runs"

    def code(self, digest: str) -> str:
        return f"{self.flow}/code/{safe_name('Code digest', digest)}.zip"

    @property
    def deployments(self) -> str:
        """Directory of what schedulers start, and of the names under which they know it."""
        return f"{self.flow}/deployments"

    def deployment(self, digest: str) -> str:
        """Named by its content, never changed: all that a run of it is made of, but its id and what it is given."""
        return f"{self.deployments}/{safe_name('Deployment', digest)}.json"

    @property
    def deployed(self) -> str:
        """Directory of the names of deployments."""
        return f"{self.deployments}/names"

    def deployed_file(self, scheduler: str, name: str, number: int) -> str:
        """Create-only; change `number` of what a scheduler starts under a name. The last one holds."""
        return f"{self.deployed}/{safe_name('Scheduler', scheduler)}/{safe_name('Deployment', name)}/{number:06d}.json"

    @property
    def environments(self) -> str:
        """Directory of the locks of environments."""
        return f"{self.flow}/environments"

    def environment(self, digest: str) -> str:
        """What an environment is made of, down to the last package: a requirements file."""
        return f"{self.flow}/environments/{safe_name('Environment digest', digest)}.txt"

    def run(self, run_id: str) -> RunLayout:
        return RunLayout(self.flow, run_id)


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The keys of one run."""

    flow: str
    run: str

    def __post_init__(self) -> None:
        safe_flow_name(self.flow)
        safe_run_id(self.run)

    @property
    def root(self) -> str:
        return f"{self.flow}/runs/{self.run}"

    @property
    def record(self) -> str:
        """run.json: create-only; claims the id."""
        return f"{self.root}/run.json"

    @property
    def end(self) -> str:
        """end.json: create-only; how the run ended and where everything lies."""
        return f"{self.root}/end.json"

    @property
    def epochs(self) -> str:
        return f"{self.root}/epoch"

    def epoch(self, number: int) -> str:
        """Create-only; writer `number` of the run: 1 is the first driver."""
        return f"{self.root}/epoch/{number:06d}.json"

    @property
    def beat(self) -> str:
        """Overwritten about once a second by the driver: a counter, no time."""
        return f"{self.root}/beat.json"

    @property
    def continuation(self) -> str:
        """Create-only; the run that continues this one after a plain resume."""
        return f"{self.root}/continued.json"

    @property
    def removed(self) -> str:
        """Create-only; the run is being removed: nobody may begin to refer to it."""
        return f"{self.root}/removed.json"

    @property
    def journal(self) -> str:
        return f"{self.root}/journal"

    def journal_file(self, number: int) -> str:
        """`number` is the epoch where the store can append, else the sequence number of the group commit."""
        return f"{self.root}/journal/{number:08d}.jsonl"

    def pack(self, name: str) -> str:
        """`name` is `<step>/<file>`."""
        step, _, file = name.partition("/")
        return f"{self.root}/packs/{safe_name('Step', step)}/{safe_name('Pack', file)}"

    @property
    def blobs(self) -> str:
        return f"{self.root}/blobs"

    def blob(self, name: str) -> str:
        return f"{self.root}/blobs/{safe_name('Blob', name)}"

    @property
    def logs(self) -> str:
        return f"{self.root}/logs"

    def log(self, name: str, stream: str) -> str:
        """`name` is `<step>/<worker>`; `stream` is `out`, `err` or `marks`."""
        step, _, worker = name.partition("/")
        return f"{self.root}/logs/{safe_name('Step', step)}/{safe_name('Log', worker)}.{stream}"

    @property
    def all_checkpoints(self) -> str:
        return f"{self.root}/checkpoints"

    def checkpoints(self, task: str) -> str:
        """Directory of the checkpoints of one task, which is named `<step>-<index>[-<lap>]`."""
        return f"{self.root}/checkpoints/{safe_name('Task', task)}"

    def dataset(self, name: str) -> str:
        """Directory of the files of one dataset."""
        return f"{self.root}/datasets/{safe_name('Dataset', name)}"
