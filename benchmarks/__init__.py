"""rayflow beside raw Ray and beside its peers: `python -m benchmarks --help`.

What is compared is what a user would start: whole programs (`programs/`), each in a process of its own, interleaved round by round
so that the machine's moods hit all alike. Reported are the median, the spread, by which factor rayflow's median of the same measure is
better (below 1: worse), and the bar that it sets itself. What a contender has on disk when it is done is said beside its figure.
All sides are byte-compiled before anything is measured, since Ray's children otherwise compile their imports at every start.

A benchmark is a module that names its cases and yields the entrants of each: `hello`, `fanout`, `whole`, `fault`, `handoff`, `resume`,
`client`, `scheduler`, `memory`. What they have in common: `selection` (which cases), `contenders` (how a program is run) over `peers`
(other systems, each in an environment of its own), `cluster` (the warm one) and `running` (one process); `measures` (rounds), and what
becomes of the findings: `bars`, `table`, `plot`, `stored`.

* Rates of a fan-out are from the first split's start to the join's end, on a cluster that is warm; `whole` counts everything.
* Splits that work use CPU time of their own thread; sleeping ones would hide what the system itself costs.
* Rejected: one process that runs everything (imports and pages of one contender would serve the next), and means (one hiccup decides).
"""
