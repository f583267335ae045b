"""The error tree. Every message says who, what, where, and the way out.

    RayflowException                     what a caller may catch
    +-- UserError                        fix the flow, the call or the input; exit code 1 (usage errors: 2)
    |   +-- LintWarn, InvalidNextException, UnhandledInMergeArtifactsException, MissingInMergeArtifactsException,
    |   |   ParameterFieldFailed, ParameterFieldTypeMismatch, RayflowUnknownUser, RayflowTaggingError, ...
    |   +-- RayflowS3URLException, RayflowS3NotFound, RayflowS3AccessDenied, RayflowS3InvalidObject, RayflowS3InvalidRange
    |   +-- RayflowNotFound, RayflowInvalidPathspec, RayflowNamespaceMismatch (also KeyError-free: containers raise KeyError)
    +-- TaskFailedException              your code raised, died or timed out
    |   +-- ArtifactUnserializable, TimeoutException, FailureHandledByCatch
    +-- SystemFault                      ours, the disk's or the cluster's; `is_retryable` says whether again may help
        +-- StoreFault: StoreMissing, StoreExists, StoreCorrupt, StoreReadOnly, StoreNewer
        +-- RunOwnedElsewhere, RunFenced, ClusterFault
        +-- RayflowS3Exception, RayflowS3InsufficientDiskSpace

Classes whose names Metaflow users know keep them, with `Rayflow` for `Metaflow`; `rayflow.exception` exports all.
"""

from __future__ import annotations

from collections.abc import Sequence


class RayflowException(Exception):
    """The root. `headline` opens the printed error; `file` and `line` say where, when that is known."""

    headline = "Flow failed"
    message: str = ""
    line_no: int | None = None
    source_file: str | None = None

    def __init__(self, message: str = "", line: int | None = None, file: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line_no = line
        self.source_file = file

    def __str__(self) -> str:
        where = f"in file {self.source_file} " if self.source_file else ""
        where += f"on line {self.line_no}" if self.line_no is not None else ""
        message = self.message or super().__str__()  # of a class derived from ours whose __init__ does not call this one
        return f"{message} ({where.strip()})" if where else message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def block(error: RayflowException) -> str:
    """The error as it is printed: headline and place, then the message, indented, and an empty line."""
    where = f" in file {error.source_file}" if error.source_file else ""
    where += f" on line {error.line_no}" if error.line_no is not None else ""
    lines = (error.message or str(error)).split("\n")
    return f"    {error.headline}{where}:\n" + "".join(f"    {line}\n" for line in lines) + "\n"


def _rebuild(cls: type[RayflowException], args: tuple[object, ...], state: dict[str, object]) -> RayflowException:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class UserError(RayflowException):
    """The flow, the call or the input is wrong; doing the same again cannot help."""


class UsageError(UserError):
    """A command line, parameter or option is wrong; exit code 2."""

    headline = "Usage error"


class LintWarn(UserError):
    """The flow's graph breaks a rule."""

    headline = "Validity checker found an issue"


class InvalidNextException(UserError):
    """`self.next` was called in a way that cannot be followed."""

    headline = "Invalid self.next() transition detected"


class InvalidDecoratorAttribute(UserError):
    """A decorator was given an attribute that it does not know, or a value that it cannot take."""

    headline = "Unknown decorator attribute"


class UnknownStepDecoratorException(UserError):
    headline = "Unknown step decorator"


class DuplicateStepDecoratorException(UserError):
    headline = "Duplicate decorators"


class BadStepDecoratorException(UserError):
    headline = "Syntax error"


class InvalidEnvironmentException(UserError):
    """The Python environment of a step cannot be made: no such package or version, versions that exclude each other, a tool that is not
    there, a Python that does not fit."""

    headline = "Invalid environment"


class ParameterFieldFailed(UserError):
    headline = "Parameter field failed"


class ParameterFieldTypeMismatch(UserError):
    headline = "Parameter field with a mismatching type"


class MulticoreException(UserError):
    """A process of `parallel_map` was killed, or ended before its work was done."""

    headline = "Multicore exception"


class ExternalCommandFailed(UserError):
    headline = "External command failed"


class UnhandledInMergeArtifactsException(UserError):
    """Artifacts differ between the inputs of a join. `artifact_names` has one entry per conflict."""

    headline = "Unhandled artifacts in merge"

    def __init__(self, message: str, artifact_names: Sequence[str]) -> None:
        super().__init__(message)
        self.artifact_names = list(artifact_names)


class MissingInMergeArtifactsException(UserError):
    """`merge_artifacts(include=...)` names artifacts that no input has."""

    headline = "Missing artifacts in merge"

    def __init__(self, message: str, artifact_names: Sequence[str]) -> None:
        super().__init__(message)
        self.artifact_names = list(artifact_names)


class RayflowUnknownUser(UserError):
    headline = "Unknown user"


class RayflowNotFound(UserError):
    """No such flow, run, step, task or artifact."""

    headline = "Object not found"


class RayflowInvalidPathspec(UserError):
    headline = "Invalid pathspec"


class RayflowNamespaceMismatch(UserError):
    headline = "Object not in the current namespace"


class RayflowDataMissing(UserError):
    headline = "Data missing"


class RayflowTaggingError(UserError):
    headline = "Tagging failed"


class UnsafeName(UserError):
    """A name, id or key that could leave the root, or that no file system takes."""

    headline = "Unsafe name"


class RayflowS3URLException(UserError):
    """A key or a root of the S3 client that it cannot use."""

    headline = "Invalid address"


class RayflowS3NotFound(UserError):
    """No such object, bucket or local file."""

    headline = "S3 object not found"


class RayflowS3AccessDenied(UserError):
    headline = "S3 access denied"


class RayflowS3InvalidObject(UserError):
    """What was to be stored is neither text nor bytes nor a binary file that can be read and sought."""

    headline = "Not a string-like object"


class RayflowS3InvalidRange(UserError):
    """A part of an object that it does not have."""

    headline = "S3 invalid range"


class TaskFailedException(RayflowException):
    """The user's code raised, died or timed out."""

    headline = "Step failure"


class ArtifactUnserializable(TaskFailedException):
    """A value cannot be stored: names the artifact, its type and the attribute at fault."""

    headline = "Cannot pickle artifact"


class TimeoutException(TaskFailedException):
    """`@timeout` expired; raised inside the step."""

    headline = "@timeout"


class FailureHandledByCatch(TaskFailedException):
    """Stands for the death of a process in the artifact that `@catch(var=...)` names."""

    headline = "Task execution failed but @catch handled it"


class SystemFault(RayflowException):
    """Ours, the disk's or the cluster's fault."""

    headline = "System fault"
    is_retryable = False


class StoreFault(SystemFault):
    """A read or write under the root failed."""

    headline = "Storage error"

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class StoreMissing(StoreFault):
    """No object of that key."""

    headline = "Object missing from the store"


class StoreExists(StoreFault):
    """Another writer created that key first."""

    headline = "Object exists already"


class StoreCorrupt(StoreFault):
    """Bytes are not what was recorded; they are never returned as data."""

    headline = "Damaged data"


class StoreReadOnly(StoreFault):
    """The root cannot be written."""

    headline = "Store is read-only"


class StoreNewer(StoreFault):
    """The root was written by a newer rayflow."""

    headline = "Store is newer than this program"


class RunOwnedElsewhere(SystemFault):
    """Another process is running (or continuing) this run."""

    headline = "Run is in progress elsewhere"


class RunFenced(SystemFault):
    """Another driver took this run over; nothing more can be acknowledged here."""

    headline = "Run was taken over"


class ClusterFault(SystemFault):
    """Ray could not be started or reached, or cannot satisfy a need."""

    headline = "Cluster error"


class RayflowS3Exception(SystemFault):
    """A bucket did not do what was asked, although it was asked again for a minute."""

    headline = "S3 access failed"


class RayflowS3InsufficientDiskSpace(SystemFault):
    """What was to be downloaded does not fit on this machine's disk."""

    headline = "Insufficient disk space"
