"""Which store serves a URL, and which roots are refused."""

import json
import os
import subprocess
import sys
import uuid

import pytest

from rayflow.model.errors import StoreCorrupt, StoreFault, StoreMissing, StoreNewer
from rayflow.store import LocalStore, open_root, open_store
from rayflow.store.remote import RemoteStore


def test_paths_and_file_urls_are_local_and_everything_else_is_not(tmp_path):
    stores = [open_store(str(tmp_path)), open_store(f"file://{tmp_path}"), open_store(f"memory://{uuid.uuid4().hex}")]

    assert [(type(store), store.url.partition("://")[0]) for store in stores] == [
        (LocalStore, str(tmp_path)),
        (LocalStore, str(tmp_path)),
        (RemoteStore, "memory"),
    ]


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_root_is_created_once_and_opened_ever_after(tmp_path, kind):
    url = str(tmp_path / "root") if kind == "local" else f"memory://{uuid.uuid4().hex}/root"

    with pytest.raises(StoreMissing, match="no rayflow root"):
        open_root(url, create=False)
    created = open_root(url, create=True)
    open_root(url, create=True)

    assert json.loads(open_root(url, create=False).read("rayflow.json")) == {"format": "rayflow", "version": 1}
    assert list(created.list("")) == ["rayflow.json"]


def test_a_newer_root_is_refused_unharmed(tmp_path):
    text = b'{"format": "rayflow", "version": 99, "more": true}'
    (tmp_path / "rayflow.json").write_bytes(text)

    with pytest.raises(StoreNewer, match="Upgrade"):
        open_root(str(tmp_path), create=True)

    assert (tmp_path / "rayflow.json").read_bytes() == text


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b"null"])
def test_a_format_file_that_says_nothing_is_damaged(tmp_path, text):
    (tmp_path / "rayflow.json").write_bytes(text)

    with pytest.raises(StoreCorrupt, match="format version"):
        open_root(str(tmp_path), create=True)


def test_a_root_that_is_a_file_is_told(tmp_path):
    (tmp_path / "root").write_text("a file")

    with pytest.raises(StoreFault, match="is a file"):
        open_root(str(tmp_path / "root"), create=True)


def test_a_root_that_cannot_be_written_is_told_with_the_way_out():
    with pytest.raises(StoreFault, match="/proc/rayflow"):
        open_root("/proc/rayflow", create=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_read_only_root_can_be_read(tmp_path):
    open_root(str(tmp_path / "root"), create=True)
    (tmp_path / "root").chmod(0o500)

    assert open_root(str(tmp_path / "root"), create=False).read("rayflow.json")


def test_plain_artifacts_on_a_local_root_load_no_heavy_library(tmp_path):
    program = f"""
import sys
from rayflow.store import open_root
from rayflow.store.blobs import Blobs
from rayflow.store.packs import Pack, RowsEncoder
blobs = Blobs(open_root({str(tmp_path / "root")!r}, create=True), "Flow", "1")
for value in (1, "text", [1, {{"a": None}}], b"bytes", range(3), (1, 2), "long" * 20_000):
    assert blobs.load(blobs.put("x", value)) == value
print([name for name in ("pyarrow", "numpy", "pandas", "fsspec", "cloudpickle", "tenacity") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
