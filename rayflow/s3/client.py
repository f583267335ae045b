"""`S3`: objects of a bucket, by key, read into files and written from values."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rayflow.model.errors import RayflowS3Exception, RayflowS3InvalidObject, RayflowS3NotFound, RayflowS3URLException
from rayflow.s3.bucket import Bucket, Headers, Source
from rayflow.s3.connections import bucket_for
from rayflow.s3.objects import PutValue, S3GetObject, S3Object, S3PutObject
from rayflow.s3.parallel import Crew
from rayflow.s3.places import Place, part_of, root_of_run, root_url
from rayflow.s3.sources import headers_of, path_source, source_of
from rayflow.settings.reading import read_settings
from rayflow.settings.table import TEMPDIR

if TYPE_CHECKING:
    from rayflow.client import Run
    from rayflow.flow.flowspec import FlowSpec

_NAME_LENGTH = 100


class S3:
    """Objects in S3 by key. Use it as a context manager: what it downloads are files in a directory under `tmproot` (default: the setting
    TEMPDIR, else the working directory), which is removed at the end of the block, or by `close`.

    Keys are full URLs (`s3://bucket/path`) without a root, and relative to it with one. The root is `s3root`, the URL of a place in S3,
    or of any other place that fsspec knows; or the place of a run: `run=self` in a step, `run=Run("Flow/id")` elsewhere. That is
    `<data root>/<Flow>/<run id>`, where the data root is the setting DATATOOLS_S3ROOT, else `user-data` under the root of the run; `bucket`
    and `prefix` replace parts of the data root. `encryption` is how the server is to encrypt what is put ("aws:kms", "AES256").
    `client_params` go to the client of botocore (`endpoint_url`, `verify`, ...).

    Requests that fail are made again for a minute, if that may help, and stderr is told. Then, and at once for what cannot pass, raises
    `RayflowS3NotFound`, `RayflowS3AccessDenied`, `RayflowS3InvalidRange`, `RayflowS3InsufficientDiskSpace` or `RayflowS3Exception`;
    `RayflowS3URLException` for keys and roots that are none. Methods for many keys make no request for none, transfer several objects at
    once, and give their results in the order of the keys.

    Not promised: that objects of a run go with it. `rayflow rm` and `gc` leave them alone.
    """

    def __init__(
        self,
        tmproot: str | None = None,
        bucket: str | None = None,
        prefix: str | None = None,
        run: FlowSpec | Run | None = None,
        s3root: str | None = None,
        encryption: str | None = None,
        client_params: Mapping[str, Any] | None = None,
    ) -> None:
        self._environ = dict(os.environ)
        settings = read_settings(self._environ, os.getcwd())
        root = root_of_run(run, bucket, prefix, settings) if run is not None else root_url(s3root) if s3root else None
        self._place = Place(root)
        self._encryption = encryption
        self._client_params = dict(client_params or {})
        self._crew = Crew()
        self._downloads = _Downloads(tmproot or settings[TEMPDIR] or ".")

    def __enter__(self) -> S3:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes everything that was downloaded."""
        self._crew.close()
        self._downloads.remove()

    def list_paths(self, keys: Iterable[str] | None = None) -> list[S3Object]:
        """What is directly below each key, as in a directory; of the root, for no `keys`. Objects have `exists`; what only has objects
        below it does not."""
        return self._listed(keys, is_deep=False)

    def list_recursive(self, keys: Iterable[str] | None = None) -> list[S3Object]:
        """All objects below each key, at any depth; of the root, for no `keys`."""
        return self._listed(keys, is_deep=True)

    def info(self, key: str | None = None, return_missing: bool = False) -> S3Object:
        """What is known of an object, without its content. Where there is none raises `RayflowS3NotFound`, or with `return_missing` returns
        an object that does not exist."""
        return self._info(self._place.object_url(key), return_missing)

    def info_many(self, keys: Iterable[str], return_missing: bool = False) -> list[S3Object]:
        """`info` of several objects at once."""
        urls = [self._place.object_url(key) for key in _several(keys)]
        return self._crew.each(lambda url: self._info(url, return_missing), urls)

    def get(self, key: str | S3GetObject | None = None, return_missing: bool = False, return_info: bool = True) -> S3Object:
        """Downloads an object, or the part of it that an `S3GetObject` names. Where there is none raises `RayflowS3NotFound`, or with
        `return_missing` returns an object that does not exist. Without `return_info` nothing but its size is told."""
        return self._get(self._wanted(key), return_missing, return_info)

    def get_many(self, keys: Iterable[str | S3GetObject], return_missing: bool = False, return_info: bool = True) -> list[S3Object]:
        """`get` of several objects at once."""
        wanted = [self._wanted(key) for key in _several(keys)]
        return self._crew.each(lambda each: self._get(each, return_missing, return_info), wanted)

    def get_recursive(self, keys: Iterable[str], return_info: bool = False) -> list[S3Object]:
        """Downloads all objects below each key, at any depth, and the object that is the key itself. Their `key` is relative to the key
        they were found by; with `return_info`, to the root of this `S3`, as in Metaflow."""
        return self._get_below([self._place.url(key) for key in _several(keys)], return_info)

    def get_all(self, return_info: bool = False) -> list[S3Object]:
        """Downloads all objects below the root. `RayflowS3URLException` where there is no root."""
        if self._place.root is None:
            raise RayflowS3URLException("get_all() downloads what is below a root, and this S3 has none. Make it with s3root= or run=.")
        return self._get_below([self._place.root], return_info)

    def put(
        self,
        key: str | S3PutObject,
        obj: PutValue,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        """Stores text (as UTF-8), bytes, or a binary file from its beginning; returns the URL. Unless `overwrite`, an object that exists
        is left as it is. `metadata` is anything that JSON can say. `RayflowS3InvalidObject` for other values."""
        url = self._place.object_url(key)
        self._put(url, source_of(obj, url), headers_of(url, content_type, metadata, self._encryption), overwrite)
        return url

    def put_many(self, key_objs: Iterable[tuple[str, PutValue] | S3PutObject], overwrite: bool = True) -> list[tuple[str, str]]:
        """Stores several values, given as (key, value) or `S3PutObject`, at once. Returns (key, url) of those that were stored: unless
        `overwrite`, objects that exist are left as they are, and out of the result."""
        return self._put_all(key_objs, "value", source_of, overwrite)

    def put_files(self, key_paths: Iterable[tuple[str, str] | S3PutObject], overwrite: bool = True) -> list[tuple[str, str]]:
        """The same, of local files, given as (key, path) or `S3PutObject`. `RayflowS3NotFound` for a file that is not there."""
        return self._put_all(key_paths, "path", path_source, overwrite)

    def _bucket(self, url: str) -> Bucket:
        return bucket_for(url, self._environ, self._client_params)

    def _listed(self, keys: Iterable[str] | None, *, is_deep: bool) -> list[S3Object]:
        asked = [self._place.url(key) for key in ([None] if keys is None else _several(keys))]

        def below(url: str) -> list[S3Object]:
            directory = _as_directory(url)
            prefix = url if is_deep else directory
            return [S3Object(found, prefix, size=size) for found, size in self._bucket(url).list(directory, is_deep=is_deep)]

        return [found for each in self._crew.each(below, asked) for found in each]

    def _info(self, url: str, return_missing: bool) -> S3Object:
        try:
            return S3Object(url, self._place.root, facts=self._bucket(url).head(url))
        except RayflowS3NotFound:
            if return_missing:
                return S3Object(url, self._place.root)
            raise

    def _wanted(self, key: Any) -> tuple[str, tuple[int | None, int | None] | None]:
        return self._place.object_url(key), part_of(key)

    def _get(
        self, wanted: tuple[str, tuple[int | None, int | None] | None], return_missing: bool, return_info: bool, prefix: str | None = None
    ) -> S3Object:
        url, part = wanted
        path = self._downloads.new_path(url)
        try:
            facts, got = self._bucket(url).fetch(url, part, path, self._crew.together)
        except RayflowS3NotFound:
            _remove(path)
            if return_missing:
                return S3Object(url, self._place.root)
            raise
        except BaseException:
            _remove(path)
            raise
        below = prefix if prefix is not None else self._place.root
        if not return_info:
            return S3Object(url, below, path=path, keeper=self._downloads)
        return S3Object(url, below, path=path, facts=facts, range_info=got, keeper=self._downloads)

    def _get_below(self, urls: list[str], return_info: bool) -> list[S3Object]:
        def found_by(url: str) -> list[tuple[str, str]]:
            below = [(found, url) for found, _ in self._bucket(url).list(_as_directory(url), is_deep=True)]
            is_object = url != self._place.root and not url.endswith("/") and self._info(url, True).exists
            return [(url, url), *below] if is_object else below

        found = [each for several in self._crew.each(found_by, urls) for each in several]
        return self._crew.each(lambda each: self._get((each[0], None), False, return_info, None if return_info else each[1]), found)

    def _put(self, url: str, source: Source, headers: Headers, overwrite: bool) -> bool:
        bucket = self._bucket(url)
        if not overwrite and self._info(url, True).exists:
            return False
        return bucket.put(url, source, headers, self._crew.together, only_new=not overwrite)

    def _put_all(self, items: Iterable[Any], kind: str, source: Callable[[Any, str], Source], overwrite: bool) -> list[tuple[str, str]]:
        def checked(item: Any) -> tuple[str, str, Source, Headers]:
            made = item if isinstance(item, S3PutObject) else _as_put_object(item, kind)
            url = self._place.object_url(made)
            headers = headers_of(url, made.content_type, made.metadata, made.encryption or self._encryption)
            return made.key, url, source(getattr(made, kind), url), headers

        def store(item: tuple[str, str, Source, Headers]) -> tuple[str, str] | None:
            key, url, content, headers = item
            return (key, url) if self._put(url, content, headers, overwrite) else None

        several = _several(items)
        ready = [checked(item) for item in several] if isinstance(several, list) else map(checked, several)
        return [each for each in self._crew.each(store, ready) if each is not None]


def _several(items: Any) -> Any:
    if isinstance(items, (str, bytes, S3GetObject, S3PutObject)) or not isinstance(items, Iterable):
        raise RayflowS3URLException(f"This takes several keys, as a list; got {ascii(items)[:120]}. Put it in brackets.")
    return list(items) if isinstance(items, tuple) else items


def _as_put_object(item: Any, kind: str) -> S3PutObject:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise RayflowS3InvalidObject(f"Each element is a pair (key, {kind}) or an S3PutObject; got {ascii(item)[:120]}.")
    return S3PutObject(item[0], **{kind: item[1]})


def _as_directory(url: str) -> str:
    return f"{url.rstrip('/')}/"


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)


def _remove_of(pid: int, directory: str) -> None:
    if os.getpid() == pid:  # a process that was forked from the owner leaves the owner's files alone
        shutil.rmtree(directory, ignore_errors=True)


class _Downloads:
    """The directory of what was downloaded: made with the first file, removed at the latest when the process ends."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._directory: str | None = None
        self._lock = threading.Lock()
        self._removal: weakref.finalize[Any, Any] | None = None

    def new_path(self, url: str) -> str:
        """Where the next file goes. Ends with the last name of the URL, as far as file systems take it."""
        with self._lock:
            if self._directory is None:
                try:
                    self._directory = os.path.abspath(tempfile.mkdtemp(prefix="rayflow.s3.", dir=self._root))
                except OSError as error:
                    raise RayflowS3Exception(f"There is no place for downloads: {error}. Give a directory with S3(tmproot=...).") from error
                self._removal = weakref.finalize(self, _remove_of, os.getpid(), self._directory)
        name = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in url.rpartition("/")[2])
        return os.path.join(self._directory, f"{os.urandom(6).hex()}-{name[-_NAME_LENGTH:]}")

    def remove(self) -> None:
        """Removes the directory with all that is in it."""
        with self._lock:
            if self._removal is not None:
                self._removal()
            self._directory = self._removal = None
