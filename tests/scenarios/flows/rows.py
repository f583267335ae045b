"""Foreaches over the rows of tables and arrays."""

from __future__ import annotations

import os
from datetime import datetime

from rayflow import FlowSpec, Parameter, step

INSTANT = datetime(2024, 5, 1, 12, 30)
COLUMNS = {"n": [1, None, 3], "s": ["ą", "", None], "t": [INSTANT, None, INSTANT], "l": [[1], [], [2, 3]]}


def _make(kind: str):
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    match kind:
        case "Table":
            return pa.table(COLUMNS)
        case "RecordBatch":
            return pa.record_batch(COLUMNS)
        case "polars":
            return pl.DataFrame(COLUMNS)
        case "pandas":
            return pd.DataFrame({"n": [1, 2], "s": ["a", "b"], "o": [[1], {"k": 2}]}, index=pd.Index(["r1", "r0"], name="row"))
        case "filtered":
            return pd.DataFrame({"n": range(10)}).query("n % 4 == 1")
        case "empty":
            return pa.table({"n": pa.array([], pa.int64())})
        case "large":
            return pa.table({"n": range(20_000)})[19_998:]
        case "float32":
            return np.linspace(0, 1, 3, dtype="float32")
        case "matrix":
            return np.arange(6.0).reshape(3, 2)
        case unknown:
            raise ValueError(unknown)


class Kinds(FlowSpec):
    """Fans out over the rows of many tables, one table a split of the outer foreach."""

    @step
    def start(self):
        self.kinds = ["Table", "RecordBatch", "polars", "pandas", "filtered", "empty", "large", "float32", "matrix"]
        self.next(self.fan, foreach="kinds")

    @step
    def fan(self):
        self.table = _make(self.input)
        self.next(self.body, foreach="table")

    @step
    def body(self):
        self.got = self.input.tolist() if hasattr(self.input, "tolist") else self.input
        self.type = type(self.input).__name__
        self.next(self.inner)

    @step
    def inner(self, inputs):
        self.got = [each.got for each in inputs]
        self.types = {each.type for each in inputs}
        self.kind = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = {each.kind: each.got for each in inputs}
        self.types = {each.kind: each.types for each in inputs}
        self.next(self.end)

    @step
    def end(self):
        pass


class Nested(FlowSpec):
    """A table, and within each of its rows another one."""

    @step
    def start(self):
        import pyarrow as pa

        self.people = pa.table({"name": ["ada", "bob"], "count": [2, 1]})
        self.next(self.person, foreach="people")

    @step
    def person(self):
        import pandas as pd

        self.parts = pd.DataFrame({"part": [f"{self.input['name']}{number}" for number in range(self.input["count"])]})
        self.next(self.part, foreach="parts")

    @step
    def part(self):
        self.input["part"] += "!"  # its own
        self.got = (self.input, self.index)
        self.next(self.tail)

    @step
    def tail(self):
        self.stack = self.foreach_stack()
        self.next(self.inner)

    @step
    def inner(self, inputs):
        self.got = [each.got for each in inputs]
        self.stacks = [each.stack for each in inputs]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [got for each in inputs for got in each.got]
        self.stacks = [stack for each in inputs for stack in each.stacks]
        self.inputs_of = [each.input for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Resumed(FlowSpec):
    """Row 7 fails until the file is there. The table is inherited by the step that fans out."""

    file = Parameter("file", default="")

    @step
    def start(self):
        import pyarrow as pa

        self.table = pa.table({"n": range(10), "name": [f"row {n}" for n in range(10)]})
        self.next(self.fan)

    @step
    def fan(self):
        self.next(self.body, foreach="table")

    @step
    def body(self):
        if self.input["n"] == 7 and not os.path.exists(self.file):
            raise ValueError("not yet")
        self.got = self.input["name"]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Wide(FlowSpec):
    """Each row of the matrix takes a MiB. `what`: how the step that fans out came by it."""

    what = Parameter("what", default="made")
    file = Parameter("file", default="")

    @step
    def start(self):
        import numpy as np

        self.matrix = np.arange(12.0).repeat(1 << 17).reshape(12, 1 << 17)
        self.next(self.fan)

    @step
    def fan(self):
        if self.what == "made":
            self.matrix = self.matrix + 1
        elif self.what == "changed":
            self.matrix[0] += 1
        self.next(self.body, foreach="matrix")

    @step
    def body(self):
        if self.file and self.index == 7 and not os.path.exists(self.file):
            raise ValueError("not yet")
        self.got = float(self.input.mean())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.got = [each.got for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


class Frames(FlowSpec):
    """Fans out over a table of a MiB: within a foreach, too."""

    kind = Parameter("kind", default="Table")

    @step
    def start(self):
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        numbers = np.arange(3 << 16).reshape(3, 1 << 16)
        table = pa.table({"l": list(numbers), "n": range(3)})
        self.table = {"Table": table, "pandas": pd.DataFrame({"l": list(numbers)}), "matrix": numbers, "range": range(3)}[self.kind]
        self.next(self.fan, foreach="table")

    @step
    def fan(self):
        self.next(self.body, foreach="table")

    @step
    def body(self):
        self.next(self.inner)

    @step
    def inner(self, inputs):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
