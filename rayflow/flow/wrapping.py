"""How the wrappers of a step go around its body."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rayflow.flow.userdecorators import UserStepDecorator, implementation_of, made
from rayflow.model.errors import UserError
from rayflow.model.graph import Node
from rayflow.model.spec import Wrapper

Body = Callable[..., Any]


def wrapped(body: Body, wrappers: tuple[Wrapper, ...], node: Node, flow_class: type) -> Body:
    """The body of a step with its wrappers around it, the last one outermost. Called as the body is: with the flow, in a join and the
    inputs."""
    for wrapper in wrappers:
        implementation = implementation_of(wrapper, flow_class, node.name)
        around = _AroundClass if isinstance(implementation, type) else _AroundGenerator
        body = around(body, implementation, wrapper, node)
    return body


class _Around:
    def __init__(self, body: Body, implementation: Any, wrapper: Wrapper, node: Node) -> None:
        self.body = body
        self.implementation = implementation
        self.wrapper = wrapper
        self.node = node

    def follow(self, flow: Any, keywords: Mapping[str, Any] | None = None) -> None:
        """Takes the transition in the source, unless one was taken."""
        if flow._rayflow.taken is not None or not self.node.targets:
            return
        node = self.node
        if node.num_parallel:
            raise UserError(f"Step '{node.name}' starts a gang: how many tasks it has is said by self.next(...) in its body alone.")
        if node.is_switch:
            flow.next({case: getattr(flow, target) for case, target in node.cases}, condition=node.condition)
            return
        own = {"foreach": node.foreach} if node.foreach is not None else {}
        flow.next(*(getattr(flow, target) for target in node.targets), **{**own, **(keywords or {})})

    def instead(self, replacement: Callable[..., Any]) -> Body:
        """A body that calls the replacement, and then goes on as the source says, or as its result does."""

        def body(flow: Any, *inputs: Any) -> None:
            told = replacement(flow, *inputs)
            self.follow(flow, told if isinstance(told, Mapping) else None)

        return body

    def left_out(self, keywords: Mapping[str, Any]) -> Body:
        """A body that only goes on, as the source and the keywords say."""

        def body(flow: Any, *inputs: Any) -> None:
            self.follow(flow, keywords)

        return body


class _AroundGenerator(_Around):
    """A generator that yields once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.takes_attributes = len(inspect.signature(self.implementation).parameters) == 4

    def __call__(self, flow: Any, *inputs: Any) -> None:
        attributes = (dict(self.wrapper.keywords),) if self.takes_attributes else ()
        steps = self.implementation(self.node.name, flow, inputs[0] if inputs else None, *attributes)
        try:
            yielded = next(steps)
        except StopIteration:
            raise self._should_yield("did not") from None
        try:
            self._body_for(yielded)(flow, *inputs)
        except Exception as error:  # noqa: BLE001 - the generator decides about it
            self._resume(partial(steps.throw, error))
            self.follow(flow)  # swallowed: the step is done
        else:
            self._resume(partial(next, steps))

    def _body_for(self, yielded: Any) -> Body:
        if yielded is None:
            return self.body
        if isinstance(yielded, Mapping):
            return self.left_out(yielded)
        if callable(yielded):
            return self.instead(yielded)
        raise UserError(f"{self.wrapper.name} yielded {yielded!r}. It may yield nothing, a mapping, or a function of the flow.")

    def _resume(self, resume: Callable[[], Any]) -> None:
        try:
            resume()
        except StopIteration:
            return
        raise self._should_yield("yielded again")

    def _should_yield(self, what: str) -> UserError:
        return UserError(f"{self.wrapper.name} should only yield once, for step '{self.node.name}': it {what}.")


class _AroundClass(_Around):
    """A `UserStepDecorator`; a new object for each attempt."""

    def __call__(self, flow: Any, *inputs: Any) -> None:
        wrapper: UserStepDecorator = made(self.implementation, self.wrapper.arguments, self.wrapper.keywords)
        replacement = wrapper.pre_step(self.node.name, flow, inputs[0] if inputs else None)
        body = self.body
        if wrapper.skip_step or isinstance(wrapper.skip_step, Mapping):
            body = self.left_out(wrapper.skip_step if isinstance(wrapper.skip_step, Mapping) else {})
        elif replacement is not None:
            body = self.instead(replacement)
        raised: Exception | None = None
        try:
            body(flow, *inputs)
        except Exception as error:  # noqa: BLE001 - post_step decides about it
            raised = error
        outcome = wrapper.post_step(self.node.name, flow, raised)
        error, then = outcome if isinstance(outcome, tuple) else (outcome, None)
        if error is not None:
            raise error
        if then is not False:
            self.follow(flow, then if isinstance(then, Mapping) else None)
