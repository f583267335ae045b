"""An archive is read as if an enemy had made it: refused by name, with nothing outside of its directory, and nothing half."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import pytest

from rayflow.model.errors import StoreCorrupt, StoreMissing, UserError
from rayflow.package.archive import Archive, packed
from rayflow.package.stored import digest_of, fetch_package, read_package, store_package


def written(*members: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return sink.getvalue()


def named(*names: str) -> bytes:
    return written(*((zipfile.ZipInfo(name), b"evil") for name in names))


def of_mode(mode: int) -> bytes:
    member = zipfile.ZipInfo("innocent.py")
    member.external_attr = mode << 16
    return written((member, b"/etc/passwd"))


def with_bytes(old: bytes, new: bytes, content: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


def lying(offset: int, value: int, width: str) -> bytes:
    """A sound archive whose entry in the directory says something else at an offset."""
    content = bytearray(written(("a.py", b"x" * 1000), method=zipfile.ZIP_DEFLATED))
    struct.pack_into(width, content, content.index(b"PK\x01\x02") + offset, value)
    return bytes(content)


def swelling() -> bytes:
    return written(("bomb.py", bytes(200 << 20)), method=zipfile.ZIP_DEFLATED)


HOSTILE = {
    "up": named("../evil.py"),
    "up later": named("a/../../evil.py"),
    "absolute": named("/tmp/evil.py"),
    "backslash": named("..\\evil.py"),
    "drive": named("C:/evil.py"),
    "drive without a slash": named("C:evil.py"),
    "this directory": named("./evil.py"),
    "empty segment": named("a//evil.py"),
    "no name": named(""),
    "directory": named("evil/"),
    "NUL": with_bytes(b"evil_.py", b"evil\0.py", named("evil_.py")),
    "control characters": named("evil\x1b[2J.py"),
    "newline": named("evil\n.py"),
    "link": of_mode(0o120777),
    "device": of_mode(0o020666),
    "pipe": of_mode(0o010666),
    "the same name twice": with_bytes(b"twin_2.py", b"twin_1.py", named("twin_1.py", "twin_2.py")),
    "a file where a directory must be": named("a", "a/evil.py"),
    "too deep": named("/".join(["d"] * 60) + "/evil.py"),
    "a long name": named("e" * 300),
    "too many": named(*(f"{number}.py" for number in range(10_001))),
    "encrypted": lying(8, 0x1, "<H"),
    "unknown compression": lying(10, 99, "<H"),
    "says less than it has": lying(24, 10, "<I"),
    "says more than it has": lying(24, 5000, "<I"),
    "says more than fits": lying(24, 0x7FFFFFFF, "<I"),
    "wrong sum": lying(16, 0xDEADBEEF, "<I"),
    "another name inside": with_bytes(b"other.py", b"evil_.py", named("other.py"))[:40].replace(b"evil_.py", b"other.py")
    + with_bytes(b"other.py", b"evil_.py", named("other.py"))[40:],
    "no archive": b"not a zip",
    "empty": b"",
    "cut": named("a.py", "b.py")[:-30],
}


@pytest.mark.parametrize("content", [*HOSTILE.values(), None], ids=[*HOSTILE, "swells"])
def test_a_hostile_archive_is_refused_by_name_and_leaves_nothing(store, tmp_path, content):
    digest = store_package(store, "F", swelling() if content is None else content)
    top = tmp_path / "deep"
    top.mkdir()

    with pytest.raises(StoreCorrupt, match=rf"The code package F/code/{digest}\.zip "):
        fetch_package(store, "F", digest, str(top / "out"))

    assert (os.listdir(top), os.path.exists("/tmp/evil.py")) == ([], False)


def test_names_that_are_one_where_case_does_not_count_are_refused_there(monkeypatch, tmp_path):
    archive = Archive(named("a.py", "A.py"), "F/code/x.zip")
    path_of = os.path.join
    monkeypatch.setattr(os.path, "join", lambda *parts: path_of(*parts[:-1], parts[-1].lower()))  # as on a Mac

    with pytest.raises(StoreCorrupt, match=r"has two files that are one here, 'A.py'"):
        archive.extract(str(tmp_path / "out"))

    assert os.listdir(tmp_path) == []


def test_what_was_packed_is_extracted_and_nothing_else(store, tmp_path):
    files = {"flow.py": b"print(1)", "a/b/ünïcode.py": b"", "a/data.bin": bytes(range(256))}
    digest = store_package(store, "F", packed(files))

    directory = fetch_package(store, "F", digest, str(tmp_path / "out"))

    found = {
        os.path.relpath(os.path.join(folder, name), directory): open(os.path.join(folder, name), "rb").read()
        for folder, _, names in os.walk(directory)
        for name in names
    }
    assert (found, read_package(store, "F", digest).files(), os.listdir(tmp_path)) == (files, files, ["root", "out"])


def test_packages_of_earlier_versions_which_were_compressed_are_read(store):
    digest = store_package(store, "F", written(("flow.py", b"print(1)" * 100), method=zipfile.ZIP_DEFLATED))

    assert read_package(store, "F", digest).files() == {"flow.py": b"print(1)" * 100}


def test_an_extraction_that_is_cut_short_leaves_nothing(tmp_path):
    content = bytearray(packed({"a.py": b"fine", "b.py": b"damaged"}))
    content[content.index(b"damaged")] ^= 1

    with pytest.raises(StoreCorrupt, match=r"has a damaged file, 'b.py'"):
        Archive(bytes(content), "F/code/x.zip").extract(str(tmp_path / "out"))

    assert os.listdir(tmp_path) == []


def test_a_directory_that_has_something_is_left_as_it_is(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.py").write_text("mine")

    with pytest.raises(UserError, match=r"cannot be extracted into .*out: Directory not empty"):
        Archive(packed({"a.py": b""}), "F/code/x.zip").extract(str(tmp_path / "out"))

    assert (os.listdir(tmp_path), os.listdir(tmp_path / "out")) == (["out"], ["mine.py"])


def test_a_package_is_stored_once_under_its_digest(store):
    content = packed({"flow.py": b""})

    digests = {store_package(store, "F", content) for _ in range(2)}

    assert (digests, list(store.list("F/code"))) == ({digest_of(content)}, [f"F/code/{digest_of(content)}.zip"])


def test_a_package_that_is_not_what_its_name_says_or_not_there_is_named(store, tmp_path):
    digest = store_package(store, "F", packed({"flow.py": b"print(1)"}))
    with open(store.local_path(f"F/code/{digest}.zip"), "r+b") as file:
        file.seek(10)
        file.write(b"\1")

    with pytest.raises(StoreCorrupt, match=f"{digest}.zip is damaged: its content is not what its name says"):
        fetch_package(store, "F", digest, str(tmp_path / "out"))
    with pytest.raises(StoreMissing):
        fetch_package(store, "F", "0" * 64, str(tmp_path / "out"))
