import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListQuarantineRequest(_message.Message):
    __slots__ = ("view", "source", "run", "page_size", "before_id")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_ID_FIELD_NUMBER: _ClassVar[int]
    view: str
    source: str
    run: str
    page_size: int
    before_id: int
    def __init__(self, view: _Optional[str] = ..., source: _Optional[str] = ..., run: _Optional[str] = ..., page_size: _Optional[int] = ..., before_id: _Optional[int] = ...) -> None: ...

class ListQuarantineResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[QuarantineGroup]
    def __init__(self, groups: _Optional[_Iterable[_Union[QuarantineGroup, _Mapping]]] = ...) -> None: ...

class QuarantineGroup(_message.Message):
    __slots__ = ("run_id", "run", "view", "view_version", "subject", "reason", "rows", "quarantined_at")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_VERSION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_AT_FIELD_NUMBER: _ClassVar[int]
    run_id: int
    run: str
    view: str
    view_version: int
    subject: str
    reason: str
    rows: int
    quarantined_at: _timestamp_pb2.Timestamp
    def __init__(self, run_id: _Optional[int] = ..., run: _Optional[str] = ..., view: _Optional[str] = ..., view_version: _Optional[int] = ..., subject: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[int] = ..., quarantined_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ShowQuarantineRequest(_message.Message):
    __slots__ = ("run", "subject", "reason", "page_size", "after_id")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    run: str
    subject: str
    reason: str
    page_size: int
    after_id: int
    def __init__(self, run: _Optional[str] = ..., subject: _Optional[str] = ..., reason: _Optional[str] = ..., page_size: _Optional[int] = ..., after_id: _Optional[int] = ...) -> None: ...

class ShowQuarantineResponse(_message.Message):
    __slots__ = ("rows", "hidden")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[QuarantinedRow]
    hidden: int
    def __init__(self, rows: _Optional[_Iterable[_Union[QuarantinedRow, _Mapping]]] = ..., hidden: _Optional[int] = ...) -> None: ...

class QuarantinedRow(_message.Message):
    __slots__ = ("id", "run_id", "subject", "reasons", "load_id", "row_number", "event_time", "row_json", "quarantined_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    LOAD_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_NUMBER_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ROW_JSON_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_AT_FIELD_NUMBER: _ClassVar[int]
    id: int
    run_id: int
    subject: str
    reasons: _containers.RepeatedScalarFieldContainer[str]
    load_id: int
    row_number: int
    event_time: _timestamp_pb2.Timestamp
    row_json: str
    quarantined_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., run_id: _Optional[int] = ..., subject: _Optional[str] = ..., reasons: _Optional[_Iterable[str]] = ..., load_id: _Optional[int] = ..., row_number: _Optional[int] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., row_json: _Optional[str] = ..., quarantined_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReplayQuarantineRequest(_message.Message):
    __slots__ = ("run", "view")
    RUN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    run: str
    view: str
    def __init__(self, run: _Optional[str] = ..., view: _Optional[str] = ...) -> None: ...

class ReplayQuarantineResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _run_pb2.Run
    def __init__(self, run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ...) -> None: ...
