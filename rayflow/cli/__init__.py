"""Layer 6: the command line. It parses, calls one function below, and shows the answer.

What it is: `main` (the ways in), `calling` (`MyFlow.run(...)` of a program or a notebook) with `keywords` (options as keyword arguments),
`fence` (what goes wrong becomes one short text and an exit code), `arguments` and `target` (what an argument names, and loading the flow
where it is one), `locating` (from `RUN/step/task` to the client's objects), `options` (every option that commands share, told once),
`settings` (the one place that reads the environment), `commands` (one function per command) and `reporting` (the Reporters, which are all
that speaks to the user while a run is on).

`python flow.py COMMAND` and `rayflow COMMAND flow.py` are the same click group: the second form takes the flow out of its arguments
and goes on as the first. Commands that read stored runs need no flow, so both groups share their implementation.

An option that a flow's Parameter has taken (say, `--address`) belongs to the Parameter after `run`, and to rayflow before it:
`python flow.py --address auto run --address "1 Main St"`. A flow written for Metaflow cannot know our options.

Start-up is a budget (`rayflow --help` <= 150 ms as a process; measured 71 ms at best and 84 in the median, of which Python 14 and click
35; `import rayflow` 13 ms over bare Python). So click is imported by `main()`, each command imports the layers below in its own body, and
rich is imported when something is drawn. What a run needs besides is in `rayflow.runtime`.

Rejected: typer and rich-click (+60 to 120 ms of imports for the same help); an `argparse` of our own (Parameters hand keyword
arguments to click, as flows written for Metaflow expect); a global `--format` instead of `--json` where a program reads.
"""
