"""Ray Train in a step, on the cluster of the run: data-parallel training that goes on from its last checkpoint.

    python examples/ray_train.py run
    python examples/ray_train.py run --fails 3      # the first attempt fails there; the second goes on

`@resources(cpu=0)`: the step only waits, and leaves the CPUs to the workers of the training. No framework is needed: each worker fits a
line to its part of the rows with NumPy, and the workers exchange their gradients through an actor.
"""

import asyncio
import tempfile

import numpy as np
import ray
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from rayflow import FlowSpec, Parameter, checkpoint, current, resources, retry, step

EPOCHS, WORKERS = 6, 2


def train_line(config):
    """What each worker does: the gradient of its part, the mean of all, a step; worker 0 saves."""
    rank, checkpoints = ray.train.get_context().get_world_rank(), config["checkpoints"]
    rows = np.random.default_rng(7).normal(size=(400, 2))[rank::WORKERS]
    target = rows @ np.array([2.0, -3.0])
    state = checkpoints.load("line") or {"epoch": 0, "weights": np.zeros(2), "begun": []}
    begun = [*state["begun"], state["epoch"]]
    while state["epoch"] < EPOCHS:
        gradient = rows.T @ (rows @ state["weights"] - target) / len(rows)
        gradients = ray.get(config["exchange"].mean.remote(state["epoch"], rank, gradient))
        state = {"epoch": state["epoch"] + 1, "weights": state["weights"] - 0.8 * gradients, "begun": begun}
        if rank == 0:
            checkpoints.save(state, name="line")
            if state["epoch"] == config["fails"]:
                raise RuntimeError("worker 0 is gone, as asked")
        ray.train.report({"epoch": state["epoch"]})


@ray.remote(num_cpus=0)
class Exchange:
    """Has every worker wait for the gradients of all."""

    def __init__(self):
        self.found, self.done = {}, asyncio.Condition()

    async def mean(self, epoch, rank, gradient):
        async with self.done:
            known = self.found.setdefault(epoch, {})
            known[rank] = gradient
            self.done.notify_all()
            await self.done.wait_for(lambda: len(known) == WORKERS)
            return np.mean(list(known.values()), axis=0)


class RayTrainFlow(FlowSpec):
    fails = Parameter("fails", default=0, help="After which epoch the first attempt fails; 0: never.")

    @step
    def start(self):
        self.next(self.train)

    @checkpoint
    @retry(times=1, minutes_between_retries=0)
    @resources(cpu=0)
    @step
    def train(self):
        config = {
            "checkpoints": current.checkpoint,
            "exchange": Exchange.remote(),
            "fails": self.fails if current.retry_count == 0 else 0,
        }
        scaling = ray.train.ScalingConfig(num_workers=WORKERS)
        with tempfile.TemporaryDirectory() as directory:  # what Train itself writes is not needed: the result is an artifact
            where = ray.train.RunConfig(storage_path=directory)
            DataParallelTrainer(train_line, train_loop_config=config, scaling_config=scaling, run_config=where).fit()
        self.line = current.checkpoint.load("line")
        self.next(self.end)

    @step
    def end(self):
        print("weights", np.round(self.line["weights"], 2), "begun with epoch", *self.line["begun"])


if __name__ == "__main__":
    RayTrainFlow()
