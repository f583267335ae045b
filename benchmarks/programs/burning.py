"""Work that takes CPU time."""

import time


def burn(seconds):
    """Works until this process has used so much CPU time for it."""
    begin, rounds = time.thread_time(), 0
    while time.thread_time() - begin < seconds:
        rounds += 1
    return rounds
