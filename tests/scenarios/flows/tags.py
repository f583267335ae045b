"""Tasks that change the tags of their own run."""

from __future__ import annotations

from rayflow import FlowSpec, Task, current, step


class Tagging(FlowSpec):
    @step
    def start(self):
        Task(current.pathspec).parent.parent.add_tag("begun")
        self.items = list(range(40))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        run = Task(current.pathspec).parent.parent
        run.add_tag(f"item {self.input}")
        run.replace_tag("begun", "working")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = sorted(current.run.user_tags)
        self.next(self.end)

    @step
    def end(self):
        Task(current.pathspec).parent.parent.remove_tag("working")
