"""Exports for schedulers: complete files that start a deployment, each made by a pure function of what is deployed.

* `shipment` - `Shipment`, what every export is made of: a stored deployment, its digest, the root; and `Export`, what comes out.
* `argo`, `airflow`, `stepfunctions`, `kubecron`, `crontab` - one scheduler each: `export(shipment, ...)`. What it cannot express is
  refused, by the name that the flow has for it.
* `live` - what is asked of a scheduler that is told and asked from here (`argo_live`, `stepfunctions_live`).
* `airflow_operator` - is no part of the program: its source goes into the files for Airflow.

A whole run is one RayJob (or one local process): steps are Ray's, and `@retry` is rayflow's. What a scheduler tries again starts another
driver of the same run, since the run's id is made of the scheduler's own id of the execution.

Parameters never pass through a shell: they go into the variable RAYFLOW_PARAMETERS as one JSON object, which each scheduler makes with its
own means of writing JSON. What people do not change is left out, so that defaults are those of the deployment.

Rejected: a task of the scheduler for each step. Each would start a Ray cluster of its own, and values would go through the bucket only.
"""
