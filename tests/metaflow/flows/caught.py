"""Failures that are retried, and caught."""

from metaflow import FlowSpec, catch, current, retry, step


class CaughtFlow(FlowSpec):
    @step
    def start(self):
        self.divisors = [0, 1, 2]
        self.next(self.divide, foreach="divisors")

    @catch(var="problem")
    @retry(times=1, minutes_between_retries=0)
    @step
    def divide(self):
        self.divisor = self.input
        self.tries = current.retry_count
        self.quotient = 10 / self.divisor
        self.next(self.join)

    @step
    def join(self, inputs):
        self.results = [getattr(each, "quotient", None) for each in inputs]
        self.problems = [each.problem.type if each.problem else None for each in inputs]
        self.tries = [each.tries for each in inputs]
        self.next(self.flaky)

    @retry(times=2, minutes_between_retries=0)
    @step
    def flaky(self):
        if current.retry_count < 2:
            raise OSError("not yet")
        self.done_at = current.retry_count
        self.next(self.end)

    @step
    def end(self):
        print(self.results, self.problems)


if __name__ == "__main__":
    CaughtFlow()
