"""The JSON forms of the nouns that the catalog keeps. Defaults are left out; unknown fields are ignored on reading.

JSON, since a journal that `cat` and any tool can read is worth more than the bytes saved: fan-outs are told per batch.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from rayflow.model.graph import Graph, Node, NodeKind, SplitFrame
from rayflow.model.indexes import Fanout, IndexSet, TaskKey
from rayflow.model.records import Artifact, FailedAttempt, Failure, FailureKind, LogSpan, Row, Segment, Status, Taken, UserFrame

Json = dict[str, Any]


def dumps(form: Any) -> bytes:
    """Compact JSON in UTF-8, on one line."""
    return json.dumps(form, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")


def loads(text: bytes) -> Any:
    """Inverse of `dumps`; ValueError on anything else."""
    return json.loads(text.decode("utf-8", "surrogatepass"))


_CHECK_BEGIN, _CHECK_END = b'{"crc32":"', b'",'
_CHECK_NBYTES = len(_CHECK_BEGIN) + 8 + len(_CHECK_END)


def dumps_checked(form: Json, key: str) -> bytes:
    """A record file: JSON whose first field is the CRC-32 of its key, and of what it would be without that field: a record that lies
    elsewhere is none. `form` has at least one field."""
    text = dumps(form)
    return b"%b%08x%b%b" % (_CHECK_BEGIN, checksum(text, key), _CHECK_END, text[1:])


def checksum(text: bytes, key: str) -> int:
    """The CRC-32 of what lies at that key."""
    return zlib.crc32(text, zlib.crc32(key.encode()))


def loads_checked(text: bytes, key: str) -> Json:
    """Inverse of `dumps_checked`; ValueError on anything else, however small the difference."""
    digits, body = text[len(_CHECK_BEGIN) : len(_CHECK_BEGIN) + 8], b"{" + text[_CHECK_NBYTES:]
    if text[:_CHECK_NBYTES] != _CHECK_BEGIN + b"%08x" % checksum(body, key) + _CHECK_END:
        raise ValueError(f"the checksum {digits!a} is not that of the content")
    return loads(body)


def _present(form: Json) -> Json:
    return {name: value for name, value in form.items() if value not in (None, 0, "", (), [], {}, 0.0)}


def artifact_to_json(artifact: Artifact) -> Json:
    """JSON-codec bytes stay readable text (`"json"`); other inline bytes are base64 (`"b64"`)."""
    form = _present(
        {
            "codec": artifact.codec,
            "type": artifact.type,
            "n": artifact.nbytes,
            "preview": artifact.preview,
            "blob": artifact.blob,
            "digest": artifact.digest,
            "run": artifact.run,
        }
    )
    if artifact.inline is not None:
        if artifact.codec == "json":
            form["json"] = artifact.inline.decode("utf-8", "surrogatepass")
        else:
            form["b64"] = base64.b64encode(artifact.inline).decode()
    return form


def artifact_from_json(form: Json) -> Artifact:
    inline: bytes | None = None
    if "json" in form:
        inline = form["json"].encode("utf-8", "surrogatepass")
    elif "b64" in form:
        inline = base64.b64decode(form["b64"])
    return Artifact(
        codec=form["codec"],
        type=form.get("type", ""),
        nbytes=form.get("n", 0),
        preview=form.get("preview", ""),
        inline=inline,
        blob=form.get("blob"),
        digest=form.get("digest"),
        run=form.get("run"),
    )


def artifacts_to_json(artifacts: Mapping[str, Artifact]) -> Json:
    return {name: artifact_to_json(artifact) for name, artifact in artifacts.items()}


def artifacts_from_json(form: Json) -> dict[str, Artifact]:
    return {name: artifact_from_json(artifact) for name, artifact in form.items()}


def failure_to_json(failure: Failure) -> Json:
    return _present(
        {
            "kind": failure.kind.value,
            "message": failure.message,
            "type": failure.type,
            "traceback": failure.traceback,
            "frames": [[frame.file, frame.line, frame.function, frame.source] for frame in failure.frames],
        }
    ) | ({} if failure.exit_code is None else {"exit_code": failure.exit_code})


def failure_from_json(form: Json) -> Failure:
    return Failure(
        kind=FailureKind(form["kind"]),
        message=form.get("message", ""),
        type=form.get("type", ""),
        traceback=form.get("traceback", ""),
        frames=tuple(UserFrame(*frame) for frame in form.get("frames", ())),
        exit_code=form.get("exit_code"),
    )


def row_to_json(row: Row) -> Json:
    logs = row.logs
    return _present(
        {
            "status": row.status.value if row.status is not Status.OK else None,
            "attempt": row.attempt,
            "started": row.started_us,
            "seconds": round(row.seconds, 6),
            "peak": row.peak_nbytes,
            "pid": row.pid,
            "node": row.node,
            "artifacts": artifacts_to_json(row.artifacts),
            "logs": [logs.name, logs.out_begin, logs.out_end, logs.err_begin, logs.err_end] if logs else None,
            "failure": failure_to_json(row.failure) if row.failure else None,
        }
    )


def row_from_json(form: Json) -> Row:
    return Row(
        status=Status(form.get("status", "ok")),
        attempt=form.get("attempt", 0),
        started_us=form.get("started", 0),
        seconds=form.get("seconds", 0.0),
        peak_nbytes=form.get("peak", 0),
        pid=form.get("pid", 0),
        node=form.get("node", ""),
        artifacts=artifacts_from_json(form.get("artifacts", {})),
        logs=LogSpan(*form["logs"]) if form.get("logs") else None,
        failure=failure_from_json(form["failure"]) if form.get("failure") else None,
    )


def fanout_to_json(fanout: Fanout) -> Json:
    """Without `parents`, which are the indices of the segment that holds it, unless they differ (a part of a segment)."""
    return {
        "base": fanout.base,
        "counts": fanout.counts if isinstance(fanout.counts, int) else list(fanout.counts),
        "first_id": fanout.first_id,
        "parents": fanout.parents.to_json(),
    }


def fanout_from_json(step: str, form: Json) -> Fanout:
    counts = form["counts"]
    return Fanout(
        step=step,
        base=form["base"],
        parents=IndexSet.from_json(form["parents"]),
        counts=counts if isinstance(counts, int) else tuple(counts),
        first_id=form.get("first_id", 0),
    )


def segment_to_json(segment: Segment) -> Json:
    taken = segment.taken
    return _present(
        {
            "step": segment.step,
            "idx": segment.indices.to_json(),
            "lap": segment.lap,
            "parent": segment.parent,
            "taken": [list(taken.targets), base64.b64encode(taken.codes).decode() if taken.codes is not None else None] if taken else None,
            "fanout": fanout_to_json(segment.fanout) if segment.fanout else None,
            "run": segment.run,
            "pack": segment.pack,
            "pack_row": segment.pack_row,
            "pack_idx": segment.pack_indices.to_json() if segment.pack_indices else None,
            "rows": [row_to_json(row) for row in segment.rows],
            "busy_s": round(segment.busy_s, 6),
            "caught": segment.caught,
        }
    )


def segment_from_json(form: Json) -> Segment:
    taken = form.get("taken")
    return Segment(
        step=form["step"],
        indices=IndexSet.from_json(form["idx"]),
        lap=form.get("lap", 0),
        parent=form.get("parent"),
        taken=Taken(tuple(taken[0]), base64.b64decode(taken[1]) if taken[1] is not None else None) if taken else None,
        fanout=fanout_from_json(form["step"], form["fanout"]) if form.get("fanout") else None,
        run=form.get("run", ""),
        pack=form.get("pack"),
        pack_row=form.get("pack_row", 0),
        pack_indices=IndexSet.from_json(form["pack_idx"]) if form.get("pack_idx") else None,
        rows=tuple(row_from_json(row) for row in form.get("rows", ())),
        busy_s=form.get("busy_s", 0.0),
        caught=form.get("caught", 0),
    )


def failed_attempt_to_json(failed: FailedAttempt) -> Json:
    return _present(
        {
            "step": failed.key.step,
            "index": failed.key.index,
            "lap": failed.key.lap,
            "parent": failed.parent,
            "final": failed.is_final,
            "row": row_to_json(failed.row),
        }
    )


def failed_attempt_from_json(form: Json) -> FailedAttempt:
    return FailedAttempt(
        key=TaskKey(form["step"], form.get("index", 0), form.get("lap", 0)),
        row=row_from_json(form.get("row", {})),
        is_final=form.get("final", False),
        parent=form.get("parent"),
    )


def graph_to_json(graph: Graph) -> Json:
    """The shape that a reader needs: spaces, targets, joins. Switch keys are kept as text."""
    return {
        "flow": graph.flow_name,
        "start": graph.start,
        "end": graph.end,
        "file": graph.file,
        "doc": graph.doc,
        "nodes": [_node_to_json(node) for node in graph],
    }


def _node_to_json(node: Node) -> Json:
    return _present(
        {
            "name": node.name,
            "kind": node.kind.value,
            "line": node.line,
            "file": node.file,
            "doc": node.doc,
            "targets": list(node.targets),
            "sources": list(node.sources),
            "frames": [[frame.step, frame.is_foreach, frame.branch] for frame in node.frames],
            "foreach": node.foreach,
            "num_parallel": node.num_parallel,
            "condition": node.condition,
            "cases": [[str(key), target] for key, target in node.cases],
            "takes_inputs": node.takes_inputs,
            "joins": node.joins,
            "joined_by": node.joined_by,
            "branches_expected": node.branches_expected,
            "source": node.source,
        }
    )


def graph_from_json(form: Json) -> Graph:
    nodes = {node["name"]: _node_from_json(node) for node in form["nodes"]}
    return Graph(form["flow"], nodes, form["start"], form["end"], form.get("file", ""), form.get("doc", ""))


def _node_from_json(form: Json) -> Node:
    return Node(
        name=form["name"],
        kind=NodeKind(form["kind"]),
        line=form.get("line", 0),
        file=form.get("file", ""),
        doc=form.get("doc", ""),
        targets=tuple(form.get("targets", ())),
        sources=tuple(form.get("sources", ())),
        frames=tuple(SplitFrame(*frame) for frame in form.get("frames", ())),
        foreach=form.get("foreach"),
        num_parallel=form.get("num_parallel", False),
        condition=form.get("condition"),
        cases=tuple((key, target) for key, target in form.get("cases", ())),
        takes_inputs=form.get("takes_inputs", False),
        joins=form.get("joins"),
        joined_by=form.get("joined_by"),
        branches_expected=form.get("branches_expected", 0),
        source=form.get("source", ""),
    )
