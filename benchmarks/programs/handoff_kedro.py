"""One large value from a node to the next, by Kedro, as a pickle: KIND NBYTES."""

import json
import sys
import time

from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.pickle import PickleDataset
from values import buffers, make, nbytes_of, read


def start():
    return make(sys.argv[1], int(sys.argv[2])), time.time()


def end(value, made):
    parts = buffers(value)
    print("handoff", json.dumps({"read": read(parts), "s": time.time() - made, "nbytes": nbytes_of(parts)}))
    return "done"


if __name__ == "__main__":
    names = ("value", "made", "done")
    catalog = DataCatalog({name: PickleDataset(filepath=f"{name}.pkl", save_args={"protocol": 5}) for name in names})
    steps = pipeline([node(start, inputs=None, outputs=["value", "made"]), node(end, inputs=["value", "made"], outputs="done")])
    SequentialRunner().run(steps, catalog)
