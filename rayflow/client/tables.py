"""A step as a table: its tasks are rows, its small artifacts columns.

Columns come out of packs as they lie there; what lies in records of lone tasks, was inherited, or is described rather than native
is looked up for just the rows that need it. Cost: per segment, and about 1 us a row (100,000 rows in well under a second).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rayflow.client.attempts import PARAMETERS
from rayflow.client.lineage import Lineage
from rayflow.client.reader import StoreReader
from rayflow.client.roots import ITEMS
from rayflow.model.errors import RayflowNotFound, UserError
from rayflow.model.indexes import ROOT_SPACE, IndexSet, TaskKey
from rayflow.model.records import Segment


class NoSuchColumnError(RayflowNotFound, KeyError):
    """No task of the table has an artifact of that name."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Tasks `indices` of one segment, and which rows of the table they are."""

    segment: Segment
    indices: Sequence[int]
    rows: Sequence[int]


_MAX_REPEATED_NBYTES = 1 << 30

Piece = tuple[Sequence[int], Any]
"""Rows of the table, and an Arrow array with their values."""


def table_of_step(lineage: Lineage, step: str, names: Sequence[str] = ()) -> Any:
    """The done tasks of a step as a `pyarrow.Table`: see `Step.table`."""
    import pyarrow as pa

    from rayflow.store.packs import arrays

    segments = lineage.view.steps[step].all if step in lineage.view.steps else []
    places = sorted((index, segment.lap) for segment in segments for index in segment.indices)
    row_of = {place: row for row, place in enumerate(places)}
    parts = [_Part(segment, segment.indices.values, [row_of[index, segment.lap] for index in segment.indices]) for segment in segments]
    columns: dict[str, Any] = dict(_frame_columns(lineage, step, [index for index, _ in places]))
    if lineage.graph[step].is_loop:
        columns["lap"] = arrays.numbers([lap for _, lap in places])
    columns.update(_columns(lineage, parts, names, len(places)))
    return pa.table(columns)


def table_of_inputs(lineage: Lineage, keys: Sequence[TaskKey], names: Sequence[str] = ()) -> Any:
    """A `pyarrow.Table` with one row per task of `keys`, in their order, and one column per name; without names all small artifacts
    that the tasks stored. Raises as `Step.table` does."""
    import pyarrow as pa

    wanted: dict[tuple[str, int], dict[int, list[int]]] = {}
    for row, (step, index, lap) in enumerate(keys):
        wanted.setdefault((step, lap), {}).setdefault(index, []).append(row)
    parts = [part for (step, lap), rows in wanted.items() for part in _parts_of(lineage, step, rows, lap)]
    return pa.table(_columns(lineage, parts, names, len(keys)))


def table_of_join(lineage: Lineage, step: str, index: int, names: Sequence[str] = ()) -> Any:
    """`inputs.table(*names)` of the join `step` at `index`: one row per input, in their order.

    Each split led there by one step, the only one or the arm of a switch that it took: its segments are taken as they are, and a million
    inputs cost a few slices. Where laps of a step lead to the join each input is looked up.
    """
    import pyarrow as pa

    children = _split_range(lineage, step, index)
    parts = _whole_parts(lineage, step, children) if children is not None else None
    if parts is None or children is None:
        return table_of_inputs(lineage, lineage.inputs_of(step, index), names)
    return pa.table(_columns(lineage, parts, names, len(children)))


def _split_range(lineage: Lineage, step: str, index: int) -> range | None:
    """The flat indices of the splits that a join closes; None for the join of a static split."""
    split = lineage.graph[step].joins
    return lineage.view.children(split, index) if split is not None and lineage.graph[split].is_foreach else None


def _whole_parts(lineage: Lineage, step: str, children: range) -> list[_Part] | None:
    """The splits as parts of their segments; None where laps of a step lead to the join, or a split is not in just one segment."""
    sources = lineage.graph[step].sources
    if not children or any(lineage.graph[source].is_loop for source in sources):
        return None
    parts: list[_Part] = []
    wanted = IndexSet(children)
    for source in sources:
        known = lineage.view.steps.get(source)
        for segment in known.overlapping(wanted) if known is not None else ():
            is_inside = segment.indices.lowest >= children.start and segment.indices.highest < children.stop
            held = segment.indices if is_inside else segment.indices.intersection(wanted)
            if held:
                parts.append(_Part(segment, held.values, _shifted(held, -children.start)))
    return parts if sum(len(part.indices) for part in parts) == len(children) else None


def _shifted(indices: IndexSet, by: int) -> Sequence[int]:
    values = indices.values
    if isinstance(values, range):
        return range(values.start + by, values.stop + by, values.step)
    return array("q", [index + by for index in values])


def last_end_us(lineage: Lineage, step: str) -> int:
    """When the last done task of the step ended, in microseconds since 1970; 0 where none is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    latest = 0
    for segment in lineage.view.steps[step].all if step in lineage.view.steps else []:
        if segment.rows:
            latest = max(latest, *(row.started_us + int(row.seconds * 1e6) for row in segment.rows))
            continue
        reader = _store_reader(lineage)
        table = reader.pack(segment).table(["__started", "__seconds"], _positions(reader, segment, segment.indices.values))
        lasted = pc.call_function("multiply", [table["__seconds"], pa.scalar(1e6)]).cast(pa.int64(), safe=False)
        ended = pc.call_function("add", [table["__started"].cast(pa.int64()), lasted])
        latest = max(latest, pc.call_function("max", [ended]).as_py() or 0)
    return latest


def _columns(lineage: Lineage, parts: list[_Part], names: Sequence[str], count: int) -> dict[str, Any]:
    if names:
        return {name: _column(lineage, parts, name, count) for name in dict.fromkeys(names)}
    found: dict[str, Any] = {}
    for name in _stored_names(lineage, parts):
        try:
            found[name] = _column(lineage, parts, name, count)
        except NotAColumnError:
            continue  # only what was asked for by name must be there
    return found


class NotAColumnError(UserError):
    """The values of an artifact have no common Arrow type."""


def _stored_names(lineage: Lineage, parts: list[_Part]) -> list[str]:
    """The public names that the rows themselves stored, in order of appearance."""
    names: dict[str, None] = {}
    for part in parts:
        if part.segment.rows:
            names.update(dict.fromkeys(name for index in part.indices for name in lineage.reader.names(part.segment, index)))
        else:
            names.update(dict.fromkeys(_store_reader(lineage).pack(part.segment).names))
    return [name for name in names if not name.startswith("_") and name != ITEMS]


def _column(lineage: Lineage, parts: list[_Part], name: str, count: int) -> Any:
    """The values of one artifact by row; null where a task has none."""
    import pyarrow as pa

    record = lineage.view.record
    common = record.parameters.get(name) or record.constants.get(name)
    if common is not None:
        value = _array([lineage.reader.load(common, record.run_id)], name, PARAMETERS, common.type)
        return _repeated([0], value, [0] * count, name)
    pieces: list[Piece] = []
    is_found = False
    pending = parts
    while pending:
        missing: list[_Part] = []
        for part in pending:
            piece, rest = _stored(lineage, part, name)
            if piece is not None:
                pieces.append(piece)
                is_found = True
            missing.extend(rest)
        reached: list[_Part] = []
        for part in missing:
            before, ended = _ancestors(lineage, part)
            reached.extend(before)
            if ended:
                pieces.append((ended, pa.nulls(len(ended))))
        pending = _merged(reached)
    if not is_found and count:
        steps = ", ".join(dict.fromkeys(part.segment.step for part in parts))
        stored = ", ".join(_stored_names(lineage, parts)) or "none"
        raise NoSuchColumnError(f"No task of step {steps} has an artifact '{name}'. They stored: {stored}.")
    return _in_row_order(pieces, name)


def _stored(lineage: Lineage, part: _Part, name: str) -> tuple[Piece | None, list[_Part]]:
    """The values that the rows of a part stored themselves, and the part of it that did not."""
    segment, reader = part.segment, lineage.reader
    if not segment.rows:
        pack = _store_reader(lineage).pack(segment)
        if name not in pack.names:
            return None, [part]
        column = pack.table([name], _positions(_store_reader(lineage), segment, part.indices)).column(0)
        if not _is_described(column):
            if column.null_count == 0:
                return (part.rows, column), []
            valid = column.is_valid().to_pylist()  # a null is a None that was stored, or nothing: the description tells
            has = [
                is_valid or reader.artifact(segment, index, name) is not None for index, is_valid in zip(part.indices, valid, strict=True)
            ]
            return _split(part, column, has)
    artifacts = {index: reader.artifact(segment, index, name) for index in dict.fromkeys(part.indices)}
    values = {index: reader.value(segment, index, name) for index, artifact in artifacts.items() if artifact is not None}
    if not values:
        return None, [part]
    kind = next(artifact.type for artifact in artifacts.values() if artifact is not None)
    has = [index in values for index in part.indices]
    column = _repeated(list(values), _array(list(values.values()), name, segment.step, kind), _chosen(part.indices, has), name)
    return (_chosen(part.rows, has), column), _rest(part, has)


def _repeated(keys: list[int], values: Any, wanted: list[int], name: str) -> Any:
    """The value of each key in `wanted`, which may name one key often: all splits inherit from one task."""
    from rayflow.store.packs import arrays

    if keys == wanted:
        return values
    if values.nbytes // max(len(keys), 1) * len(wanted) > _MAX_REPEATED_NBYTES:
        raise NotAColumnError(
            f"Artifact '{name}' cannot be a column: {len(wanted)} tasks share {len(keys)} values of {values.nbytes // len(keys)} bytes, "
            f"and a table would repeat them. Read it from one of the tasks: task.data.{name}."
        )
    position_of = {key: position for position, key in enumerate(keys)}
    return values.take(arrays.numbers([position_of[key] for key in wanted]))


def _split(part: _Part, column: Any, has: list[bool]) -> tuple[Piece | None, list[_Part]]:
    from rayflow.store.packs import arrays

    if all(has):
        return (part.rows, column), []
    if not any(has):
        return None, [part]
    return (_chosen(part.rows, has), column.filter(arrays.booleans(has))), _rest(part, has)


def _chosen(values: Sequence[int], has: list[bool]) -> list[int]:
    return [value for value, is_held in zip(values, has, strict=True) if is_held]


def _rest(part: _Part, has: list[bool]) -> list[_Part]:
    lacking = [not is_held for is_held in has]
    return [_Part(part.segment, _chosen(part.indices, lacking), _chosen(part.rows, lacking))] if any(lacking) else []


def _ancestors(lineage: Lineage, part: _Part) -> tuple[list[_Part], list[int]]:
    """The rows of the tasks that led to those of the part, and the rows of the table whose chain ends here."""
    view, graph = lineage.view, lineage.graph
    segment = part.segment
    if segment.lap > 0:  # its rows repeat what the laps before stored: on to what led to the first
        first = view.find(segment.step, part.indices[0], 0)
        parent = first.parent if first is not None else None
    else:
        parent = None if graph[segment.step].is_join else segment.parent
    if parent is None:
        return [], list(part.rows)
    indices: Iterable[int] = part.indices
    space, before = graph[segment.step].space, graph[parent].space
    while space != before:
        indices = _located(lineage, space, indices)[1]
        space = graph.parent_space(space)
    rows: dict[int, list[int]] = {}
    for index, row in zip(indices, part.rows, strict=True):
        rows.setdefault(index, []).append(row)
    found = _parts_of(lineage, parent, rows, None)
    reached = {row for each in found for row in each.rows}
    return found, [row for row in part.rows if row not in reached]


def _parts_of(lineage: Lineage, step: str, rows: dict[int, list[int]], lap: int | None) -> list[_Part]:
    """The segments of `step` that hold the indices which are the keys of `rows`; without `lap` those of their last lap."""
    known = lineage.view.steps.get(step)
    if known is None:
        return []
    segments = [segment for segment in known.overlapping(IndexSet.of(sorted(rows))) if lap is None or segment.lap == lap]
    left = dict(rows)
    parts: list[_Part] = []
    for segment in sorted(segments, key=lambda each: -each.lap):
        members = _members(segment, left)
        held = [left.pop(index) for index in members]
        indices = [index for index, its in zip(members, held, strict=True) for _ in its]
        if indices:
            parts.append(_Part(segment, indices, [row for its in held for row in its]))
    return parts


def _merged(parts: list[_Part]) -> list[_Part]:
    """The same tasks with one part per segment, so that what many parts inherit is read once."""
    by_segment: dict[int, list[_Part]] = {}
    for part in parts:
        by_segment.setdefault(id(part.segment), []).append(part)
    return [
        _Part(same[0].segment, [index for part in same for index in part.indices], [row for part in same for row in part.rows])
        for same in by_segment.values()
    ]


def _members(segment: Segment, wanted: dict[int, list[int]]) -> list[int]:
    """The indices of the segment that are wanted, by whichever of the two is shorter."""
    values = segment.indices.values
    if isinstance(values, range) and len(wanted) < len(values):
        return [index for index in wanted if index in values]
    return [index for index in values if index in wanted]


def _positions(reader: StoreReader, segment: Segment, indices: Sequence[int]) -> Sequence[int]:
    values = segment.indices.values
    if segment.pack_indices is None and (indices is values or (len(indices) == len(values) and list(indices) == list(values))):
        return range(segment.pack_row, segment.pack_row + len(values))
    if segment.pack_indices is None and isinstance(indices, range) and isinstance(values, range) and indices.step == values.step == 1:
        first = segment.pack_row + indices.start - values.start
        return range(first, first + len(indices))
    return [reader.pack_position(segment, index) for index in indices]


def _frame_columns(lineage: Lineage, step: str, indices: list[int]) -> list[tuple[str, Any]]:
    """A column of positions per foreach around the step, outermost first."""
    from rayflow.store.packs import arrays

    graph = lineage.graph
    space = graph[step].space
    columns: list[tuple[str, Any]] = []
    while space != ROOT_SPACE:
        name = "index" if not columns else f"{space}.index"
        positions, parents = _located(lineage, space, indices)
        columns.append((name, arrays.numbers(positions)))
        space, indices = graph.parent_space(space), parents
    return columns[::-1]


def _located(lineage: Lineage, space: str, indices: Iterable[int]) -> tuple[list[int], list[int]]:
    """The positions among their siblings, and the parents, of flat indices of `space`."""
    positions: list[int] = []
    parents: list[int] = []
    siblings, parent = range(0), 0
    for index in indices:
        if index not in siblings:
            parent, position, count = lineage.view.fanout_of(space, index).locate(index)
            siblings = range(index - position, index - position + count)
        positions.append(index - siblings.start)
        parents.append(parent)
    return positions, parents


def _array(values: list[Any], name: str, step: str, kind: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise NotAColumnError(
            f"Artifact '{name}' of step '{step}' ({kind}) cannot be a column: its values have no common Arrow type. Read it task by "
            f"task: task.data.{name}."
        ) from error


def _is_described(column: Any) -> bool:
    """Whether the column of a pack holds descriptions of values, not values."""
    from rayflow.store.packs.columns import described

    return bool(column.type.equals(described()))


def _in_row_order(pieces: list[Piece], name: str) -> Any:
    import pyarrow as pa

    from rayflow.store.packs import arrays

    is_dense = all(isinstance(part, range) and part.step == 1 for part, _ in pieces)
    if is_dense:  # ranges of rows: putting them in order puts all rows in order
        pieces = sorted(pieces, key=lambda piece: piece[0][0] if piece[0] else 0)
    tables = [pa.table({name: values}) for _, values in pieces]
    try:
        column = pa.concat_tables(tables, promote_options="permissive").column(0) if tables else pa.chunked_array([pa.nulls(0)])
    except pa.ArrowException as error:
        kinds = ", ".join(dict.fromkeys(str(table.column(0).type) for table in tables))
        raise NotAColumnError(f"Artifact '{name}' cannot be a column: its tasks stored values of different types ({kinds}).") from error
    if is_dense:
        return column
    import pyarrow.compute as pc

    rows = array("q")
    for part, _ in pieces:
        rows.extend(part)
    return column.take(pc.call_function("array_sort_indices", [arrays.numbers(rows)]))


def _store_reader(lineage: Lineage) -> StoreReader:
    assert isinstance(lineage.reader, StoreReader), "tables are read from packs"
    return lineage.reader
