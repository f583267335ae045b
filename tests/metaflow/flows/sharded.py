"""Word counts by a gang: each node takes its shard of the lines, once all have begun."""

import os
import tempfile
import time

from metaflow import FlowSpec, Parameter, current, parallel, retry, step


class ShardedFlow(FlowSpec):
    nodes = Parameter("nodes", default=3)
    stumbles = Parameter("stumbles", default=False, type=bool)

    @step
    def start(self):
        self.lines = ["a rose is a rose", "is a rose", "by any other name", "a rose", "would smell as sweet", "is it", "a"]
        self.next(self.count, num_parallel=self.nodes)

    @retry(times=1, minutes_between_retries=0)
    @parallel
    @step
    def count(self):
        place = current.parallel
        self.address = place.main_ip
        self.is_control = place.control_task_id == current.task_id
        self.world = (place.num_nodes, place.node_index, self.index, self.input)
        self.meet(place)
        if self.stumbles and current.retry_count == 0:
            raise ValueError("the first attempt of every node fails")
        self.attempt = current.retry_count
        self.words = {}
        for line in self.lines[place.node_index :: place.num_nodes]:
            for word in line.split():
                self.words[word] = self.words.get(word, 0) + 1
        self.next(self.gather)

    def meet(self, place):
        """Returns once every node of this attempt has begun."""
        where = os.path.join(tempfile.gettempdir(), f"sharded-{current.run_id}-{current.retry_count}")
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, str(place.node_index)), "w"):
            pass
        deadline = time.time() + 60
        while len(os.listdir(where)) < place.num_nodes:
            if time.time() > deadline:
                raise TimeoutError("not all nodes run at the same time")
            time.sleep(0.02)

    @step
    def gather(self, inputs):
        self.total = {}
        self.worlds = [each.world for each in inputs]
        self.shards = [sorted(each.words) for each in inputs]
        self.controls = [each.is_control for each in inputs]
        for each in inputs:
            for word, count in each.words.items():
                self.total[word] = self.total.get(word, 0) + count
        self.merge_artifacts(inputs, include=["address", "lines"])
        self.next(self.end)

    @step
    def end(self):
        print(sorted(self.total.items(), key=lambda pair: (-pair[1], pair[0]))[:3])


if __name__ == "__main__":
    ShardedFlow()
