import pytest

from rayflow.client import default_metadata, default_namespace, metadata, namespace
from rayflow.store import open_root


@pytest.fixture(autouse=True)
def _session(monkeypatch):
    """The process-wide choices of the client are those of the test alone."""
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    yield
    monkeypatch.setenv("RAYFLOW_USER", "ada")
    default_namespace()
    default_metadata()


@pytest.fixture
def store(tmp_path):
    """An empty root, which the client looks at, in no namespace."""
    store = open_root(str(tmp_path / ".rayflow"), create=True)
    metadata(str(tmp_path))
    namespace(None)
    return store
