"""Becoming the writer of a run that another process wrote before."""

from __future__ import annotations

from dataclasses import dataclass

from rayflow.catalog.journal import JournalReader, JournalWriter
from rayflow.catalog.ownership import first_epoch, is_taken_over, take_epoch
from rayflow.model.errors import RunFenced
from rayflow.model.layout import RunLayout
from rayflow.model.ports import Store


@dataclass(frozen=True)
class Tenure:
    """The right to write a run, until somebody takes it over."""

    epoch: int
    journal: JournalWriter


def begin(store: Store, layout: RunLayout) -> Tenure:
    """Becomes the first writer of a run whose id this process claimed. RunFenced when it was taken over before that."""
    epoch = first_epoch(store, layout)
    return Tenure(epoch, JournalWriter(store, layout, epoch))


def take_over(store: Store, layout: RunLayout) -> Tenure:
    """Becomes the next writer: from here on nobody else can acknowledge anything. What is committed up to here is sealed, so that it
    stays what it is. RunFenced when another process took the run over at the same time."""
    epoch = take_epoch(store, layout)
    while True:
        reader = JournalReader(store, layout)
        reader.read()
        sizes = reader.sizes()
        if store.can_append:
            for key in sizes:  # what was read may not have reached the disk; the seal, which says that it is there, will
                store.append(key, b"")
        journal = JournalWriter(store, layout, epoch, next_sequence=len(sizes))
        try:
            journal.commit([{"e": "sealed", "sizes": sizes}])
        except RunFenced:
            if is_taken_over(store, layout, epoch):
                raise
            continue  # the driver before us got its last object in: it is read, and the next number tried
        if not store.can_append:
            journal.check_fence()  # whoever came after us may have sealed before us, and write nothing that we would meet
        return Tenure(epoch, journal)
