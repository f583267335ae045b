"""Ray Data, Train and Tune in steps: on the cluster of the run, with datasets as artifacts."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rayflow import FlowSpec, resources, step
from rayflow.client import open_pathspec
from rayflow.executors import ray_libraries
from rayflow.model.errors import StoreCorrupt
from rayflow.model.reports import BatchOver
from rayflow.model.spec import Resources
from rayflow.store import open_root
from rayflow.testing import run_flow
from rayflow.upkeep import plan_gc, verify_run

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("cluster")]


def example(name: str, flow: str) -> type[FlowSpec]:
    return getattr(importlib.import_module(f"examples.{name}"), flow)


class Datasets(FlowSpec):
    """The steps in turn keep one, make others of it, hand it on, and count them."""

    @step
    def start(self):
        import ray.data

        self.numbers = ray.data.range(300, override_num_blocks=3)  # of a step that holds a CPU itself
        self.next(self.halve)

    @resources(cpu=0)
    @step
    def halve(self):
        self.kind = type(self.numbers).__name__
        self.even = self.numbers.filter(lambda row: row["id"] % 2 == 0)
        self.none = self.numbers.filter(lambda row: False)
        self.same = self.numbers
        self.next(self.end)

    @resources(cpu=0)
    @step
    def end(self):
        self.counts = [dataset.count() for dataset in (self.numbers, self.even, self.none, self.same)]


class Broken(FlowSpec):
    @step
    def start(self):
        import ray.data

        def refuse(row):
            raise ValueError("no such row")

        self.rows = ray.data.range(3).map(refuse)
        self.next(self.end)

    @step
    def end(self):
        pass


@pytest.fixture(scope="module")
def kept(cluster, tmp_path_factory):
    """A root with a run of datasets."""
    root = tmp_path_factory.mktemp("kept")
    return root, run_flow(Datasets, root=root, executor="ray")


def test_a_dataset_comes_back_as_one(kept):
    _, run = kept

    assert (run.data.kind, run.data.counts) == ("Dataset", [300, 150, 0, 300])


def test_it_is_a_directory_of_parquet_files_that_other_programs_read_and_one_that_was_handed_on_is_stored_once(kept):
    root, run = kept
    program = (
        "import sys, pyarrow.parquet as pq\n"
        "from rayflow.client import open_pathspec\n"
        f"task = open_pathspec({str(root)!r}, 'Datasets/{run.id}/halve').task\n"
        "print(type(task.data.even).__name__, task.data.even.count_rows(), task.data.none.schema.names, task['even'].preview)\n"
        "print('ray' in sys.modules)\n"
        "print(task.data.same.to_table()['id'].to_pylist() == list(range(300)))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.splitlines()
    rayflow = [sys.executable, "-m", "rayflow", "path", "--root", str(root)]
    places = [
        subprocess.run([*rayflow, f"{run.id}/halve/{name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("even", "same")
    ]

    import pyarrow.parquet as pq

    assert (told[0].startswith("FileSystemDataset 150 ['id'] 150 rows in "), told[1]) == (True, "False")
    assert told[2:] == ["True"], "the files are in the order of the blocks"
    assert (pq.read_table(places[0]).num_rows, len(os.listdir(root / "Datasets" / "runs" / run.id / "datasets"))) == (150, 3)
    assert len(os.listdir(places[1])) == 3


def test_it_is_verified_kept_by_gc_and_named_where_it_is_damaged(kept):
    root, run = kept
    store = open_root(str(root), create=False)
    orphan = root / "Datasets" / "runs" / run.id / "datasets" / "0123" / "left.parquet"
    orphan.parent.mkdir()
    orphan.write_bytes(b"of a writer that died")
    before = verify_run(store, "Datasets", run.id)
    plan_gc(store, now_us=time.time_ns() // 1000, deletes=True)
    after = verify_run(store, "Datasets", run.id)
    task = open_pathspec(str(root), f"Datasets/{run.id}/halve").task
    (path, *_) = (root / "Datasets" / "runs" / run.id / "datasets").glob("*/*.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    damages = verify_run(store, "Datasets", run.id).damages
    with pytest.raises(StoreCorrupt, match=rf"{path.name} is damaged: it is not what was stored of dataset"):
        _ = [task.data.numbers, task.data.even, task.data.none]
    path.write_bytes(content)

    assert (before.damages, after.damages, after.objects, orphan.exists()) == ([], [], before.objects, False)
    assert {damage.key.rpartition("/")[2] for damage in damages} == {path.name}


def test_what_the_functions_of_a_dataset_raise_fails_the_task(tmp_path):
    run = run_flow(Broken, root=tmp_path, executor="ray", check=False)

    assert not run.successful
    assert "Artifact 'rows' is a Dataset that could not be computed" in run["start"].task.stderr


def test_the_example_of_data_says_how_many_were_fast(tmp_path):
    run = run_flow(example("ray_data", "RayDataFlow"), root=tmp_path, executor="ray", rows=1000)

    assert run.data.count == sum((number % 50 + 1) / (number % 3 + 1) > 40 for number in range(1000))


@pytest.mark.parametrize(("fails", "begun"), [(0, [0]), pytest.param(3, [0, 3], marks=pytest.mark.nightly)])
def test_the_example_of_train_goes_on_from_the_checkpoint_that_a_worker_saved(tmp_path, fails, begun):
    run = run_flow(example("ray_train", "RayTrainFlow"), root=tmp_path, executor="ray", fails=fails)

    assert (run.data.line["begun"], run.data.line["epoch"], [round(weight) for weight in run.data.line["weights"]]) == (begun, 6, [2, -3])


def test_the_example_of_tune_finds_the_best_of_its_trials(tmp_path):
    run = run_flow(example("ray_tune", "RayTuneFlow"), root=tmp_path, executor="ray", samples=3)

    assert (len(run.data.trials), set(run.data.best)) == (3, {"rate", "depth"})


def test_a_task_that_waits_for_its_own_cpu_is_told_how_to_leave_it(cluster, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(ray_libraries, "LOOK_S", 0.05)
    monkeypatch.setattr(ray_libraries, "STILL_S", 0.1)
    monkeypatch.setattr(ray_libraries, "_held", Resources(cpus=2))

    @cluster.remote(num_cpus=2)
    def hold(path):
        while not os.path.exists(path):
            time.sleep(0.05)

    held = hold.remote(str(tmp_path / "over"))
    ray_libraries._watch()
    Path(tmp_path / "over").touch()
    cluster.get(held)

    assert "This task waits, holds 2 CPU, and the cluster has none left" in capsys.readouterr().err


def test_a_batch_that_is_over_waits_for_nothing(monkeypatch):
    monkeypatch.setattr(ray_libraries, "_watcher", object())

    held = []
    for reports in ([], [BatchOver(1)]):
        ray_libraries.attend(Resources(cpus=1), reports)
        held.append(ray_libraries._held)

    assert held == [Resources(cpus=1), None]
