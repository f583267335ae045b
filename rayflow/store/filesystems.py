"""fsspec's file systems as rayflow uses them: opened for this process alone, and asked again while that may help.

Why it is here: the store of a root and the S3 client of user code must open buckets in the same way and agree on which errors may pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar

from rayflow.model.errors import StoreFault, UsageError

T = TypeVar("T")

DEADLINE_S = 60.0
"""For how long one request is tried again, unless who asks says otherwise."""

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 8.0
_S3_CONNECTIONS = 64
_TRANSIENT_STATUS = {408, 409, 425, 429, 500, 502, 503, 504}
_TRANSIENT_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException"}
_TRANSIENT_NAMES = {
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "ConnectionError",
    "IncompleteReadError", "ResponseStreamingError", "ServerDisconnectedError", "ClientPayloadError", "FSTimeoutError",
    "ClientOSError", "ServerTimeoutError", "HTTPClientError", "ClientConnectorError", "SSLError", "ProxyConnectionError",
}  # fmt: skip
"""Classes of botocore, aiohttp and fsspec, by name: which of them is installed depends on the URL."""
_CUT_SHORT = {"ContentLengthError", "TransferEncodingError"}
"""What aiohttp says of a reply that ended early, and calls a 400."""


def options_for(protocol: str) -> dict[str, Any]:
    """What a file system of this protocol is opened with: nothing listed from memory, as many connections as threads may want."""
    if protocol in ("s3", "s3a"):
        return {"use_listings_cache": False, "config_kwargs": {"max_pool_connections": _S3_CONNECTIONS}}
    return {} if protocol == "memory" else {"use_listings_cache": False}


def open_filesystem(url: str, options: dict[str, Any]) -> tuple[Any, str]:
    """The file system of `url`, and the path that `url` is in it. UsageError where there is none for it."""
    import fsspec

    try:
        # An instance of our own: fsspec's cached ones keep the endpoint and the credentials that the environment had when they were made.
        fs, root = fsspec.core.url_to_fs(url, skip_instance_cache=True, **options)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"The root {url} cannot be opened: {error}. Give a directory or the URL of a bucket (s3://bucket/path)."
        ) from error
    return fs, root.rstrip("/")


def patiently(act: Callable[[], T], deadline_s: float, tell: Callable[[BaseException, int], None] | None = None) -> T:
    """`act`, again after a jittered pause while its error may pass and `deadline_s` is not over; then that error. `tell` is called before
    each pause, with the error and the number of the attempt that it ended, from 1."""
    from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if tell is not None and error is not None:
            tell(error, state.attempt_number)

    wait = wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)
    again = retry_if_exception(is_transient)
    return Retrying(stop=stop_after_delay(deadline_s), wait=wait, retry=again, before_sleep=before_sleep, reraise=True)(act)


def modified_us(facts: Mapping[str, Any]) -> int:
    """When an object was written, by whatever name the file system gives that: microseconds since 1970; now, where it does not tell."""
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        moment = facts.get(name)
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
        if isinstance(moment, datetime):
            return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() * 1e6)
        if isinstance(moment, (int, float)):
            return int(moment * 1e6)
    return time.time_ns() // 1000


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(5):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of botocore, aiohttp, gcsfs or adlfs; None where there is none."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if isinstance(status, int) and status >= 300:
                return status
        for name in () if type(cause).__name__ in _CUT_SHORT else ("status", "status_code", "code"):
            status = getattr(cause, name, None)
            if isinstance(status, int) and 300 <= status < 600:
                return status
    return None


def code_of(error: BaseException) -> str:
    """What S3 calls the error; "" where nothing tells."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, (StoreFault, FileNotFoundError, FileExistsError, PermissionError)):
        return False
    status = status_of(error)
    if status is not None:
        return status in _TRANSIENT_STATUS or code_of(error) in _TRANSIENT_CODES
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return any(type(cause).__name__ in _TRANSIENT_NAMES for cause in _causes(error))
