"""What belongs into a package: the flow's directory as it is named, the same bytes for the same files, and nothing left out in silence."""

from __future__ import annotations

import os
import sys

import pytest

from rayflow.model.errors import UsageError, UserError
from rayflow.package.gathering import Wanted, build_package, suffixes_of
from rayflow.package.stored import digest_of

PROJECT = {
    "helpers/__init__.py": "",
    "helpers/ünïcode.py": "x = 1",
    "env/agent.py": "a package of that name",
    "notes.md": "no code",
    ".hidden.py": "an editor's",
    ".venv/lib/x.py": "installed",
    "__pycache__/flow.py": "cache",
    "myenv/pyvenv.cfg": "home = /usr",
    "myenv/lib/installed.py": "installed",
    "conda/conda-meta/history": "",
    "conda/lib/installed.py": "installed",
    "node_modules/x.py": "installed",
    "data/rayflow.json": "{}",
    "data/run.py": "a root",
}
CODE = ["env/agent.py", "flow.py", "helpers/__init__.py", "helpers/ünïcode.py"]


def packed(directory, *suffixes: str, modules: tuple[str, ...] = ()):
    return build_package(Wanted(str(directory / "flow.py"), suffixes, modules))


def test_the_code_below_the_flow_belongs_to_it_and_hidden_files_installations_and_roots_do_not(made):
    assert list(packed(made(PROJECT)).sizes) == CODE


def test_suffixes_add_files_and_python_files_always_go_along(made):
    assert list(packed(made(PROJECT), ".md", ".json").sizes) == [*CODE, "notes.md"]


def test_the_same_files_make_the_same_bytes_whatever_their_times_modes_and_umask(made):
    directory = made(PROJECT)
    before = packed(directory)

    os.utime(directory / "flow.py", (1, 1))
    os.chmod(directory / "flow.py", 0o700)

    assert packed(directory).content == before.content


def test_the_bytes_are_those_of_every_python_and_every_machine(made):
    package = packed(made({"helpers/ünïcode.py": "x = 1", "big.txt": "0123456789" * 1000}), ".txt")

    assert digest_of(package.content) == "6a9e3fd4cb8c7ccfa714b89436143b8fa52837fe6dd052ac2c4abe7b5383856f"


def test_another_file_makes_another_package(made):
    directory = made(PROJECT)
    before = packed(directory)

    (directory / "helpers" / "more.py").write_text("y = 2")

    assert packed(directory).content != before.content


def test_files_are_unchanged_until_one_is_written_or_gone(made):
    directory = made(PROJECT)
    files = packed(directory).files
    seen = [files.are_unchanged]

    (directory / "helpers" / "ünïcode.py").write_text("x = 2, longer")
    seen.append(files.are_unchanged)
    (directory / "helpers" / "ünïcode.py").unlink()
    seen.append(files.are_unchanged)

    assert seen == [True, False, False]


# -- what is left out, and told ----------------------------------------------------------------------------------------


def test_what_rayflowignore_names_is_left_out_as_git_would_and_nothing_is_said(made):
    directory = made(
        {
            ".rayflowignore": "# drafts\n/drafts/\n*.pem\ntests/**/old_*.py\nlib/*\n!lib/kept.py\nflow.py\n",
            "drafts/a.py": "",
            "sub/drafts/b.py": "",
            "key.pem": "",
            "tests/x/old_1.py": "",
            "tests/x/new.py": "",
            "lib/dropped.py": "",
            "lib/kept.py": "",
        }
    )

    package = packed(directory, ".pem")

    assert (list(package.sizes), package.remarks) == (["flow.py", "lib/kept.py", "sub/drafts/b.py", "tests/x/new.py"], ())


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe", "is no UTF-8 text"), (b"a\n!\n", "has a pattern that cannot be used")])
def test_a_rayflowignore_that_cannot_be_used_is_named(made, content, words):
    directory = made({})
    (directory / ".rayflowignore").write_bytes(content)

    with pytest.raises(UserError, match=rf"\.rayflowignore .*{words}"):
        packed(directory)


def test_links_within_the_directory_are_followed_and_endless_ones_end(made):
    directory = made({"lib/a.py": "a = 1"})
    (directory / "same").symlink_to(directory / "lib")
    (directory / "lib" / "up").symlink_to(directory)
    (directory / "b.py").symlink_to("lib/a.py")
    (directory / "broken.py").symlink_to("nowhere.py")

    package = packed(directory)

    assert (list(package.sizes), package.remarks) == (["b.py", "flow.py", "lib/a.py", "same/a.py"], ())


def test_links_out_of_the_directory_stay_behind_and_are_told(made, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "other.py").write_text("z = 3")
    (tmp_path / "pictures").mkdir()
    directory = made({})
    (directory / "linked").symlink_to(tmp_path / "outside")
    (directory / "one.py").symlink_to(tmp_path / "outside" / "other.py")
    (directory / "pictures").symlink_to(tmp_path / "pictures")

    package = packed(directory)

    assert (list(package.sizes), package.remarks) == (
        ["flow.py"],
        (
            "Left out of the code package: links that lead out of the flow's directory (linked, one.py). Name their modules with "
            "--package-modules.",
        ),
    )


def test_names_that_not_every_system_can_have_are_told(made):
    package = packed(made({"a\\b.py": "", "new\nline.py": "", "C:x.py": ""}))

    assert (list(package.sizes), package.remarks) == (
        ["flow.py"],
        ("Left out of the code package: files whose names not every system can have (C:x.py, a\\\\b.py, new\\nline.py). Rename them.",),
    )


def test_a_directory_that_cannot_be_read_is_told(made, monkeypatch):
    directory, scandir = made({"shut/a.py": "", "open/b.py": ""}), os.scandir

    def refuse(path):
        if path.endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root, whom tests may run as, reads everything

    package = packed(directory)

    assert (list(package.sizes), package.remarks) == (
        ["flow.py", "open/b.py"],
        (
            "Left out of the code package: directories that cannot be read (shut). Name them in .rayflowignore, and nothing is said of "
            "them.",
        ),
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), r"b\.py cannot be read for the code package: Permission denied\. Make it readable, or"),
        (FileNotFoundError(2, "No such file"), r"b\.py vanished while the code package was made\. Start again\."),
    ],
)
def test_a_file_that_cannot_be_read_or_vanishes_meanwhile_is_named(made, monkeypatch, error, words):
    directory, stat = made({"b.py": ""}), os.stat

    def fail(path, **options):
        if str(path).endswith("b.py"):
            raise error
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", fail)

    with pytest.raises(UserError, match=words):
        packed(directory)


def test_a_big_package_is_made_and_its_five_largest_files_are_told(made):
    directory = made({f"f{number}.csv": "x" * 1_000_000 * number for number in range(1, 7)})

    remarks = packed(directory, ".csv").remarks

    assert remarks == (
        "The code package has 21.0 MB in 7 files. The largest: f6.csv (6.0 MB), f5.csv (5.0 MB), f4.csv (4.0 MB), f3.csv (3.0 MB), "
        "f2.csv (2.0 MB). Name what the flow does not need in .rayflowignore.",
    )


def test_a_package_that_is_too_large_is_refused_before_it_is_read_with_its_five_largest_files(made):
    directory = made({f"f{number}.csv": "x" for number in range(1, 7)})
    for number in range(1, 7):
        os.truncate(directory / f"f{number}.csv", number * 100_000_000)  # holes: no disk is needed

    with pytest.raises(UserError) as told:
        packed(directory, ".csv")

    assert told.value.message == (
        "The code package would have 2,100.0 MB in 7 files, more than the 268.4 MB and 10,000 files that it may have. The largest: f6.csv "
        "(600.0 MB), f5.csv (500.0 MB), f4.csv (400.0 MB), f3.csv (300.0 MB), f2.csv (200.0 MB). Give the flow a directory of its own, or "
        "name what it does not need in .rayflowignore beside it."
    )


# -- modules from elsewhere --------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A directory on the path, with modules of every kind."""
    directory = tmp_path / "elsewhere"
    files = {
        "common/__init__.py": "",
        "common/tools.py": "x = 1",
        "common/table.json": "{}",
        "common/.rayflowignore": "drafts/\n",
        "common/drafts/a.py": "",
        "single_one.py": "y = 2",
        "company/part/__init__.py": "",
        "company/part/deep/__init__.py": "",
        "company/other.py": "",
    }
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    monkeypatch.setattr(sys, "path", [str(directory), *sys.path])
    return directory


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("common", ["common/__init__.py", "common/tools.py"]),
        ("common.tools", ["common/__init__.py", "common/tools.py"]),
        ("single_one", ["single_one.py"]),
        ("company.part", ["company/part/__init__.py", "company/part/deep/__init__.py"]),
        ("company.part.deep", ["company/part/__init__.py", "company/part/deep/__init__.py"]),
        ("company", ["company/other.py", "company/part/__init__.py", "company/part/deep/__init__.py"]),
    ],
)
def test_a_named_module_goes_along_as_it_is_imported(made, elsewhere, module, names):
    assert list(packed(made({}), modules=(module,)).sizes) == sorted([*names, "flow.py"])


def test_suffixes_count_in_named_modules_too(made, elsewhere):
    assert list(packed(made({}), ".json", modules=("common",)).sizes) == [
        "common/__init__.py", "common/table.json", "common/tools.py", "flow.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("nowhere_at_all", "there is no module 'nowhere_at_all'"),
        ("common.nothing", "there is no module 'common.nothing'"),
        ("single_one.x", "there is no module 'single_one.x'"),
        ("../common", "is no name of a module"),
        ("sys", "is part of Python"),
        ("json", "is installed|is part of Python"),
        ("pytest", "'pytest' is installed"),
    ],
)
def test_a_module_that_cannot_be_packed_is_named(made, elsewhere, module, words):
    with pytest.raises(UsageError, match=words):
        packed(made({}), modules=(module,))


def test_suffixes_are_written_with_commas_and_are_no_patterns():
    assert suffixes_of(".json, .yaml,.json") == (".json", ".yaml")
    with pytest.raises(UsageError, match=r"'\*\.json' is no suffix"):
        suffixes_of("*.json")
