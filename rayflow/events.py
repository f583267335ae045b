"""What started a run, by the names of `metaflow.events`: the types of `current.trigger`, of `Run.trigger`, and of what is in them."""

from rayflow.client.trigger import RayflowEvent, Trigger

__all__ = ["RayflowEvent", "Trigger"]
