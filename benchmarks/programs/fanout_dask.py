"""One Dask task per item, on a local cluster of processes that is up already: KIND COUNT SLOTS."""

import json
import sys
import time

from dask.distributed import Client, LocalCluster
from durations import work


def square(number, kind, count):
    if kind != "trivial":
        work(kind, number, count)
    return number, number * number


if __name__ == "__main__":
    kind, count, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with (
        LocalCluster(n_workers=slots, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(square, range(100), kind="trivial", count=-1))
        begin = time.perf_counter()
        squares = client.gather(client.map(square, range(count), kind=kind, count=count))
        seconds = time.perf_counter() - begin
        assert squares[-1] == (count - 1, (count - 1) ** 2)
        print("fanout", json.dumps({"per_s": count / seconds, "seconds": seconds}))
