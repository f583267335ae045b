"""Layer 3: what happened, and the questions about it. There is no service and no database: files beside the data.

What it is: the record of a run (`run`), its journal of committed events (`journal`), who may write it (`ownership`, `takeover`), how it is
opened (`reading`), what one can ask it (`view`), the index of runs (`index`), the changes of
their tags (`tags`), what schedulers start (`deployments`) and under which names (`deployed`), and the JSON forms of all that (`wire`).

The commit: blob -> pack -> journal line, durable -> fence looked at -> only then said to anyone. Packs and blobs that no
journal line names are garbage, whoever wrote them, so workers need no fence.

Measured (2 cores, virtio disk): a journal line of 800 bytes with fsync costs 0.2 ms, a new 100 kB pack with fsync 0.5 ms.

Rejected: SQLite (needs locks that network file systems do not keep, and cannot lie on a bucket); one file per task
(10^6 files; minutes to list); a lock file as the owner's mark (a killed owner leaves it, a stopped one wakes up believing it).
"""
