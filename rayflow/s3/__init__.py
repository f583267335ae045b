"""`rayflow.S3`: objects in S3 for the code in steps and notebooks, with the API of Metaflow's.

    with S3(run=self) as s3:
        s3.put("model.bin", content)
        for found in s3.get_many(["a.csv", "b.csv"]):
            read(found.path)

Why it is here: flows handle data sets that are no artifacts - files that were there before, or are for others. What is committed with a
run goes through `rayflow.store` and never through this.

`places` says where a key is, `client` what can be asked, `parallel` how much at once; `bucket` is what they need of a server, which
`amazon` (S3, through s3fs) and `elsewhere` (whatever else fsspec knows) provide; `connections` keeps them. How
they are opened, retries, and which errors may pass are those of the store (`rayflow.store.filesystems`).

Decisions:

* **Downloads are files**, streamed there a MiB at a time; from 16 MiB on in parts, eight at once, tied to the object's tag: a file is of
  one version. Uploads beyond 32 MiB are multipart, of which at most eight bodies of more than 4 MiB are in memory.
* **`overwrite=False` is a condition of the write** (`If-None-Match`), after a look: of two writers at once one wins, where the
  server knows that.
* Data of runs are beside their flows, in `user-data`, where no reader of runs looks; a flow on a local root finds a directory there.
* The user's metadata lie under Metaflow's header, so that objects which either wrote are read by the other.

On moto's server, 2 cores, beside Metaflow's (means of two runs): 500 objects of 1 kB are put in 2.9 s (7.7 s) and got in 2.4 s (8.0 s); one
of 300 MiB in 3.4 s (3.3 s) and 4.0 s (8.4 s).

Where it differs from Metaflow's: `get_recursive(["a"])` does not bring `ab.txt`, nor `get_all` the data of runs whose id begins alike;
`put` does not close the file it is given; keys with `..` are refused; what is asked for in no bytes is an error instead of 20 retries.
"""

from rayflow.model.errors import (
    RayflowS3AccessDenied,
    RayflowS3Exception,
    RayflowS3InsufficientDiskSpace,
    RayflowS3InvalidObject,
    RayflowS3InvalidRange,
    RayflowS3NotFound,
    RayflowS3URLException,
)
from rayflow.s3.client import S3
from rayflow.s3.objects import RangeInfo, S3GetObject, S3Object, S3PutObject

__all__ = [
    "S3",
    "RangeInfo",
    "RayflowS3AccessDenied",
    "RayflowS3Exception",
    "RayflowS3InsufficientDiskSpace",
    "RayflowS3InvalidObject",
    "RayflowS3InvalidRange",
    "RayflowS3NotFound",
    "RayflowS3URLException",
    "S3GetObject",
    "S3Object",
    "S3PutObject",
]
