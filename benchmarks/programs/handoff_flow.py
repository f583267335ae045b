"""One large value from a step to the next. The benchmark runs it by rayflow and, with the other import, by Metaflow."""

import json
import time

import numpy as np
import pyarrow as pa

from rayflow import FlowSpec, Parameter, step


class HandoffFlow(FlowSpec):
    kind = Parameter("kind", default="numpy")
    nbytes = Parameter("nbytes", default=64 << 20)

    @step
    def start(self):
        numbers = np.arange(self.nbytes // 8)
        self.value = numbers if self.kind == "numpy" else pa.table({"a": numbers[: numbers.size // 2], "b": numbers[numbers.size // 2 :]})
        self.made = time.time()
        self.next(self.end)

    @step
    def end(self):
        columns = [self.value] if self.kind == "numpy" else [column.chunk(0).to_numpy() for column in self.value.columns]
        read = sum(int(column[:: 4096 // 8].sum()) for column in columns)
        print("handoff", json.dumps({"s": time.time() - self.made, "read": read}))


if __name__ == "__main__":
    HandoffFlow()
