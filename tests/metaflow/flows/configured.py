"""Driven by configs; a mutator adds what they ask for."""

import os

from metaflow import Config, FlowMutator, FlowSpec, Parameter, config_expr, environment, retry, step, user_step_decorator


@user_step_decorator
def counted(step_name, flow, inputs, attributes):
    flow.before = attributes["unit"]
    yield
    flow.after = step_name


class FromConfig(FlowMutator):
    def pre_mutate(self, mutable_flow):
        settings = dict(mutable_flow.configs)["settings"]
        for name, value in settings["extra"].items():
            mutable_flow.add_parameter(name, Parameter(name, default=value))

    def mutate(self, mutable_flow):
        for name, mutable_step in mutable_flow.steps:
            if name != "end":
                mutable_step.add_decorator(counted, deco_kwargs={"unit": name})


def shout(text):
    return text.upper()


@FromConfig
class ConfiguredFlow(FlowSpec):
    settings = Config("settings", default_value={"tries": 1, "label": "abc", "extra": {"limit": 5}, "steps": [1, {"a": 2}]})
    text = Config("text", default_value="plain", plain=True)
    label = Parameter("label", default=settings.label)

    @retry(times=settings.tries, minutes_between_retries=0)
    @environment(vars={"LABEL": config_expr("shout(settings.label)")})
    @step
    def start(self):
        self.seen = (os.environ["LABEL"], self.label, self.limit, self.settings.steps[1].a, self.text)
        self.next(self.middle)

    @step
    def middle(self):
        self.part = self.settings["extra"]
        self.next(self.end)

    @step
    def end(self):
        print(self.seen)


if __name__ == "__main__":
    ConfiguredFlow()
