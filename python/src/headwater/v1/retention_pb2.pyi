import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headwater.v1 import options_pb2 as _options_pb2
from headwater.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ForgetRequest(_message.Message):
    __slots__ = ("entity", "keys", "reason", "dry_run")
    class KeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _value_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ...) -> None: ...
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    entity: str
    keys: _containers.MessageMap[str, _value_pb2.Value]
    reason: str
    dry_run: bool
    def __init__(self, entity: _Optional[str] = ..., keys: _Optional[_Mapping[str, _value_pb2.Value]] = ..., reason: _Optional[str] = ..., dry_run: bool = ...) -> None: ...

class ErasureRecord(_message.Message):
    __slots__ = ("id", "entity", "key_hash", "reason", "principal", "started_at", "done_at", "erased", "touched", "recomputing")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    KEY_HASH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    DONE_AT_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    TOUCHED_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTING_FIELD_NUMBER: _ClassVar[int]
    id: str
    entity: str
    key_hash: str
    reason: str
    principal: str
    started_at: _timestamp_pb2.Timestamp
    done_at: _timestamp_pb2.Timestamp
    erased: _containers.RepeatedCompositeFieldContainer[ErasedFrom]
    touched: _containers.RepeatedScalarFieldContainer[str]
    recomputing: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., entity: _Optional[str] = ..., key_hash: _Optional[str] = ..., reason: _Optional[str] = ..., principal: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., done_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., erased: _Optional[_Iterable[_Union[ErasedFrom, _Mapping]]] = ..., touched: _Optional[_Iterable[str]] = ..., recomputing: _Optional[_Iterable[str]] = ...) -> None: ...

class ErasedFrom(_message.Message):
    __slots__ = ("place", "name", "rows", "note")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    place: str
    name: str
    rows: int
    note: str
    def __init__(self, place: _Optional[str] = ..., name: _Optional[str] = ..., rows: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class ForgetResponse(_message.Message):
    __slots__ = ("erasure",)
    ERASURE_FIELD_NUMBER: _ClassVar[int]
    erasure: ErasureRecord
    def __init__(self, erasure: _Optional[_Union[ErasureRecord, _Mapping]] = ...) -> None: ...

class ListErasuresRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListErasuresResponse(_message.Message):
    __slots__ = ("erasures",)
    ERASURES_FIELD_NUMBER: _ClassVar[int]
    erasures: _containers.RepeatedCompositeFieldContainer[ErasureRecord]
    def __init__(self, erasures: _Optional[_Iterable[_Union[ErasureRecord, _Mapping]]] = ...) -> None: ...

class CollectHistoryRequest(_message.Message):
    __slots__ = ("older_than", "views", "dry_run")
    OLDER_THAN_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    older_than: _duration_pb2.Duration
    views: _containers.RepeatedScalarFieldContainer[str]
    dry_run: bool
    def __init__(self, older_than: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., views: _Optional[_Iterable[str]] = ..., dry_run: bool = ...) -> None: ...

class CollectHistoryResponse(_message.Message):
    __slots__ = ("views", "profiles_collected")
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    PROFILES_COLLECTED_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedCompositeFieldContainer[CollectedView]
    profiles_collected: int
    def __init__(self, views: _Optional[_Iterable[_Union[CollectedView, _Mapping]]] = ..., profiles_collected: _Optional[int] = ...) -> None: ...

class CollectedView(_message.Message):
    __slots__ = ("view", "version", "horizon_seq", "rows_collected", "rows_protected")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HORIZON_SEQ_FIELD_NUMBER: _ClassVar[int]
    ROWS_COLLECTED_FIELD_NUMBER: _ClassVar[int]
    ROWS_PROTECTED_FIELD_NUMBER: _ClassVar[int]
    view: str
    version: int
    horizon_seq: int
    rows_collected: int
    rows_protected: int
    def __init__(self, view: _Optional[str] = ..., version: _Optional[int] = ..., horizon_seq: _Optional[int] = ..., rows_collected: _Optional[int] = ..., rows_protected: _Optional[int] = ...) -> None: ...
