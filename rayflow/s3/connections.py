"""The connections that a process has open, by URL."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from rayflow.model.errors import RayflowS3URLException, UsageError
from rayflow.s3.bucket import Bucket
from rayflow.store.filesystems import open_filesystem, options_for

_MOST_OPEN = 8
_opening = threading.Lock()
_open: dict[tuple[Any, ...], Bucket] = {}
"""By process, since connections do not survive a fork, and by what the environment said when they were made."""


def bucket_for(url: str, environ: Mapping[str, str], client_params: Mapping[str, Any]) -> Bucket:
    """Who serves `url`. Connections are kept: making them anew takes half a second."""
    scheme = url.partition("://")[0].lower()
    said = frozenset((name, value) for name, value in environ.items() if name.startswith(("AWS_", "FSSPEC_")))
    key = (os.getpid(), scheme, said, repr(sorted(client_params.items())))
    with _opening:
        if key not in _open:
            while len(_open) >= _MOST_OPEN:
                del _open[next(iter(_open))]
            _open[key] = _opened(url, scheme, client_params)
        return _open[key]


def _opened(url: str, scheme: str, client_params: Mapping[str, Any]) -> Bucket:
    options = dict(options_for(scheme))
    if client_params:
        options["client_kwargs"] = dict(client_params)
    try:
        fs, _ = open_filesystem(f"{scheme}://{url.partition('://')[2].partition('/')[0] or '/'}", options)
    except UsageError as error:
        raise RayflowS3URLException(
            f"{url} cannot be used: {error.__cause__}. Give the URL of a place in S3, such as s3://bucket/path."
        ) from error
    if scheme == "s3":
        from rayflow.s3.amazon import AmazonBucket

        return AmazonBucket(fs)
    from rayflow.s3.elsewhere import ForeignBucket

    return ForeignBucket(fs, scheme)
