"""One large value from a task to the next, by Luigi, as a pickle: KIND NBYTES."""

import json
import pickle
import sys
import time

import luigi
from luigi.format import Nop
from values import buffers, make, nbytes_of, read


class Start(luigi.Task):
    kind = luigi.Parameter()
    nbytes = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget("value.pkl", format=Nop)

    def run(self):
        value = make(self.kind, self.nbytes)
        made = time.time()
        with self.output().open("w") as file:
            pickle.dump((made, value), file, protocol=5)


class End(luigi.Task):
    kind = luigi.Parameter()
    nbytes = luigi.IntParameter()

    def requires(self):
        return Start(kind=self.kind, nbytes=self.nbytes)

    def output(self):
        return luigi.LocalTarget("done.json")

    def run(self):
        with self.input().open("r") as file:
            made, value = pickle.load(file)
        parts = buffers(value)
        told = json.dumps({"read": read(parts), "s": time.time() - made, "nbytes": nbytes_of(parts)})
        print("handoff", told)
        with self.output().open("w") as file:
            file.write(told)


if __name__ == "__main__":
    assert luigi.build([End(kind=sys.argv[1], nbytes=int(sys.argv[2]))], local_scheduler=True, log_level="ERROR")
