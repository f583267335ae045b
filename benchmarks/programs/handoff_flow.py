"""One large value from a step to the next. The benchmark runs it by rayflow and, with the other import, by Metaflow."""

import json
import time

from values import buffers, make, nbytes_of, read

from rayflow import FlowSpec, Parameter, step


class HandoffFlow(FlowSpec):
    kind = Parameter("kind", default="numpy")
    nbytes = Parameter("nbytes", default=64 << 20)

    @step
    def start(self):
        self.value = make(self.kind, self.nbytes)
        self.made = time.time()
        self.next(self.end)

    @step
    def end(self):
        value = self.value
        parts = buffers(value)
        total = read(parts)
        print("handoff", json.dumps({"s": time.time() - self.made, "read": total, "nbytes": nbytes_of(parts)}))


if __name__ == "__main__":
    HandoffFlow()
