"""What decorators and mutators of one's own are made of, by the names of `metaflow.decorators` and `metaflow.user_decorators.*`.

The decorators that rayflow has (`retry`, `resources`, ...) are imported from `rayflow` itself, as from `metaflow`.
"""

from rayflow.flow.mutators import FlowMutator, MutableFlow, MutableStep, StepMutator
from rayflow.flow.step import step
from rayflow.flow.userdecorators import USER_SKIP_STEP, UserStepDecorator, user_step_decorator
from rayflow.model.errors import (
    BadStepDecoratorException,
    DuplicateStepDecoratorException,
    InvalidDecoratorAttribute,
    UnknownStepDecoratorException,
)

__all__ = [
    "USER_SKIP_STEP",
    "BadStepDecoratorException",
    "DuplicateStepDecoratorException",
    "FlowMutator",
    "InvalidDecoratorAttribute",
    "MutableFlow",
    "MutableStep",
    "StepMutator",
    "UnknownStepDecoratorException",
    "UserStepDecorator",
    "step",
    "user_step_decorator",
]
