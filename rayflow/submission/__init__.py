"""Layer 5: runs whose driver is started elsewhere: by a Ray cluster, by Kubernetes, by a scheduler.

* `job` - `DriverJob`, what is asked for; `Platform`, the port to where it is asked, with `JobState`.
* `claiming` - the run is claimed by whoever submits it: its record, with parameters, configs and code, is on the root before anybody is
  asked for anything. `driving` is the other side: performs a run that is recorded, whose driver it is.
* `platforms` - one platform by its name, made when it is used: `ray_jobs`, a cluster that others run; `kuberay`, a cluster for the run.
  `placing` is what a platform tells the driver of nodes by variables.
* `watching` - a run that somebody else drives, told from what is committed, as if it were ours.
* `deploying`, `publishing` - a flow is deployed: as a `rayflow.catalog.deployments.Deployment`, under a name, and to a scheduler
  (`schedulers`); `occasions` and `cron` say when it starts. `deployments` makes a run of it, in the driver that was started; `starting`
  asks the scheduler for one.

The driver is disposable, and so is whoever submits it. What a driver needs to know is the root and the run: `rayflow drive Flow/RUN --root
URL` is all that a job or a manifest says, so that no parameter ever passes through a shell, and no secret enters a manifest. Started again
(by a job's retry, a scheduler's), it re-attaches to the same run.

Decisions. A run that is submitted has no launcher: nobody is alive until its driver has taken the first epoch, so that a submitter who
follows it is not mistaken for its driver. What is refused by the platform is refused before the record is written; where the platform
fails after that, the record says so. Ray stops a job after 3 s, too soon for a driver to record its end: its job asks for 20.
Seen with a head and two nodes on two busy cores: 4 s from the submission to the driver, 3 to 6 s more to the first task.
"""
