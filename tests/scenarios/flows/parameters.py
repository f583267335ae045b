"""Parameters of every type, JSON, and included files."""

from __future__ import annotations

from rayflow import FlowSpec, IncludeFile, JSONType, Parameter, current, step


def _computed(context):
    return f"{context.flow_name}-{context.user_name}-{context.parameter_name}"


class Parameters(FlowSpec):
    i = Parameter("i", default=1)
    f = Parameter("f", default=0.5)
    b = Parameter("b", default=False)
    s = Parameter("s", default="x")
    named = Parameter("other-name", type=int, default=3)
    js = Parameter("js", type=JSONType, default='{"a": [1, null]}')
    jo = Parameter("jo", type=JSONType, default={"o": 1})
    parts = Parameter("parts", separator=",", default="a,b")
    nothing = Parameter("nothing", type=int)
    computed = Parameter("computed", default=_computed)
    text = IncludeFile("text", default=None)
    raw = IncludeFile("raw", is_text=False)
    parsed = IncludeFile("parsed", parser=str.split)

    @step
    def start(self):
        self.jo["mutated"] = True
        self.next(self.body)

    @step
    def body(self):
        self.values = [
            self.i, self.f, self.b, self.s, self.named, self.js, self.jo, self.parts, self.nothing, self.computed, self.text, self.raw,
            self.parsed,
        ]  # fmt: skip
        self.names = current.parameter_names
        try:
            self.i = 5
        except AttributeError as error:
            self.refusal = str(error)
        self.next(self.end)

    @step
    def end(self):
        pass
