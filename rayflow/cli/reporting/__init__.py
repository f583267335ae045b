"""Reporters: what a run tells (`rayflow.runtime.notices`) becomes what its user sees.

`plain` writes the lines that Metaflow users know, on stdout: for files, pipes and CI. `live` draws on a terminal, on stderr; what it
draws is a function of its state (`screen`). `jsonlines` is for programs. `failure` and `text` hold what these have in common.

Nothing here asks, waits or decides, and a stream that is gone (`| head`) never disturbs the run.
"""
