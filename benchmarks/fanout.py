"""A foreach, beside one Ray task per item (and in chunks cut by hand, Ray Data, Dask) on a warm cluster, the same one for rayflow and Ray.

rayflow's rate is from the first split's start to the join's end, by the run's own records. The others' is around submitting and
getting, after a warm-up. `x ideal` is that time over the least that the slots need, max(total / slots, longest).
A size is a number of splits, of `nested` OUTERxINNER. Trivial tasks of those who take long for one are fewer, and the table says how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.contenders import NOTHING, RAYFLOW_PERSISTS, Contenders
from benchmarks.measures import RAYFLOW, Entrant
from benchmarks.peers import PEERS
from benchmarks.programs.durations import ideal_s
from benchmarks.running import Ran

NAME = "fanout"
SHAPES = ("switch", "meeting", "nested", "chain")
CASES = {
    "trivial": "100000",
    "few": "100",
    "switch": "100000",
    "meeting": "100000",
    "nested": "1000x100",
    "chain": "100000",
    "1ms": "10000",
    "10ms": "1000",
    "100ms": "200",
    "lognormal": "10000",
    "straggler": "10000",
}
QUICK = {"trivial": "10000", "1ms": "1000", "switch": "1000", "meeting": "1000", "nested": "30x30", "chain": "1000"}
RAW_TASKS = 20_000
DASK_TASKS = 2_000
CHUNKS_PER_SLOT = 4


def entrants(contenders: Contenders, case: str, size: str) -> Iterator[Entrant]:
    """The programs of a case: `few` are the peers', for whom a split is a process or a database row."""
    if case in SHAPES:
        yield _shape(contenders, case, size)
    elif case == "few":
        yield from _few(contenders, int(size))
    else:
        yield from _items(contenders, case, int(size))


def label(case: str, size: str) -> str:
    """A case with its size, as the table shows it."""
    numbers = " x ".join(f"{int(part):,}" for part in size.split("x"))
    return f"{numbers} {'trivial' if case == 'few' else case}"


def splits(size: str) -> str:
    """The same, where the kind is no question."""
    return f"{int(size):,} splits"


def _shape(contenders: Contenders, case: str, size: str) -> Entrant:
    outer, _, inner = size.partition("x")
    options = ("--outer", outer, "--inner", inner) if case == "nested" else ("--splits", size)
    return Entrant(
        NAME,
        label(case, size),
        RAYFLOW,
        lambda: _told(contenders.rayflow(f"{case}_flow.py", *options, is_warm=True)),
        RAYFLOW_PERSISTS,
        {"switch": "2 tasks a split", "meeting": "3 tasks a split", "chain": "3 tasks a split", "nested": "and the inner joins"}[case],
    )


def _items(contenders: Contenders, kind: str, count: int) -> Iterator[Entrant]:
    """rayflow, and those who can do as many."""
    case, slots, is_trivial = label(kind, str(count)), contenders.slots, kind == "trivial"
    ideal = None if is_trivial else ideal_s(kind, count, slots)
    options = ["--splits", str(count), *([] if is_trivial else ["--kind", kind])]

    def ray(program: str, tasks: int, *rest: str) -> Callable[[], dict[str, float]]:
        return lambda: _told(contenders.raw_ray(program, kind, str(tasks), *rest, is_warm=True), ideal)

    def flow() -> dict[str, float]:
        return _told(contenders.rayflow("trivial_flow.py" if is_trivial else "timed_flow.py", *options, is_warm=True), ideal)

    raw = min(count, RAW_TASKS) if is_trivial else count
    chunks = str(slots * CHUNKS_PER_SLOT)
    yield Entrant(NAME, case, RAYFLOW, flow, RAYFLOW_PERSISTS)
    yield Entrant(NAME, case, "raw Ray", ray("fanout_ray.py", raw), NOTHING, _fewer(raw, count))
    yield Entrant(NAME, case, "raw Ray, chunked", ray("fanout_ray_chunked.py", count, chunks), NOTHING, f"{chunks} chunks")
    yield Entrant(NAME, case, "Ray Data", ray("fanout_ray_data.py", count), NOTHING)
    if "Dask" in contenders.peers:
        tasks = min(count, DASK_TASKS)
        arguments = (kind, str(tasks), str(slots))
        least = None if is_trivial else ideal_s(kind, tasks, slots)
        dask = lambda: _told(contenders.peer("Dask", "fanout_dask.py", *arguments), least)  # noqa: E731
        yield Entrant(NAME, case, "Dask", dask, PEERS["Dask"].persists, _fewer(tasks, count))


def _few(contenders: Contenders, count: int) -> Iterator[Entrant]:
    case, splits = label("few", str(count)), str(count)
    yield Entrant(
        NAME, case, RAYFLOW, lambda: _told(contenders.rayflow("trivial_flow.py", "--splits", splits, is_warm=True)), RAYFLOW_PERSISTS
    )
    yield Entrant(NAME, case, "raw Ray", lambda: _told(contenders.raw_ray("fanout_ray.py", "trivial", splits, is_warm=True)), NOTHING)
    metaflow = ("--quiet", "run", "--splits", splits, "--max-num-splits", splits, "--max-workers", str(contenders.slots))
    for name, arguments, remark in (
        ("Metaflow", metaflow, "a process per split"),
        ("Prefect", (splits,), "threads"),
        ("Dagster", (splits,), "in one process"),
    ):
        if name in contenders.peers:
            program = f"fanout_{name.lower()}.py"
            yield Entrant(
                NAME,
                case,
                name,
                lambda name=name, program=program, arguments=arguments: _told(contenders.peer(name, program, *arguments)),
                PEERS[name].persists,
                remark,
            )


def _told(ran: Ran, ideal: float | None = None) -> dict[str, float]:
    told = ran.told("fanout")
    return {"splits/s": told["per_s"], **({} if ideal is None else {"x ideal": told["seconds"] / ideal})}


def _fewer(tasks: int, count: int) -> str:
    return f"of {tasks:,} tasks" if tasks < count else ""
