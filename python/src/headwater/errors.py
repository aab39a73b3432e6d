"""What can go wrong: one class for each reason of the server's closed list.

Every error of this package is a `HeadwaterError`. Its text says what was found, what was expected and what to try; `reason`,
`metadata` and `violations` are for programs. docs/errors.md of the project lists the reasons.

>>> import headwater
>>> try:
...     headwater.Client().get_features("no_such_service", [{"origin": "ORD"}])
... except headwater.errors.NotFoundError as error:
...     print(error.reason)
NOT_FOUND
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "headwater"


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with what was sent."""

    field: str
    """The path of the field in the request, such as `keys["origin"]`."""
    description: str
    """What was found, what was expected, and what to try."""
    file: str = ""
    """The file that it is in, where it is in one."""
    line: int = 0
    """The line in the file, from 1; 0 where it is not known."""
    column: int = 0
    """The column in the line, from 1; 0 where it is not known."""


class HeadwaterError(Exception):
    """What every error of this package is."""

    reason: str = "INTERNAL"
    """The machine-readable reason, such as `NOT_FOUND`."""

    _by_reason: ClassVar[dict[str, type[HeadwaterError]]] = {}

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        code: grpc.StatusCode | None = None,
        reason: str | None = None,
    ) -> None:
        """Makes an error. `reason` is only given for one that has no class."""
        super().__init__(message)
        self.message = message
        """What was found, what was expected, and what to try."""
        self.metadata = dict(metadata or {})
        """Names and numbers of the message, for programs."""
        self.violations = list(violations)
        """The parts of the request that are wrong, where there is more to say than the message does."""
        self.code = code
        """The status of the gRPC call; None for what this package found itself."""
        if reason is not None:
            self.reason = reason

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "reason" in cls.__dict__:
            HeadwaterError._by_reason.setdefault(cls.reason, cls)

    def __str__(self) -> str:
        lines = [self.message]
        for v in self.violations:
            if v.file or v.description not in self.message:
                place = ":".join(str(part) for part in (v.file, v.line, v.column) if part) if v.file else v.field
                lines.append(f"  {place}: {v.description}" if place else f"  {v.description}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.message, self.metadata, self.violations, self.code, self.reason)


def _again(
    cls: type[HeadwaterError],
    message: str,
    metadata: dict[str, str],
    violations: list[Violation],
    code: grpc.StatusCode | None,
    reason: str,
) -> HeadwaterError:
    return cls(message, metadata=metadata, violations=violations, code=code, reason=reason)


class InvalidArgumentError(HeadwaterError):
    """A request does not follow the schema, or an argument is wrong."""

    reason = "INVALID_ARGUMENT"


class InvalidDefinitionError(HeadwaterError):
    """A definition is wrong in itself or against the others."""

    reason = "INVALID_DEFINITION"


class InvalidSQLError(HeadwaterError):
    """The SQL of a view or of a spine was refused."""

    reason = "INVALID_SQL"


class InvalidRowsError(HeadwaterError):
    """Rows do not fit their source."""

    reason = "INVALID_ROWS"


class InvalidSpineError(HeadwaterError):
    """A spine cannot be used: a column is missing or of another type, or a row has no timestamp."""

    reason = "INVALID_SPINE"


class NotFoundError(HeadwaterError):
    """There is nothing of that name or id, or the caller may not know of it."""

    reason = "NOT_FOUND"


class AlreadyExistsError(HeadwaterError):
    """It is there already."""

    reason = "ALREADY_EXISTS"


class UnauthenticatedError(HeadwaterError):
    """There is no token, or it is malformed, unknown, expired or revoked."""

    reason = "UNAUTHENTICATED"


class PermissionDeniedError(HeadwaterError):
    """No role of the caller allows it, or one denies it."""

    reason = "PERMISSION_DENIED"


class FailedPreconditionError(HeadwaterError):
    """Something is not in the state that the call needs."""

    reason = "FAILED_PRECONDITION"


class StalePlanError(HeadwaterError):
    """The registry moved since a plan was made."""

    reason = "STALE_PLAN"


class NotMaterializedError(HeadwaterError):
    """No run of a view covers what was asked for."""

    reason = "NOT_MATERIALIZED"


class RunRefusedError(HeadwaterError):
    """A run's output breaks a rule."""

    reason = "RUN_REFUSED"


class DigestMismatchError(HeadwaterError):
    """A dataset is not what its manifest says: nothing of it may be used."""

    reason = "DIGEST_MISMATCH"


class PostgresUnavailableError(HeadwaterError):
    """The server's Postgres does not answer."""

    reason = "POSTGRES_UNAVAILABLE"


class RedisUnavailableError(HeadwaterError):
    """The server's Redis does not answer."""

    reason = "REDIS_UNAVAILABLE"


class DeadlineExceededError(HeadwaterError):
    """The call took longer than it was given."""

    reason = "DEADLINE_EXCEEDED"


class CancelledError(HeadwaterError):
    """The call was broken off."""

    reason = "CANCELLED"


class ResourceExhaustedError(HeadwaterError):
    """A message or an answer would be too large."""

    reason = "RESOURCE_EXHAUSTED"


class AuditUnavailableError(HeadwaterError):
    """The server could not record its decision, so it did not serve the call."""

    reason = "AUDIT_UNAVAILABLE"


class ReadLogUnavailableError(HeadwaterError):
    """The service keeps all of its reads, and the server could not keep this one, so it did not answer."""

    reason = "READ_LOG_UNAVAILABLE"


class NotFreshError(HeadwaterError):
    """What is online of a view is older than its definition allows, so the read was refused."""

    reason = "NOT_FRESH"


class IssuerUnavailableError(HeadwaterError):
    """The issuer of the caller's JWT does not show the keys to check it with."""

    reason = "ISSUER_UNAVAILABLE"


class GateRefusedError(HeadwaterError):
    """A gate does not hold: a dataset was built and is held, or is not to be fetched or released yet. `dataset` is its id."""

    reason = "GATE_REFUSED"

    @property
    def dataset(self) -> str:
        """The id of the dataset that is held, which `Client.release` and `Client.fetch` take; empty where it is about none."""
        return self.metadata.get("dataset", "")

    @property
    def id(self) -> str:
        """The same."""
        return self.dataset


class SchemaVersionError(HeadwaterError):
    """The server's database has another schema than the server."""

    reason = "SCHEMA_VERSION"


class UnimplementedError(HeadwaterError):
    """The server's version does not have it."""

    reason = "UNIMPLEMENTED"


class InternalError(HeadwaterError):
    """Something went wrong that is not the caller's doing. `metadata["id"]` finds it in the server's log."""

    reason = "INTERNAL"


class ServerUnavailableError(HeadwaterError):
    """No server answers at the address."""

    reason = "SERVER_UNAVAILABLE"


_REASON_OF_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: "INVALID_ARGUMENT",
    grpc.StatusCode.OUT_OF_RANGE: "INVALID_ARGUMENT",
    grpc.StatusCode.NOT_FOUND: "NOT_FOUND",
    grpc.StatusCode.ALREADY_EXISTS: "ALREADY_EXISTS",
    grpc.StatusCode.UNAUTHENTICATED: "UNAUTHENTICATED",
    grpc.StatusCode.PERMISSION_DENIED: "PERMISSION_DENIED",
    grpc.StatusCode.FAILED_PRECONDITION: "FAILED_PRECONDITION",
    grpc.StatusCode.ABORTED: "FAILED_PRECONDITION",
    grpc.StatusCode.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    grpc.StatusCode.CANCELLED: "CANCELLED",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    grpc.StatusCode.UNIMPLEMENTED: "UNIMPLEMENTED",
    grpc.StatusCode.UNAVAILABLE: "SERVER_UNAVAILABLE",
}

_PLACE = re.compile(r"(?P<file>.*):(?P<line>\d+):(?P<column>\d+)", re.DOTALL)


def from_rpc(error: grpc.RpcError, server: str) -> HeadwaterError:
    """Makes a gRPC call's error one of this module's. `server` is the address that was called."""
    code = error.code()
    details = error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return _from_status(status_pb2.Status.FromString(value), code)
            except DecodeError:
                break
    reason = _REASON_OF_CODE.get(code, "INTERNAL")
    return _make(reason, _said_by_grpc(code, details, server), {"server": server}, (), code)


def _from_status(status: status_pb2.Status, code: grpc.StatusCode) -> HeadwaterError:
    reason = _REASON_OF_CODE.get(code, "INTERNAL")
    metadata: dict[str, str] = {}
    violations: list[Violation] = []
    for detail in status.details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
            if info.domain == DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(bad.DESCRIPTOR):
            detail.Unpack(bad)
            violations.extend(_violation(v) for v in bad.field_violations)
    return _make(reason, status.message, metadata, violations, code)


def _violation(v: error_details_pb2.BadRequest.FieldViolation) -> Violation:
    place = _PLACE.fullmatch(v.reason)
    if place is None:
        return Violation(v.field, v.description)
    return Violation(v.field, v.description, place["file"], int(place["line"]), int(place["column"]))


def _make(
    reason: str, message: str, metadata: Mapping[str, str], violations: Sequence[Violation], code: grpc.StatusCode
) -> HeadwaterError:
    # A server that is newer than this package may have reasons that it does not know.
    cls = HeadwaterError._by_reason.get(reason, HeadwaterError)
    return cls(message, metadata=metadata, violations=violations, code=code, reason=reason)


def late(server: str) -> str:
    """Words for a call whose time was over."""
    return f"the server at {server} did not answer in time; try again, or give it longer: timeout=..."


def _said_by_grpc(code: grpc.StatusCode, details: str, server: str) -> str:
    """Words for an error that no Headwater server made."""
    if code == grpc.StatusCode.UNAVAILABLE:
        return (
            f"no server answers at {server} ({details}); is it running? Start one with `headwater dev`, or say where it is "
            "with Client(server=...) or HEADWATER_SERVER; where the server or what is before it speaks TLS, so must the "
            "client: tls=True"
        )
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return f"what answers at {server} does not know this call; is it a Headwater server of this version?"
    if code == grpc.StatusCode.CANCELLED:
        return "the call was cancelled before it was done"
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return (
            f"the server at {server} does not take, or sent, a message of this size ({details}); ask for or send less at once"
        )
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return late(server)
    return f"the call to {server} failed: {details or code.name}"
