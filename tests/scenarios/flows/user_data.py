"""Flows whose steps keep data of their own beside the run."""

from rayflow import S3, FlowSpec, step


class Keeping(FlowSpec):
    """Puts objects in several tasks, and gets them in another one."""

    @step
    def start(self):
        self.names = ["a", "b", "c"]
        self.next(self.keep, foreach="names")

    @step
    def keep(self):
        with S3(run=self) as s3:
            self.url = s3.put(f"kept/{self.input}.txt", f"by {self.input}")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.urls = [each.url for each in inputs]
        with S3(run=self) as s3:
            self.texts = {each.key: each.text for each in s3.get_recursive(["kept"])}
        self.next(self.end)

    @step
    def end(self):
        pass
