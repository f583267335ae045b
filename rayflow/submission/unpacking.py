"""The flow class of a record, from the code package that is stored with it."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile

from rayflow.catalog.run import RunRecord
from rayflow.flow.flowspec import FlowSpec
from rayflow.model.errors import UserError
from rayflow.model.ports import Store
from rayflow.package.stored import fetch_package
from rayflow.runtime.compat import active, enter
from rayflow.runtime.loading import import_file, module_name_of


def unpacked_flow(store: Store, record: RunRecord) -> type[FlowSpec]:
    """The class, imported from a directory that goes when this process ends. UserError where it cannot be imported."""
    if record.code is None or not record.script:
        raise UserError(f"There is no stored code of {record.flow}.")
    enter(record.facts.get("compat") or active())
    directory = fetch_package(store, record.flow, record.code, tempfile.mkdtemp(prefix="rayflow-code-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = os.path.join(directory, record.script)
    sys.path.insert(0, directory)
    try:
        return getattr(import_file(path, module_name_of(path)), record.flow)
    except Exception as error:  # importing a flow runs its user's code
        raise UserError(f"The code of {record.flow} could not be imported here. {type(error).__name__}: {error}") from error
