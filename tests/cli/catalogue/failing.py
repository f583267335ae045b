"""Flows that fail in a task: what `next` refuses, artifacts, joins, processes that end, time that is up."""

from __future__ import annotations

from rayflow.exception import (
    ArtifactUnserializable,
    InvalidNextException,
    MissingInMergeArtifactsException,
    TaskFailedException,
    TimeoutException,
    UnhandledInMergeArtifactsException,
    UserError,
)
from tests.cli.catalogue import END, Row, flow

RUN = "run flow.py"


def _next(name: str, words: str, call: str, before: str = "self.x = [1]") -> Row:
    """A task that calls `next` otherwise than its source says at the end."""
    return Row(name, RUN, InvalidNextException, (words, "on line 6"), flow(f"start(self): {before}; {call}; self.next(self.end)", END))


NEXT = [
    _next("unknown keyword", "oops", "self.next(self.end, oops=1)"),
    _next("twice", "was called more than once", "self.next(self.end)"),
    _next("cases without a condition", "Add condition=", "self.next({1: self.end})"),
    _next("a condition without cases", "condition", "self.next(self.end, condition='x')"),
    _next("a condition without any case", "condition", "self.next({}, condition='x')"),
    _next("a condition that is no text", "condition", "self.next({1: self.end}, condition=1)"),
    _next("a condition of a foreach", "condition", "self.next({1: self.end}, condition='x', foreach='x')"),
    _next("a condition that is missing", "nope", "self.next({1: self.end}, condition='nope')"),
    _next("no method", "is not a method of the flow", "self.next('end')"),
    _next("no step", "is not a step", "self.next(self.merge_artifacts)"),
    _next("a foreach that is no text", "foreach", "self.next(self.end, foreach=[1])"),
    _next("a foreach to several steps", "foreach", "self.next(self.end, self.end, foreach='x')"),
    _next("a foreach over nothing known", "nope", "self.next(self.end, foreach='nope')"),
    _next("a foreach over a number", "is not iterable", "self.next(self.end, foreach='x')", "self.x = 3"),
    _next("a foreach over a dictionary", "dict", "self.next(self.end, foreach='x')", "self.x = {'a': 1}"),
    _next("no target", "no step", "self.next()"),
    _next("a gang of several steps", "num_parallel", "self.next(self.end, self.end, num_parallel=2)"),
    Row(
        "another way than the source says",
        RUN,
        InvalidNextException,
        ("Based on static analysis of the code, step 'start' was expected to transition to", "self.next() was never called"),
        flow("start(self): return; self.next(self.end)", END),
    ),
    Row(
        "an exit before next",
        RUN,
        InvalidNextException,
        ("Based on static analysis of the code", "self.next() was never called"),
        flow("start(self): sys.exit(0); self.next(self.end)", END),
    ),
    Row(
        "a value without a case",
        RUN,
        RuntimeError,
        ("self.x", "has no case. The available cases are: 1, 2"),
        flow("start(self): self.x = 3; self.next({1: self.a, 2: self.end}, condition='x')", "a(self): self.next(self.end)", END),
    ),
    Row(
        "a value that cannot be a case",
        RUN,
        TypeError,
        ("unhashable",),
        flow("start(self): self.x = []; self.next({1: self.a, 2: self.end}, condition='x')", "a(self): self.next(self.end)", END),
    ),
    Row(
        "a foreach that is too wide",
        f"{RUN} --max-num-splits 2",
        InvalidNextException,
        ("Foreach in step 'start' yielded 3 child steps, which is more than the current maximum of 2", "--max-num-splits"),
        flow(
            "start(self): self.x = [1, 2, 3]; self.next(self.a, foreach='x')",
            "a(self): self.next(self.j)",
            "j(self, inputs): self.next(self.end)",
            END,
        ),
    ),
]


def _starts(name: str, error: type[BaseException], words: tuple[str, ...], statement: str, fields: str = "", decorators: str = "") -> Row:
    source = flow(f"{decorators}\nstart(self): {statement}; self.next(self.end)".strip(), END, fields=fields)
    return Row(name, RUN, error, words, source)


def _joins(name: str, error: type[BaseException], words: tuple[str, ...], statement: str) -> Row:
    a, b = "a(self): self.x = 1; self.y = 1; self.next(self.j)", "b(self): self.x = 2; self.y = 1; self.next(self.j)"
    return Row(
        name,
        RUN,
        error,
        words,
        flow("start(self): self.next(self.a, self.b)", a, b, f"j(self, inputs): {statement}; self.next(self.end)", END),
    )


ARTIFACTS = [
    _starts("a lock", ArtifactUnserializable, ("'x' (_thread.lock) cannot be stored",), "self.x = threading.Lock()"),
    _starts("a lock within", ArtifactUnserializable, ("'x' (dict) cannot be stored: its part ['k']",), "self.x = {'k': threading.Lock()}"),
    _starts("self", ArtifactUnserializable, ("'x'", "input.some_var"), "self.x = self"),
    _starts("an artifact that is not there", AttributeError, ("Flow F has no attribute 'nope'",), "self.nope"),
    _starts("a Parameter that is changed", AttributeError, ("not modifiable",), "self.p = 1", "p = Parameter('p', default=1)"),
    _starts("a constant that is changed", AttributeError, ("not modifiable",), "self.c = 1", "c = 1"),
    _starts("a Config that is changed", TypeError, ("ConfigValue is immutable",), "self.c['a'] = 1", "c = Config('c', default_value='{}')"),
    _starts("merging outside a join", UserError, ("can only be called in a join and step *start* is no",), "self.merge_artifacts([])"),
    _joins("a merge of both kinds", UserError, ("mutually exclusive",), "self.merge_artifacts(inputs, include=['x'], exclude=['y'])"),
    _joins("a merge with a conflict", UnhandledInMergeArtifactsException, ("x",), "self.merge_artifacts(inputs)"),
    _joins("a merge of what is missing", MissingInMergeArtifactsException, ("nope",), "self.merge_artifacts(inputs, include=['nope'])"),
    _joins("an artifact that a branch lacks", AttributeError, ("'nope'",), "inputs.a.nope"),
    _joins("a branch that is none", AttributeError, ("'nope'",), "inputs.nope"),
]  # fmt: skip
ENDINGS = [
    _starts("an exception", ValueError, ("ValueError: boom",), "raise ValueError('boom')"),
    _starts("an exit", TaskFailedException, ("It called sys.exit(3)",), "sys.exit(3)"),
    _starts(
        "time", TimeoutException, ("Step start timed out after 0 hours, 0 minutes, 1 seconds",), "time.sleep(9)", "", "@timeout(seconds=1)"
    ),
    _starts("an unknown backend", UserError, ("says no type", "SECRETS_BACKEND"), "pass", "", "@secrets(sources=['x'])"),
    _starts(
        "a parser of a file",
        UserError,
        ("Failed to parse content in parameter *x*",),
        "self.x",
        "x = IncludeFile('x', default='raw.json', parser=int)",
    ),
    Row(
        "a decorator that yields twice",
        RUN,
        UserError,
        ("should only yield once",),
        flow(
            "@d\nstart(self): self.next(self.end)",
            END,
            above="@user_step_decorator\ndef d(step_name, flow, inputs):\n    yield\n    yield\n",
        ),
    ),
    Row(
        "a process that ends",
        f"{RUN} --executor process",
        TaskFailedException,
        ("exit code 7",),
        flow("start(self): os._exit(7); self.next(self.end)", END),
    ),
    Row(
        "a process that ends well too early",
        f"{RUN} --executor process",
        TaskFailedException,
        ("exit code 0",),
        flow("start(self): os._exit(0); self.next(self.end)", END),
    ),
    Row(
        "a segmentation fault",
        f"{RUN} --executor process",
        TaskFailedException,
        ("segmentation fault",),
        flow("start(self): os.kill(os.getpid(), 11); self.next(self.end)", END),
    ),
]
ROWS = {"next": NEXT, "artifact": ARTIFACTS, "ending": ENDINGS}
