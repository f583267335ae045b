"""What a flow is given, by the names of `metaflow.parameters`.

from rayflow.parameters import JSONType, Parameter, ParameterContext

def default_of(context: ParameterContext) -> str:
    return f"{context.flow_name} of {context.user_name}"
"""

from rayflow.flow.parameters import JSONType, JSONTypeClass, Parameter, ParameterContext
from rayflow.model.errors import ParameterFieldFailed, ParameterFieldTypeMismatch

__all__ = [
    "JSONType",
    "JSONTypeClass",
    "Parameter",
    "ParameterContext",
    "ParameterFieldFailed",
    "ParameterFieldTypeMismatch",
]
