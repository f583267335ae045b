"""Testing flows and their steps: in this process, without Ray, `breakpoint()` included.

    from rayflow.testing import run_flow, run_step

    def test_train_learns():
        result = run_step(TrainFlow.train, inputs={"df": df}, params={"lr": 0.1})
        assert result.accuracy > 0.9

    def test_the_whole_flow(tmp_path):
        run = run_flow(TrainFlow, root=tmp_path, lr=0.1)
        assert run.data.accuracy > 0.9

Also here: the contract suites that every implementation of a port passes (`store_contract`, `executor_contract`).
"""

from rayflow.testing.flows import run_flow
from rayflow.testing.steps import StepResult, run_step

__all__ = ["StepResult", "run_flow", "run_step"]
