"""What a call of `self.next(...)` means: checked against the flow, its fan-out put in order, compared with the source."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from rayflow.flow.fanout import NotIterableError, in_order
from rayflow.flow.step import mark_of
from rayflow.model.errors import InvalidNextException
from rayflow.model.graph import Node

_OPTIONS = ("foreach", "num_parallel", "condition")


@dataclass(frozen=True)
class Transition:
    """Where a task goes next.

    `targets` are step names; for a switch (`condition` given) the one that was chosen. A foreach has the
    indexed sequence `items`, and a fan-out of either sort its `count` (>= 0; a gang's is `num_parallel`, >= 1).
    """

    targets: tuple[str, ...]
    foreach: str | None = None
    items: Sequence[Any] | None = None
    count: int | None = None
    num_parallel: int | None = None
    condition: str | None = None


def decide(flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any], previous: Transition | None = None) -> Transition:
    """The transition that `self.next(*targets, **options)` asks for.

    `previous` is the transition that the task has taken already, if any. Raises `InvalidNextException` with the line of the call for
    what cannot be followed, `RuntimeError` for a switch without a case for the value. A one-shot iterator that is fanned out
    over becomes a list, also as the artifact.
    """
    if previous is not None:
        _refuse(flow, f"was called more than once: it went to {_names(previous.targets)} before. Call it once, as the last statement.")
    if not options and len(targets) == 1:
        # A million splits ask this of the same function: a look-up (0.4 us) instead of all checks (3.4 us).
        known = _known(flow).get(getattr(targets[0], "__func__", None))
        if known is not None:
            return known
    condition = options.get("condition")
    if type(condition) is str and len(options) == len(targets) == 1:
        taken = _known_switch(flow, targets[0], condition)
        if taken is not None:
            return taken
    _check_options(flow, targets, options)
    if condition is not None:
        return _switch(flow, targets[0], condition)
    if any(isinstance(target, dict) for target in targets):
        _refuse(flow, "got a dictionary of targets without a condition. Add condition='<name of an artifact>'.")
    names = tuple(_step_name(flow, target) for target in targets)
    if "foreach" in options:
        return _foreach(flow, names, options["foreach"])
    if "num_parallel" in options:
        return _gang(flow, names, options["num_parallel"])
    transition = Transition(names)
    if len(names) == 1:
        _known(flow)[targets[0].__func__] = transition
    return transition


def static_transition(node: Node) -> Transition:
    """What a task does whose body did not get to `self.next` (@catch): the targets in the source. Not for fan-outs and switches."""
    return Transition(node.targets)


def check_taken(node: Node, transition: Transition | None) -> None:
    """Raises `InvalidNextException` where a task went elsewhere than its source says, or nowhere (`transition` None)."""
    if transition is None:
        if node.targets:
            _mismatch(node, "self.next() was never called. Did the step return or exit early?")
        return
    is_same = transition.targets == node.targets and transition.foreach == node.foreach and transition.condition == node.condition
    if is_same and (transition.num_parallel is None or node.num_parallel):
        return
    if node.is_switch and transition.condition == node.condition and len(transition.targets) == 1 and transition.targets[0] in node.targets:
        return
    _mismatch(node, f"self.next() was called with {_described(transition.targets, transition.foreach, transition.condition)}.")


def _known(flow: Any) -> dict[object, Transition]:
    """The linear transitions of this class that were checked before, by target function. Classes that are not bound have none."""
    return getattr(type(flow), "_rayflow_known", {})


def _check_options(flow: Any, targets: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        _refuse(flow, f"got an unknown keyword argument '{unknown[0]}'. It takes one of foreach, num_parallel and condition.")
    if len(options) > 1:
        _refuse(flow, f"combines {' and '.join(sorted(options))}. Give one of foreach, num_parallel and condition.")
    if not targets:
        _refuse(flow, "names no step to go to. Give at least one: self.next(self.<step>).")
    if "condition" in options:
        condition = options["condition"]
        if len(targets) != 1 or not isinstance(targets[0], dict) or not targets[0]:
            _refuse(flow, "has a condition, which takes one dictionary that is not empty: self.next({value: self.<step>}, condition='x').")
        if not isinstance(condition, str):
            _refuse(flow, f"has condition={condition!r}. The condition is a string, the name of an artifact.")


def _known_switch(flow: Any, cases: Any, condition: str) -> Transition | None:
    """The transition of a switch over this artifact whose targets were all checked before; None where one was not, or no case fits."""
    known = getattr(type(flow), "_rayflow_switches", {}).get(condition)
    if known is None or type(cases) is not dict:
        return None
    try:
        for target in cases.values():
            if target.__func__ not in known:
                return None
        return known[cases[getattr(flow, condition)].__func__]
    except (AttributeError, KeyError, TypeError):
        return None  # what is wrong is said by the checks


def _step_name(flow: Any, target: Any) -> str:
    function = getattr(target, "__func__", None)
    name = getattr(function, "__name__", None)
    if name is None or getattr(target, "__self__", None) is not flow:
        _refuse(flow, f"got {_shown(target)}, which is not a method of the flow. Give steps: self.next(self.<step>).")
    if mark_of(getattr(type(flow), name, None)) is None:
        _refuse(flow, f"got the method '{name}', which is not a step. Add the @step decorator to it, or go to a step.")
    return cast(str, name)


def _switch(flow: Any, cases: dict[Any, Any], condition: str) -> Transition:
    names = [_step_name(flow, target) for target in cases.values()]
    known = {target.__func__: Transition((name,), condition=condition) for target, name in zip(cases.values(), names, strict=True)}
    try:
        value = getattr(flow, condition)
    except AttributeError:
        _refuse(flow, f"has condition='{condition}', but there is no artifact of that name. Assign self.{condition} before.")
    if value not in cases:
        available = ", ".join(repr(case) for case in cases)
        raise RuntimeError(f"Switch over self.{condition}: its value {_shown(value)} has no case. The available cases are: {available}.")
    getattr(type(flow), "_rayflow_switches", {}).setdefault(condition, {}).update(known)
    return known[cases[value].__func__]


def _foreach(flow: Any, names: tuple[str, ...], foreach: Any) -> Transition:
    if not isinstance(foreach, str):
        _refuse(flow, f"has foreach={_shown(foreach)}. The foreach argument is a string, the name of an artifact.")
    if len(names) != 1:
        _refuse(flow, f"fans out over '{foreach}' to {len(names)} steps ({_names(names)}). A foreach takes exactly one target.")
    try:
        value = getattr(flow, foreach)
    except AttributeError:
        _refuse(flow, f"has foreach='{foreach}', but there is no artifact of that name. Assign self.{foreach} before.")
    try:
        items = in_order(value)
    except NotIterableError as refusal:
        _refuse(flow, f"has foreach='{foreach}', and self.{foreach} ({type(value).__name__}) {refusal}")
    if hasattr(type(value), "__next__") and foreach in flow.__dict__:
        # The iterator is used up now, and could not be stored: the flow keeps what came out of it.
        setattr(flow, foreach, items)
    return Transition(names, foreach=foreach, items=items, count=len(items))


def _gang(flow: Any, names: tuple[str, ...], size: Any) -> Transition:
    if len(names) != 1:
        _refuse(flow, f"has num_parallel with {len(names)} steps ({_names(names)}). A gang runs exactly one target.")
    try:
        count = int(size)
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        _refuse(flow, f"has num_parallel={_shown(size)}. Give the number of nodes, from 1 on.")
    return Transition(names, count=count, num_parallel=count)


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _described(targets: Sequence[str], foreach: str | None, condition: str | None, num_parallel: bool = False) -> str:
    text = _names(targets)
    text += f" with foreach='{foreach}'" if foreach is not None else ""
    text += f" with condition='{condition}'" if condition is not None else ""
    return text + (" with num_parallel" if num_parallel else "")


def _mismatch(node: Node, called: str) -> NoReturn:
    expected = _described(node.targets, node.foreach, node.condition, node.num_parallel)
    choice = "one of " if node.is_switch else ""
    raise InvalidNextException(
        f"Based on static analysis of the code, step '{node.name}' was expected to transition to {choice}{expected}, but {called} "
        "Make self.next() the last statement of the step, reached on every path.",
        line=node.next_line or node.line,
        file=node.file,
    )


def _refuse(flow: Any, complaint: str) -> NoReturn:
    line, file = _call_site()
    step = getattr(flow, "_current_step", None)
    where = f"In step '{step}', self.next()" if step else "self.next()"
    raise InvalidNextException(f"{where} {complaint}", line=line, file=file)


def _call_site() -> tuple[int | None, str | None]:
    """Where the user's code called `next`: the caller of the outermost `next` of ours on the stack."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        caller = frame.f_back
        if frame.f_code.co_name == "next" and frame.f_globals.get("__name__", "").startswith("rayflow."):
            return caller.f_lineno, caller.f_code.co_filename
        frame = caller
    return None, None
