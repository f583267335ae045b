import pytest

from rayflow.client import RunName, find_run, locate
from rayflow.model.errors import RayflowInvalidPathspec, RayflowNotFound
from rayflow.model.records import Outcome
from tests.client.building import T0, RunBuilder, hello, sweep
from tests.client.flows import Hello, Sweep


@pytest.fixture
def runs(store):
    """Two runs of Hello, of which the older failed, and one of Sweep between them."""
    failed = RunBuilder(store, Hello, str(T0 + 1234))
    failed.failed("start")
    failed.end(Outcome.FAILED)
    sweep(store, str(T0 + 5678))
    hello(store, str(T0 + 9234))
    return store


@pytest.mark.parametrize(
    ("text", "flow", "found"),
    [
        (str(T0 + 1234), None, ("Hello", T0 + 1234)),
        (f"Hello/{T0 + 1234}", None, ("Hello", T0 + 1234)),
        (f"Hello/{T0 + 1234}", "Hello", ("Hello", T0 + 1234)),
        ("1234", None, ("Hello", T0 + 1234)),
        ("8", None, ("Sweep", T0 + 5678)),
        ("latest", None, ("Hello", T0 + 9234)),
        ("latest", "Sweep", ("Sweep", T0 + 5678)),
        ("Sweep/latest", None, ("Sweep", T0 + 5678)),
        ("latest-failed", None, ("Hello", T0 + 1234)),
    ],
)
def test_a_run_is_named_by_as_little_as_is_unambiguous(runs, text, flow, found):
    assert find_run(runs, text, flow) == RunName(found[0], str(found[1]))


def test_an_exact_id_wins_over_endings(store):
    hello(store, "a1")
    hello(store, "ba1")

    assert str(find_run(store, "a1")) == "Hello/a1"


def test_an_ambiguous_ending_names_the_runs_it_could_be(runs):
    with pytest.raises(RayflowNotFound) as caught:
        find_run(runs, "234")

    assert str(caught.value) == (
        f"'234' could be 2 runs: Hello/{T0 + 9234}, Hello/{T0 + 1234}. Give more of the id, or the flow too."
    )  # fmt: skip


def test_many_ambiguous_runs_are_not_all_named(store):
    for number in range(7):
        hello(store, f"r{number}x")

    with pytest.raises(RayflowNotFound, match=r"could be 7 runs: (Hello/r\dx, ){5}\.\.\.\. Give more"):
        find_run(store, "x")


def test_a_mistyped_id_is_answered_with_the_closest(runs):
    with pytest.raises(RayflowNotFound, match=rf"There is no run '1700000000005687' under .*Did you mean '{T0 + 5678}'"):
        find_run(runs, "1700000000005687")


def test_a_mistyped_flow_is_answered_with_the_closest(runs):
    with pytest.raises(RayflowNotFound, match=r"There is no flow 'Helo' under .*\. Did you mean 'Hello'\?"):
        find_run(runs, "Helo/latest")


def test_a_run_of_another_flow_is_refused(runs):
    with pytest.raises(RayflowNotFound, match="Run 'Hello/latest' is of flow Hello, not of Sweep"):
        find_run(runs, "Hello/latest", "Sweep")


def test_a_root_without_runs_says_so(store):
    with pytest.raises(RayflowNotFound, match=r"There is no run of any flow under .*Give another root with --root, or start one"):
        find_run(store, "latest")


def test_a_flow_without_runs_says_so(runs):
    with pytest.raises(RayflowNotFound, match="There is no run of flow Other under"):
        find_run(runs, "latest", "Other")


def test_no_failed_run_says_so(store):
    hello(store)

    with pytest.raises(RayflowNotFound, match=r"No run under .* has failed"):
        find_run(store, "latest-failed")


def test_a_large_artifact_lies_in_a_blob(store):
    run = RunBuilder(store, Hello)
    run.lone("start", text="x" * 100_000)
    found = locate(store, "latest/start/text")

    assert (open(found.url).read(), found.row, found.is_in_record) == ("x" * 100_000, None, False)


def test_a_small_artifact_of_a_split_is_a_row_of_a_pack(store):
    sweep(store)
    found = locate(store, "latest/train/103/rate")

    assert (found.url.startswith(f"{store.url}/Sweep/runs/{T0}/packs/train/"), found.row, found.artifact.type) == (True, 1, "float")


def test_a_small_artifact_of_a_lone_task_lies_in_the_record(store):
    sweep(store)
    running = RunBuilder(store, Hello, str(T0 + 1))
    running.lone("start", x=1)
    urls = [
        locate(store, text).url.removeprefix(store.url)
        for text in (f"Sweep/{T0}/choose/best", f"Sweep/{T0}/choose/2/best", "Sweep/latest/_parameters/depth", "Hello/latest/start/x")
    ]

    assert urls == [
        f"/Sweep/runs/{T0}/end.json", f"/Sweep/runs/{T0}/end.json", f"/Sweep/runs/{T0}/run.json", f"/Hello/runs/{T0 + 1}/journal",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["latest", "latest/start", "latest/start//x", "Sweep/latest/start", "a/b/c/d/e/f"])
def test_a_path_of_another_form_is_refused_with_the_form(store, text):
    sweep(store)

    with pytest.raises(RayflowInvalidPathspec, match="Expects RUN/step/name or RUN/step/task/name"):
        locate(store, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latest/trian/100/rate", r"Run Sweep/\d+ has no step 'trian'. Did you mean 'train'"),
        ("latest/zz/100/rate", r"has no step 'zz'. There are: start, train, score, choose, end"),
        ("latest/train/109/rate", r"Step Sweep/\d+/train has no task '109'. Did you mean '10\d'"),
        ("latest/train/100/rat", r"Task Sweep/\d+/train/100 has no artifact 'rat'. Did you mean 'rate' or 'rates'"),
        ("latest/choose/zzz", r"Task Sweep/\d+/choose/2 has no artifact 'zzz'. There are: depth, kind, best"),
        ("latest/_parameters/zzz", r"Task Sweep/\d+/_parameters/0 has no artifact 'zzz'. There are: depth, kind"),
    ],
)
def test_what_cannot_be_located_is_answered_with_what_there_is(store, text, message):
    sweep(store)

    with pytest.raises(RayflowNotFound, match=message):
        locate(store, text)


def test_a_step_of_many_tasks_asks_for_one(store):
    sweep(store)

    with pytest.raises(
        RayflowInvalidPathspec, match=r"Step Sweep/\d+/train has 4 tasks \(100, 101, 102, 103, ...\). Name one: RUN/train/<task>/"
    ):
        locate(store, "latest/train/rate")


def test_a_step_without_tasks_says_so(store):
    RunBuilder(store, Sweep).lone("start")

    with pytest.raises(RayflowNotFound, match="has no task: the run did not get there"):
        locate(store, "latest/end/x")
