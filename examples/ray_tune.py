"""Ray Tune in a step, on the cluster of the run: the search itself is one task, its trials are Ray's, and the best is an artifact.

    python examples/ray_tune.py run --samples 8

`@resources(cpu=0)`: the step only waits, and leaves the CPUs to the trials. A search of which each trial is to be looked at, retried and
resumed by itself is a foreach: see `examples/digits.py`.
"""

import tempfile

from ray import tune

from rayflow import FlowSpec, Parameter, current, resources, step


def trial(config):
    """The loss of one setting: smallest at rate 0.1 and depth 4."""
    return {"loss": (config["rate"] - 0.1) ** 2 + (config["depth"] - 4) ** 2 / 100}


class RayTuneFlow(FlowSpec):
    samples = Parameter("samples", default=8)

    @resources(cpu=0)
    @step
    def start(self):
        space = {"rate": tune.uniform(0.01, 0.5), "depth": tune.randint(2, 8)}
        with tempfile.TemporaryDirectory() as directory:  # what Tune itself writes is not needed: the answer is an artifact
            settings = tune.TuneConfig(metric="loss", mode="min", num_samples=self.samples)
            where = tune.RunConfig(name=f"{current.flow_name}-{current.run_id}", storage_path=directory, verbose=0)
            found = tune.Tuner(trial, param_space=space, tune_config=settings, run_config=where).fit()
            self.trials = found.get_dataframe()[["config/rate", "config/depth", "loss"]]
            self.best = found.get_best_result().config
        self.next(self.end)

    @step
    def end(self):
        print(f"the best of {len(self.trials)} trials: rate {self.best['rate']:.2f}, depth {self.best['depth']}")


if __name__ == "__main__":
    RayTuneFlow()
