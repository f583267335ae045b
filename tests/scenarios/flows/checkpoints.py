"""A step that saves what it has done so far, and is interrupted."""

import os

from rayflow import FlowSpec, Parameter, checkpoint, current, retry, step


class Epochs(FlowSpec):
    blocked = Parameter("blocked", default="")
    kills = Parameter("kills", default=False)

    @step
    def start(self):
        self.rows = len(self.blocked) if current.origin_run_id else 0
        self.next(self.train, foreach="names")

    names = ["a", "b"]

    @checkpoint(keep=1)
    @retry(times=1, minutes_between_retries=0)
    @step
    def train(self):
        state = current.checkpoint.load() or {"epochs": []}
        self.begun = len(state["epochs"])
        for epoch in range(self.begun, 6):
            state["epochs"].append([self.input, epoch])
            current.checkpoint.save(state)
            if epoch == 1 and current.retry_count == 0 and not current.checkpoint.is_loaded:
                if self.kills:
                    os.kill(os.getpid(), 9)
                raise ValueError("the first attempt")
            if epoch == 3 and os.path.exists(self.blocked):
                raise ValueError("blocked")
        self.epochs = state["epochs"]
        self.left = len(current.checkpoint.saved())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.begun = [each.begun for each in inputs]
        self.epochs = [each.epochs for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass
