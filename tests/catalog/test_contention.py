"""Eight processes that want the same name, epoch or continuation at the same moment: one of them gets it, each time."""

from __future__ import annotations

import multiprocessing
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from rayflow.catalog.ownership import claim_continuation, first_epoch, take_epoch, this_process
from rayflow.catalog.run import claim_run
from rayflow.model.errors import RunFenced, StoreExists
from rayflow.model.ports import Store
from rayflow.store.opening import open_root
from tests.catalog.building import claimed, record
from tests.flaky_http import proxied

PROCESSES = 8


@pytest.fixture
def atomic_bucket(s3_endpoint, bucket):
    """A root on a server which does what S3 does: of conditional writes one at a time."""
    with proxied(s3_endpoint) as proxy:
        yield bucket(proxy.url)


def wins(claim: Callable[[], object], *refusals: type[Exception]) -> bool:
    try:
        claim()
    except refusals:
        return False
    return True


def races(store: Store, number: int, me: int) -> list[Callable[[], object]]:
    """What one process does in one round, each once all have done the one before; what each returns is compared."""
    name, contended = f"r{number}", record(f"c{number}").layout
    return [
        lambda: wins(lambda: claim_run(store, record(name, launcher=this_process()), is_id_given=True), StoreExists),
        lambda: wins(lambda: first_epoch(store, contended), RunFenced),
        lambda: take_epoch(store, contended),
        lambda: claim_continuation(store, contended, f"by{me}"),
        lambda: claim_run(store, record(str(10**15 + 10**6 * number), launcher=this_process()), is_id_given=False).run_id,
    ]


def contend(url: str, me: int, rounds: int, start: multiprocessing.Barrier, results: multiprocessing.Queue) -> None:
    told: list[object] = []
    try:
        store = open_root(url, create=True)
        for number in range(rounds):
            for race in races(store, number, me):
                start.wait(60)
                told.append(race())
    except Exception:
        start.abort()
        told = [traceback.format_exc()]
    results.put(told)


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [("disk", 200), ("bucket", 4), pytest.param("bucket", 200, marks=pytest.mark.nightly)],
)
def test_of_eight_processes_that_want_one_thing_one_gets_it(request, tmp_path, kind, rounds):
    url = str(tmp_path / "root") if kind == "disk" else request.getfixturevalue("atomic_bucket")
    store = open_root(url, create=True)
    for number in range(rounds):
        claimed(store, f"c{number}")
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(PROCESSES), spawn.Queue()
    processes = [spawn.Process(target=contend, args=(url, me, rounds, start, results), daemon=True) for me in range(PROCESSES)]
    for process in processes:
        process.start()
    told = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join(10)

    assert [each for each in told if len(each) != 5 * rounds] == []
    for number in range(rounds):
        names, firsts, epochs, continuations, ids = zip(*(each[5 * number : 5 * number + 5] for each in told), strict=True)
        assert Counter(names) == {True: 1, False: PROCESSES - 1}
        assert Counter(firsts) == {True: 1, False: PROCESSES - 1}
        assert sorted(epochs) == list(range(2, PROCESSES + 2))
        assert len(set(continuations)) == 1
        assert len(set(ids)) == PROCESSES


def test_on_a_bucket_the_threads_of_one_process_are_writers_each_for_itself(atomic_bucket):
    store = open_root(atomic_bucket, create=True)
    layout = claimed(store).layout
    with ThreadPoolExecutor(PROCESSES) as pool:
        taken = list(pool.map(lambda _: take_epoch(store, layout), range(PROCESSES)))

    assert sorted(taken) == list(range(1, PROCESSES + 1))
