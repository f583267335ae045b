"""Layer 4, beside the client: whether what lies under a root is whole, and how it becomes less.

Why it is here: readers trust nothing, but look only at what they are asked for; and nothing is ever overwritten, so that something has
to take away what nobody needs any more.

* `deployments` - which deployments may still start runs, and what they need: all that stand under a name. `delete` of a scheduler's
  commands takes the name away; what has none goes with the next `gc`.
* `references` - which objects a run refers to, its own and those of runs that it continues: the one place that knows.
* `verify` - every object that a run refers to is there and as it was stored; what is not is named, with the tasks that are to run again.
  `resume` asks the same, so that what is damaged is computed again.
* `taglog` - the same of the log of changes of tags, which belongs to a flow.
* `removal` - `rm` of runs, and `gc`: mark what the runs refer to, sweep the rest.

Removing is safe beside live runs and resumes:

* In runs that did not succeed nothing is swept: whoever goes on with one may take up any object of it. A run that succeeded changes no
  more.
* A run to be removed gets a create-only mark (`removed.json`) before it is looked who continues it; a resume creates its own record
  before it looks for the mark of its origin. One of the two sees the other.
* What belongs to no run yet (code packages, locks of environments, the parameters of a run that starts) is left alone for a day.
* Where one run cannot be read it is not known what it refers to: nothing of that flow is swept then, and the run is named.

A removal that was killed is finished by the next `gc`: the mark goes last.

Not promised: that a `gc` which was stopped for long between its last look at a code package and the removal of it takes nothing away
that a run began to use in that very moment.
"""

from rayflow.upkeep.removal import Removal, plan_gc, plan_rm
from rayflow.upkeep.verify import Damage, Verified, damages_of, verify_run, verify_tags

__all__ = ["Damage", "Removal", "Verified", "damages_of", "plan_gc", "plan_rm", "verify_run", "verify_tags"]
