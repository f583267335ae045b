"""Layer 2: what the user writes. From a Python class to plain nouns of the model; nothing here runs a flow.

    FlowSpec, @step, decorators, Parameter   what flows import                  (flowspec, step, builtin, parameters, includefile)
    parse -> lint                            the graph, and the 23 rules        (source, nextcall, parse, lint)
    define -> FlowDefinition                 all of it in one value             (definition, decorators, decospec, members, graph_info)
    resolve, click_options                   the values of Parameters           (resolve, options)
    bound_class, decide, check_taken         what a worker needs for a task     (binding, transition, fanout)
    with_environments                        which packages a step is to have   (packages)
    current                                  what running code may ask          (current)

How it hangs together. `@step` and the decorators only leave data on functions. `parse` reads each file once as a syntax tree and
makes the `Graph`: nothing is executed, so that a graph can be shown, checked and resumed without a run. `lint` says what is wrong with
it; `parse` never does, so that a broken graph can still be listed. `define` compiles the decorators of each step to a `StepSpec`.

In a task the user's `self` is an instance of a *bound class*: a subclass made once per batch whose Parameters and constants are
read-only data descriptors. The instance has one attribute of ours, `_rayflow` (a `model.ports.Binding`); inherited artifacts are
loaded by `__getattr__` when they are first asked for, and then lie in the instance's dictionary like all others.

What was rejected, and why:

* `FlowSpec.__setattr__` to guard Parameters: it makes every assignment of every task a Python call (0.33 us against 0.02 us);
  descriptors cost nothing where they are not touched.
* `inspect.getsource` for each step: it tokenizes every step anew. One `ast.parse` per file takes 0.5 ms instead of 1.9 ms for a
  flow of ten steps, and gives line numbers without arithmetic.
* Hook objects for decorators: a spec can be compared, pickled, listed and replayed; an object with ten hooks cannot.
* click types at class level: click costs 39 ms of import, which every worker would pay. `options` is the only module that
  imports it, when a command line is built.
* A set of `if`s at run time for each `self.next`: the linear transition of a step is checked once per class and then looked up by its
  target function.
"""
