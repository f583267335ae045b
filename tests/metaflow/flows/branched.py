"""A project with branches; the run is tagged."""

from metaflow import FlowSpec, current, project, step


@project(name="demo")
class BranchedFlow(FlowSpec):
    @step
    def start(self):
        self.project = (current.project_name, current.branch_name, current.project_flow_name, current.is_production, current.is_user_branch)
        self.own_tags = sorted(tag for tag in current.tags if ":" not in tag)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    BranchedFlow()
