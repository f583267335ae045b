from __future__ import annotations

import os
import signal

import pytest

from rayflow import parallel_imap_unordered, parallel_map, profile
from rayflow.exception import RayflowException
from rayflow.model.errors import MulticoreException


def test_results_are_in_order_and_come_from_other_processes():
    factor = 3

    found = parallel_map(lambda number: (number * factor, os.getpid()), range(20), max_parallel=2)

    assert [number for number, _ in found] == [3 * number for number in range(20)]
    assert os.getpid() not in {pid for _, pid in found}


def test_unordered_results_come_as_they_are_and_the_iterable_is_read_as_needed():
    read = []

    def items():
        for number in range(100):
            read.append(number)
            yield number

    results = parallel_imap_unordered(lambda number: -number, items(), max_parallel=2)
    next(results)

    assert len(read) <= 6
    assert sorted(results)[0] == -99


def test_what_the_function_raises_is_raised_here():
    def break_at_two(number):
        if number == 2:
            raise KeyError("two")
        return number

    with pytest.raises(KeyError, match="two"):
        parallel_map(break_at_two, range(5))


def test_a_process_that_is_killed_is_told():
    with pytest.raises(MulticoreException, match="was killed, or ended before its work was done"):
        parallel_map(lambda number: os.kill(os.getpid(), signal.SIGKILL), range(3), max_parallel=1)


def test_a_number_of_processes_that_is_none_is_refused():
    with pytest.raises(RayflowException, match="max_parallel is 0"):
        parallel_map(abs, [1], max_parallel=0)


def test_nothing_is_done_of_nothing():
    assert parallel_map(abs, []) == []


def test_profile_tells_or_adds_up(capsys):
    stats = {}
    with profile("shown"):
        pass
    for _ in range(2):
        with profile("summed", stats_dict=stats):
            pass

    told = capsys.readouterr().out.splitlines()
    assert (told[0], told[1].startswith("PROFILE: shown completed in "), len(told)) == ("PROFILE: shown starting", True, 2)
    assert [*stats] == ["summed"]
