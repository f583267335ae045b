"""Three steps and one artifact. A linear flow that asks for nothing never boots Ray: `python examples/hello.py run`."""

from rayflow import FlowSpec, Parameter, step


class HelloFlow(FlowSpec):
    """Greets somebody."""

    who = Parameter("who", default="world", help="Whom to greet.")

    @step
    def start(self):
        """Whatever is assigned to self is an artifact: stored once, readable later."""
        self.greeting = f"hello, {self.who}"
        self.next(self.shout)

    @step
    def shout(self):
        """Sees what the step before stored."""
        self.greeting = self.greeting.upper()
        self.next(self.end)

    @step
    def end(self):
        """The last step says the result."""
        print(self.greeting)


if __name__ == "__main__":
    HelloFlow()
