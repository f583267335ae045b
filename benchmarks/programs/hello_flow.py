"""Three steps. The benchmark runs it by rayflow and, with the other import, by Metaflow."""

from rayflow import FlowSpec, step


class HelloFlow(FlowSpec):
    @step
    def start(self):
        self.greeting = "hello"
        self.next(self.shout)

    @step
    def shout(self):
        self.greeting = self.greeting.upper()
        self.next(self.end)

    @step
    def end(self):
        print(self.greeting)


if __name__ == "__main__":
    HelloFlow()
