import linecache

import cloudpickle
import pytest

from rayflow.runtime.cells import cells_of, put_back

CELL = """
def helper(x):
    return (lambda: 1 / x)()

class Thing:
    def method(self):
        return helper(0)
"""


@pytest.fixture
def travelled():
    """A class of a cell, as it arrives in a worker that has never seen the cell."""
    names = {"__name__": "a_notebook"}
    exec(compile(CELL, "<the cell>", "exec"), names)
    linecache.cache["<the cell>"] = (len(CELL), None, CELL.splitlines(keepends=True), "<the cell>")
    cells, content = cells_of(names["Thing"]), cloudpickle.dumps(names["Thing"])
    del linecache.cache["<the cell>"]
    yield cells, cloudpickle.loads(content)
    linecache.cache.pop("<the cell>", None)


def places(thing):
    import traceback

    try:
        thing().method()
    except ZeroDivisionError as error:
        return [(frame.filename, frame.name, frame.line) for frame in traceback.extract_tb(error.__traceback__)[1:]]


def test_frames_of_a_class_that_travels_by_value_show_its_cell(travelled):
    cells, thing = travelled
    before = places(thing)

    put_back(thing, cells)

    assert [file for file, _, _ in before] == ["<dynamic-code>"] * 3
    assert places(thing) == [
        ("<the cell>", "method", "return helper(0)"),
        ("<the cell>", "helper", "return (lambda: 1 / x)()"),
        ("<the cell>", "<lambda>", "return (lambda: 1 / x)()"),
    ]


def test_of_a_class_in_a_file_only_the_name_of_the_file_is_sent():
    class Local:
        def method(self):
            return 1

    (cell,) = cells_of(Local)

    assert (cell.name, cell.text) == (__file__, "")
    assert cell.functions[0].endswith("Local.method")
