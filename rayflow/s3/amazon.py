"""S3 itself, through s3fs: its connections and credentials, and the requests as S3 has them, so that headers and ranges arrive.

s3fs's own `info` and `get` are not used: they look for directories where an object is missing, and keep no header of what they fetch.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar, cast

from fsspec.asyn import sync

from rayflow.model.errors import RayflowException, RayflowS3Exception, RayflowS3NotFound
from rayflow.s3.bucket import CHUNK_NBYTES, PART_NBYTES, Headers, Source, Together, asked
from rayflow.s3.objects import Facts, RangeInfo
from rayflow.store.filesystems import code_of, status_of

T = TypeVar("T")

_MOST_PARTS = 10_000
_SMALL_NBYTES = 4 << 20
"""Larger bodies are as few at once as parts are, since each is in memory."""
_DEFAULT_TYPE = "binary/octet-stream"
"""What S3 itself calls an object of which nothing is said; s3fs would guess from the name."""


class AmazonBucket:
    """`Bucket` on S3 and what speaks its language."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def head(self, url: str) -> Facts:
        return _facts(self._call("look at", "head_object", url))

    def fetch(self, url: str, part: tuple[int | None, int | None] | None, path: str, together: Together) -> tuple[Facts, RangeInfo]:
        with open(path, "wb"):
            pass

        def download(part: tuple[int | None, int | None] | None, tag: str | None, at: int) -> tuple[Facts, RangeInfo]:
            return asked("read", url, lambda: self._wait(self._download(url, part, path, tag, at)))

        facts, got = download(part, None, 0)
        end = got.request_offset + got.request_length

        def rest(start: int) -> Callable[[], object]:
            return lambda: download((start, min(PART_NBYTES, end - start)), facts.tag, start - got.request_offset)

        together([rest(start) for start in range(got.request_offset + PART_NBYTES, end, PART_NBYTES)])
        return facts, got

    async def _download(
        self, url: str, part: tuple[int | None, int | None] | None, path: str, tag: str | None, at: int
    ) -> tuple[Facts, RangeInfo]:
        """Writes at most `PART_NBYTES` of what is asked for to the file, `at` bytes from its beginning; if there is more, the connection is
        given up. `tag`: the object must still be the same."""
        said = {} if part is None else {"Range": _range_header(part)}
        reply = await self._fs._call_s3("get_object", **_name(url), **said, **({"IfMatch": tag} if tag else {}))
        body = reply["Body"]
        try:
            got = _range_of(reply, url, is_part=part is not None)
            left = min(PART_NBYTES, got.request_length)
            with open(path, "r+b") as file:
                file.seek(at)
                while left:
                    chunk = await body.read(min(CHUNK_NBYTES, left))
                    if not chunk:
                        raise ConnectionError(f"the reply ended {left} bytes early")
                    file.write(chunk)
                    left -= len(chunk)
        finally:
            body.close()
        return _facts(reply), got

    def put(self, url: str, source: Source, headers: Headers, together: Together, *, only_new: bool) -> bool:
        said: dict[str, Any] = {"ContentType": headers.content_type or _DEFAULT_TYPE}
        if headers.metadata:
            said["Metadata"] = dict(headers.metadata)
        if headers.encryption:
            said["ServerSideEncryption"] = headers.encryption
        condition = {"IfNoneMatch": "*"} if only_new else {}
        try:
            if source.nbytes <= 2 * PART_NBYTES:

                def put_whole() -> None:
                    self._call("write", "put_object", url, Body=source.read(0, source.nbytes), **said, **condition)

                if source.nbytes > _SMALL_NBYTES:
                    together([put_whole])
                else:
                    put_whole()
            else:
                self._put_parts(url, source, said, condition, together)
        except RayflowException as error:
            if only_new and status_of(error) == 412:
                return False
            raise
        return True

    def _put_parts(self, url: str, source: Source, said: dict[str, Any], condition: dict[str, str], together: Together) -> None:
        upload = self._call("write", "create_multipart_upload", url, **said)["UploadId"]
        nbytes = max(PART_NBYTES, -(-source.nbytes // _MOST_PARTS))
        tags: dict[int, str] = {}

        def upload_part(number: int, start: int) -> None:
            content = source.read(start, min(start + nbytes, source.nbytes))
            where = {"UploadId": upload, "PartNumber": number}
            tags[number] = self._call("write", "upload_part", url, Body=content, **where)["ETag"]

        def piece(number: int, start: int) -> Callable[[], None]:
            return lambda: upload_part(number, start)

        try:
            together([piece(number, start) for number, start in enumerate(range(0, source.nbytes, nbytes), start=1)])
            parts = [{"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)]
            self._complete(url, source.nbytes, {"UploadId": upload, "MultipartUpload": {"Parts": parts}, **condition})
        except BaseException:
            self._forget(url, upload)
            raise

    def _complete(self, url: str, nbytes: int, arguments: dict[str, Any]) -> None:
        try:
            self._call("write", "complete_multipart_upload", url, **arguments)
        except RayflowS3NotFound as error:
            # A reply that was lost makes the second try meet an upload that is complete.
            if code_of(error) != "NoSuchUpload" or self.head(url).size != nbytes:
                raise

    def _forget(self, url: str, upload: str) -> None:
        """What was uploaded of an object that will not be there would be paid for as long as the bucket is."""
        try:
            self._call("clean up after", "abort_multipart_upload", url, UploadId=upload)
        except RayflowException:
            return  # what went wrong before is what the user is told

    def list(self, url: str, *, is_deep: bool) -> Iterator[tuple[str, int | None]]:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        asking: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, **({} if is_deep else {"Delimiter": "/"})}
        while True:
            page = asked("list", url, lambda: self._fs.call_s3("list_objects_v2", **asking))
            yield from ((f"s3://{bucket}/{found['Key']}", found["Size"]) for found in page.get("Contents", ()))
            yield from ((f"s3://{bucket}/{found['Prefix']}", None) for found in page.get("CommonPrefixes", ()))
            if not page.get("IsTruncated"):
                return
            asking["ContinuationToken"] = page["NextContinuationToken"]

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        async def found() -> T:
            return await coroutine

        return cast("T", sync(self._fs.loop, found))

    def _call(self, deed: str, method: str, url: str, **arguments: Any) -> dict[str, Any]:
        return asked(deed, url, lambda: self._fs.call_s3(method, **_name(url), **arguments))


def _name(url: str) -> dict[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def _facts(reply: dict[str, Any]) -> Facts:
    modified = reply.get("LastModified")
    return Facts(
        size=reply["ContentLength"],
        content_type=reply.get("ContentType"),
        headers=reply.get("Metadata") or {},
        last_modified=int(modified.timestamp()) if modified is not None else None,
        encryption=reply.get("ServerSideEncryption"),
        tag=reply.get("ETag"),
    )


def _range_header(part: tuple[int | None, int | None]) -> str:
    offset, length = part
    if offset is None:
        return f"bytes=-{length}"
    return f"bytes={offset}-" if length is None else f"bytes={offset}-{offset + length - 1}"


def _range_of(reply: dict[str, Any], url: str, *, is_part: bool) -> RangeInfo:
    """From `Content-Range: bytes 3-9/20`: both ends count."""
    if not is_part:
        return RangeInfo(reply["ContentLength"], 0, reply["ContentLength"])
    stated = reply.get("ContentRange")
    if not stated:
        raise RayflowS3Exception(f"The server sent all of {url} where a part of it was asked for: it knows no ranges.")
    ends, _, total = stated.removeprefix("bytes ").partition("/")
    start, _, end = ends.partition("-")
    return RangeInfo(int(total), int(start), int(end) - int(start) + 1)
