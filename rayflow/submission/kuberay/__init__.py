"""Runs on Kubernetes, by KubeRay: a run is one RayJob, whose cluster is made for it and goes with it.

* `options` - `KubeOptions`: all that a user can say. `attributes` - what `@kubernetes` says of a step.
* `groups` - the worker groups that the steps of a flow need; `pods` their pods and the head's; `merging` a user's pod template over them.
* `manifest` - `ray_job(job, options)`: the RayJob as plain JSON. Pure: the same job and options make the same manifest.
* `names`, `images`, `secrecy` - what Kubernetes takes as a name, which image has this Ray and this Python, what may not be written down.
* `environments` - the Ray runtime environment of a job: what is installed when it starts.
* `rules`, `schema` - the operator's rules, which it tells only in a status, and the CRD's schema, beyond which the API server drops fields
  without a word. Both are checked before anything is asked for; then the server is asked to check, who knows rights and versions.
* `platform` - `KubeRay`, the Platform; `api` the routes that it takes, `states` what a RayJob's status says of the driver.

Steps stay tasks of Ray: a pod per step would pay the start of a pod each time. A step that asks for what a pod is made of (an image, a
GPU, nodes of a kind) gets a worker group of that shape, which the autoscaler starts when its tasks wait, and ends when they are done.

*Sizes.* A pod is as large as its task needs and what Ray itself needs beside it, so that a step which uses all the memory that it asked
for is not killed for Ray's share: `memory` + object store + 1 GiB. Tasks of less than one CPU or GPU share a pod.

*Images.* `rayproject/ray:<this Ray>-py<this Python>` has no rayflow in it, so the job installs this version by pip when it starts;
`--image` names one that has it. Ray and Python of both sides must be the same: what one side pickles the other reads.

*Kueue* admits a job as a whole, and refuses jobs that scale themselves: with a queue, the groups have their full size from the start.
"""
