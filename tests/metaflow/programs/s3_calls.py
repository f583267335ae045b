"""A matrix of calls of the S3 client, and what each gives or raises: one line of JSON. `python s3_calls.py s3://bucket/place`."""

import io
import json
import os
import sys

from metaflow import S3
from metaflow.plugins.datatools.s3 import S3GetObject, S3PutObject

ROOT = sys.argv[1]
told = []


def shown(value):
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, tuple):
        return [shown(each) for each in value]
    if hasattr(value, "range_info"):
        facts = {
            name: getattr(value, name)
            for name in ("url", "prefix", "key", "size", "exists", "downloaded", "has_info", "metadata", "content_type", "encryption")
        }
        text = value.text if value.downloaded and value.size < 100 else None
        whole = tuple(value.range_info) if value.range_info else None
        file = bool(value.path and os.path.exists(value.path))
        return {**facts, "text": text, "range": whole, "file": file, "dated": (value.last_modified or 0) > 1.6e9}
    return value


def tried(name, act):
    try:
        found = shown(act())
    except Exception as error:
        found = "raised " + type(error).__name__.replace("Metaflow", "").replace("Rayflow", "")
    told.append([name, found])


def fill(s3):
    tried("put text", lambda: s3.put("a/0.txt", "zero"))
    tried("put bytes", lambda: s3.put("a/b/1.txt", b"\xff\x00"))
    tried("put file", lambda: s3.put("a/c/2.txt", io.BytesIO(b"from a file")))
    tried("put empty", lambda: s3.put("a/empty", ""))
    tried("put with facts", lambda: s3.put("f/4.txt", "ü4", content_type="text/plain", metadata={"who": "Ada", "n": 3}))
    tried("put leading slash", lambda: s3.put("/f/5.txt", "five"))
    tried("put strange", lambda: s3.put("odd #1/ü &y%20=.txt", "odd"))
    tried("put kept", lambda: s3.put("a/0.txt", "other", overwrite=False))
    tried("put new kept", lambda: s3.put("a/new", "new", overwrite=False))
    tried("put wrong", lambda: s3.put("a/1", 1))
    tried("put None", lambda: s3.put("a/1", None))
    tried("put text file", lambda: s3.put("a/1", io.StringIO("x")))
    tried("put many", lambda: s3.put_many([("m/1", "one"), S3PutObject("m/2", value=b"two", content_type="x/y", metadata={"k": "v"})]))
    tried("put many kept", lambda: s3.put_many([("m/1", "other"), ("m/3", "three")], overwrite=False))
    tried("put many none", lambda: s3.put_many([]))
    tried("put many wrong", lambda: s3.put_many([("m/4", "four"), ("m/5", 5)]))
    with open("local.txt", "w") as file:
        file.write("local")
    tried("put files", lambda: s3.put_files([("l/1.txt", "local.txt"), S3PutObject("l/2", path="local.txt", metadata={"p": "q"})]))
    tried("put files missing", lambda: s3.put_files([("l/3", "not-there.txt")]))
    tried("put files none", lambda: s3.put_files([]))


def look(s3):
    tried("list root", s3.list_paths)
    tried("list several", lambda: s3.list_paths(["a", "f", "none"]))
    tried("list none", lambda: s3.list_paths([]))
    tried("list an object", lambda: s3.list_paths(["a/0.txt"]))
    tried("list slash", lambda: s3.list_paths(["a/"]))
    tried("recursive root", s3.list_recursive)
    tried("recursive several", lambda: s3.list_recursive(["f", "a", "none"]))
    tried("recursive none", lambda: s3.list_recursive([]))
    tried("info", lambda: s3.info("f/4.txt"))
    tried("info plain", lambda: s3.info("a/empty"))
    tried("info missing", lambda: s3.info("none"))
    tried("info return missing", lambda: s3.info("none", return_missing=True))
    tried("info many", lambda: s3.info_many(["f/4.txt", "a/0.txt"]))
    tried("info many missing", lambda: s3.info_many(["f/4.txt", "none"]))
    tried("info many return missing", lambda: s3.info_many(["none", "f/4.txt"], return_missing=True))
    tried("info many none", lambda: s3.info_many([]))


def fetch(s3):
    tried("get", lambda: s3.get("f/4.txt"))
    tried("get strange", lambda: s3.get("odd #1/ü &y%20=.txt"))
    tried("get empty", lambda: s3.get("a/empty"))
    tried("get plain", lambda: s3.get("f/4.txt", return_info=False))
    tried("get missing", lambda: s3.get("none"))
    tried("get prefix", lambda: s3.get("a"))
    tried("get return missing", lambda: s3.get("none", return_missing=True))
    tried("get url", lambda: s3.get(ROOT + "/a/0.txt"))
    for offset, length in ((1, 2), (1, None), (None, 2), (2, 500), (None, -3), (1, -3), (None, -500), (500, 2), (11, None)):
        tried(f"get {offset} {length}", lambda offset=offset, length=length: s3.get(S3GetObject("a/c/2.txt", offset, length)))
    tried("get many", lambda: s3.get_many(["m/2", "a/0.txt", S3GetObject("a/c/2.txt", 5, 1), S3GetObject("a/c/2.txt", 0, 4)]))
    tried("get many plain", lambda: s3.get_many(["m/2", "m/1"], return_info=False))
    tried("get many missing", lambda: s3.get_many(["m/2", "none"]))
    tried("get many return missing", lambda: s3.get_many(["none", "m/2"], return_missing=True))
    tried("get many return missing plain", lambda: s3.get_many(["none", "m/2"], return_missing=True, return_info=False))
    tried("get many none", lambda: s3.get_many([]))
    tried("get recursive", lambda: s3.get_recursive(["f", "a/b"]))
    tried("get recursive info", lambda: s3.get_recursive(["f", "a/b"], return_info=True))
    tried("get recursive object", lambda: s3.get_recursive(["f/4.txt"]))
    tried("get recursive nothing", lambda: s3.get_recursive(["none"]))
    tried("get recursive none", lambda: s3.get_recursive([]))
    tried("get all", lambda: sorted([each.key, each.text] for each in s3.get_all()))
    tried("get all info", lambda: sorted([each.key, each.text, each.content_type] for each in s3.get_all(return_info=True)))


with S3(s3root=ROOT) as s3:
    fill(s3)
    look(s3)
    fetch(s3)
    path = s3.get("a/0.txt").path
told.append(["directory is gone", not os.path.exists(os.path.dirname(path))])

with S3() as s3:
    tried("without root", lambda: s3.get("a/0.txt"))
    tried("without root None", s3.get)
    tried("without root http", lambda: s3.get("http://a/b"))
    tried("without root bucket", lambda: s3.info("s3://bucket"))
    tried("without root list", s3.list_paths)
    tried("without root all", s3.get_all)
    tried("full", lambda: s3.get(ROOT + "/a/0.txt"))
    tried("full many", lambda: s3.get_many([ROOT + "/m/1", ROOT + "/a/0.txt"]))
    tried("full list", lambda: s3.list_paths([ROOT + "/a"]))
    tried("full recursive", lambda: s3.list_recursive([ROOT + "/a/"]))
    tried("full get recursive", lambda: s3.get_recursive([ROOT + "/f"]))
    tried("full put", lambda: s3.put(ROOT + "/z", "z"))
    tried("full put many", lambda: s3.put_many([(ROOT + "/z2", "z")]))
    tried("no bucket", lambda: s3.get("s3://not-a-bucket-of-ours/x"))
    tried("no bucket list", lambda: s3.list_paths(["s3://not-a-bucket-of-ours/x"]))
with S3(s3root=ROOT + "/", encryption="AES256") as s3:
    tried("encrypted", lambda: s3.put("enc", "x"))
    tried("encrypted many", lambda: s3.put_many([("enc2", "x")]))
    tried("is encrypted", lambda: s3.info_many(["enc", "enc2"]))
tried("a path as root", lambda: S3(s3root="/tmp/x"))
run = type("Run", (), {"id": "7", "parent": type("Flow", (), {"id": "Flow"})})()
for name, more in (("a run", {}), ("a run in a bucket", {"bucket": sys.argv[2]}), ("a run below", {"prefix": "else/where"})):
    with S3(run=run, **more) as s3:
        tried(name, lambda s3=s3: [s3.put("x", "y"), s3.list_paths(), s3.get_all()])
print(json.dumps(told))
