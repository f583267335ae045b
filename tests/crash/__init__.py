"""Real processes that really die: drivers, their groups, their workers, and what is left of their runs."""
