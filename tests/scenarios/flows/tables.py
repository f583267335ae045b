"""Tables and arrays from step to step."""

from __future__ import annotations

from rayflow import FlowSpec, step


class Tables(FlowSpec):
    @step
    def start(self):
        import numpy as np
        import pandas as pd
        import polars as pl
        import pyarrow as pa

        self.frame = pd.DataFrame(
            {"n": range(100), "c": pd.Categorical(list("ab") * 50), "t": pd.date_range("2024-01-01", periods=100, tz="Europe/Warsaw")},
            index=pd.Index([f"r{i}" for i in range(100)], name="row"),
        )
        self.polars = pl.DataFrame({"x": [1, None, 3], "l": [[1], [], [2, 3]]})
        self.arrow = pa.table({"s": ["ą", None], "d": [{"a": 1}, {"a": 2}]})
        self.vector = np.linspace(0, 1, 50_000)
        self.scalar = np.array(3)
        self.none = np.zeros((0, 4), dtype="complex64")
        self.fortran = np.asfortranarray(np.arange(6).reshape(2, 3))
        self.texts = np.array(["a", "ü"])
        self.items = [0, 1, 2]
        self.next(self.body, foreach="items")

    @step
    def body(self):
        self.vector[0] = self.input + 10
        self.frame.loc["r0", "n"] = self.input
        self.part = self.frame.iloc[self.input * 2 : self.input * 2 + 2]
        self.next(self.join)

    @step
    def join(self, inputs):
        import pandas as pd

        self.firsts = [float(each.vector[0]) for each in inputs]
        self.changed = [int(each.frame.loc["r0", "n"]) for each in inputs]
        self.whole = pd.concat([each.part for each in inputs])
        self.merge_artifacts(inputs, include=["polars", "arrow", "scalar", "none", "fortran", "texts"])
        self.next(self.end)

    @step
    def end(self):
        self.shown = (
            self.polars["l"].to_list(),
            self.arrow.to_pylist(),
            int(self.scalar),
            (self.none.shape, str(self.none.dtype)),
            self.fortran.tolist(),
            self.texts.tolist(),
            (list(self.whole.index), self.whole.index.name, str(self.whole["c"].dtype), str(self.whole["t"].dt.tz)),
        )
