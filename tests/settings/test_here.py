import pytest

from rayflow.model.errors import RayflowUnknownUser
from rayflow.settings import read_settings
from rayflow.settings.here import find_root, identity, user_name


def test_an_explicit_root_wins_over_the_variable(tmp_path):
    assert find_root(read_settings({"RAYFLOW_ROOT": "/elsewhere"}, str(tmp_path)), "mine") == str(tmp_path / "mine")


def test_the_variable_wins_over_the_directories(tmp_path):
    (tmp_path / ".rayflow").mkdir()

    assert find_root(read_settings({"RAYFLOW_ROOT": "s3://bucket/runs"}, str(tmp_path))) == "s3://bucket/runs"


def test_the_nearest_root_above_is_found(tmp_path):
    (tmp_path / ".rayflow").mkdir()
    (tmp_path / "a" / ".rayflow").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)

    assert find_root(read_settings({}, str(tmp_path / "a" / "b" / "c"))) == str(tmp_path / "a" / ".rayflow")


def test_a_file_of_that_name_is_no_root(tmp_path):
    (tmp_path / ".rayflow").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".rayflow").write_text("")

    assert find_root(read_settings({}, str(tmp_path / "a"))) == str(tmp_path / ".rayflow")


def test_without_any_it_is_one_in_the_working_directory(tmp_path):
    assert find_root(read_settings({}, str(tmp_path))) == str(tmp_path / ".rayflow")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"RAYFLOW_USER": "ada", "USER": "bob"}, "ada"),
        ({"SUDO_USER": "ada", "USER": "root"}, "ada"),
        ({"RAYFLOW_USER": "root", "USER": "bob"}, "bob"),
    ],
)
def test_the_user_is_the_first_that_is_told_and_never_root(environ, name):
    assert user_name(read_settings(environ, "/")) == name


def test_an_unknown_user_is_told_what_to_set():
    with pytest.raises(RayflowUnknownUser, match="Set the environment variable RAYFLOW_USER"):
        user_name(read_settings({"USER": "root"}, "/"))


def test_without_a_name_the_account_stands_in():
    assert (identity(read_settings({"USER": "ada"}, "/")), identity(read_settings({}, "/")) != "") == ("ada", True)
