"""A dataset of Ray Data as an artifact: written by its own tasks as Parquet files, handed on, read lazily.

    python examples/ray_data.py run
    rayflow path latest/start/trips

`@resources(cpu=0)`: the steps only wait, and leave the CPUs to the tasks of the datasets.
"""

import ray.data

from rayflow import FlowSpec, Parameter, resources, step


def with_speed(batch):
    batch["kmh"] = batch["km"] / batch["hours"]
    return batch


class RayDataFlow(FlowSpec):
    rows = Parameter("rows", default=10_000)

    @resources(cpu=0)
    @step
    def start(self):
        rows = ray.data.range(self.rows, override_num_blocks=4)
        self.trips = rows.map_batches(lambda batch: {"id": batch["id"], "km": batch["id"] % 50 + 1.0, "hours": batch["id"] % 3 + 1.0})
        self.next(self.enrich)

    @resources(cpu=0)
    @step
    def enrich(self):
        self.fast = self.trips.map_batches(with_speed).filter(lambda row: row["kmh"] > 40)
        self.next(self.end)

    @resources(cpu=0)
    @step
    def end(self):
        self.count = self.fast.count()
        print(f"{self.count:,} of {self.trips.count():,} trips were fast, such as {self.fast.take(1)}")


if __name__ == "__main__":
    RayDataFlow()
