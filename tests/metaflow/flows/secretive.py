"""A secret in the environment of one step."""

import os

from metaflow import FlowSpec, secrets, step


class SecretiveFlow(FlowSpec):
    @secrets(sources=[{"type": "inline", "id": "db", "options": {"env_vars": {"DB_USER": "ada", "DB_PASSWORD": "x1"}}}])
    @step
    def start(self):
        self.found = (os.environ["DB_USER"], len(os.environ["DB_PASSWORD"]))
        self.next(self.end)

    @step
    def end(self):
        self.left = "DB_USER" in os.environ


if __name__ == "__main__":
    SecretiveFlow()
