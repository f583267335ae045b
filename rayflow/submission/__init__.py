"""Layer 5: runs whose driver is started elsewhere: by a Ray cluster, by Kubernetes, by a scheduler.

* `job` - `DriverJob`, what is asked for; `Platform`, the port to where it is asked, with `JobState`.
* `claiming` - the run is claimed by whoever submits it: its record, with parameters, configs and code, is on the root before anybody is
  asked for anything. `driving` is the other side: performs a run that is recorded, whose driver it is.
* `platforms` - one platform by its name, made when it is used.
* `deploying`, `publishing` - a flow is deployed: as a `rayflow.catalog.deployments.Deployment`, under a name, and to a scheduler
  (`schedulers`); `occasions` and `cron` say when it starts. `deployments` makes a run of it, in the driver that was started; `starting`
  asks the scheduler for one.

The driver is disposable, and so is whoever submits it. What a driver needs to know is the root and the run: `rayflow drive Flow/RUN --root
URL` is all that a job or a manifest says, so that no parameter ever passes through a shell, and no secret enters a manifest. Started again
(by a job's retry, a scheduler's), it re-attaches to the same run.
"""
