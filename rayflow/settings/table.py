"""Every setting, declared once: its name, what it can be, what holds without it, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rayflow.settings.kinds import FLAG, Kind, amount, choice, entries, node_kinds, place, text, whole, words

PREFIX = "RAYFLOW_"
EXECUTORS = ("auto", "ray", "process", "inline")
TABLES = ("arrow", "parquet")
ENVIRONMENTS = ("local", "pypi", "conda", "uv")
MODES = ("metaflow",)
"""What `--compat` knows."""

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """`default` is told, not a value: what holds where nobody states the setting is known where it is used. `option` is the name of the
    command line's option that this is the default of. `is_variable_only`: files cannot state it, since it says which files there are."""

    name: str
    kind: Kind[T]
    default: str
    help: str
    option: str = ""
    is_variable_only: bool = False

    @property
    def variable(self) -> str:
        """Its name in the environment, and in files."""
        return PREFIX + self.name


ROOT = Setting(
    "ROOT", place("a directory or a URL"), "the nearest .rayflow", "Where runs are kept: a directory, or any fsspec URL.", option="root"
)
USER = Setting("USER", text("a name"), "the account's", "Who you are: runs are recorded, and looked for, under this name.")
EXECUTOR = Setting("EXECUTOR", choice(EXECUTORS), "auto", "Who performs tasks, as --executor.", option="executor")
ADDRESS = Setting(
    "ADDRESS", text("host:port, or local"), "that of `rayflow up`", "The Ray cluster to join, as --address.", option="address"
)
NODE_KINDS = Setting(
    "NODE_KINDS",
    node_kinds('JSON such as [{"CPU": 8, "GPU": 1, "most": 10}]'),
    "none",
    "What nodes the autoscaler of a joined cluster may add: their resources, and how many there may be. `submit --on kuberay` tells it.",
)
MAX_WORKERS = Setting(
    "MAX_WORKERS",
    whole(1, "a whole number from 1 on"),
    "what the cluster holds",
    "Tasks at once, as --max-workers.",
    option="max_workers",
)
MAX_NUM_SPLITS = Setting(
    "MAX_NUM_SPLITS",
    whole(1, "a whole number from 1 on"),
    "no limit",
    "The widest foreach, as --max-num-splits.",
    option="max_num_splits",
)
MAX_LOG_SIZE = Setting(
    "MAX_LOG_SIZE",
    whole(1, "a whole number of megabytes"),
    "10",
    "MB that are kept of a task's output, as --max-log-size.",
    option="max_log_size",
)
TABLES_AS = Setting(
    "TABLES", choice(TABLES), "arrow; parquet on a bucket", "How tables of new runs are stored, as --tables.", option="tables"
)
STRICT_RESOURCES = Setting(
    "STRICT_RESOURCES", FLAG, "false", "Refuse steps that need more than this machine has.", option="strict_resources"
)
BRANCH = Setting("BRANCH", text("a name"), "one of your own", "The branch of @project flows, as --branch.", option="branch")
QUIET = Setting("QUIET", FLAG, "false", "Only the run log and errors, as --quiet.", option="quiet")
VERBOSE = Setting("VERBOSE", FLAG, "false", "Tracebacks in full, as --verbose.", option="verbose")
COMPAT = Setting("COMPAT", choice(MODES), "off", "What `rayflow` does with files that say `from metaflow import ...`, as --compat.")
DEFAULT_DECOSPECS = Setting(
    "DEFAULT_DECOSPECS",
    words("decorators with spaces between them, such as: retry:times=2 timeout:minutes=5"),
    "none",
    "Decorators for all steps, after those of --with.",
)
DEFAULT_PACKAGE_SUFFIXES = Setting(
    "DEFAULT_PACKAGE_SUFFIXES",
    text("how names of files end, with commas between, such as .json,.yaml"),
    ".py alone",
    "Files that are kept with the code of runs, as --package-suffixes.",
    option="package_suffixes",
)
DEFAULT_PACKAGE_MODULES = Setting(
    "DEFAULT_PACKAGE_MODULES",
    text("names of modules with commas between, such as common,company.tools"),
    "none",
    "Modules from elsewhere that are kept with the code of runs, as --package-modules.",
    option="package_modules",
)
DEFAULT_SECRETS_BACKEND_TYPE = Setting(
    "DEFAULT_SECRETS_BACKEND_TYPE", text("a type such as aws-secrets-manager"), "none", "The type of @secrets that name none."
)
FLOW_CONFIG = Setting("FLOW_CONFIG", entries('JSON such as {"cfg": "FILE"}'), "none", "Files of Configs by name, as --config.")
FLOW_CONFIG_VALUE = Setting(
    "FLOW_CONFIG_VALUE", entries('JSON such as {"cfg": {"alpha": 1}}'), "none", "Values of Configs by name, as --config-value."
)
TEMPDIR = Setting(
    "TEMPDIR", place("a directory"), "the working directory", "Where S3 puts what it downloads, and what `current.tempdir` says."
)
CACHE = Setting(
    "CACHE", place("a directory, or off", ("off",)), "~/.cache/rayflow", "Where values that the client read of a bucket are kept."
)
CACHE_GB = Setting("CACHE_GB", amount("a number of gigabytes, such as 10"), "10", "How large that may get.")
DATATOOLS_S3ROOT = Setting(
    "DATATOOLS_S3ROOT",
    place("the URL of a place in S3, such as s3://bucket/path, or a directory"),
    "user-data under the root",
    "Where S3(run=self) keeps objects, by flow and run.",
)
ENABLED_ARTIFACT_SERIALIZER = Setting(
    "ENABLED_ARTIFACT_SERIALIZER",
    words("TYPEs of serializers with spaces between them, each after a '-', such as: -torch -arrow"),
    "all of them",
    "Serializers that are left out: each by its TYPE after a '-'.",
)
ENVIRONMENT = Setting(
    "ENVIRONMENT", choice(ENVIRONMENTS), "local", "Whether steps have Pythons of their own, as --environment.", option="environment"
)
ENVIRONMENTS_DIR = Setting(
    "ENVIRONMENTS_DIR", place("a directory"), "~/.cache/rayflow/environments", "Where the Pythons of steps are kept on this machine."
)
STATE_DIR = Setting("STATE_DIR", place("a directory"), "~/.local/state/rayflow", "Where the cluster of `rayflow up` is noted.")
HOME = Setting("HOME", place("a directory"), "~/.rayflow", "Where the files of the profiles are.", is_variable_only=True)
PROFILE = Setting("PROFILE", text("a name"), "none", "Which file there: config_<PROFILE>.json.", is_variable_only=True)

SETTINGS: tuple[Setting[Any], ...] = (
    ROOT,
    USER,
    EXECUTOR,
    ADDRESS,
    NODE_KINDS,
    MAX_WORKERS,
    MAX_NUM_SPLITS,
    MAX_LOG_SIZE,
    TABLES_AS,
    STRICT_RESOURCES,
    BRANCH,
    QUIET,
    VERBOSE,
    COMPAT,
    DEFAULT_DECOSPECS,
    DEFAULT_PACKAGE_SUFFIXES,
    DEFAULT_PACKAGE_MODULES,
    DEFAULT_SECRETS_BACKEND_TYPE,
    FLOW_CONFIG,
    FLOW_CONFIG_VALUE,
    TEMPDIR,
    CACHE,
    CACHE_GB,
    DATATOOLS_S3ROOT,
    ENABLED_ARTIFACT_SERIALIZER,
    ENVIRONMENT,
    ENVIRONMENTS_DIR,
    STATE_DIR,
    HOME,
    PROFILE,
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def bare_name(name: str) -> str:
    """`RAYFLOW_MAX_WORKERS`, `max-workers` -> `MAX_WORKERS`."""
    return name.strip().upper().replace("-", "_").removeprefix(PREFIX)


def setting_named(name: str) -> Setting[Any] | None:
    """The setting of that name, in any case, with or without the prefix."""
    return _BY_NAME.get(bare_name(name))
