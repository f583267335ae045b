"""Flows that break the rules, and misuse of decorators, Parameters and Configs: no task begins."""

from __future__ import annotations

from rayflow.exception import (
    BadStepDecoratorException,
    DuplicateStepDecoratorException,
    InvalidDecoratorAttribute,
    InvalidEnvironmentException,
    LintWarn,
    ParameterFieldFailed,
    ParameterFieldTypeMismatch,
    RayflowNotFound,
    UnknownStepDecoratorException,
    UsageError,
    UserError,
)
from tests.cli.catalogue import END, Row, flow, graph, plain


def _rule(name: str, words: str, source: str) -> Row:
    return Row(name, "run flow.py", LintWarn, (words,), source)


def _with_start(*names: str) -> str:
    """Steps that are annotated as the start, beside those of a plain flow."""
    return plain(fields="\n".join(f"@step(start=True)\ndef {name}(self): self.next(self.end)" for name in names))


RULES = [
    _rule("1 reserved name", "Step name 'cmd' is a reserved word", graph("start: cmd; cmd: end; end")),
    _rule("2 no start", "must have exactly one start step", graph("begin: end; end")),
    _rule("2 no end", "must have exactly one end step", graph("start: last; last")),
    _rule("2 two starts", "Multiple steps annotated with @step(start=True)", _with_start("one", "two")),
    _rule("3 ambiguous start", "Ambiguous start step", _with_start("one")),
    _rule("4 into start", "has incoming transitions from 'a'", graph("start: a; a: start; end")),
    _rule("4 out of end", "has outgoing transitions to 'a'", graph("start: end; end: a; a")),
    _rule("5 end goes on", "should not have a self.next()", flow("start(self): self.next(self.end)", "end(self): self.next()")),
    _rule("5 end joins", "should not be a join step", graph("start: a b; a: end; b: end; end+")),
    _rule("6 name", "has an invalid name. Only lowercase ascii", graph("start: Big; Big: end; end")),
    _rule("7 too many arguments", "has too many arguments", flow("start(self, inputs, more): self.next(self.end)", END)),
    _rule("7 no self", "is missing the 'self' argument", flow("start(): self.next(self.end)", END)),
    _rule("8 join that splits", "is both a join step", graph("start: a b; a: j; b: j; j+: c d; c: k; d: k; k+: end; end")),
    _rule("9 no next", "is missing a self.next() transition", graph("start; end")),
    _rule("10 malformed next", "specifies an invalid self.next() transition", graph("start: end foreach=self.x; end")),
    _rule("10 two keywords", "more than one keyword", graph("start: end foreach='x' num_parallel=2; end")),
    _rule("10 dynamic case", "is neither a literal nor", flow("start(self): self.next({x: self.a, 2: self.end}, condition='x')", END)),
    _rule("11 unknown target", "transition to an unknown step, 'nowhere'", graph("start: nowhere; end")),
    _rule("12 loop", "There is a loop in your flow: a->b->a", graph("start: a; a: b; b: a; end")),
    _rule("13 unreachable", "is unreachable from the entry step", graph("start: end; island: end; end")),
    _rule("14 open split", "was reached before a split started at step(s) start were joined", graph("start: a b; a: end; b: end; end")),
    _rule("15 missing branch", "an incorrect number of steps", graph("start: a b c; a: j; b: j; c: k; j+: k; k+: end; end")),
    _rule("16 join without split", "is not preceded by a split", graph("start: join; join+: end; end")),
    _rule("17 crossed joins", "joins steps from unrelated splits", graph("start: a b; a: c d; b: j; c: j; d: k; j+: k; k+: end; end")),
    _rule(
        "18 one case", "Switch splits must define at least 2 transitions", flow("start(self): self.next({1: self.end}, condition='x')", END)
    ),
    _rule("19 foreach without a body", "foreach split that has no children", graph("start: join foreach='x'; join+: end; end")),
    _rule("20 no @parallel", "does not have a @parallel decorator", graph("start: a num_parallel=2; a: j; j+: end; end")),
    _rule("21 gang without a join", "should be followed by a join", graph("start: a num_parallel=2; @parallel a: b; b: j; j+: end; end")),
    _rule("22 no gang", "is not called with self.next(num_parallel=...)", graph("start: a foreach='x'; @parallel a: j; j+: end; end")),
    _rule(
        "23 switch into a join",
        "A conditional path cannot lead directly to a join step",
        graph("start: a b; a: {1:self.j,2:self.c} condition='x'; c: j; b: j; j+: end; end"),
    ),
]


def _decorated(name: str, error: type[BaseException], words: str, decorators: str, typed: str = "run flow.py") -> Row:
    return Row(name, typed, error, (words,), flow(f"{decorators}\nstart(self): self.next(self.end)", END))


DECORATORS = [
    _decorated(
        "unknown attribute",
        InvalidDecoratorAttribute,
        "@retry does not know it. The attributes supported: minutes_between",
        "@retry(time=1)",
    ),
    _decorated("twice", DuplicateStepDecoratorException, "has the decorator @retry more than once", "@retry\n@retry"),
    _decorated("too many retries", InvalidDecoratorAttribute, "The maximum number of retries is @retry(times=4)", "@retry(times=5)"),
    _decorated("no checkpoint kept", InvalidDecoratorAttribute, "has keep=0. Give a whole number from 1 on", "@checkpoint(keep=0)"),
    _decorated("no time", InvalidDecoratorAttribute, "Specify a duration for @timeout", "@timeout"),
    _decorated("negative number", InvalidDecoratorAttribute, "has cpu=-1", "@resources(cpu=-1)"),
    _decorated("@catch with an expression", InvalidDecoratorAttribute, "Give the name of an artifact", "@catch(var='a b')"),
    _decorated("@environment of a text", InvalidDecoratorAttribute, "vars=", "@environment(vars='X=1')"),
    _decorated("@secrets of no store", UserError, "there is no type 'nope'. The types available: ", "@secrets(sources=['nope.x'])"),
    _decorated("@secrets of a text", InvalidDecoratorAttribute, "Give a list", "@secrets(sources='a.b')"),
    _decorated("@pypi of no package", InvalidDecoratorAttribute, "which is no package", "@pypi(packages={'six': '= 1'})"),
    _decorated(
        "a Python of its own in this process",
        InvalidEnvironmentException,
        "--executor inline has no Python but this one",
        "@pypi(packages={'six': '1.16.0'})",
        "run flow.py --environment pypi",
    ),
    Row(
        "no project for --environment uv",
        "run flow.py --environment uv",
        InvalidEnvironmentException,
        ("takes packages from a uv.lock in", "`uv lock`"),
        plain(),
    ),
    Row("an environment that there is not", "run flow.py --environment docker", UsageError, ("'docker' is not one of",), plain(), 2),
    _decorated("@batch", BadStepDecoratorException, "@batch", "@batch"),
    _decorated(
        "--with of an unknown one",
        UnknownStepDecoratorException,
        "The following decorators are supported: ",
        "@retry",
        "run flow.py --with rety",
    ),
    _decorated(
        "--with without a value",
        InvalidDecoratorAttribute,
        "has no value. Write timeout:key=value",
        "@retry",
        "run flow.py --with timeout:seconds",
    ),
    Row(
        "below @step",
        "run flow.py",
        BadStepDecoratorException,
        ("Decorator retry is applied on other, which is not declared as a @step",),
        plain(fields="@step\n@retry\ndef other(self): pass"),
    ),
    Row("flow decorator on a step", "run flow.py", UserError, ("@project",), graph("@project(name='x') start: end; end")),
    Row("step decorator on a flow", "run flow.py", BadStepDecoratorException, ("@retry",), plain(above="@retry")),
    Row(
        "@catch on a foreach",
        "run flow.py",
        BadStepDecoratorException,
        ("@catch is not supported in foreach split steps",),
        graph("@catch start: a foreach='x'; a: j; j+: end; end"),
    ),
    Row(
        "@catch on a switch",
        "run flow.py",
        BadStepDecoratorException,
        ("@catch is not supported in conditional switch steps",),
        graph("@catch start: {1:self.a,2:self.end} condition='x'; a: end; end"),
    ),
    Row("@project without a name", "run flow.py", UserError, ("@project needs a name",), plain(above="@project")),
    Row(
        "@project with capitals",
        "run flow.py",
        UserError,
        ("must contain only lowercase alphanumeric",),
        plain(above="@project(name='Big')"),
    ),
    Row(
        "two branches",
        "run flow.py --branch b",
        UserError,
        ("The branch is 'b' on the command line and 'a' in @project",),
        plain(above="@project(name='p', branch='a')"),
    ),
    Row("@trigger of nothing", "run flow.py", UserError, ("No event(s) specified",), plain(above="@trigger")),
    Row("@trigger of both", "run flow.py", UserError, ("event and events",), plain(above="@trigger(event='a', events=['b'])")),
    Row("@trigger twice of one", "run flow.py", UserError, ("the same event is named twice",), plain(above="@trigger(events=['a', 'a'])")),
    Row("@exit_hook of nothing", "run flow.py", UserError, ("@exit_hook needs a function",), plain(above="@exit_hook")),
    Row(
        "no generator",
        "run flow.py",
        UserError,
        ("is no generator function",),
        plain(above="@user_step_decorator\ndef d(step_name, flow, inputs): pass\n"),
    ),
    Row(
        "--trigger of no run",
        "run flow.py --trigger F/nope",
        RayflowNotFound,
        ("Run('F/nope') does not exist",),
        plain(above="@trigger_on_finish(flow='F')"),
    ),
]


def _parameter(name: str, error: type[BaseException], words: str, field: str, typed: str = "", exit_code: int = 1, head: str = "") -> Row:
    return Row(name, f"run flow.py {typed}".strip(), error, (words,), plain(fields=field, head=head), exit_code)


PARAMETERS = [
    _parameter("reserved", UserError, "Parameter name *max-workers* is a reserved word", "x = Parameter('max-workers')"),
    _parameter(
        "twice but for the case",
        UserError,
        "is specified twice. Note that parameter names are case-insensitive",
        "x = Parameter('x')\ny = Parameter('X')",
    ),
    _parameter(
        "separator of a number", UserError, "separator is only allowed for string parameters", "x = Parameter('x', type=int, separator=',')"
    ),
    _parameter(
        "required by a function", UserError, "required cannot have a function as its value", "x = Parameter('x', required=lambda: True)"
    ),
    _parameter("no option", UserError, "A Parameter is named 'a b'", "x = Parameter('a b')"),
    _parameter("default of another type", ParameterFieldTypeMismatch, "x", "x = Parameter('x', type=int, default=lambda ctx: 'one')"),
    _parameter("default that fails", ParameterFieldFailed, "ZeroDivisionError", "x = Parameter('x', default=lambda ctx: 1 / 0)"),
    _parameter(
        "no integer", UsageError, "Invalid value for '--x': 'abc' is not a valid integer", "x = Parameter('x', type=int)", "--x abc", 2
    ),
    _parameter(
        "no number", UsageError, "Invalid value for '--x': 'abc' is not a valid float", "x = Parameter('x', type=float)", "--x abc", 2
    ),
    _parameter(
        "no boolean", UsageError, "Invalid value for '--x': 'abc' is not a valid boolean", "x = Parameter('x', type=bool)", "--x abc", 2
    ),
    _parameter("no JSON", UsageError, "is not a valid JSON object", "x = Parameter('x', type=JSONType)", "--x {", 2),
    _parameter("a bool without a value", UsageError, "Option '--x' requires an argument", "x = Parameter('x', type=bool)", "--x", 2),
    _parameter("required", UsageError, "Missing option '--x'", "x = Parameter('x', required=True)", "", 2),
    _parameter("unknown", UsageError, "No such option '--y'", "x = Parameter('x')", "--y 1", 2),
    _parameter(
        "an included file that is absent",
        UsageError,
        "IncludeFile: could not open file 'nope.txt'",
        "x = IncludeFile('x')",
        "--x nope.txt",
        2,
    ),
    _parameter("an included file elsewhere", UserError, "s3://b/k", "x = IncludeFile('x')", "--x s3://b/k"),
    _parameter("an included file that is no text", UsageError, "utf-8", "x = IncludeFile('x')", "--x raw.bin", 2),
]
_C = "c = Config('c')"
_BAD = "Bad values passed for configuration options: "


def _config(
    name: str, words: tuple[str, ...], field: str = _C, before: str = "", error: type[BaseException] = UsageError, exit_code: int = 2
) -> Row:
    return Row(name, f"run flow.py {before}".strip(), error, words, plain(fields=field), exit_code)


CONFIGS = [
    _config(
        "two defaults",
        ("has a default and a default_value",),
        "c = Config('c', default='a', default_value='{}')",
        error=UserError,
        exit_code=1,
    ),
    _config("two values", ("both a value and a file", "'c'"), before="--config c raw.json --config-value c {}"),
    _config("no file", ("configuration file 'nope.json' could not be read for 'c'",), before="--config c nope.json"),
    _config(
        "no default file", ("default configuration file 'nope.json' could not be read for 'c'",), "c = Config('c', default='nope.json')"
    ),
    _config("no JSON", ("is not valid JSON",), before="--config-value c {"),
    _config("required", ("missing configuration for 'c'",), "c = Config('c', required=True)"),
    _config("unknown", ("there is no config 'd'",), before="--config-value d {}"),
    _config(
        "all at once",
        ("missing configuration for 'c'", "missing configuration for 'd'"),
        "c = Config('c', required=True)\nd = Config('d', required=True)",
    ),
    _config(
        "an expression of nothing",
        ("could not be evaluated",),
        f"{_C}\nx = Parameter('x', default=config_expr('nope.a'))",
        error=UserError,
        exit_code=1,
    ),
    Row("with resume", "resume flow.py --config-value c {}", UsageError, ("resume",), plain(fields=_C), 2),
]
ROWS = {"rule": RULES, "decorator": DECORATORS, "parameter": PARAMETERS, "config": CONFIGS}
