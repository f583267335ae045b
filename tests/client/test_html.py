"""What a notebook shows of the client's objects: escaped, without scripts, and without loading a value."""

import re

import pytest

from rayflow import FlowSpec, Parameter, catch, step
from rayflow.client import Flow, Run, Step, Task, metadata, namespace
from rayflow.client.html import card, table
from rayflow.exception import TaskFailedException
from rayflow.testing import run_flow

EVIL = "<script>alert('&\"')</script>"


class Bomb:
    """Cannot be unpickled."""

    def __reduce__(self):
        return explode, ()

    def __repr__(self):
        return EVIL


def explode():
    raise AssertionError("a listing has unpickled a value")


class Shown(FlowSpec):
    text = Parameter("text", default=EVIL)
    fails = Parameter("fails", default=False)

    @step
    def start(self):
        self.bomb = Bomb()
        self.next(self.work)

    @step
    def work(self):
        self.evil = EVIL
        if self.fails:
            raise ValueError(EVIL)
        self.next(self.end)

    @step
    def end(self):
        pass


class Fanned(FlowSpec):
    numbers = list(range(15))

    @step
    def start(self):
        self.next(self.work, foreach="numbers")

    @catch(var="problem")
    @step
    def work(self):
        if self.input == 3:
            raise ValueError("three")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


@pytest.fixture
def root(tmp_path):
    namespace(None)
    directory = tmp_path / ".rayflow"
    directory.mkdir()
    metadata(str(directory))
    return directory


def plain(html):
    """The texts, without the tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_nothing_that_was_stored_becomes_markup_and_nothing_is_loaded(root):
    run = run_flow(Shown, root=root)
    shown = [
        thing._repr_html_()
        for thing in (Flow("Shown"), run, *run, *(step.task for step in run), *run["start"].task, run["_parameters"].task)
    ]

    assert len(shown) > 10
    assert not any("<script" in html or "alert('&" in html for html in shown)
    assert sum("&lt;script&gt;" in html for html in shown) >= 5
    with pytest.raises(AssertionError, match="has unpickled"):
        _ = run["start"].task.data.bomb  # it is a bomb indeed


def test_tags_are_escaped(root):
    run = run_flow(Shown, root=root)
    object.__setattr__(run._handle.record, "tags", (EVIL,))

    assert "<script" not in run._repr_html_() and "&lt;script&gt;" in run._repr_html_()


def test_the_markup_has_no_scripts_and_loads_nothing_from_elsewhere(root):
    html = run_flow(Shown, root=root)._repr_html_()

    assert re.findall(r"<script|\bon\w+=|javascript:|https?:|\bsrc=|\bhref=|@import|url\(", html) == []
    assert set(re.findall(r"</?(\w+)", html)) == {"div", "b", "table", "tr", "td", "th", "span"}


def test_a_run_tells_how_it_stands_and_why_it_failed(root):
    with pytest.raises(TaskFailedException):
        run_flow(Shown, root=root, fails=True)
    run = Flow("Shown").latest_run

    text = plain(run._repr_html_())

    assert text.startswith(f"Run(&#x27;{run.pathspec}&#x27;) state failed started ")
    assert "parameters text=&#x27;&lt;script&gt;" in text
    assert "failure ValueError: &lt;script&gt;" in text and "test_html.py:" in text
    assert text.endswith("step done failed running start 1 work 0 1")
    assert " state failed " in plain(run["work"].task._repr_html_())


def test_a_step_shows_its_first_tasks_and_says_how_many_more_there_are(root):
    run = run_flow(Fanned, root=root)

    text = plain(run["work"]._repr_html_())

    assert "done 15 task index state took" in text and text.endswith(" 3 more")
    assert re.findall(r" (\d+) (done|caught) \d", text)[:5] == [("0", "done"), ("1", "done"), ("2", "done"), ("3", "caught"), ("4", "done")]


def test_artifacts_show_type_size_and_preview(root):
    run = run_flow(Shown, root=root)
    task = run["work"].task

    assert plain(task["evil"]._repr_html_()).startswith(
        f"DataArtifact(&#x27;{task.pathspec}/evil&#x27;) type str bytes 28 value &#x27;&lt;script&gt;"
    )
    assert plain(task["_foreach_stack"]._repr_html_()).endswith("value (computed when it is read)")
    assert f" bomb {__name__}.Bomb " in plain(task._repr_html_())


def test_a_flow_shows_its_newest_runs(root):
    runs = [run_flow(Fanned, root=root) for _ in range(13)]

    text = plain(Flow("Fanned")._repr_html_())

    assert text.endswith("and older ones")
    assert [run.id in text for run in runs] == [False, *[True] * 12]


def test_what_is_gone_says_so_instead_of_raising(root):
    run = run_flow(Fanned, root=root)
    gone = [Run(run.pathspec), Step(f"{run.pathspec}/work"), Task("/".join((run.pathspec, "work", "4")))]
    (root / "Fanned").rename(root / "Elsewhere")
    run._root.forget("Fanned", run.id)

    texts = [plain(thing._repr_html_()) for thing in gone]

    assert all(" error " in text and "Fanned" in text for text in texts), texts


def test_the_pieces_escape_all_but_what_is_markup_already():
    assert card(EVIL, [(EVIL, EVIL), ("none", "")]).count("&lt;script&gt;") == 3
    assert table((EVIL, "raw"), [(EVIL, "<b>x</b>")], raw=1, more=EVIL).count("&lt;script&gt;") == 3
    assert table(("a",), []) == ""
