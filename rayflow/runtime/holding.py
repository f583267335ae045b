"""The driver's side of the hand-off: values that workers offered, and what is held back until their commits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayflow.catalog.view import RunView, StepSegments
from rayflow.model.records import Segment
from rayflow.model.reports import Report, RowOffered


@dataclass
class Lendings:
    """References to values in the object store, by the name of the blob that each is the content of: hints, the store is the truth.
    The newest are kept, up to the `limit_nbytes` that came with the last."""

    _kept: OrderedDict[str, tuple[Any, int]] = field(default_factory=OrderedDict[str, tuple[Any, int]])
    _nbytes: int = 0

    def keep(self, offer: RowOffered) -> None:
        """Takes the values of an offer; the oldest give way."""
        sizes = {artifact.blob: artifact.nbytes for artifact in offer.done.rows[0].artifacts.values()}
        for blob, reference in offer.values.items():
            if blob not in self._kept:
                self._kept[blob] = (reference, sizes.get(blob, 0))
                self._nbytes += sizes.get(blob, 0)
        while self._nbytes > offer.limit_nbytes and len(self._kept) > 1:
            _, (_, nbytes) = self._kept.popitem(last=False)
            self._nbytes -= nbytes

    def for_rows_of(self, segments: Iterable[Segment]) -> Mapping[str, Any]:
        """The references to what the rows of these segments stored."""
        if not self._kept:
            return {}
        blobs = {artifact.blob for segment in segments for row in segment.rows for artifact in row.artifacts.values() if artifact.blob}
        return {blob: self._kept[blob][0] for blob in blobs if blob in self._kept}


@dataclass
class Holding:
    """What batches say that were launched ahead of the commit of their input, and the segments that they were launched on."""

    offered: dict[int, Segment] = field(default_factory=dict[int, Segment])
    _said: dict[int, list[Report]] = field(default_factory=dict[int, list[Report]])

    def hold(self, report: Report) -> None:
        self._said.setdefault(report.batch_id, []).append(report)

    @property
    def batches(self) -> list[int]:
        """Those of which something is held back."""
        return list(self._said)

    def release(self, batch_id: int) -> list[Report]:
        """All that the batch said, in its order; it is forgotten here."""
        return self._said.pop(batch_id, [])


def with_offered(view: RunView, segment: Segment) -> RunView:
    """The view as it will be once the segment is committed; `view` itself stays as it is."""
    steps = dict(view.steps)
    extended = StepSegments()
    known = steps.get(segment.step)
    for each in (*(known.all if known is not None else ()), segment):
        extended.add(each)
    steps[segment.step] = extended
    return RunView(view.record, steps, view.failed, view.fanouts)
