import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import run_pb2 as _run_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LoadState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOAD_STATE_UNSPECIFIED: _ClassVar[LoadState]
    LOAD_STATE_LIVE: _ClassVar[LoadState]
    LOAD_STATE_REPLACED: _ClassVar[LoadState]
    LOAD_STATE_RETRACTED: _ClassVar[LoadState]
    LOAD_STATE_RETRACTION: _ClassVar[LoadState]
LOAD_STATE_UNSPECIFIED: LoadState
LOAD_STATE_LIVE: LoadState
LOAD_STATE_REPLACED: LoadState
LOAD_STATE_RETRACTED: LoadState
LOAD_STATE_RETRACTION: LoadState

class IngestRequest(_message.Message):
    __slots__ = ("source", "header", "arrow", "batch")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ARROW_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    source: str
    header: IngestHeader
    arrow: bytes
    batch: Batch
    def __init__(self, source: _Optional[str] = ..., header: _Optional[_Union[IngestHeader, _Mapping]] = ..., arrow: _Optional[bytes] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("idempotency_key", "columns", "rows")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    rows: _containers.RepeatedCompositeFieldContainer[IngestRow]
    def __init__(self, idempotency_key: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., rows: _Optional[_Iterable[_Union[IngestRow, _Mapping]]] = ...) -> None: ...

class IngestRow(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_value_pb2.Value]
    def __init__(self, values: _Optional[_Iterable[_Union[_value_pb2.Value, _Mapping]]] = ...) -> None: ...

class IngestHeader(_message.Message):
    __slots__ = ("file_name", "file_size", "file_sha256", "replaces", "ignored_columns", "batches")
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    IGNORED_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    file_name: str
    file_size: int
    file_sha256: str
    replaces: int
    ignored_columns: _containers.RepeatedScalarFieldContainer[str]
    batches: bool
    def __init__(self, file_name: _Optional[str] = ..., file_size: _Optional[int] = ..., file_sha256: _Optional[str] = ..., replaces: _Optional[int] = ..., ignored_columns: _Optional[_Iterable[str]] = ..., batches: bool = ...) -> None: ...

class IngestResponse(_message.Message):
    __slots__ = ("load", "accepted", "duplicate", "reasons", "batches", "runs")
    LOAD_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    load: Load
    accepted: int
    duplicate: int
    reasons: _containers.RepeatedCompositeFieldContainer[_run_pb2.LedgerReason]
    batches: _containers.RepeatedCompositeFieldContainer[BatchResult]
    runs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, load: _Optional[_Union[Load, _Mapping]] = ..., accepted: _Optional[int] = ..., duplicate: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[_run_pb2.LedgerReason, _Mapping]]] = ..., batches: _Optional[_Iterable[_Union[BatchResult, _Mapping]]] = ..., runs: _Optional[_Iterable[int]] = ...) -> None: ...

class BatchResult(_message.Message):
    __slots__ = ("idempotency_key", "rows", "load_id", "duplicate")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LOAD_ID_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    rows: int
    load_id: int
    duplicate: bool
    def __init__(self, idempotency_key: _Optional[str] = ..., rows: _Optional[int] = ..., load_id: _Optional[int] = ..., duplicate: bool = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("id", "source", "number", "state", "file_name", "file_size", "file_sha256", "rows", "event_time_min", "event_time_max", "replaces", "replaced_by", "retract_reason", "principal", "committed_at", "ignored_columns", "quarantined", "dropped", "reasons", "rows_digest", "batches", "erased")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    FILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_MIN_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_MAX_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    RETRACT_REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    IGNORED_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ROWS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    id: int
    source: str
    number: int
    state: LoadState
    file_name: str
    file_size: int
    file_sha256: str
    rows: int
    event_time_min: _timestamp_pb2.Timestamp
    event_time_max: _timestamp_pb2.Timestamp
    replaces: int
    replaced_by: int
    retract_reason: str
    principal: str
    committed_at: _timestamp_pb2.Timestamp
    ignored_columns: _containers.RepeatedScalarFieldContainer[str]
    quarantined: int
    dropped: int
    reasons: _containers.RepeatedCompositeFieldContainer[_run_pb2.LedgerReason]
    rows_digest: str
    batches: int
    erased: int
    def __init__(self, id: _Optional[int] = ..., source: _Optional[str] = ..., number: _Optional[int] = ..., state: _Optional[_Union[LoadState, str]] = ..., file_name: _Optional[str] = ..., file_size: _Optional[int] = ..., file_sha256: _Optional[str] = ..., rows: _Optional[int] = ..., event_time_min: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., event_time_max: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replaces: _Optional[int] = ..., replaced_by: _Optional[int] = ..., retract_reason: _Optional[str] = ..., principal: _Optional[str] = ..., committed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ignored_columns: _Optional[_Iterable[str]] = ..., quarantined: _Optional[int] = ..., dropped: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[_run_pb2.LedgerReason, _Mapping]]] = ..., rows_digest: _Optional[str] = ..., batches: _Optional[int] = ..., erased: _Optional[int] = ...) -> None: ...

class ListLoadsRequest(_message.Message):
    __slots__ = ("source",)
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    source: str
    def __init__(self, source: _Optional[str] = ...) -> None: ...

class ListLoadsResponse(_message.Message):
    __slots__ = ("loads",)
    LOADS_FIELD_NUMBER: _ClassVar[int]
    loads: _containers.RepeatedCompositeFieldContainer[Load]
    def __init__(self, loads: _Optional[_Iterable[_Union[Load, _Mapping]]] = ...) -> None: ...

class GetLoadRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class GetLoadResponse(_message.Message):
    __slots__ = ("load", "batches")
    LOAD_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    load: Load
    batches: _containers.RepeatedCompositeFieldContainer[BatchResult]
    def __init__(self, load: _Optional[_Union[Load, _Mapping]] = ..., batches: _Optional[_Iterable[_Union[BatchResult, _Mapping]]] = ...) -> None: ...

class RetractLoadRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: int
    reason: str
    def __init__(self, id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class RetractLoadResponse(_message.Message):
    __slots__ = ("load", "runs")
    LOAD_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    load: Load
    runs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, load: _Optional[_Union[Load, _Mapping]] = ..., runs: _Optional[_Iterable[int]] = ...) -> None: ...
