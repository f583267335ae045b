"""The driver of a run that was recorded elsewhere: takes the code that is stored with the run, and goes on with what is not done."""

from __future__ import annotations

from dataclasses import replace

from rayflow.catalog.run import RunRecord
from rayflow.flow.configs import configs_of
from rayflow.flow.definition import FlowDefinition, define
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.ports import Store
from rayflow.runtime.continuing import constants_in
from rayflow.runtime.launch import drive_recorded, launched_as
from rayflow.runtime.notices import Reporter
from rayflow.runtime.packaging import Code
from rayflow.runtime.settings import RunResult, Settings
from rayflow.submission.placing import patient, placed


def drive_submitted(flow_class: type[FlowSpec], record: RunRecord, settings: Settings, store: Store, reporter: Reporter) -> RunResult:
    """Performs the run, with the decorators, the configs and the limits that it was started with, its tasks where they are to be. Where it
    is done, nothing happens; RunOwnedElsewhere where somebody drives it."""
    definition = placed(definition_of(flow_class, record, store), settings.environ)
    return drive_recorded(definition, launched_as(patient(settings), record), reporter, store, record, Code(record.code))


def definition_of(flow_class: type[FlowSpec], record: RunRecord, store: Store) -> FlowDefinition:
    """The flow as the run has it."""
    configs = constants_in(store, record, configs_of(flow_class))
    return replace(define(flow_class, record.decospecs, configs or None), name=record.flow)
