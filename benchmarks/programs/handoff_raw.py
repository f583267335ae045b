"""What a durable hand-off costs without any system: write the bytes of the value, fsync, map, read every page. KIND NBYTES"""

import json
import os
import sys
import time

import numpy as np
from values import buffers, make, nbytes_of, read

parts = buffers(make(sys.argv[1], int(sys.argv[2])))
begin = time.perf_counter()
with open("value.bin", "wb", buffering=0) as file:
    for part in parts:
        rest = memoryview(part).cast("B")
        while rest:
            rest = rest[file.write(rest) :]
    os.fsync(file.fileno())
written = time.perf_counter() - begin
total = read([np.memmap("value.bin", np.uint8, mode="c")])
print("handoff", json.dumps({"s": time.perf_counter() - begin, "written": written, "read": total, "nbytes": nbytes_of(parts)}))
