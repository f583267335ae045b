"""What a durable hand-off costs without any system: write, fsync, map, read every page."""

import argparse
import json
import os
import time

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--kind")
parser.add_argument("--nbytes", type=int)
options = parser.parse_args()

numbers = np.arange(options.nbytes // 8)
begin = time.perf_counter()
with open("value.bin", "wb") as file:
    file.write(numbers.data)
    file.flush()
    os.fsync(file.fileno())
mapped = np.memmap("value.bin", dtype=numbers.dtype, mode="c")
read = int(mapped[:: 4096 // 8].sum())
print("handoff", json.dumps({"s": time.perf_counter() - begin, "read": read}))
