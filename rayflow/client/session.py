"""What the client of this process looks at: which root, and which namespace. Objects keep the ones they were made with."""

from __future__ import annotations

import os

from rayflow.client.roots import Root, root_at
from rayflow.flow.current import current
from rayflow.model.errors import UserError
from rayflow.model.layout import FORMAT_FILE
from rayflow.settings.here import ROOT_NAME, find_root, identity
from rayflow.settings.reading import StatedSettings, read_settings

_LOCAL = "local@"


class _Session:
    """`root_url` None: the rule of `find_root`. `is_namespace_set` False: the user's own namespace."""

    def __init__(self, task: str = "") -> None:
        self.task = task
        self.root_url: str | None = None
        self.is_namespace_set = False
        self.namespace: str | None = None


_outside, _in_task = _Session(), _Session()


def _session() -> _Session:
    """What was chosen here: each attempt of a task begins anew, whatever its process did before."""
    global _in_task  # noqa: PLW0603 - of the task that this process performs there is one
    if not current.is_running_flow:
        return _outside
    task = f"{current.pathspec} {current.retry_count}"
    if _in_task.task != task:
        _in_task = _Session(task)
    return _in_task


def namespace(ns: str | None) -> str | None:
    """Limits what the client shows to runs that have the tag `ns`; None shows everything. Returns the namespace."""
    session = _session()
    session.is_namespace_set, session.namespace = True, ns
    return ns


def get_namespace() -> str | None:
    """The current namespace; None when everything is shown. In a task it is that of the run, unless the task says otherwise."""
    session = _session()
    if session.is_namespace_set:
        return session.namespace
    return current.namespace if current.is_running_flow else f"user:{identity(settings_here())}"


def default_namespace() -> str:
    """Back to the user's own namespace, `user:<name>`, which is returned."""
    session = _session()
    session.is_namespace_set, session.namespace = False, None
    return get_namespace() or ""


def metadata(ms: str) -> str:
    """Looks at another root: a directory, `local@<directory>` or a URL. Of a directory that is no root itself, its `.rayflow` is
    meant. Returns what `get_metadata` returns. Raises `UserError` for a directory that does not exist."""
    _session().root_url = _root_url(ms)
    return get_metadata()


def get_metadata() -> str:
    """The root that is looked at: `local@<directory>` (that which holds `.rayflow`, where there is one) or a URL."""
    url = current_root_url()
    if "://" in url:
        return url
    directory, name = os.path.split(url)
    return f"{_LOCAL}{directory if name == ROOT_NAME else url}"


def default_metadata() -> str:
    """Back to the root that the setting ROOT or the working directory tells. Returns what `get_metadata` returns."""
    _session().root_url = None
    return get_metadata()


def inspect_spin(directory: str = ".") -> str:
    """Looks at what `spin --persist` kept in a directory: `Flow`, `Run` and the rest find spins there. Returns what `get_metadata` returns.
    UserError where there are none; `default_metadata` goes back."""
    from rayflow.settings.here import SPIN_ROOT

    path = os.path.abspath(os.path.expanduser(directory))
    root = path if os.path.basename(path) == SPIN_ROOT else os.path.join(path, SPIN_ROOT)
    if not os.path.isdir(root):
        raise UserError(f"There are no spins in {path}. Spin a step there with --persist first.")
    _session().root_url = root
    return get_metadata()


def settings_here() -> StatedSettings:
    """What is stated for this process, where it is now."""
    return read_settings(os.environ, os.getcwd())


def current_root_url() -> str:
    """The URL or absolute path of the root that is looked at."""
    return _session().root_url or find_root(settings_here())


def current_root() -> Root:
    """The root that is looked at, open."""
    return root_at(current_root_url())


def _root_url(text: str) -> str:
    path = text.removeprefix(_LOCAL)
    if "://" in path:
        return path
    path = os.path.abspath(os.path.expanduser(path))
    if not os.path.isdir(path):
        raise UserError(f"There is no directory {path}, so it cannot hold a rayflow root. Give an existing directory or a URL.")
    if os.path.basename(path) == ROOT_NAME or os.path.exists(os.path.join(path, FORMAT_FILE)):
        return path
    return os.path.join(path, ROOT_NAME)
