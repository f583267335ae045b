from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.submission.kuberay.apiserver import ApiServer, api_server, kubeconfig


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server of one's own, to which the kubeconfig leads."""
    with api_server() as made:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, made.url))
        yield made
