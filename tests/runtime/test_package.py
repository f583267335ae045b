"""The code package: the same bytes for the same files, nothing secret, and no way out of its directory."""

from __future__ import annotations

import io
import os
import zipfile

import pytest
from blake3 import blake3

from rayflow.model.errors import StoreCorrupt, StoreMissing
from rayflow.runtime.package import build_package, fetch_package, files_of, store_package
from rayflow.store import open_root


@pytest.fixture
def project(tmp_path):
    """A directory with a flow, what belongs to it, and what must never travel."""
    files = {
        "flow.py": "print(1)",
        "helpers/__init__.py": "",
        "helpers/ünïcode.py": "x = 1",
        "notes.md": "no code",
        ".env": "PASSWORD=1",
        ".git/config.py": "secret",
        ".ssh/id_rsa": "secret",
        "secrets.py": "secret",
        "credentials.json": "secret",
        "key.pem": "secret",
        "__pycache__/flow.py": "cache",
        "venv/lib/site.py": "installed",
        "myenv/pyvenv.cfg": "home = /usr",
        "myenv/lib/installed.py": "installed",
        "node_modules/x.py": "installed",
        "data/rayflow.json": "{}",
        "data/run.py": "a root",
    }
    directory = tmp_path / "project"
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return directory


@pytest.fixture
def store(tmp_path):
    return open_root(str(tmp_path / "root"), create=True)


def members(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_what_belongs_to_a_flow_is_packed_and_secrets_are_not(project):
    assert members(build_package(str(project / "flow.py"))) == ["flow.py", "helpers/__init__.py", "helpers/ünïcode.py"]


def test_suffixes_that_are_asked_for_are_packed_too_but_no_secrets(project):
    content = build_package(str(project / "flow.py"), (".py", ".md", ".json", ".pem"))

    assert members(content) == ["flow.py", "helpers/__init__.py", "helpers/ünïcode.py", "notes.md"]


def test_the_same_files_make_the_same_bytes(project):
    before = build_package(str(project / "flow.py"))

    os.utime(project / "flow.py", (1, 1))
    os.chmod(project / "flow.py", 0o755)

    assert build_package(str(project / "flow.py")) == before


def test_another_file_makes_another_package(project):
    before = build_package(str(project / "flow.py"))

    (project / "helpers" / "more.py").write_text("y = 2")

    assert build_package(str(project / "flow.py")) != before


def test_links_out_of_the_directory_are_not_followed_and_broken_ones_are_left_out(project, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "other.py").write_text("z = 3")
    (project / "linked").symlink_to(outside)
    (project / "broken.py").symlink_to(tmp_path / "nowhere.py")

    assert [name for name, _ in files_of(str(project))] == ["flow.py", "helpers/__init__.py", "helpers/ünïcode.py"]


def test_a_package_is_stored_once_under_its_digest(project, store):
    content = build_package(str(project / "flow.py"))

    digests = {store_package(store, "F", content) for _ in range(2)}

    assert (digests, list(store.list("F/code"))) == ({blake3(content).hexdigest()}, [f"F/code/{blake3(content).hexdigest()}.zip"])


def test_a_package_is_extracted_as_it_was(project, store, tmp_path):
    digest = store_package(store, "F", build_package(str(project / "flow.py")))

    directory = fetch_package(store, "F", digest, str(tmp_path / "out"))

    assert [(name, open(path).read()) for name, path in files_of(directory)] == [
        ("flow.py", "print(1)"),
        ("helpers/__init__.py", ""),
        ("helpers/ünïcode.py", "x = 1"),
    ]


def archive(**names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        for name in names.values():
            packed.writestr(zipfile.ZipInfo(name), b"evil")
    return sink.getvalue()


def linked() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        member = zipfile.ZipInfo("innocent")
        member.external_attr = 0o120777 << 16
        packed.writestr(member, b"/etc/passwd")
    return sink.getvalue()


@pytest.mark.parametrize(
    "content",
    [archive(a="../evil.py"), archive(a="/tmp/evil.py"), archive(a="a/../../evil.py"), archive(a="..\\evil.py"), linked()],
    ids=["up", "absolute", "up later", "backslash", "link"],
)
def test_an_archive_that_reaches_outside_is_refused(store, tmp_path, content):
    digest = store_package(store, "F", content)
    target = tmp_path / "deep" / "out"

    with pytest.raises(StoreCorrupt, match="could leave its directory"):
        fetch_package(store, "F", digest, str(target))

    assert [name for _, _, names in os.walk(tmp_path / "deep") for name in names] == []


def test_an_archive_that_swells_is_refused(store, tmp_path):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.py", bytes(200 << 20))
    digest = store_package(store, "F", sink.getvalue())

    with pytest.raises(StoreCorrupt, match="larger than any"):
        fetch_package(store, "F", digest, str(tmp_path / "out"))


def test_a_damaged_or_missing_package_is_named(project, store, tmp_path):
    digest = store_package(store, "F", build_package(str(project / "flow.py")))
    with open(store.local_path(f"F/code/{digest}.zip"), "r+b") as file:
        file.seek(10)
        file.write(b"\0\0\0")

    with pytest.raises(StoreCorrupt, match=digest):
        fetch_package(store, "F", digest, str(tmp_path / "out"))
    with pytest.raises(StoreMissing):
        fetch_package(store, "F", "0" * 64, str(tmp_path / "out"))


def test_what_is_no_archive_is_damage(store, tmp_path):
    digest = store_package(store, "F", b"not a zip")

    with pytest.raises(StoreCorrupt, match=digest):
        fetch_package(store, "F", digest, str(tmp_path / "out"))
